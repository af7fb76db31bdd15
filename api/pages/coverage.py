"""Whether an entity's reads cover everything, as a page tells it: the chain of reads in numbers, or the hole in it.

A year of reads is a hundred thousand links. Where each began where the one before it ended the store says so in a moment;
only where one went back to an older place is the whole chain followed, as `lazi status --coverage` does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from api.pages.kept import Kept
from api.reads import moment
from store.chain import Link, chain_of, link_of
from store.operations import Operations, Row

SHOWN = 8  # steps
LOOKED_AT = 200  # links, for the steps
LONGEST = 44  # characters of a cursor's place


@dataclass(frozen=True, slots=True)
class Step:
    """One link, and how many before it moved the cursor nowhere."""

    link: Link
    idle: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """A chain in numbers, and its newest steps, the newest first. `hole` is empty when it is whole, or has no link."""

    hole: str = ""
    links: int = 0
    fetched: int = 0
    appended: int = 0
    since: datetime | None = None  # when its first link began
    steps: Sequence[Step] = ()

    @property
    def is_whole(self) -> bool:
        """Whether it reaches from the beginning to the present."""
        return bool(self.links) and not self.hole

    @property
    def more(self) -> int:
        """The links that the steps leave out."""
        return self.links - sum(1 + step.idle for step in self.steps)


def steps(links: Sequence[Link]) -> list[Step]:
    """The newest steps of links in order of time."""
    return list(grouped(links))[:SHOWN]


def grouped(links: Sequence[Link]) -> Iterator[Step]:
    """From the newest on; links that stayed where they began are counted with the one behind them."""
    moved: Link | None = None
    idle = 0
    for link in reversed(links):
        if moved is not None and link.begin == link.end:
            idle += 1
            continue
        if moved is not None:
            yield Step(moved, idle)
        moved, idle = link, 0
    if moved is not None:
        yield Step(moved, idle)


def place(text: str) -> str:
    """A cursor's place, shortened."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


class Coverages:
    """The coverage of each tenant's entities, worked out again when a read added a link."""

    def __init__(self, operations: Operations) -> None:
        """Nothing is known yet."""
        self.operations, self.kept = operations, Kept(self.find)

    def of(self, tenant: int, entity: str) -> Coverage:
        """An entity's. Raises StoreError."""
        newest = self.operations.run("newest_links", tenant_id=tenant, entity=entity, most=1)
        return self.kept.of((tenant, entity), [row["sync_batch_id"] for row in newest])

    def find(self, key: tuple[int, str]) -> Coverage:
        """Work it out. Raises StoreError."""
        whose = {"tenant_id": key[0], "entity": key[1]}
        found = self.operations.run("unbroken_links", **whose)
        if not found:
            return Coverage()
        [row], since = found, moment(found[0]["since"])
        if row["place"] and self.operations.run("links_that_ended_at", **whose, place=row["place"], before=since):
            return self.followed(whose)
        newest = self.operations.run("newest_links", **whose, most=min(LOOKED_AT, int(row["links"])))
        return told(row, since, newest)

    def followed(self, whose: dict[str, Any]) -> Coverage:
        """What following each link of the chain comes to. Raises StoreError."""
        chain = chain_of(self.operations.run("links_of_entity", **whose))
        links = chain.links
        fetched, appended = sum(link.fetched for link in links), sum(link.appended for link in links)
        return Coverage(chain.hole, len(links), fetched, appended, links[0].started_at, steps(links[-LOOKED_AT:]))


def told(row: Row, since: datetime | None, newest: Sequence[Row]) -> Coverage:
    """A chain of which the store has the numbers, with its newest links."""
    links, fetched, appended = (int(row[name]) for name in ("links", "fetched", "appended"))
    return Coverage(row["place"], links, fetched, appended, since, steps([link_of(each) for each in reversed(newest)]))
