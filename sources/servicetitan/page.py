"""A page: what a feed hands to landing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from sources.servicetitan.catalog import Entity
from sources.servicetitan.head import Head, content_hash, head_reader

Records = list[msgspec.Raw]


@dataclass(frozen=True, slots=True)
class Page:
    """Records, when they were asked for, and where reading goes on behind them."""

    records: Records
    asked_at: datetime
    state: Mapping[str, str] = field(default_factory=dict)  # the cursor behind this page, where one can go on there
    is_repaired: bool = False  # bytes had to be replaced before the page could be read at all
    scopes: Sequence[str | None] | None = None  # what each record was read for
    closed: tuple[str, ...] = ()  # what is read to its end with this page: what it does not hold is gone
    total: int | None = None  # how many records all pages hold, where ServiceTitan says so
    pages: int = 1
    known: list[tuple[list[str], list[Head]]] = field(default_factory=list, repr=False, compare=False)

    def heads(self, entity: Entity) -> tuple[list[str], list[Head]]:
        """The hashes and heads of records that are read for nothing but themselves, read once."""
        if not self.known:
            hashes = [content_hash(record) for record in self.records]
            read = head_reader(entity).read
            self.known.append((hashes, [read(*pair) for pair in zip(self.records, hashes, strict=True)]))
        return self.known[0]
