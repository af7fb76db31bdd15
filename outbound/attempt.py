"""One attempt at one mutation, step by step as `STATES.md` draws it. The only place where it is decided what was done."""

import base64
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from outbound.difference import Difference, difference, not_taken, same, visible
from outbound.live import Found, Live
from outbound.marks import Mark, child_of, in_text, mark_of, marked
from outbound.operations import ACTION, ADD, BY_TITLE, CREATE, REMOVE, UPDATE, Operation
from outbound.queue import ENCODER, Mutation, Queue, Settlement, now
from outbound.request import filled
from sources.servicetitan.catalog import Entity
from sources.servicetitan.client import Client, Meter
from sources.servicetitan.exceptions import ServiceTitanError
from sources.servicetitan.writing import DoubtfulError, NotSentError, WriteRefusedError, Written, write

NOT_FOUND = 404
Landing = tuple[str, str | None, str, bool]
"""Entity, what it was read for, the record's text, whether it is gone (then the text is its key)."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often, and how long after another, a mutation is tried."""

    attempts: int = 4
    minute: float = 60.0  # seconds; tests make it short
    looks: tuple[float, ...] = (0.5, 1.0, 2.0)  # seconds between looks for what may have been made
    sleep: Callable[[float], None] = time.sleep

    def until(self, attempt: int, wait: float = 0.0) -> datetime:
        """When to try again: 2^n minutes later with jitter, not before what ServiceTitan asks for."""
        pause = self.minute * 2 ** min(attempt, 5) * random.uniform(0.5, 1.5)  # noqa: S311  jitter
        return now() + timedelta(seconds=max(pause, wait))


@dataclass(slots=True)
class Attempt:
    """What is done with one claimed mutation."""

    queue: Queue
    client: Client
    mutation: Mutation
    patience: Patience = Patience()
    meter: Meter = field(default_factory=Meter)
    sent_at: datetime | None = None
    merged: list[str] = field(default_factory=list)

    @property
    def operation(self) -> Operation:
        """The table's row."""
        return BY_TITLE[self.mutation.title]

    @property
    def live(self) -> Live:
        """ServiceTitan as it is."""
        return Live(self.client, self.meter)

    @property
    def wanted(self) -> dict[str, Any]:
        """The body's fields; none where the body is a list, or there is none."""
        return self.mutation.payload if isinstance(self.mutation.payload, dict) else {}

    def run(self) -> Settlement | None:
        """Work on it and write down what became of it. None where that is not known yet, or no longer ours to say."""
        mutation = self.mutation
        self.sent_at, self.merged = mutation.sent_at, mutation.merged or []
        try:
            end = self.doubt("Its runner did not come back.", mutation.before) if mutation.sent_at else self.fresh()
        except ServiceTitanError as error:
            if self.sent_at:  # whoever takes it over looks again
                return None
            end = self.later(str(error))
        if end is None:
            return None
        end.merged = end.merged or self.merged or None
        return end if self.queue.settle(mutation, end) else None

    def fresh(self) -> Settlement | None:
        """From the look at the live record to the answer."""
        live, subject = None, self.operation.subject
        if subject and self.operation.kind is not ADD:
            live = self.live.record(subject, self.mutation.record_id or "")
            if live is None:
                return self.gone(subject)
            if end := self.settled_before(live):
                return end
        before = live.values if live else self.children_before()
        self.sent_at = now()
        if not self.queue.mark_sent(self.mutation, before, self.merged):
            return None
        return self.send(before)

    def gone(self, subject: Entity) -> Settlement:
        """What it means that the record is not there."""
        if self.operation.kind is REMOVE:
            tombstone = [(subject.name, None, self.mutation.record_id or "", True)]
            return Settlement("done", "The record was gone already.", landing=tombstone)
        told = {"deleted": {"base": self.mutation.base, "theirs": None, "mine": self.mutation.payload}}
        return Settlement(
            "changed there", f"`{subject.name}` {self.mutation.record_id} was deleted there.", conflict=told
        )

    def settled_before(self, live: Found) -> Settlement | None:
        """What the live record alone decides: somebody changed the same, or all is as wanted already."""
        mutation, operation = self.mutation, self.operation
        found = difference(None if mutation.is_forced else mutation.base, live.values, self.compared)
        self.merged = found.merged
        if operation.kind is UPDATE and found.conflicts:
            names = ", ".join(f"`{name}`" for name in found.conflicts)
            return Settlement("changed there", f"Changed there meanwhile: {names}.", conflict=found.conflicts)
        if self.is_there(found, live):
            return self.done("It was as wanted already.", live)
        return None

    @property
    def compared(self) -> dict[str, Any]:
        """The values that the record must show in the end."""
        if self.operation.kind is UPDATE:
            return self.wanted
        return {name: value for name, value in self.operation.outcome if "." not in name}

    def is_there(self, found: Difference, live: Found) -> bool:
        """Whether nothing is left to do."""
        if self.operation.kind is UPDATE:
            return bool(self.wanted) and found.is_there
        return bool(self.operation.outcome) and self.shows_outcome(live)

    def shows_outcome(self, live: Found) -> bool:
        """Whether a record shows what an action leads to."""
        return all(same(value, at(live.values, name)) for name, value in self.operation.outcome)

    def children_before(self) -> Any:
        """ADD: the keys of what is there already, where what is made can be told by that alone."""
        if self.operation.kind is not ADD or mark_of(self.operation) is not Mark.CONTENT:
            return None
        return {"children": [child.key for child in self.children()]}

    def children(self) -> list[Found]:
        """ADD: what stands at the operation's own path."""
        child = child_of(self.operation)
        path = filled(self.operation.path, self.mutation.places)
        return self.live.below(child, self.operation.base, path) if child else []

    def send(self, before: Any) -> Settlement | None:
        """Send it, and tell what the answer says."""
        operation, mutation = self.operation, self.mutation
        path = f"{operation.base}{mutation.tenant_id}/{filled(operation.path, mutation.places)}"
        body = marked(operation, mutation.payload, mutation.ref)
        try:
            written = write(self.client, operation.method, path, self.meter, **parts(operation, body))
        except NotSentError as error:
            self.sent_at = None
            return self.later(str(error), error.wait)
        except WriteRefusedError as error:
            return self.refused(error)
        except DoubtfulError as error:
            return self.doubt(str(error), before, error.status)
        except ServiceTitanError as error:  # no token: nothing was sent
            self.sent_at = None
            return self.later(str(error))
        try:
            return self.confirmed(written)
        except ServiceTitanError as error:
            end = Settlement("done", f"Done, but it could not be read back: {error}")
            return self.with_answer(end, written)

    def refused(self, error: WriteRefusedError) -> Settlement:
        """What a refusal means."""
        operation, subject = self.operation, self.operation.subject
        if error.status == NOT_FOUND and operation.kind is REMOVE and subject:
            end = self.gone(subject)
        else:
            end = Settlement("refused", str(error))
        end.answer_status, end.answer = error.status, error.body
        return end

    def confirmed(self, written: Written) -> Settlement:
        """What is there after a good answer."""
        operation, new_id = self.operation, new_id_of(written.body, self.operation.entity)
        match operation.kind:
            case kind if kind in {CREATE, ADD} and is_cut(written.body):
                end = self.made_for_certain()
            case kind if kind in {UPDATE, ACTION, REMOVE}:
                end = self.changed()
            case kind if kind is CREATE and operation.catalog and new_id:
                listable = operation.catalog.is_listable
                end = self.made(self.live.record(operation.catalog, new_id) if listable else None, new_id)
            case _:
                end = self.made(self.new_child(new_id), new_id)
        return self.with_answer(end, written)

    def made_for_certain(self) -> Settlement:
        """A good answer that was cut short: it is done, and its mark tells what was made."""
        end = self.looked_for("The answer was cut short.")
        return (
            end
            if end.by == "done"
            else Settlement("done", "Done; the answer was cut short, so that its id is not known.")
        )

    def with_answer(self, end: Settlement, written: Written) -> Settlement:
        """The same with what ServiceTitan answered."""
        end.answer_status, end.answer = written.status, written.body.decode(errors="replace")
        if self.operation.kind in {CREATE, ADD}:
            end.new_id = end.new_id or new_id_of(written.body, self.operation.entity)
        return end

    def changed(self) -> Settlement:
        """A record after it was changed or taken away."""
        subject = self.operation.subject
        if not subject:
            return Settlement("done", "Done.")
        live = self.live.record(subject, self.mutation.record_id or "")
        if live is None:
            tombstone = [(subject.name, None, self.mutation.record_id or "", True)]
            return Settlement("done", "Done; the record is gone.", landing=tombstone)
        wrong = not_taken(live.values, self.wanted) if self.operation.kind is UPDATE else self.missing_outcome(live)
        if self.operation.kind is UPDATE and wrong and set(wrong) == set(self.wanted):
            return Settlement(
                "refused",
                f"ServiceTitan answered as if it was done and took nothing over: {listed(wrong)}.",
                after=live.values,
                not_applied=wrong,
                landing=self.landing(subject, live),
            )
        said = f"Done, except for {listed(wrong)}, which ServiceTitan did not take over." if wrong else "Done."
        return self.done(said, live, wrong)

    def missing_outcome(self, live: Found) -> dict[str, Any]:
        """By field what an action should have led to and what is there instead."""
        return {
            name: {"wanted": value, "found": at(live.values, name)}
            for name, value in self.operation.outcome
            if not same(value, at(live.values, name))
        }

    def done(self, said: str, live: Found | None, wrong: dict[str, Any] | None = None) -> Settlement:
        """An end with the record as it is now."""
        subject = self.operation.subject
        end = Settlement("done", said, not_applied=wrong or None)
        if live and subject:
            end.after, end.landing = live.values, self.landing(subject, live)
        return end

    @staticmethod
    def landing(entity: Entity, live: Found, scope: str | None = None) -> list[Landing]:
        """A record for the copy."""
        return [(entity.name, scope, live.text.decode(errors="replace"), False)]

    def made(self, record: Found | None, new_id: str | None, said: str = "Done.") -> Settlement:
        """What was made, as far as it can be read."""
        operation = self.operation
        entity = child_of(operation) if operation.kind is ADD else operation.catalog
        end = Settlement("done", said, new_id=new_id or (record.key if record and "id" in record.values else None))
        if record and entity:
            wrong = not_taken(record.values, marked(operation, self.wanted, self.mutation.ref))
            end.after, end.not_applied = record.values, wrong or None
            if "id" in record.values or operation.kind is not ADD:  # some lists of notes show none: the export will
                scope = self.mutation.record_id if operation.kind is ADD and entity.is_scoped else None
                end.landing = self.landing(entity, record, scope)
            if wrong:
                end.said = f"Done, except for {listed(wrong)}, which ServiceTitan did not take over."
        return end

    def new_child(self, new_id: str | None) -> Found | None:
        """ADD: what was made below the record."""
        operation, child = self.operation, child_of(self.operation)
        if operation.kind is not ADD or child is None:
            return None
        if child.is_listable and new_id and (record := self.live.record(child, new_id)):
            return record
        mark = in_text(self.mutation.ref)
        return next(
            (one for one in self.children() if one.key == new_id or mark in str(one.values.get("text", ""))), None
        )

    def doubt(self, reason: str, before: Any, status: int | None = None) -> Settlement:
        """What became of something that was sent and not answered."""
        if self.operation.kind in {CREATE, ADD}:
            end = self.looked_for(reason)
        elif self.operation.kind is ACTION:
            end = self.action_in_doubt(reason)
        else:
            end = self.change_in_doubt(reason, before)
        end.answer_status = end.answer_status or status
        return end

    def change_in_doubt(self, reason: str, before: Any) -> Settlement:
        """An update or removal whose answer is missing: the record tells."""
        subject = self.operation.subject
        if subject is None:
            return self.again(reason)
        live = self.live.record(subject, self.mutation.record_id or "")
        if self.operation.kind is REMOVE:
            return self.again(reason) if live and live.is_active else self.changed()
        if live is None:
            return self.gone(subject)
        known = before if isinstance(before, dict) else {}
        asked = [name for name in visible(live.values, self.wanted) if not same(self.wanted[name], known.get(name))]
        done = [name for name in asked if same(self.wanted[name], live.values[name])]
        untouched = [name for name in asked if same(known.get(name), live.values[name])]
        if len(done) + len(untouched) < len(asked):
            found = difference(known, live.values, self.wanted)
            return Settlement("changed there", f"{reason} Changed there meanwhile.", conflict=found.conflicts)
        if not done:
            return self.again(reason)
        wrong = not_taken(live.values, self.wanted)
        return self.done(f"The answer was lost ({reason}); the record is as wanted.", live, wrong)

    def action_in_doubt(self, reason: str) -> Settlement:
        """An action whose answer is missing: its outcome tells, where it has one."""
        subject = self.operation.subject
        if subject and self.operation.outcome:
            live = self.live.record(subject, self.mutation.record_id or "")
            if live and self.shows_outcome(live):
                return self.done(f"The answer was lost ({reason}); the record shows that it was done.", live)
        return self.again(reason) if self.operation.is_harmless_twice else self.unknown(reason)

    def again(self, reason: str) -> Settlement:
        """Try once more, unless that was tried often enough."""
        if self.mutation.attempts >= self.patience.attempts:
            return Settlement("refused", f"Given up after {self.mutation.attempts} attempts: {reason}")
        return Settlement("later", reason, run_at=self.patience.until(self.mutation.attempts))

    def later(self, reason: str, wait: float = 0.0) -> Settlement:
        """Nothing was sent: try again, as often as need be."""
        attempts = sum(step.did == "later" for step in self.mutation.history)
        return Settlement("later", reason, run_at=self.patience.until(attempts - 3, wait), counts=False)

    def unknown(self, reason: str) -> Settlement:
        """Nobody can tell."""
        return Settlement(
            "in doubt",
            f"{reason} It may have been done; ServiceTitan offers no way to see it. Look there, then resolve it as done or not.",
        )

    def looked_for(self, reason: str) -> Settlement:
        """Something that may have been made: found again by its mark, or in doubt."""
        if mark_of(self.operation) is Mark.NONE:
            return self.unknown(reason)
        for pause in (0.0, *self.patience.looks):
            self.patience.sleep(pause)
            records = self.with_mark()
            if len(records) == 1:
                return self.made(records[0], None, f"The answer was lost ({reason}); it was found again.")
            if records:
                break
        return self.unknown(reason)

    def with_mark(self) -> list[Found]:
        """The records that may be what was made."""
        operation, mutation = self.operation, self.mutation
        entity = child_of(operation) if operation.kind is ADD else operation.catalog
        match mark_of(operation):
            case Mark.EXTERNAL_DATA if entity and marked(operation, self.wanted, mutation.ref) is not self.wanted:
                records = self.live.with_external(entity, mutation.ref)  # some lists know no filter by key and value
                return [one for one in records if mutation.ref in str(one.values.get("externalData"))]
            case Mark.TEXT:
                mark = in_text(mutation.ref)
                return [one for one in self.children() if mark in str(one.values.get("text", ""))]
            case _ if operation.kind is ADD:
                known = set((mutation.before or {}).get("children", ()))
                return self.alike([one for one in self.children() if one.key not in known])
            case _ if entity:
                return self.alike(self.live.made_since(entity, self.sent_at or mutation.created_at))
        return []

    def alike(self, records: list[Found]) -> list[Found]:
        """Those that show all that was wanted, and that no other mutation may have made."""
        return [
            one
            for one in records
            if visible(one.values, self.wanted)
            and not not_taken(one.values, self.wanted)
            and not self.queue.has_rivals(self.mutation, one.key)
        ]


def at(values: Any, path: str) -> Any:
    """The value at a dotted path; None where it ends early."""
    for name in path.split("."):
        values = values.get(name) if isinstance(values, dict) else None
    return values


def listed(names: dict[str, Any]) -> str:
    """Names for a message."""
    return ", ".join(f"`{name}`" for name in names)


def is_cut(body: bytes) -> bool:
    """Whether an answer is no whole JSON, and not empty either."""
    try:
        msgspec.json.decode(body)
    except msgspec.DecodeError:
        return bool(body.strip())
    return False


def own_id(value: dict[str, Any], singular: str) -> Any:
    """The id in an answer: its own, one named after what was made, or the only one; also of an object inside it."""
    if value.get("id") is not None:
        return value["id"]
    names = [name for name in value if name.endswith("Id") and not name.endswith("ById")]
    named = [name for name in names if name.lower().endswith(f"{singular}id")] or (names if len(value) == 1 else [])
    if len(named) == 1:
        return value[named[0]]
    inside = next(iter(value.values())) if len(value) == 1 else None
    return own_id(inside, singular) if isinstance(inside, dict) else None


def new_id_of(body: bytes, entity: str) -> str | None:
    """The id of what was made, from ServiceTitan's answer: a number, or an object that has it."""
    singular = entity.removesuffix("s").replace("_", "")
    try:
        value = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    if isinstance(value, dict):
        value = own_id(value, singular)
    return str(value) if isinstance(value, int | str) and not isinstance(value, bool) else None


def parts(operation: Operation, body: Any) -> dict[str, Any]:
    """A body as httpx takes it."""
    if operation.is_upload:
        return {"files": {"file": (body["file_name"], base64.b64decode(body["content"]), body["content_type"])}}
    if body is None:
        return {}
    return {"content": ENCODER.encode(body), "headers": {"content-type": "application/json"}}
