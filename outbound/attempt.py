"""One attempt at one mutation, step by step as `STATES.md` draws it. The only place where it is decided what was done."""

import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from outbound.answers import at, is_cut, listed, new_id_of, parts
from outbound.difference import Difference, child, difference, not_taken, same, taken, visible
from outbound.live import Found, Live
from outbound.marks import Mark, marked
from outbound.operations import ACTION, ADD, BY_TITLE, CREATE, DELETE, REMOVE, UPDATE, Operation
from outbound.queue import Mutation, Queue, Settlement, now
from outbound.registry import Node, emptied, tree
from outbound.request import filled
from outbound.search import Search
from outbound.secrets import scrubbed
from sources.servicetitan.catalog import Entity
from sources.servicetitan.client import Client, Meter
from sources.servicetitan.exceptions import CredentialsError, ServiceTitanError, UnreachableError
from sources.servicetitan.writing import (
    DoubtfulError,
    NotSentError,
    Permit,
    WriteRefusedError,
    Written,
    permitted,
    write,
)
from store.exceptions import StoreError

NOT_FOUND = 404
LONGEST_DOUBT = timedelta(days=1)  # for which it is looked for what was sent while ServiceTitan cannot be asked
MOST_DEATHS = 8  # runners in a row that did not come back from one mutation
Landing = tuple[str, str | None, str, bool, datetime]
"""Entity, what it was read for, the record's text, whether it is gone (then the text is its key), when it was asked for."""


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
    asked_at: datetime = field(default_factory=now)  # when the record was asked for last
    key: str = ""  # the record's, as ServiceTitan writes it

    @property
    def operation(self) -> Operation:
        """The table's row."""
        return BY_TITLE[self.mutation.title]

    @property
    def body(self) -> Node | None:
        """What the registry knows of the body."""
        return tree(self.mutation.title)

    @property
    def live(self) -> Live:
        """ServiceTitan as it is."""
        return Live(self.client, self.meter)

    @property
    def search(self) -> Search:
        """For what the mutation makes."""
        return Search(self.live, self.queue, self.mutation)

    @property
    def wanted(self) -> dict[str, Any]:
        """The body's fields; none where the body is a list, or there is none."""
        return self.mutation.payload if isinstance(self.mutation.payload, dict) else {}

    @property
    def is_doubtful(self) -> bool:
        """Whether an earlier attempt sent something that may have been done."""
        return self.mutation.doubtful_at is not None

    def run(self) -> Settlement | None:
        """Work on it and write down what became of it. None where that is not known yet, or no longer ours to say."""
        mutation = self.mutation
        self.sent_at, self.merged = mutation.sent_at, mutation.merged or []
        self.key = mutation.record_id or ""
        try:
            end = self.end()
        except (UnreachableError, CredentialsError) as error:
            if self.sent_at and now() - self.sent_at < LONGEST_DOUBT:
                looks = sum(step.did == "look later" for step in mutation.history)
                self.queue.put_off(
                    mutation, self.patience.until(looks), f"It is not known yet what became of it: {error}"
                )
                return None
            end = self.unreadable(error) if self.sent_at else self.later(str(error))
        except ServiceTitanError as error:  # this will not pass
            end = self.unreadable(error)
        if end is None:
            return None
        end.merged = end.merged or self.merged or None
        end.said = scrubbed(mutation.title, mutation.payload, end.said)
        end.answer = scrubbed(mutation.title, mutation.payload, end.answer) if end.answer else None
        return end if self.queue.settle_surely(mutation, end, self.leased_until) else None

    def end(self) -> Settlement | None:
        """What becomes of it."""
        if self.mutation.deaths >= MOST_DEATHS:
            return self.given_up()
        if self.mutation.sent_at:
            return self.doubt("Its runner did not come back.", self.mutation.before)
        return self.fresh()

    def given_up(self) -> Settlement:
        """What takes its runners along is not tried for ever."""
        said = f"{MOST_DEATHS} runners in a row did not come back from it."
        return self.unknown(said) if self.sent_at else Settlement("refused", f"{said} Nothing was sent.")

    def unreadable(self, error: ServiceTitanError) -> Settlement:
        """What it means that the record cannot be read, now and later."""
        if self.sent_at:
            return self.unknown(f"It cannot be looked for: {error}")
        return Settlement("refused", f"Nothing was sent, because the record cannot be read: {error}")

    @property
    def leased_until(self) -> datetime:
        """How long it is ours."""
        return (self.sent_at + self.queue.lease) if self.sent_at else (self.mutation.lease_until or now())

    def fresh(self) -> Settlement | None:
        """From the look at the live record to the answer."""
        live, operation = None, self.operation
        if operation.kind in {CREATE, ADD}:
            if self.mutation.was_sent and (end := self.made_before()):
                return end
            return self.send(self.search.before())
        if operation.subject:
            live = self.record(operation.subject)
            if live is None:
                return self.gone(operation.subject)
            self.key = live.key
            if end := self.settled_before(live):
                return end
        return self.send(live.values if live else None)

    def record(self, subject: Entity) -> Found | None:
        """The record as it is."""
        self.asked_at = now()
        return self.live.record(subject, self.mutation.record_id or "")

    def made_before(self) -> Settlement | None:
        """What was sent before is looked for before it is sent again, whoever says that it was not done."""
        records = self.search.found()
        if len(records) == 1:
            return self.made(records[0], None, "It was made when it was sent before; it was found again.")
        return self.unknown(f"{len(records)} records look like what was sent before.") if records else None

    def tombstone(self, subject: Entity) -> list[Landing]:
        """For the copy: the record is gone."""
        return [(subject.name, None, self.key, True, self.asked_at)]

    def gone(self, subject: Entity) -> Settlement:
        """What it means that the record is not there."""
        mutation, name = self.mutation, f"`{subject.name}` {self.mutation.record_id}"
        if self.operation.kind is REMOVE and (mutation.base is not None or self.is_doubtful or self.sent_at):
            return Settlement("done", "The record is gone already.", landing=self.tombstone(subject))
        if mutation.base is None and not (self.is_doubtful or self.sent_at):
            return Settlement("refused", f"There is no {name}, neither in the copy nor in ServiceTitan. Check the id.")
        told = {"deleted": {"base": mutation.base, "theirs": None, "mine": mutation.payload}}
        return Settlement("changed there", f"{name} was deleted there.", conflict=told)

    def settled_before(self, live: Found) -> Settlement | None:
        """What the live record alone decides: somebody changed the same, or all is as wanted already."""
        operation = self.operation
        found = self.compare(self.mutation.base, live)
        if operation.kind is UPDATE and found.conflicts:
            found = self.compare(self.rebased(found.conflicts), live)
        self.merged = found.merged
        if operation.kind is UPDATE and found.conflicts:
            return Settlement(
                "changed there", f"Changed there meanwhile: {listed(found.conflicts)}.", conflict=found.conflicts
            )
        if self.is_there(found, live):
            return self.done("It was as wanted already.", live)
        return None

    def compare(self, base: dict[str, Any] | None, live: Found) -> Difference:
        """The record as it was known, as it is, and as it is wanted."""
        return difference(base, live.values, self.compared, emptied(self.operation))

    def rebased(self, names: Iterable[str]) -> dict[str, Any]:
        """The base with what mutations of the same record, completed since this one was asked for, made of these fields."""
        base = dict(self.mutation.base or {})
        for other in self.queue.done_meanwhile(self.mutation):
            operation, after = BY_TITLE.get(other.title), other.after or {}
            if operation is None or operation.subject != self.operation.subject:
                continue
            own = other.payload if operation.kind is UPDATE and isinstance(other.payload, dict) else {}
            changed = {*own, *(path.partition(".")[0] for path, _ in operation.outcome)} - {*(other.not_applied or {})}
            base |= {name: after[name] for name in names if name in changed and name in after}
        return base

    @property
    def compared(self) -> dict[str, Any]:
        """The values that the record must show in the end."""
        if self.operation.kind is UPDATE:
            return self.wanted
        return {name: value for name, value in self.operation.outcome if "." not in name}

    def is_there(self, found: Difference, live: Found) -> bool:
        """Whether nothing is left to do."""
        if self.operation.kind is UPDATE:
            left_out = [name for name in emptied(self.operation) if name not in self.wanted]
            return bool(self.wanted) and found.is_there and not any(live.values.get(name) for name in left_out)
        return bool(self.operation.outcome) and self.shows_outcome(live)

    def shows_outcome(self, live: Found) -> bool:
        """Whether a record shows what an action leads to."""
        return all(same(value, at(live.values, name)) for name, value in self.operation.outcome)

    def send(self, before: Any) -> Settlement | None:
        """Note it as sent, then send it. All that has to be waited for comes before that."""
        try:
            permit = permitted(self.client)
        except NotSentError as error:
            return self.later(str(error), error.wait)
        sent_at = now()
        if not self.queue.mark_sent(self.mutation, before, self.merged):
            return None
        self.sent_at, self.mutation.before = sent_at, before
        return self.answered(replace(permit, until=sent_at + self.queue.time_to_send))

    def answered(self, permit: Permit) -> Settlement:
        """Send it, and tell what the answer says."""
        operation, mutation = self.operation, self.mutation
        path = f"{operation.base}{mutation.tenant_id}/{filled(operation.path, mutation.places)}"
        body = parts(operation, marked(operation, mutation.payload, mutation.ref))
        try:
            written = write(self.client, operation.method, path, self.meter, permit, **body)
        except WriteRefusedError as error:
            return self.refused(error)
        except DoubtfulError as error:
            return self.doubt(str(error), mutation.before, error.status)
        except ServiceTitanError as error:
            return self.not_sent(error)
        try:
            return self.confirmed(written)
        except (ServiceTitanError, StoreError) as error:
            end = Settlement("done", f"Done, but it could not be read back: {error}")
            return self.with_answer(end, written)

    def not_sent(self, error: ServiceTitanError) -> Settlement:
        """Nothing was sent after all: too many requests, no connection, no token."""
        self.sent_at = None
        return self.later(str(error), error.wait if isinstance(error, NotSentError) else 0.0)

    def refused(self, error: WriteRefusedError) -> Settlement:
        """What a refusal means."""
        operation, subject = self.operation, self.operation.subject
        if error.status == NOT_FOUND and operation.kind is REMOVE and subject:
            end = self.gone(subject)
        elif self.is_doubtful:
            end = self.refused_again(error)
        else:
            end = Settlement("refused", str(error))
        end.answer_status, end.answer = error.status, error.body
        return end

    def refused_again(self, error: WriteRefusedError) -> Settlement:
        """What a refusal means after an earlier attempt that may have been done."""
        operation = self.operation
        if operation.method == DELETE and error.status == NOT_FOUND:
            return Settlement("done", "Done by an earlier attempt: what was to be taken away is not there any more.")
        if operation.subject and (operation.kind is UPDATE or operation.outcome):
            live = self.record(operation.subject)
            if live and self.shows_all(live):
                return self.done("An earlier attempt was done; the record is as wanted.", live)
            return Settlement("refused", str(error))
        return self.unknown(f"An earlier attempt may have been done; this one was refused: {error}")

    def shows_all(self, live: Found) -> bool:
        """Whether a record shows all that can be seen of what was wanted."""
        if self.operation.kind is not UPDATE:
            return self.shows_outcome(live)
        told = self.told(live)
        return any(told.values()) and False not in told.values()

    def told(self, live: Found) -> dict[str, bool | None]:
        """By wanted field whether the record has it as wanted; None where its form does not tell."""
        names = visible(live.values, self.wanted)
        return {name: taken(self.wanted[name], live.values[name], child(self.body, name)) for name in names}

    def confirmed(self, written: Written) -> Settlement:
        """What is there after a good answer."""
        operation, new_id = self.operation, self.new_id(written)
        match operation.kind:
            case kind if kind in {CREATE, ADD} and is_cut(written.body):
                end = self.made_for_certain()
            case kind if kind in {UPDATE, ACTION, REMOVE}:
                end = self.changed()
            case kind if kind is CREATE and operation.catalog and new_id:
                listable = operation.catalog.is_listable
                end = self.made(self.live.record(operation.catalog, new_id) if listable else None, new_id)
            case _:
                end = self.made(self.search.new_child(new_id), new_id)
        return self.with_answer(end, written)

    def new_id(self, written: Written) -> str | None:
        """The id of what was made, as the answer tells it."""
        entity = self.search.entity if self.operation.kind is ADD else None
        return new_id_of(written.body, entity.name if entity else self.operation.entity)

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
            end.new_id = end.new_id or self.new_id(written)
        return end

    def changed(self) -> Settlement:
        """A record after it was changed or taken away."""
        subject = self.operation.subject
        if not subject:
            return Settlement("done", "Done.")
        live = self.record(subject)
        if live is None:
            return Settlement("done", "Done; the record is gone.", landing=self.tombstone(subject))
        is_update = self.operation.kind is UPDATE
        wrong = not_taken(live.values, self.wanted, self.body) if is_update else self.missing_outcome(live)
        if is_update and wrong and set(wrong) == set(self.wanted):
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
        return [(entity.name, scope, live.text.decode(errors="replace"), False, live.asked_at)]

    def made(self, record: Found | None, new_id: str | None, said: str = "Done.") -> Settlement:
        """What was made, as far as it can be read."""
        operation, entity = self.operation, self.search.entity
        end = Settlement("done", said, new_id=new_id or (record.key if record and record.is_keyed else None))
        if record and entity:
            wrong = not_taken(record.values, marked(operation, self.wanted, self.mutation.ref), self.body)
            end.after, end.not_applied = record.values, wrong or None
            if record.is_keyed or operation.kind is not ADD:  # some lists of notes show no key: the export will
                scope = self.mutation.record_id if operation.kind is ADD and entity.is_scoped else None
                end.landing = self.landing(entity, record, scope)
            if wrong:
                end.said = f"Done, except for {listed(wrong)}, which ServiceTitan did not take over."
        return end

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
        live = self.record(subject)
        if self.operation.kind is REMOVE:
            return self.again(reason, is_seen=True) if live and live.is_active else self.changed()
        if live is None:
            return self.gone(subject)
        known, told = before if isinstance(before, dict) else {}, self.told(live)
        asked = [
            name
            for name, answer in told.items()
            if answer is not None and not taken(self.wanted[name], known.get(name), child(self.body, name))
        ]
        done = [name for name in asked if told[name]]
        untouched = [name for name in asked if not told[name] and same(known.get(name), live.values[name])]
        if len(done) + len(untouched) < len(asked):
            found = difference(known, live.values, self.wanted)
            return Settlement("changed there", f"{reason} Changed there meanwhile.", conflict=found.conflicts)
        if not done or (untouched and self.may_try_again):
            return self.again(reason, is_seen=bool(asked))
        wrong = not_taken(live.values, self.wanted, self.body)
        return self.done(f"The answer was lost ({reason}); the record is as wanted.", live, wrong)

    def action_in_doubt(self, reason: str) -> Settlement:
        """An action whose answer is missing: its outcome tells, where it has one."""
        subject, is_seen = self.operation.subject, False
        if subject and self.operation.outcome:
            live = self.record(subject)
            if live and self.shows_outcome(live):
                return self.done(f"The answer was lost ({reason}); the record shows that it was done.", live)
            is_seen = live is not None
        return self.again(reason, is_seen=is_seen)

    @property
    def may_try_again(self) -> bool:
        """Whether sending it once more is harmless, and it was not tried often enough."""
        return self.operation.is_harmless_twice and self.mutation.attempts < self.patience.attempts

    def again(self, reason: str, *, is_seen: bool = False) -> Settlement:
        """Try once more what may have been done, unless that was tried often enough or does harm.

        `is_seen` is whether the record shows that it was not done.
        """
        if self.may_try_again:
            return Settlement("later", reason, run_at=self.patience.until(self.mutation.attempts), is_doubtful=True)
        if is_seen and self.operation.is_harmless_twice:
            return Settlement("refused", f"Given up after {self.mutation.attempts} attempts: {reason}")
        return self.unknown(reason)

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
        search = self.search
        if search.mark is Mark.NONE:
            return self.unknown(reason)
        for pause in (0.0, *self.patience.looks):
            self.patience.sleep(pause)
            records = search.found()
            if len(records) == 1:
                return self.made(records[0], None, f"The answer was lost ({reason}); it was found again.")
            if records:
                break
        return self.unknown(reason)
