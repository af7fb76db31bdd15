"""Where a tenant's writes are taken: checked, done, noted and answered."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from outbound.operations import ACTION, ADD, BRACES, DELETE, POST, UPDATE, Operation
from sandbox import clock
from sandbox.answer import Answer
from sandbox.overlay import merged
from sandbox.problem import Problem
from sandbox.references import entities_of
from sandbox.writes.birth import Birth, Owner
from sandbox.writes.body import accepted, decoded, uploaded
from sandbox.writes.change import at, changes, check_state, outcome
from sandbox.writes.existence import Existence, words
from sandbox.writes.reply import Done, reply
from sandbox.writes.target import Target, target_of
from sandbox.writes.write import Write
from sources.servicetitan.catalog import Entity

if TYPE_CHECKING:
    from sandbox.tenant import Tenant

Json = dict[str, Any]
Places = dict[str, str]
LOOSE_IDS = 800_000_000_000
"""Ids of what is made and can be read nowhere stand from here on."""
SEEN = 200
"""So many records are looked at for one that is in a wanted state."""


@dataclass(frozen=True)
class Sent:
    """A request that was checked."""

    operation: Operation
    target: Target
    places: Places
    body: Any

    @property
    def fields(self) -> Json:
        """The body's fields; none of a list."""
        return self.body if isinstance(self.body, dict) else {}

    @property
    def rest(self) -> Places:
        """The parameters behind those that name the record."""
        return {name: self.places[name] for name in self.target.rest}


def ends_with(operation: Operation, named_by: Sequence[str]) -> bool:
    """Whether a path ends with the record and says nothing that is done to it."""
    if not named_by:
        return False
    behind = operation.path.rpartition(f"{{{named_by[-1]}}}")[2]
    return not BRACES.sub("", behind).strip("/")


class Desk:
    """Takes the writes of one tenant; `written` is shared by all tenants."""

    def __init__(self, tenant: "Tenant", written: list[Write]) -> None:
        """Nothing is loose yet."""
        self.tenant, self.written = tenant, written
        self.existence = Existence(tenant)
        self.birth = Birth(tenant, self.existence)
        self.loose: dict[str, list[Json]] = {}
        self.count = 0

    def take(self, operation: Operation, values: Sequence[str], content_type: str, raw: bytes) -> Answer:
        """Do what a request asks for. Raises Problem, and then nothing is done."""
        places = dict(zip(operation.placeholders, values, strict=True))
        told = uploaded(content_type, raw) if operation.is_upload else decoded(raw)
        body = {"fileName": told["file_name"]} if operation.is_upload else accepted(operation, told)
        sent = Sent(operation, target_of(operation), places, body)
        done = self.do(sent)
        moment = clock.stamp(self.tenant.clock.now())
        tenant = self.tenant.business.tenant
        self.written.append(Write(operation.title, tenant, done.key, told, operation.status, moment))
        return Answer(operation.status, reply(operation, done, body))

    def do(self, sent: Sent) -> Done:
        """Find what is meant, and do it. Raises Problem."""
        target = sent.target
        owner = self.owner(sent)
        position = self.position(sent, owner)
        self.check_places(sent)
        self.existence.check(sent.body)
        own = target.own
        if own is None or not self.is_about_a_record(sent):
            return self.keep(sent, owner)
        if sent.operation.kind is ADD and not target.owner:
            return self.keep(sent, (own, position))
        if position < 0:
            return self.done(own, self.birth.make(own, sent.fields | self.key_in(sent), owner))
        self.change(sent, own, position)
        return self.done(own, position)

    @staticmethod
    def is_about_a_record(sent: Sent) -> bool:
        """Whether a record is made or meant, and not many of them by the body alone."""
        target = sent.target
        return bool(sent.operation.record) or sent.operation.kind is not ACTION or target.is_only_one

    def owner(self, sent: Sent) -> Owner | None:
        """The record to which the written one belongs by the path. Raises Problem."""
        owner = sent.target.owner
        return (owner, self.existence.named(owner, [sent.places[sent.operation.record]])) if owner else None

    def position(self, sent: Sent, owner: Owner | None) -> int:
        """The record that is meant; -1 where one is to be made. Raises Problem where it is not there."""
        target, own = sent.target, sent.target.own
        if own is None:
            return -1
        keys = [sent.places[name] for name in target.named_by]
        if owner:
            return self.below(sent, own, owner, keys)
        if target.is_only_one:
            return 0
        if not keys:
            return -1
        return self.existence.with_key(own, keys) if len(keys) > 1 else self.existence.named(own, keys)

    def below(self, sent: Sent, own: Entity, owner: Owner, keys: list[str]) -> int:
        """The same below a record."""
        places = self.existence.below(own, *owner)
        if sent.target.is_only_one:
            return places[0] if places else -1
        name = sent.target.named_by[0] if keys else "id"
        ident = keys[0] if keys else str(sent.fields.get("id", ""))
        found = self.existence.one_below(own, places, name, ident) if ident and sent.operation.kind is not ADD else -1
        if found < 0 and keys and sent.operation.method != POST:
            raise Problem(404, f"There is no such {words(own.name)}.")
        return found

    def check_places(self, sent: Sent) -> None:
        """Raise the Problem of a parameter that names another record that is not there."""
        named = {*sent.target.named_by, sent.operation.record}
        for name, value in sent.places.items():
            is_of_key = len(sent.target.named_by) > 1 and name in sent.target.named_by
            if (name not in named or is_of_key) and self.points_nowhere(name, value):
                raise Problem(404, f"There is no such {words(name)}.")

    def points_nowhere(self, name: str, value: str) -> bool:
        """Whether a parameter names a record that is not there."""
        candidates = entities_of(name)
        return bool(candidates) and all(self.existence.found(one, value) < 0 for one in candidates)

    @staticmethod
    def key_in(sent: Sent) -> Json:
        """The parts of a new record's key that the path has."""
        return {
            name: int(value) if value.isdecimal() else value
            for name, value in sent.places.items()
            if name in sent.target.named_by
        }

    def change(self, sent: Sent, own: Entity, position: int) -> None:
        """Change a record, or take it away. Raises Problem for a state that it is in already."""
        table, now = self.tenant.table(own.name), self.tenant.clock.now()
        operation, is_itself = sent.operation, ends_with(sent.operation, sent.target.named_by)
        if operation.method == DELETE and is_itself:
            table.remove(position, now)
        elif operation.kind is UPDATE or is_itself:
            table.write(position, now, sent.fields)
        else:
            record = table.record((own.name, "list"), position)
            check_state(operation, record)
            found = changes(operation, own, record, sent.body, sent.rest)
            state = self.state(own, outcome(operation, own, record, clock.stamp(now)))
            table.write(position, now, merged(found, state))

    def state(self, own: Entity, fields: Json) -> Json:
        """Fields of a state; of an object the others too, as a record shows them that is in this state."""
        table, found = self.tenant.table(own.name), {}
        for name, value in fields.items():
            found[name] = value
            if isinstance(value, dict):
                records = (table.record((own.name, "list"), place) for place in range(min(table.size, SEEN)))
                alike = (one[name] for one in records if all(at(one.get(name), path) == value[path] for path in value))
                found[name] = next(alike, value)
        return found

    def keep(self, sent: Sent, owner: Owner | None) -> Done:
        """Keep what cannot be read; the record to which it was added counts as modified."""
        self.count += 1
        key = LOOSE_IDS + self.count
        self.loose.setdefault(sent.operation.title, []).append({"id": key, "body": sent.body, "places": sent.places})
        if owner and owner[1] >= 0:
            self.tenant.table(owner[0].name).write(owner[1], self.tenant.clock.now(), {})
        return Done(key if sent.operation.kind is not ACTION else None)

    def done(self, own: Entity, position: int) -> Done:
        """What was done, with the record as it is now."""
        text = self.tenant.table(own.name).render((own.name, "list"), [position])[0]
        return Done(self.existence.ident(own, position), text)
