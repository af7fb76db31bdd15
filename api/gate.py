"""Who gets in: the key of a request, its scopes and how much it may ask. Open is what has no scope, or says `open`."""

import base64
import binascii
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import TYPE_CHECKING, Any

from litestar import Request
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware

from api.problems import ForbiddenError, NoKeyError, TooLargeError, TooManyError
from api.work import Work
from store import keys
from store.operations import Operations

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Scope, Send

FRESH = 1.0  # seconds for which a key is believed to be as it was read: a revoked one ends within them
MOST_KEPT = 10_000  # keys
NOTED_EVERY = 60.0  # seconds between two notes of a key's last use
MINUTE, HOUR = 60, 3600
LARGEST_BODY = 1_000_000  # bytes
LOOKS = {"GET", "HEAD"}  # methods that change nothing
HOW = "Send a key as `x-api-key` or `Authorization: Bearer`; `lazi keys create` makes one."


class Keyring:
    """The keys of the operations store, each read again when it is a second old."""

    def __init__(self, operations: Operations, work: Work) -> None:
        """Nothing is read yet."""
        self.operations, self.work = operations, work
        self.known: dict[str, tuple[float, keys.Key | None]] = {}
        self.noted: dict[str, float] = {}

    async def admitted(self, text: str) -> keys.Key:
        """The key with this text. Raises NoKeyError."""
        parsed = keys.parsed(text)
        if parsed is None:
            raise NoKeyError(f"There is no key in the request, or it is not one of ours. {HOW}", headers=ASK)
        key_id, secret = parsed
        key = await self.found(key_id)
        if key is None or not key.opens(secret):
            raise NoKeyError(f"The key is not known, or was revoked. {HOW}", headers=ASK)
        await self.note(key_id)
        return key

    async def note(self, key_id: str) -> None:
        """Keep when a key was used, at most once a minute."""
        now = time.monotonic()
        if now - self.noted.get(key_id, -NOTED_EVERY) >= NOTED_EVERY:
            self.noted[key_id] = now
            await self.work.admit(self.operations.run, "note_key_used", key_id=key_id, used_at=datetime.now(UTC))

    async def found(self, key_id: str) -> keys.Key | None:
        """A key as it is now, or was a second ago."""
        now = time.monotonic()
        read_at, key = self.known.get(key_id, (-FRESH, None))
        if now - read_at < FRESH:
            return key
        key = await self.work.admit(keys.find, self.operations, key_id)
        if len(self.known) >= MOST_KEPT:
            self.known.clear()
        self.known[key_id] = (now, key)
        return key


ASK = {"WWW-Authenticate": 'Bearer realm="ST-LAZI"'}
ASK_A_PERSON = {"WWW-Authenticate": 'Basic realm="ST-LAZI: any name, the key as password", charset="UTF-8"'}


@dataclass(slots=True)
class Window:
    """Requests in this stretch of time and in the one before."""

    number: int = 0
    now: int = 0
    before: int = 0

    def load(self, seconds: int, moment: float) -> float:
        """Requests in the last `seconds`, with the former stretch counted by the part of it that they still cover."""
        number, into = divmod(moment, seconds)
        if number != self.number:
            self.before = self.now if number == self.number + 1 else 0
            self.number, self.now = int(number), 0
        return self.now + self.before * (1 - into / seconds)

    def wait(self, seconds: int, moment: float, limit: int) -> int:
        """Seconds until one more request is within the limit, when `load` says that it is not now."""
        into, room = moment % seconds, limit - 1 - self.now
        if room >= 0:  # what was asked in the stretch before weighs less and less
            return ceil(seconds * (1 - room / self.before) - into)
        return ceil(seconds - into + seconds * max(0.0, 1 - (limit - 1) / self.now))


class Throttle:
    """How much each key may ask, in this process."""

    def __init__(self, per_minute: int, per_hour: int) -> None:
        """What keys may ask that say nothing else; 0 is no limit."""
        self.limits = (per_minute, per_hour)
        self.windows: dict[str, tuple[Window, Window]] = {}

    def count(self, key: keys.Key, moment: float) -> None:
        """Count a request at a moment in seconds. Raises TooManyError, which does not count."""
        windows = self.windows.setdefault(key.key_id, (Window(), Window()))
        own = (key.per_minute, key.per_hour)
        for window, seconds, asked, usual in zip(windows, (MINUTE, HOUR), own, self.limits, strict=True):
            limit = usual if asked is None else asked
            if limit and window.load(seconds, moment) + 1 > limit:
                wait = max(1, window.wait(seconds, moment, limit))
                word = "a minute" if seconds == MINUTE else "an hour"
                raise TooManyError(
                    f"The key `{key.key_id}` may ask {limit} times {word}. Wait {wait} s, or ask for more rows at once.",
                    headers={"Retry-After": str(wait)},
                )
        for window in windows:
            window.now += 1


Guest = Callable[[Request[Any, Any, Any]], Awaitable[keys.Key | None]]
"""The key of who is signed in at the pages, by the request's cookie."""


class Gate(ASGIMiddleware):
    """Lets a request in when its key has the scope that its route's `opt` names as `scope`."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, keyring: Keyring, throttle: Throttle, guest: Guest) -> None:
        """Whom to ask."""
        self.keyring, self.throttle, self.guest = keyring, throttle, guest

    async def handle(self, scope: "Scope", receive: "Receive", send: "Send", next_app: "ASGIApp") -> None:
        """Let in, or raise NoKeyError, ForbiddenError or TooManyError."""
        options = scope["route_handler"].opt
        demand_size(scope["headers"], options.get("largest_body", LARGEST_BODY))
        wanted = None if options.get("page") else options.get("scope")  # pages have a door of their own
        if options.get("open") and not presented(scope["headers"], for_people=False):
            wanted = None  # without a key it tells less
        if wanted is not None:
            key = await (self.of_person(scope) if options.get("for_people") else self.of_program(scope))
            if wanted not in key.scopes:
                had = ", ".join(sorted(key.scopes))
                raise ForbiddenError(f"This needs a key with the scope `{wanted}`; this one has {had}.")
            self.throttle.count(key, time.monotonic())
            scope["auth"], scope["user"] = key, key.key_id
        await next_app(scope, receive, send)

    async def of_program(self, scope: "Scope") -> keys.Key:
        """The key that a request shows. A cookie counts for nothing: browsers send it with what another site makes them ask."""
        return await self.keyring.admitted(presented(scope["headers"], for_people=False))

    async def of_person(self, scope: "Scope") -> keys.Key:
        """The key that a request for a document shows, also as a password, or of who is signed in at the pages."""
        try:
            return await self.keyring.admitted(presented(scope["headers"], for_people=True))
        except NoKeyError as error:
            request: Request[Any, Any, Any] = Request(scope)
            if request.method in LOOKS and (key := await self.guest(request)):
                return key
            error.headers = ASK_A_PERSON
            raise


def demand_size(headers: Iterable[tuple[bytes, bytes]], largest: int) -> None:
    """Raise TooLargeError for a body that says itself that it is too large, whether or not anything reads it."""
    for name, value in headers:
        if name == b"content-length" and (not value.isdigit() or int(value) > largest):
            raise TooLargeError(f"The body has {value.decode('latin-1')[:20]} bytes, allowed are {largest}.")


def presented(headers: Iterable[tuple[bytes, bytes]], *, for_people: bool) -> str:
    """The key's text in a request's headers, or an empty one. Browsers send it as the password, for pages alone."""
    for name, value in headers:
        if name == b"x-api-key":
            return value.decode("latin-1").strip()
        if name == b"authorization":
            kind, _, rest = value.decode("latin-1").partition(" ")
            if kind.lower() == "bearer":
                return rest.strip()
            if kind.lower() == "basic" and for_people:
                return password(rest)
    return ""


def password(text: str) -> str:
    """The password of basic credentials, or an empty text."""
    try:
        return base64.b64decode(text, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""
