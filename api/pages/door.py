"""Who may see pages and act on them: signing in with a key, and what is asked of every request.

Every page needs a session whose key can read and has the scope that its route's `opt` names as `scope`; every action
besides that a form of ours, sent from a page of ours. Only what says `open` needs nothing.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import quote

from litestar import MediaType, Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.enums import RequestEncodingType
from litestar.handlers import HTTPRouteHandler

from api.gate import Keyring
from api.pages.attempts import Attempts
from api.pages.look import Look
from api.pages.session import COOKIE, SECONDS, Session, Sessions, is_from_here, local, path_of
from api.problems import ForbiddenError, NoKeyError, TooManyError
from api.work import Work
from store.exceptions import StoreError
from store.keys import Key

ACTIONS = {"POST", "PUT", "PATCH", "DELETE"}
FORMS = {"", RequestEncodingType.URL_ENCODED.value}
SEE_OTHER = 303
READ = "read"
FORGED = "This was not sent by a page of ours, or the page is too old. Load it again, and try once more."
WRONG = "This key is not known, or was revoked. `lazi keys create` makes one."
Visit = Request[Any, Any, Any]


class Door:
    """Lets requests for pages in, or sends them to where a key can be entered."""

    def __init__(self, keyring: Keyring, sessions: Sessions, look: Look, work: Work) -> None:
        """Whom to ask, and how it looks."""
        self.keyring, self.sessions, self.look, self.work = keyring, sessions, look, work
        self.attempts = Attempts()

    async def admit(self, request: Visit) -> Response[Any] | None:
        """Before each handler: the key as `request.auth`, or an answer instead. Raises ForbiddenError."""
        options = request.scope["route_handler"].opt
        demand_from_here(request)
        if options.get("open"):
            return None
        session = await self.session(request)
        key = await self.key_of(session) if session else None
        if session is None or key is None:
            return self.led_in(request)
        demand_scope(key, options.get("scope", READ))
        if request.method in ACTIONS and not self.sessions.knows(session, await shown_token(request)):
            raise ForbiddenError(FORGED)
        with suppress(StoreError):  # a store whose disk is full can still be looked at
            await self.keyring.note(key.key_id)
        request.scope["auth"], request.scope["user"] = key, key.key_id
        state = request.scope["state"]
        state["session"], state["form_token"] = session, self.sessions.token(session)
        state["still"] = partial(self.key_of, session)
        return None

    async def guest(self, request: Visit) -> Key | None:
        """The key of who is signed in, for what is no page and may be looked at all the same."""
        session = await self.session(request)
        return await self.key_of(session) if session else None

    def led_in(self, request: Visit) -> Response[Any]:
        """Lead a stranger to where a key is entered and from there back, or have a page of ours ask again with the cookie."""
        if COOKIE not in request.cookies and comes_from_elsewhere(request):
            return self.look.page(request, "again.html", address=place(request))
        return sent_to(request, f"/sign-in?next={quote(place(request), safe='/')}")

    async def session(self, request: Visit) -> Session | None:
        """The session of the request's cookie. The secret is read in a thread, the first time."""
        cookie = request.cookies.get(COOKIE)
        return await self.work.admit(self.sessions.read, cookie) if cookie else None

    async def key_of(self, session: Session) -> Key | None:
        """The key of a session, as long as both of them last."""
        if session.is_over or await self.work.admit(self.sessions.has_ended, session):
            return None
        key = await self.keyring.found(session.key_id)
        return key if key and key.revoked_at is None else None

    def handlers(self) -> list[HTTPRouteHandler]:
        """Where a key is entered, and where a session ends."""

        @get("/sign-in", opt={"open": True}, media_type=MediaType.HTML)
        async def sign_in(request: Visit) -> Response[str]:
            onward = local(request.query_params.get("next", "/"))
            return self.look.page(request, "sign_in.html", next=onward, error="")

        @post("/sign-in", opt={"open": True}, media_type=MediaType.HTML)
        async def enter(request: Visit) -> Response[Any]:
            form = await request.form()
            onward = local(str(form.get("next", "/")))
            try:
                key = await self.admitted(request, str(form.get("key", "")).strip())
                demand_scope(key, READ)
            except (NoKeyError, TooManyError, ForbiddenError) as error:
                told = WRONG if isinstance(error, NoKeyError) else error.detail
                page = self.look.page(request, "sign_in.html", error.status, next=onward, error=told)
                page.headers.update(error.headers if isinstance(error, TooManyError) else {})
                return page
            text = await self.work.admit(self.sessions.begun, key.key_id)
            return Response("", status_code=SEE_OTHER, headers={"location": onward}, cookies=[cookie_of(request, text)])

        @post("/sign-out", media_type=MediaType.HTML)
        async def leave(request: Visit) -> Response[str]:
            await self.work.admit(self.sessions.end, request.scope["state"]["session"])
            ended = cookie_of(request, "", seconds=0)
            return Response("", status_code=SEE_OTHER, headers={"location": "/sign-in"}, cookies=[ended])

        return [sign_in, enter, leave]

    async def admitted(self, request: Visit, text: str) -> Key:
        """The key with this text. Raises NoKeyError, or TooManyError where an address tried too many."""
        address, now = request.client.host if request.client else "", time.monotonic()
        self.attempts.demand(address, now)
        self.attempts.note(address, now)
        key = await self.keyring.admitted(text)
        self.attempts.take_back(address)
        return key


def demand_scope(key: Key, wanted: str) -> None:
    """Raise ForbiddenError for a key that cannot do what is wanted; pages show the copy, so that each needs reading too."""
    if missing := next((scope for scope in (READ, wanted) if scope not in key.scopes), None):
        had = ", ".join(sorted(key.scopes))
        raise ForbiddenError(f"This needs a key with the scope `{missing}`; this one has {had}.")


def demand_from_here(request: Visit) -> None:
    """Raise ForbiddenError for an action that a browser says comes from elsewhere, or that no form of ours would send."""
    if request.method not in ACTIONS:
        return
    host = request.headers.get("host", "")
    if not is_from_here(dict(request.headers), host, request.url.scheme) or request.content_type[0] not in FORMS:
        raise ForbiddenError(FORGED)


def comes_from_elsewhere(request: Visit) -> bool:
    """Whether somebody follows a link of another site: their cookie does not come along, unless a page of ours asks again."""
    asked = (request.headers.get("sec-fetch-site"), request.headers.get("sec-fetch-mode"))
    return request.method == "GET" and asked == ("cross-site", "navigate")


async def shown_token(request: Visit) -> str:
    """What an action shows to prove that a form of ours sent it."""
    return request.headers.get("x-form-token") or str((await request.form()).get("token", ""))


def cookie_of(request: Visit, text: str, seconds: int = SECONDS) -> Cookie:
    """The cookie as a browser keeps it: for this site alone, and not for scripts."""
    return Cookie(
        COOKIE, value=text, max_age=seconds, httponly=True, samesite="strict", secure=request.url.scheme == "https"
    )


def sent_to(request: Visit, address: str) -> Response[Any]:
    """Send a browser, or htmx in it, somewhere else."""
    if request.headers.get("hx-request"):
        return Response("", status_code=401, headers={"hx-redirect": address})
    return Response("", status_code=SEE_OTHER, headers={"location": address})


def place(request: Visit) -> str:
    """Where somebody wanted to go, to be led there behind the door: for a part of a page or an action, the page they were on."""
    host = request.headers.get("host", "")
    if request.headers.get("hx-request"):
        return path_of(request.headers.get("hx-current-url", ""), host)
    if request.method in ACTIONS:
        return path_of(request.headers.get("referer", ""), host)
    query = request.scope["query_string"].decode("latin-1")
    path = (request.scope["raw_path"] or b"/").partition(b"?")[0].decode("latin-1")
    return local(path + (f"?{query}" if query else ""))


def fields(form: Mapping[str, Any]) -> dict[str, str]:
    """A form's fields as text, without the token; files and repetitions are none."""
    return {name: value.strip() for name, value in form.items() if isinstance(value, str) and name != "token"}
