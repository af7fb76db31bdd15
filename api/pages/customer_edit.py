"""Changing a customer: a form of what can be written, a look at what it would do, and its place in the queue."""

import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import MediaType, Response, get, post
from litestar.datastructures import FormMultiDict
from litestar.handlers import HTTPRouteHandler

from api import bases
from api.digits import decoded, exact
from api.mutation_schemas import MutationAnswer, MutationPreview
from api.pages import customer_form
from api.pages.comparison import compared
from api.pages.customer import key_in_path, missing
from api.pages.customer_change import Wanted, wanted
from api.pages.customer_form import OPERATION, RECORDS, Choices, Filled, Group, Typed, unified
from api.pages.door import SEE_OTHER, Visit
from api.pages.selection import Record, selected
from api.previews import previewed
from api.problems import ElsewhereError, NotReadyError, told
from api.queueing import queued
from api.render import DECODER, ENCODER
from api.steps import through
from outbound.exceptions import BadBodyError, OutboundError
from outbound.request import Asked, request_hash
from sources.servicetitan.catalog import BY_NAME

if TYPE_CHECKING:
    from api.pages.site import Site

MOST_CHOICES = 500
FORM = re.compile(r"[A-Za-z0-9_-]{8,40}", re.ASCII)
UNFIT, GONE = 422, 409
NOTHING = "Nothing differs from what is there. Change a field first."
NO_VERSION = (
    "The copy no longer has the version that this form was made from. It now compares with the newest one: look through "
    "what you typed once more."
)


@dataclass(frozen=True, slots=True)
class Draft:
    """A form that somebody fills in: the version that it was made from, what was typed, and a name of its own."""

    customer: int
    version: str
    base: Record
    typed: Typed
    choices: Choices
    form: str
    is_renewed: bool = False  # the version that it was made from is gone

    @property
    def name(self) -> str:
        """What the customer is called; its key where it has no name."""
        return str(self.base.get("name") or self.customer)

    @property
    def wanted(self) -> Wanted:
        """The change that it asks for."""
        return wanted(self.base, self.typed)

    def groups(self, faults: Mapping[str, str] | None = None) -> list[Group]:
        """The form with what was typed, and what is wrong with it."""
        return customer_form.groups(self.base, Filled(self.choices, self.typed, faults or {}))

    def asked(self, payload: Record) -> Asked:
        """The change as the queue takes it. The same form with the same payload is one change, however often it is sent."""
        change = Asked(
            entity_type=OPERATION.entity,
            operation=OPERATION.name,
            entity_id=self.customer,
            payload=exact(payload),
            based_on_payload_hash=self.version,
        )
        return msgspec.structs.replace(change, idempotency_key=f"{self.form}-{request_hash(change)[:16]}")


@dataclass(frozen=True, slots=True)
class Sent:
    """A form as it was sent; nothing of it, where one begins."""

    typed: Typed
    version: str
    form: str


def drafted(site: "Site", tenant: int, customer: int, sent: Sent) -> Draft:
    """A form made from a version, from the newest where none is named or the copy lacks it. Raises NoRecordError."""
    version = sent.version
    hashes = {version.replace("\0", "")}
    found = bases.versions(site.answers.reader, BY_NAME[OPERATION.entity], tenant, {customer}, hashes)
    rows = {hash_: text for _, hash_, text, _ in reversed(found)}  # the newest last
    if not rows:
        raise missing(customer)
    is_known = version in rows
    used = version if is_known else found[0][1]
    choices = {field: chosen(site, tenant, entity) for field, entity in RECORDS.items()}
    base = decoded(rows[used].encode())
    return Draft(customer, used, base, sent.typed, choices, sent.form, is_renewed=bool(version) and not is_known)


def chosen(site: "Site", tenant: int, entity: str) -> list[tuple[str, str]]:
    """The records that a field can name: key and name."""
    rest = (
        f"FROM master.{entity} WHERE tenant_id = {{mark}} AND NOT is_deleted AND COALESCE(active, TRUE) "
        f"ORDER BY name NULLS LAST, st_id LIMIT {MOST_CHOICES}"
    )
    answers = site.answers.of(frozenset({f"master.{entity}"}))
    rows = through(answers.reader, selected(answers.dialect, ("st_id", "name"), rest, [tenant]))
    kind = customer_form.label(entity.removesuffix("s"))
    return [(str(row["st_id"]), row["name"] or f"{kind} {row['st_id']}") for row in rows]


def sent_in(form: FormMultiDict) -> Sent:
    """What was typed, and what the form says of itself."""
    texts = {name: [unified(text) for text in form.getall(name) if isinstance(text, str)] for name in form}
    [version], [name], *_ = (texts.pop(each, [""])[:1] or [""] for each in ("version", "form", "token", "step"))
    return Sent(texts, version, name if FORM.fullmatch(name) else secrets.token_urlsafe(12))


class Editing:
    """Answers the steps of an edit."""

    def __init__(self, site: "Site") -> None:
        """On this site."""
        self.site = site

    def form(self, request: Visit, draft: Draft, status: int = 200, **more: Any) -> Response[str]:
        """The form, with what was typed."""
        faults, errors = more.get("faults", {}), more.get("errors", [])
        groups = draft.groups(faults)
        named = {field.path: field.label for group in groups for field in group.fields}
        listed = [*errors, *(f"{named.get(path, path)}: {text}" for path, text in faults.items())]
        return self.site.look.page(request, "customers/edit.html", status, draft=draft, groups=groups, errors=listed)

    async def begin(self, request: Visit, customer: int) -> Response[str]:
        """The form with the newest values."""
        sent = Sent({}, "", secrets.token_urlsafe(12))
        return self.form(request, await self.site.work.do(drafted, self.site, request.auth.tenant_id, customer, sent))

    async def go_on(self, request: Visit, customer: int) -> Response[Any]:
        """The next step of a form that was sent."""
        form = await request.form()
        step, tenant = form.get("step"), request.auth.tenant_id
        draft = await self.site.work.do(drafted, self.site, tenant, customer, sent_in(form))
        if draft.is_renewed:
            return self.form(request, draft, GONE, errors=[NO_VERSION])
        if step == "edit":
            return self.form(request, draft)
        return await self.checked(request, draft, is_final=step == "queue")

    async def checked(self, request: Visit, draft: Draft, *, is_final: bool) -> Response[Any]:
        """The preview, or the queued change; the form again where something is wrong with it."""
        wanted = draft.wanted
        if wanted.faults:
            return self.form(request, draft, UNFIT, faults=wanted.faults)
        if not wanted.payload:
            return self.form(request, draft, UNFIT, errors=[NOTHING])
        asked = draft.asked(wanted.payload)
        try:
            if is_final:
                return await self.queue(request, asked)
            return await self.preview(request, draft, wanted.payload, asked)
        except OutboundError as error:
            errors = error.faults if isinstance(error, BadBodyError) else [str(error)]
            return self.form(request, draft, told(error).status, errors=errors)

    async def queue(self, request: Visit, asked: Asked) -> Response[Any]:
        """Queue it, and go to where one sees what becomes of it."""
        body = ENCODER.encode(asked)
        found = await self.site.work.do(queued, self.site.changes, request.auth, body, None)
        assert isinstance(found.body, MutationAnswer)  # noqa: S101  one was asked for
        place = f"/mutations/{found.body.data.mutation_id}"
        return Response("", status_code=SEE_OTHER, headers={"location": place})

    async def preview(self, request: Visit, draft: Draft, payload: Record, asked: Asked) -> Response[str]:
        """What it would do; where ServiceTitan cannot be asked, what is known without it. Raises OutboundError."""
        site, reason = self.site, ""
        shown: MutationPreview | None = None
        plain = msgspec.structs.replace(asked, payload=payload)
        needs_approval = site.changes.needs_approval(site.changes.readied(plain).ready)
        try:
            body = ENCODER.encode(msgspec.structs.replace(asked, idempotency_key=None))
            answer = await site.work.ask_outside(previewed, site.changes, site.clients, request.auth, body)
            shown = plainly(answer.data)
        except (ElsewhereError, NotReadyError) as error:
            reason = error.detail
        live = shown.live if shown else None
        rows = compared(draft.base, payload, live, shown.conflicts if shown else {}, draft.choices)
        fields = [field for group in draft.groups() for field in group.fields]
        return site.look.page(
            request,
            "customers/preview.html",
            draft=draft,
            rows=rows,
            fields=fields,
            shown=shown,
            reason=reason,
            needs_approval=needs_approval,
            in_conflict=labels(shown.conflicts) if shown else "",
            merged=labels(shown.merged) if shown else "",
        )


def labels(names: Iterable[str]) -> str:
    """Fields within a sentence, as the form calls them."""
    return ", ".join(customer_form.label(name).lower() for name in names)


def plainly(shown: MutationPreview) -> MutationPreview:
    """A preview whose numbers are numbers, not yet text."""
    values = DECODER.decode(ENCODER.encode(shown))
    return MutationPreview(**values)


def handlers(site: "Site") -> list[HTTPRouteHandler]:
    """The form, and what it is sent to."""
    editing = Editing(site)

    @get("/customers/{id:str}/edit", opt={"scope": "mutate"}, media_type=MediaType.HTML)
    async def edit_customer(request: Visit) -> Response[str]:
        return await editing.begin(request, key_in_path(request))

    @post("/customers/{id:str}/edit", opt={"scope": "mutate"}, media_type=MediaType.HTML)
    async def change_customer(request: Visit) -> Response[Any]:
        return await editing.go_on(request, key_in_path(request))

    return [edit_customer, change_customer]
