"""What is served from PostgreSQL of a warehouse that stands elsewhere, and how far each table of it is.

Rows stand in the schema `lazi_serving`, and the names that consumers know, `crm.customer_360` and `master.customers`, are views
of it: a name stays when its table is built anew, and a database that was a PostgreSQL warehouse keeps its own tables. Whoever
has just brought the models up to date publishes (`pipelines.publishing`).
"""

import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from store.operations import Operations

SCHEMA = "lazi_serving"  # of PostgreSQL, where rows stand
KEPT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Served:
    """A table or view that is served or should be, and how far it is."""

    name: str
    is_shown: bool
    rows: int | None  # of a table
    modeled_until: datetime | None  # when the newest run of the models began that it shows
    behind_since: datetime | None  # when the first run ended that it does not show
    refusal: str | None


def served(operations: Operations) -> list[Served]:
    """How far each is; of a name that is being built anew, what is shown."""
    rows = operations.run("publications")
    shown = {row["name"] for row in rows if row["is_shown"]}
    return [told(row) for row in rows if row["is_shown"] or row["refusal"] or row["name"] not in shown]


def told(row: dict[str, Any]) -> Served:
    """A row of the operations store."""
    count = int(row["row_count"]) if row["place"] else None
    until, since = row["modeled_until"], row["behind_since"]
    return Served(row["name"], bool(row["is_shown"]), count, until, since, row["refusal"])


class Shown:
    """The names that lead to what is published, looked up at most every two seconds."""

    def __init__(self, operations: Operations) -> None:
        """Nothing is looked up yet."""
        self.operations, self.lock = operations, threading.Lock()
        self.looked_at, self.known = -KEPT_SECONDS, frozenset[str]()

    @property
    def is_known(self) -> bool:
        """Whether it need not be looked up now."""
        return time.monotonic() - self.looked_at < KEPT_SECONDS

    def forget(self) -> None:
        """Look them up at the next question: one of them was not there."""
        self.looked_at = -KEPT_SECONDS

    def names(self) -> frozenset[str]:
        """All of them. One thread looks them up, the others wait for it. Raises StoreError."""
        if not self.is_known:
            with self.lock:
                if not self.is_known:
                    self.known = frozenset(row["name"] for row in self.operations.run("shown_publications"))
                    self.looked_at = time.monotonic()
        return self.known
