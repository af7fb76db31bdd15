"""The original's changes on their way to ServiceTitan, reviewed: what waits there is held here, until somebody approves it.

Each is checked as if it were asked for now. Its base is the record as the copy knew it when it was asked for, so that
what changed in ServiceTitan since then is a conflict. The key made of its id there finds it again: nothing is queued twice.
What was being sent when the original stopped may have been done, and is `unknown`. Nothing is sent from here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import psycopg2
from psycopg2 import sql

from outbound.exceptions import OutboundError
from outbound.operations import ACTION, CREATE, REMOVE, UPDATE, find
from outbound.queue import DECODER, Wanted, columns, step, storable
from outbound.request import Asked, Prepared, prepared, wanted
from outbound.state import State
from pipelines.legacy.database import Database, line_of
from pipelines.legacy.record import parsed
from pipelines.legacy.report import MutationReport, Odd
from pipelines.legacy.selecting import text_of
from pipelines.legacy.spelling import MUTATION, Shape, mutation_shape
from pipelines.legacy.warehouse import version_at
from pipelines.sync import Stores
from sources.servicetitan.catalog import KeyType
from sources.servicetitan.head import whole
from sources.servicetitan.reading import raw_table

KEY_ID = "legacy"  # in place of the API key that queued it
NOBODY = "legacy"
ROLES = tuple(MUTATION)
BASED = frozenset({UPDATE, ACTION, REMOVE})
LONGEST = 200  # characters of a name

STATES: dict[State, tuple[str, ...]] = {
    State.HELD: (
        *("pending", "queued", "new", "scheduled", "waiting", "retry", "retrying", "approved"),
        *("held", "on_hold", "awaiting_approval", "pending_approval"),
    ),
    State.FAILED: ("failed", "failure", "error", "errored", "dead", "dead_letter", "conflict"),
    State.UNKNOWN: ("processing", "in_progress", "running", "sending", "unknown"),
    State.COMPLETED: ("completed", "complete", "done", "success", "succeeded", "applied", "sent"),
    State.CANCELLED: ("cancelled", "canceled", "rejected", "skipped", "discarded", "superseded"),
}
"""What the original's words mean here."""
OVER = frozenset({State.COMPLETED, State.CANCELLED})

SAID = {
    State.HELD: "Waited in the original service; awaits approval.",
    State.FAILED: "Failed in the original service.",
    State.UNKNOWN: "Was being sent when the original service stopped: look into ServiceTitan, and resolve it.",
}
DEFAULT_ERROR = "the original kept no reason"


class UnfitError(Exception):
    """A row that is no change that can be asked for; the message is a reason."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the original's table, each value as text."""

    values: dict[str, str | None]

    def __getitem__(self, role: str) -> str:
        """A value; an empty text for NULL."""
        return self.values.get(role) or ""

    @property
    def state(self) -> State | None:
        """What its status means; None for a word that is not known."""
        word = self["status"].strip().lower().replace("-", "_").replace(" ", "_")
        return next((state for state, words in STATES.items() if word in words), None)

    @property
    def named(self) -> tuple[str, str]:
        """Entity and operation, which some write as one: `customers:update`, `customers.update`."""
        entity, operation = self["entity"], self["operation"]
        for sign in ":./":
            if not entity and sign in operation:
                entity, _, operation = operation.partition(sign)
        return entity.strip(), operation.strip()

    def moment(self, role: str) -> datetime | None:
        """A date."""
        return parsed(self[role]) if self[role] else None


@dataclass(slots=True)
class Review:
    """Brings the original's changes into our queue."""

    stores: Stores
    now: datetime
    tenant_id: int | None
    with_withdrawn: bool = False

    def queue(self, row: Row, state: State) -> bool:
        """Queue a change; whether it is new here. Raises UnfitError or OutboundError."""
        tenant_id = whole(row["tenant"]) if row["tenant"] else self.tenant_id
        if tenant_id is None:
            raise UnfitError("it names no tenant; name it by `--tenant`")
        ask = asked(row)
        ready = prepared(ask, with_withdrawn=self.with_withdrawn)
        created = min(row.moment("created") or self.now, self.now)
        base, base_hash = self.base(ready, tenant_id, created)
        want = wanted(
            ask, ready, tenant_id=tenant_id, key_id=KEY_ID, name=NOBODY, base=base, base_hash=base_hash, is_held=True
        )
        return bool(self.stores.operations.run("enqueue_legacy", **self.values(row, want, state, created)))

    def base(self, ready: Prepared, tenant_id: int, created: datetime) -> tuple[Any, str | None]:
        """The record and its hash as the copy knew it when the change was asked for; None where there is none."""
        entity = ready.operation.subject
        if entity is None or ready.record_id is None or ready.operation.kind not in BASED:
            return None, None
        key = ready.record_id if entity.key_type is KeyType.TEXT else whole(ready.record_id)
        found = key is not None and version_at(self.stores.warehouse, raw_table(entity), tenant_id, key, created)
        if not found or not found[0].lstrip().startswith("{"):
            return None, None
        return msgspec.Raw(found[0].encode()), found[1]

    def values(self, row: Row, want: Wanted, state: State, created: datetime) -> dict[str, Any]:
        """The values that `enqueue_legacy` takes."""
        ended = min(row.moment("ended") or created, self.now)
        error = (row["error"] or DEFAULT_ERROR) if state is State.FAILED else None
        first = step(want.initiated_by, "queued", "In the original service.", created)
        then = step("import-legacy", "taken over", SAID[state], self.now)
        return columns(want) | {
            "state": str(state),
            "attempts": min(whole(row["attempts"]) or 0, 1000),
            "now": self.now,
            "sent_at": ended if state is State.UNKNOWN else None,
            "created_at": created,
            "finished_at": None if state is State.HELD else ended,
            "error": storable(error if state is State.FAILED else SAID[state] if state is State.UNKNOWN else None),
            "history": first + then,
        }


def asked(row: Row) -> Asked:
    """What a row asks for. Raises UnfitError or OutboundError."""
    entity, operation = row.named
    if not entity or not operation:
        raise UnfitError("it names no entity or no operation")
    by = row["by"].strip()
    return Asked(
        entity_type=entity,
        operation=operation,
        entity_id=record_of(row, entity, operation),
        path_params=object_of(row["places"], "path parameters"),
        payload=payload_of(row["payload"]),
        initiated_by=by if by and by.isprintable() and len(by) <= LONGEST else NOBODY,
        idempotency_key=f"legacy:{row['id']}",
    )


def record_of(row: Row, entity: str, operation: str) -> str | None:
    """The record's id; None where it is to be made, whatever the row says of it. Raises OutboundError."""
    found, alias = find(entity, operation)
    is_about_none = found.kind is CREATE and not found.record and not (alias and alias.record_field)
    return None if is_about_none else row["record"].strip() or None


def payload_of(text: str) -> Any:
    """The body. Raises UnfitError."""
    if not text.strip() or text.strip() == "null":
        return None
    try:
        value = DECODER.decode(text.encode())
        if isinstance(value, str) and value.lstrip()[:1] in {"{", "["}:  # written as JSON twice
            value = DECODER.decode(value.encode())
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise UnfitError("its payload is not JSON") from None
    return value or None


def object_of(text: str, what: str) -> dict[str, int | str]:
    """An object's values. Raises UnfitError."""
    value = payload_of(text) or {}
    if not isinstance(value, dict) or not all(type(each) in {int, str} for each in value.values()):
        raise UnfitError(f"its {what} are no object of numbers and texts")
    return value


def look(database: Database, *, with_withdrawn: bool) -> MutationReport:
    """What a review would come to; nothing is queued."""
    return gone_through(database, lambda row, _: check(row, with_withdrawn=with_withdrawn))


def check(row: Row, *, with_withdrawn: bool) -> bool:
    """Raise UnfitError or OutboundError where a row is no change that can be asked for."""
    prepared(asked(row), with_withdrawn=with_withdrawn)
    return False


def take_over(database: Database, review: Review) -> MutationReport:
    """Queue all that can be asked for and is not over, in the order in which it was asked for there."""
    return gone_through(database, review.queue)


def gone_through(database: Database, queue: Callable[[Row, State], bool]) -> MutationReport:
    """Go through the original's changes; `queue` tells whether one is new here."""
    shape = mutation_shape(database.tables)
    if shape is None:
        return MutationReport(reason="there is no table of mutations that has an id, an operation and a status")
    report = MutationReport(shape.name, shape.mapping)
    try:
        for row in rows(database, shape):
            word = row["status"] or "NULL"
            report.by_status[word] = report.by_status.get(word, 0) + 1
            if row.state is None:
                refuse(report, row, f"its status `{word[:40]}` is not known")
            elif row.state not in OVER:
                reviewed(report, row, row.state, queue)
    except psycopg2.Error as error:
        report.error = line_of(error)
    return report


def reviewed(report: MutationReport, row: Row, state: State, queue: Callable[[Row, State], bool]) -> None:
    """Queue one, or say why not."""
    try:
        report.new += queue(row, state)
    except (UnfitError, OutboundError) as error:
        refuse(report, row, str(error))
    else:
        setattr(report, str(state), getattr(report, str(state)) + 1)


def refuse(report: MutationReport, row: Row, reason: str) -> None:
    """One that does not come along."""
    report.refused.setdefault(reason, Odd()).add(f"{row['id']} ({':'.join(row.named)})")


def rows(database: Database, shape: Shape) -> Iterator[Row]:
    """The rows of the table, the oldest first."""
    selected = sql.SQL(", ").join(text_of(shape.roles.get(role)) for role in ROLES)
    order = [sql.Identifier(shape.roles[role].name) for role in ("created", "id") if role in shape.roles]
    query = sql.SQL("SELECT {} FROM {} ORDER BY {}").format(
        selected, sql.Identifier(shape.schema, shape.table), sql.SQL(", ").join(order)
    )
    with database.snapshot() as connection:
        for some in database.stream(connection, query, (), ROLES.index("payload")):
            for values in some:
                yield Row({role: database.text(value) for role, value in zip(ROLES, values, strict=True)})
