"""Progress of a sync: on a terminal a bar for all and a line for each entity being read, elsewhere a line now and then."""

import sys
import threading
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from sources.servicetitan.reading import Outcome

EVERY = 15.0  # seconds between lines where there is no terminal


class Bars:
    """An observer that draws on standard error."""

    def __init__(self, total: int) -> None:
        """`total` entities will be read."""
        self.progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", table_column=None),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self.total = self.progress.add_task("ServiceTitan", total=total)
        self.entities, self.done, self.failed, self.said = total, 0, 0, float("-inf")
        self.lines: dict[str, TaskID] = {}
        self.lock = threading.Lock()

    def __enter__(self) -> Self:
        self.progress.start()
        self.tell()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def begins(self, outcome: Outcome) -> None:
        """A line for the entity."""
        with self.lock:
            self.lines[outcome.sync_batch_id] = self.progress.add_task(outcome.entity.name, total=None)

    def progresses(self, outcome: Outcome) -> None:
        """Its records so far."""
        line = self.lines[outcome.sync_batch_id]
        self.progress.update(line, completed=outcome.tally.fetched, description=f"  {outcome.entity.name} (records)")

    def ends(self, outcome: Outcome) -> None:
        """The line goes, the bar grows."""
        with self.lock:
            self.progress.remove_task(self.lines.pop(outcome.sync_batch_id))
            self.failed += outcome.status == "failed"
            self.done += 1
            self.tell()
        self.progress.advance(self.total)

    def tell(self) -> None:
        """How many entities were read so far; a line now and then, where there is no terminal."""
        if self.progress.disable and time.monotonic() - self.said > EVERY:
            apart = f", {self.failed} failed" if self.failed else ""
            self.progress.console.print(f"{self.done - self.failed} of {self.entities} entities read{apart} ...")
            self.said = time.monotonic()

    def waits(self, reason: str) -> None:
        """Said on standard error, terminal or not."""
        self.progress.console.print(reason)

    def says(self, text: str) -> None:
        """What happens behind reading; a line where there is no terminal."""
        self.progress.update(self.total, description=text)
        if self.progress.disable:
            self.progress.console.print(f"{text} ...")
