"""The versions of one record in the order of time, the original's among our own. Pure."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import NamedTuple

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)


class Entry(NamedTuple):
    """A version: when it landed in microseconds since 1970, its hash, and when it says it was modified."""

    at: int
    hash: str
    modified_on: datetime | None


class Verdict(Enum):
    """What a version of the original's is."""

    NEW = "new"
    THERE = "there"  # it has landed
    REPEAT = "repeat"  # the version before it has the same bytes


@dataclass(slots=True)
class Timeline:
    """A record's versions."""

    entries: list[Entry] = field(default_factory=list)  # in order

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> "Timeline":
        """From versions in any order."""
        return cls(sorted(entries, key=lambda entry: entry.at))

    def judge(self, at: int, hash_: str) -> Verdict:
        """What a version of this moment and hash is."""
        place = bisect_left(self.entries, at, key=at_of)
        if any(entry.hash == hash_ for entry in self.entries[place : bisect_right(self.entries, at, key=at_of)]):
            return Verdict.THERE
        if place and self.entries[place - 1].hash == hash_:
            return Verdict.REPEAT
        return Verdict.NEW

    def add(self, entry: Entry) -> None:
        """A version that lands."""
        insort(self.entries, entry, key=at_of)

    def fitted(self, at: int, modified_on: datetime | None) -> datetime | None:
        """When a version that was read from a list was modified, so that master shows what was read last.

        It is lifted to the latest modification of those before it, as landing does; and it does not go above the next
        one, which is the later word.
        """
        place = bisect_right(self.entries, at, key=at_of)
        before = [entry.modified_on for entry in self.entries[:place] if entry.modified_on]
        behind = self.entries[place:]
        if before and (modified_on is None or modified_on < max(before)):
            modified_on = max(before)
        if behind and modified_on and (behind[0].modified_on is None or behind[0].modified_on < modified_on):
            return behind[0].modified_on
        return modified_on

    @property
    def newest(self) -> str | None:
        """The hash of the version that landed last."""
        return self.entries[-1].hash if self.entries else None


def at_of(entry: Entry) -> int:
    """When a version landed."""
    return entry.at


def micros(moment: datetime) -> int:
    """A moment in microseconds since 1970, exactly."""
    return (moment - EPOCH) // TICK
