"""Wishes: what somebody asked to have read at once, such as a person by a page's button, or a webhook by naming it.

A wish stands in the store until its read came to an end, be it a failure, which is told like any other read's: what was stopped
or killed in the middle of it is granted by the next process. Wishes are granted beside a tenant's turns, and those of one
priority and work beside all others; one for an entity that is being read waits for its pipeline, so that no entity is read
twice at once.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from pipelines.duties import Duty, End, Work
from sources.servicetitan.catalog import BY_NAME
from sources.servicetitan.stopping import Stopping
from store.exceptions import StoreError
from store.lock import leased_if_free
from store.operations import Operations, Row
from store.settings import Settings
from store.timetable import Every

LOOK_EVERY = timedelta(seconds=2)
REST = 60.0  # seconds after which what could not be granted at all is tried again
WORKS = frozenset({Work.SYNC, Work.FULL, Work.RECONCILE})
Group = tuple[Work, int]
"""What is granted one after another: a work, and the priority of its entities."""


@dataclass(slots=True)
class Wishes:
    """Grants the wishes of one tenant. `do` does a duty and says how it ended; it never raises."""

    settings: Settings
    operations: Operations
    tenant_id: int
    pool: ThreadPoolExecutor
    do: Callable[[Duty], End]
    stopping: Stopping
    at_work: set[Group] = field(default_factory=set)
    resting: dict[Group, float] = field(default_factory=dict)  # until when, by the monotonic clock

    def look(self) -> None:
        """Begin what is wished for, unless a thread of ours is at it. To be called by one thread at a time."""
        try:
            groups = set(map(group_of, self.waiting()))
        except StoreError:
            return  # whoever has a turn says it
        for group in groups - self.at_work:
            if not self.stopping and time.monotonic() >= self.resting.get(group, 0.0):
                self.at_work.add(group)
                with suppress(RuntimeError):  # the schedule was stopped
                    self.pool.submit(self.grant, group)

    def waiting(self) -> list[Row]:
        """The wishes that this version can grant, the oldest first."""
        return [row for row in self.operations.run("wishes", tenant_id=self.tenant_id) if is_known(row)]

    def grant(self, group: Group) -> None:
        """Grant the wishes of a group, unless another process does."""
        work, priority = group
        try:
            with leased_if_free(self.settings, f"wishes {self.tenant_id} {work} {priority}") as is_ours:
                if is_ours:
                    self.grant_all(group)
        except StoreError:
            self.rest(group)
        finally:
            self.at_work.discard(group)

    def grant_all(self, group: Group) -> None:
        """Grant them, by who alone may. Raises StoreError."""
        wishes = [row for row in self.waiting() if group_of(row) == group]
        for some in together(group[0], wishes):
            entities = tuple(BY_NAME[row["entity"]] for row in some)
            end = self.do(Duty(self.tenant_id, named(group[0], some), group[0], Every(LOOK_EVERY), entities))
            if end.was_stopped or self.stopping:
                return
            if end.is_failure:
                self.rest(group)
            else:
                self.operations.run_all("forget_wish", [{"tenant_id": self.tenant_id, **row} for row in some])

    def rest(self, group: Group) -> None:
        """Leave a group alone for a while."""
        self.resting[group] = time.monotonic() + REST


def is_known(row: Row) -> bool:
    """Whether a wish is for what there is here; another version's process may know it."""
    return row["entity"] in BY_NAME and row["work"] in WORKS


def group_of(row: Row) -> Group:
    """A wish's group."""
    return Work(row["work"]), BY_NAME[row["entity"]].priority


def together(work: Work, wishes: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """What is granted at once: reads of what is new; what takes long goes one by one, so that a stop costs one of them."""
    if work is Work.SYNC:
        yield from [wishes] if wishes else []
    else:
        yield from ([row] for row in wishes)


def named(work: Work, wishes: Sequence[Row]) -> str:
    """The name of the duty that grants these."""
    return "wishes" if work is Work.SYNC else f"{work} {wishes[0]['entity']}"
