"""The proof of no gap: runs of one entity as links of a chain, from the present back to a read from the beginning.

A run covers from where its cursor stood to where it left it. The next one begins there, so that a chain without a hole
has read everything that ServiceTitan offered. A run that died covers nothing; its successor begins where it began.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Link:
    """What one run covered: from where to where, in how much. An empty `begin` is the beginning."""

    sync_batch_id: str
    started_at: datetime
    status: str
    begin: str
    end: str
    pages: int
    fetched: int
    appended: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Chain:
    """Links in order of time. `hole` is the place up to which nothing is known to have been read; empty when whole."""

    links: tuple[Link, ...]
    hole: str

    @property
    def is_whole(self) -> bool:
        """Whether the chain reaches from the beginning to the present without a hole."""
        return bool(self.links) and not self.hole


def chain_of(batches: Iterable[dict[str, Any]]) -> Chain:
    """The chain of one tenant's runs of one entity, given in order of time as `system.sync_batches` keeps them."""
    links = [link_of(batch) for batch in batches if batch["covered_to"] is not None]
    if not links:
        return Chain((), "")
    ending: dict[str, list[int]] = {}  # by place: the indexes of links that end there
    for index, link in enumerate(links):
        ending.setdefault(link.end, []).append(index)
    chain, at = [links[-1]], len(links) - 1
    while begin := chain[-1].begin:
        before = last_before(ending.get(begin, []), at)
        if before is None:
            return Chain(tuple(reversed(chain)), begin)
        chain.append(links[before])
        at = before
    return Chain(tuple(reversed(chain)), "")


def last_before(indexes: list[int], index: int) -> int | None:
    """The last of ascending indexes below another one. Those that are not below it go: the next ones asked about are lower."""
    while indexes and indexes[-1] >= index:
        indexes.pop()
    return indexes[-1] if indexes else None


def link_of(batch: dict[str, Any]) -> Link:
    """A row of `system.sync_batches` as a link."""
    numbers = (int(batch[name]) for name in ("pages", "fetched", "appended", "bytes"))
    begin, end = batch["covered_from"] or "", batch["covered_to"]
    return Link(batch["sync_batch_id"], batch["started_at"], batch["status"], begin, end, *numbers)
