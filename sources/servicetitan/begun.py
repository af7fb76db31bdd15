"""Readings that are begun before dlt is asked: most find nothing new, and a run of dlt costs more than all of them.

Several are stepped side by side, page by page, until one meets rows. Who came to an end without any is done; the others
go on inside dlt from where they stand. Their cursors are copies: dlt's own move with the rows they stand behind.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pyarrow as pa

from sources.servicetitan.reading import Reading, State

NEGLIGIBLE = timedelta(hours=6)
"""A cursor of time that moved by less without rows is not worth a run of dlt; the next read covers the time again."""


@dataclass(slots=True)
class Begun:
    """A reading, the cursor it moves, and what it has found so far."""

    reading: Reading
    before: State
    state: State = field(init=False)
    steps: Iterator[pa.Table | None] = field(init=False)
    found: pa.Table | None = None
    is_over: bool = False

    def __post_init__(self) -> None:
        """Nothing is asked yet."""
        self.state = deepcopy(self.before)
        self.steps = self.reading.tables(self.state)

    def step(self, news: threading.Event) -> None:
        """Read on until there are rows, here or (`news`) elsewhere, or nothing is left to read."""
        while not news.is_set():
            try:
                self.found = next(self.steps)
            except StopIteration:
                self.is_over = True
                return
            if self.found is not None:
                news.set()

    @property
    def is_idle(self) -> bool:
        """Whether all is read, without rows, and the cursor stands where it stood or negligibly behind."""
        return self.is_over and self.reading.is_whole and is_negligible(self.before, self.state)

    def tables(self, kept: State) -> Iterator[pa.Table]:
        """All rows, of which some may be read already; `kept`, the cursor as dlt keeps it, moves behind them."""
        try:
            for rows in self.all_steps():
                kept.update(self.state)
                if rows is not None:
                    yield rows
                    del rows  # a page of records, while the next one is read
        finally:
            kept.update(self.state)

    def all_steps(self) -> Iterator[pa.Table | None]:
        """What was read ahead, which is then let go, and the rest."""
        if self.found is not None:
            ahead, self.found = self.found, None
            yield ahead
            del ahead
        yield from self.steps


def begin_all(readings: Sequence[Reading], cursors: Iterable[State], at_once: int) -> list[Begun]:
    """Begin these readings, each from its cursor, so many at once, until one of them meets rows."""
    begun = [Begun(reading, cursor) for reading, cursor in zip(readings, cursors, strict=True)]
    news = threading.Event()
    with ThreadPoolExecutor(at_once, thread_name_prefix="reading") as pool:
        steps = [pool.submit(one.step, news) for one in begun]
        try:
            for step in steps:
                step.result()
        finally:
            news.set()  # interrupted: nobody goes beyond the page at hand
    return begun


def is_negligible(before: State, after: State) -> bool:
    """Whether a cursor that moved like this, with no rows behind, may as well stay: at most a clock went on a little."""
    if before == after:
        return True
    if before.keys() != after.keys() or any(before[name] != after[name] for name in after if name != "cursor"):
        return False
    try:
        return datetime.fromisoformat(after["cursor"]) - datetime.fromisoformat(before["cursor"]) < NEGLIGIBLE
    except ValueError:  # it is a place among parents
        return False
