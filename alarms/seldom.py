"""A question to the warehouse that costs much and whose answer changes only when the models run: asked seldom, and behind.

Counting what could not be typed reads every master table: with a million customers and jobs it takes PostgreSQL 0.6 s.
"""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from alarms.facts import Fetch
from store.exceptions import StoreError
from store.operations import Operations

LONGEST = 600.0  # seconds for which an answer is kept though nothing ran: somebody may plan by hand
Rows = list[tuple[Any, ...]]


@dataclass(slots=True)
class Seldom:
    """Remembers the answer to one query.

    What is older than the last run of the models is asked for again by a thread of its own; whoever asks meanwhile gets
    what was known. Only the first waits.
    """

    fetch: Fetch
    operations: Operations
    turn: threading.Lock = field(default_factory=threading.Lock)
    known: Rows | None = None
    ran: Any = None  # when the models that the answer is of had begun
    asked_at: float = 0.0

    def __call__(self, query: str) -> Rows:
        """The rows. Raises as `fetch`, the first time."""
        newest = self.operations.run("last_model_runs")[:1]
        ran = newest[0]["started_at"] if newest else None
        known = self.known
        if known is None:
            return self.ask(query, ran)
        if (ran != self.ran or time.monotonic() - self.asked_at > LONGEST) and self.turn.acquire(blocking=False):
            threading.Thread(target=self.renew, args=(query, ran), name="seldom", daemon=True).start()
        return known

    def ask(self, query: str, ran: Any) -> Rows:
        """Ask, and remember."""
        rows = self.fetch(query)
        self.known, self.ran, self.asked_at = rows, ran, time.monotonic()
        return rows

    def renew(self, query: str, ran: Any) -> None:
        """Ask again. What cannot be asked is forgotten: who asks next is told why."""
        try:
            self.ask(query, ran)
        except StoreError:
            self.known = None
        finally:
            self.turn.release()
