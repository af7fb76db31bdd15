"""The records of one entity in one tenant: their order, what was changed about them, and their bytes.

A record is made when it is first asked for and kept as encoded JSON. Entities that mirror each other share a table and
differ in their face, the function that writes a record.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import compress
from typing import Any

from sandbox import clock
from sandbox.business import BITS, Business
from sandbox.chance import below, salt
from sandbox.external import FIELD, External, Lookup
from sandbox.faults.board import Board
from sandbox.faults.content import encoded, spoiled
from sandbox.faults.kinds import Layer
from sandbox.overlay import Overlays
from sandbox.row import Row
from sandbox.sizes import PER_PARENT
from sandbox.stories import near_owner, story_of

FACES = ("list", "export")
INACTIVE, EDITED = salt("inactive"), salt("edited")
RARE = 25
"""One record in so many is inactive."""
STEPS = 1000

Face = tuple[str, str]
"""An entity's name and its feed, `list` or `export`."""
Writer = Callable[[Row], dict[str, Any]]


class Table:
    """One entity's records."""

    def __init__(
        self, business: Business, name: str, writers: dict[Face, Writer], faults: Board, *, has_active: bool
    ) -> None:
        """`writers` make a record's fields for each face; `has_active` tells whether records can be inactive."""
        self.faults = faults
        self.business, self.name, self.writers, self.has_active = business, name, writers, has_active
        self.story = story_of(name)
        self.size = business.sizes[name]
        self.seeded = self.size
        self.version = 0
        self.fields: dict[int, dict[str, Any]] = {}
        self.overlays, self.external = Overlays(), External()
        self.stamps: dict[int, tuple[int, int]] = {}
        self.deleted: set[int] = set()
        self.owners: dict[int, int] = {}
        self.adopted: dict[int, list[int]] = {}
        self.purged: set[int] = set()
        self.texts: dict[Face, list[bytes | None]] = {}
        self.given: dict[str, Any] = {}
        self.dropped: frozenset[str] = frozenset()

    def near(self, position: int) -> dict[str, int]:
        """What a record belongs to."""
        if position in self.owners:
            return near_owner(self.business, PER_PARENT[self.name][0], self.owners[position])
        return self.story.near(self.business, self.name, position)

    def created(self, position: int, near: dict[str, int]) -> int:
        """When a record was made, in ticks."""
        return self.story.created(self.business, self.name, position, near)

    def modified(self, position: int, created: int) -> int:
        """When a seeded record was last touched: soon after its last event, mostly."""
        horizon = self.business.horizon
        settled = min(max(self.story.settled(self.business, position, created), created), horizon)
        if not self.story.is_edited:
            return settled
        number = self.business.number(self.name, position)
        step = below(STEPS, number, EDITED)
        return settled + (horizon - settled) * step**3 // STEPS**3

    def moments(self, position: int) -> tuple[int, int]:
        """Creation and last modification, in ticks."""
        if position in self.stamps:
            return self.stamps[position]
        created = self.created(position, self.near(position))
        return created, self.modified(position, created)

    def is_active(self, position: int) -> bool:
        """Whether a record is active and not deleted."""
        if position in self.deleted:
            return False
        told = self.fields.get(position, {}).get("active")
        if told is not None:
            return bool(told)
        if position >= self.seeded or not self.has_active:
            return True
        return below(RARE, self.business.number(self.name, position), INACTIVE) != 0

    def row(self, position: int) -> Row:
        """A record before it is written."""
        near = self.near(position)
        if position in self.stamps:
            created, modified = self.stamps[position]
        else:
            created = self.created(position, near)
            modified = self.modified(position, created)
        active, source = self.is_active(position), self.story.source
        name, place = source(self.business, position) if source else (self.name, position)
        number = self.business.number(name, place)
        return Row(self.business, name, place, number, created, self.shown(modified), active, near)

    @property
    def grain(self) -> int:
        """Records say when they were modified in steps of so many ticks."""
        return int(self.faults.amount_of("ties") * clock.DAY) if "ties" in self.faults.active else 1

    def shown(self, modified: int) -> int:
        """A modification as the record tells it."""
        return modified - modified % self.grain

    def first_shown_from(self, start: int) -> int:
        """The first modification that a record tells as `start` or later."""
        return start + -start % self.grain

    def record(self, face: Face, position: int) -> dict[str, Any]:
        """A record's fields, changes included, before any fault."""
        record = self.writers[face](self.row(position))
        changes = self.fields.get(position, {})
        record.update((name, value) for name, value in changes.items() if name in record)
        if position in self.deleted and "active" not in record and "status" in record:
            record["status"] = "Canceled"
        return self.overlays.over(record, face, position)

    def served(self, face: Face, position: int) -> dict[str, Any]:
        """A record's fields as answers show them."""
        record = self.record(face, position)
        if self.given or self.dropped:
            record = {name: value for name, value in record.items() if name not in self.dropped} | self.given
        if not self.faults.is_on(Layer.CONTENT):
            return record
        number = self.business.number(self.name, position) + self.moments(position)[1]
        return spoiled(record, face, number, self.faults)

    def render(self, face: Face, positions: Sequence[int]) -> list[bytes]:
        """Records as JSON."""
        texts = self.texts.setdefault(face, [None] * self.size)
        return [texts[position] or self.encode(face, texts, position) for position in positions]

    def encode(self, face: Face, texts: list[bytes | None], position: int) -> bytes:
        """A record as JSON, kept for the next time."""
        text = encoded(self.served(face, position))
        texts[position] = text
        return text

    def render_for(self, face: Face, positions: Sequence[int], lookup: Lookup | None) -> list[bytes]:
        """Records as JSON, with the external data that is asked for."""
        if lookup is None:
            return self.render(face, positions)
        shown = ((position, self.served(face, position)) for position in positions)
        return [encoded(one | {FIELD: self.external.shown(position, lookup.guid)}) for position, one in shown]

    @cached_property
    def order(self) -> list[int]:
        """All records by last modification: the tick, and behind it the position."""
        return sorted((self.moments(position)[1] << BITS) + position for position in range(self.size))

    @cached_property
    def inactive(self) -> set[int]:
        """The positions of all inactive records."""
        return {position for position in range(self.size) if not self.is_active(position)}

    def between(self, start: int | None, end: int | None) -> list[int]:
        """The entries of the order from `start` and before `end`, in ticks."""
        first = 0 if start is None else bisect_left(self.order, self.first_shown_from(start) << BITS)
        last = len(self.order) if end is None else bisect_left(self.order, self.first_shown_from(end) << BITS)
        return self.order[first:last]

    def only(self, positions: Sequence[int], keep: Callable[[int], bool]) -> list[int]:
        """The positions for which `keep` holds."""
        return list(compress(positions, map(keep, positions)))

    def touch(self, position: int, now: int, changes: dict[str, Any], modified: int | None = None) -> None:
        """Change a record's fields; it becomes the newest of all, or was modified at the given moment."""
        created, before = self.moments(position)
        del self.order[bisect_left(self.order, (before << BITS) + position)]
        self.place(position, created, max(now, self.latest() + 1) if modified is None else modified)
        self.fields.setdefault(position, {}).update(changes)
        self.overlays.drop(position, changes)
        self.inactive.discard(position)
        if not self.is_active(position):
            self.inactive.add(position)

    def write(self, position: int, now: int, sent: dict[str, Any]) -> None:
        """Put a body's fields over a record, its external data beside it; it becomes the newest of all."""
        self.touch(position, now, activity(sent))
        self.lay(position, sent)

    def lay(self, position: int, sent: dict[str, Any]) -> None:
        """The same without a modification."""
        self.overlays.add(position, {name: value for name, value in sent.items() if name not in {FIELD, "active"}})
        if sent.get(FIELD):
            self.external.patch(position, sent[FIELD])

    def latest(self) -> int:
        """The newest modification, in ticks."""
        return self.order[-1] >> BITS if self.order else 0

    def place(self, position: int, created: int, modified: int) -> None:
        """Put a record into the order, and forget its bytes."""
        self.stamps[position] = created, modified
        insort(self.order, (modified << BITS) + position)
        for texts in self.texts.values():
            texts[position] = None
        self.version += 1

    def reshape(self, given: dict[str, Any], dropped: frozenset[str]) -> None:
        """Show these values in every record, and these fields in none."""
        self.given, self.dropped = given, dropped
        self.forget()

    def forget(self) -> None:
        """Forget all bytes: records are written in another way from now on."""
        self.texts.clear()
        self.version += 1

    def add(self, now: int, fields: dict[str, Any]) -> int:
        """Make a record with these fields and return its position."""
        position, modified = self.size, max(now, self.latest() + 1)
        self.size += 1
        for texts in self.texts.values():
            texts.append(None)
        self.fields[position] = fields
        created = clock.parse(fields["createdOn"]) if "createdOn" in fields else modified
        self.place(position, created, modified)
        if not self.is_active(position):
            self.inactive.add(position)
        return position

    def adopt(self, position: int, parent: int) -> None:
        """Say to which parent an added record belongs."""
        self.owners[position] = parent
        self.adopted.setdefault(parent, []).append(position)

    def children(self, parent: int) -> list[int]:
        """The positions of the records that belong to a parent, those that were made lately behind the others."""
        found = [place for place in PER_PARENT[self.name][1].children(parent) if place < self.seeded]
        return found + self.adopted.get(parent, [])

    def is_shown(self, position: int, *, hides: bool) -> bool:
        """Whether a list that leaves inactive records out (`hides`) or does not shows a record."""
        return position not in self.deleted and not (hides and position in self.inactive)

    def remove(self, position: int, now: int) -> None:
        """Delete a record: lists no longer show it, exports show it as inactive."""
        self.deleted.add(position)
        self.touch(position, now, {"active": False})

    def purge(self, position: int) -> None:
        """Take a record away without a trace: neither lists nor exports show it."""
        self.purged.add(position)
        self.version += 1

    def restore(self, position: int, now: int) -> None:
        """Bring a record back: a purged one as it was, a deleted one as active and newest of all."""
        self.purged.discard(position)
        self.version += 1
        if position in self.deleted:
            self.deleted.remove(position)
            self.touch(position, now, {"active": True})

    def find(self, face: Face, key: Iterable[str], wanted: object) -> int:
        """The position of the record with this key, or -1. Reads every record."""
        parts = wanted if isinstance(wanted, tuple) else (wanted,)
        return next((place for place in range(self.size) if values(self.record(face, place), key) == parts), -1)


def activity(sent: dict[str, Any]) -> dict[str, Any]:
    """What a body says of whether the record is active."""
    return {"active": sent["active"]} if isinstance(sent.get("active"), bool) else {}


def values(record: dict[str, Any], paths: Iterable[str]) -> tuple[Any, ...]:
    """What stands at some JSON paths."""
    found = []
    for path in paths:
        value: Any = record
        for step in path.split("."):
            value = value[step]
        found.append(value)
    return tuple(found)
