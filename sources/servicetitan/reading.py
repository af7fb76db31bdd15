"""One entity of one tenant, read from where its cursor stands to ServiceTitan's end.

The cursor is a small dict that dlt keeps with the data (`state`). It moves only behind rows that were handed on: with
each page where one can go on there (exports, children, windows), otherwise once the read is whole. A read that fails
keeps what it landed and leaves the cursor there, so that the next one repeats rather than skips. A long read is cut
into rounds, each of which is loaded before the next one begins, so that a crash costs a round at most.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pyarrow as pa

from sources.servicetitan.catalog import BY_NAME, Entity, Feed
from sources.servicetitan.client import Client, Meter
from sources.servicetitan.exceptions import NotAvailableError, ServiceTitanError
from sources.servicetitan.landing import Landing, Tally
from sources.servicetitan.page import Page
from sources.servicetitan.paging import Reader
from sources.servicetitan.reports import ReportReader
from sources.servicetitan.stopping import Stopping
from store.warehouse import Key, Landed, RawTable, Version, Warehouse

OVERLAP = timedelta(minutes=10)  # lists are read again from so far before the cursor: clocks differ, fractions round
TAIL = timedelta(days=7)  # windows are read again from so far before the last one's end
PARENTS_AT_ONCE = 2000  # looked up in the warehouse
State = dict[str, Any]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Round:
    """How much of a long read is done before it is loaded."""

    records: int = 250_000
    seconds: float = 120.0
    clock: Callable[[], float] = time.monotonic


@dataclass(slots=True)
class Coverage:
    """What a read covered: from where to where its cursor moved; empty is the beginning, None nothing yet."""

    begin: str = ""
    end: str | None = None
    pages: int = 0


@dataclass(slots=True)
class Outcome:
    """What became of reading one entity."""

    entity: Entity
    tenant_id: int
    sync_batch_id: str
    started_at: datetime
    finished_at: datetime | None = None
    status: str = "running"  # then completed, failed or unavailable
    error: str = ""
    meter: Meter = field(default_factory=Meter)
    tally: Tally = field(default_factory=Tally)
    coverage: Coverage = field(default_factory=Coverage)

    def end(self, status: str, error: str = "") -> None:
        """Close it, once."""
        self.status, self.error, self.finished_at = status, error, datetime.now(UTC)

    @property
    def seconds(self) -> float:
        """How long it took, so far."""
        return ((self.finished_at or datetime.now(UTC)) - self.started_at).total_seconds()


class Observer(Protocol):
    """Someone who wants to know how reading goes. Called from several threads."""

    def begins(self, outcome: Outcome) -> None:
        """An entity is about to be read."""

    def progresses(self, outcome: Outcome) -> None:
        """A page was read."""

    def ends(self, outcome: Outcome) -> None:
        """An entity is read, or failed."""

    def waits(self, reason: str) -> None:
        """Nothing goes on for a while, for this reason."""


def raw_table(entity: Entity) -> RawTable:
    """The entity's raw table."""
    return RawTable(entity.raw_table, str(entity.key_type), entity.is_scoped)


def in_order(_entity: Entity) -> datetime:
    """Up to when everything has landed, where nobody else lands anything."""
    return datetime.now(UTC)


@dataclass(slots=True)
class Reading:
    """How one entity is read, in one round or several. `is_whole` tells whether a round was the last.

    `landed_until` says up to which moment everything has landed that an entity was asked for. A place among parents never
    goes beyond it: one that lands later, with an earlier `synced_at`, would be passed over.
    """

    outcome: Outcome
    client: Client
    warehouse: Warehouse
    observer: Observer
    full: bool = False
    round: Round = Round()
    stopping: Stopping = field(default_factory=Stopping)
    landed_until: Callable[[Entity], datetime] = in_order
    is_whole: bool = False
    is_begun: bool = False

    def tables(self, state: State) -> Iterator[pa.Table | None]:
        """A round's rows, page by page, None for a page without; `state` moves as the module says.

        Errors end the reading, not the run.
        """
        outcome = self.outcome
        self.begin(state)
        try:
            yield from self.rows(state)
        except NotAvailableError as error:
            self.end("unavailable", str(error))
        except ServiceTitanError as error:
            self.end("failed", str(error))
        except Exception as error:
            log.debug("reading failed", exc_info=True, extra={"entity": outcome.entity.name})
            self.end("failed", f"{type(error).__name__}: {error}")
        else:
            if self.is_whole:
                self.end("completed")

    def begin(self, state: State) -> None:
        """Before the first round: where it begins. A full read of what can be cut into rounds rewinds the cursor."""
        if self.is_begun:
            return
        self.is_begun = True
        self.observer.begins(self.outcome)
        self.outcome.coverage.begin = "" if self.full else position(state)

    def end(self, status: str, error: str = "") -> None:
        """After the last round."""
        self.is_whole = True
        self.outcome.end(status, error)
        self.observer.ends(self.outcome)

    def rows(self, state: State) -> Iterator[pa.Table | None]:
        """The rows of a round's pages, and the cursor behind them."""
        entity, begun, coverage = self.outcome.entity, datetime.now(UTC), self.outcome.coverage
        landing, limit = self.landing(), self.round.clock() + self.round.seconds
        met = self.outcome.tally.fetched + self.round.records
        if entity.parent:
            begun = min(begun, self.landed_until(BY_NAME[entity.parent]))  # none lands from before a cursor
            self.begin_again(state, begun)
        for page in self.pages({} if self.full else state, begun):
            rows, gone = landing.rows(page), landing.gone(page)
            coverage.pages += page.pages
            self.observer.progresses(self.outcome)
            yield rows
            if gone is not None:
                yield gone
            if page.state:
                state.update(page.state)
                self.full, coverage.end = False, position(state)
            self.stopping.heed()
            if page.state and (self.outcome.tally.fetched >= met or self.round.clock() >= limit):
                return
        if landing.tally.unkeyed:
            log.warning("records without a key", extra={"entity": entity.name, "count": landing.tally.unkeyed})
        state.update(after(entity, state, begun, landing.highest))
        coverage.end = position(state) or begun.isoformat()
        self.is_whole = True

    def landing(self) -> Landing:
        """What makes rows of pages, with the warehouse to look things up in, unless nothing is there yet."""
        entity, tenant_id, warehouse = self.outcome.entity, self.outcome.tenant_id, self.warehouse
        table = raw_table(entity)
        landing = Landing(
            entity,
            tenant_id,
            self.outcome.sync_batch_id,
            is_present=entity.feed is not Feed.EXPORT,
            tally=self.outcome.tally,
        )
        if warehouse.has_rows(table, tenant_id):
            landing.newest_versions = self.newest
            landing.living = lambda scopes: warehouse.living(table, tenant_id, scopes)
            landing.copies = lambda keys: warehouse.copies(table, tenant_id, keys)
        return landing

    def newest(self, keys: Sequence[Key]) -> dict[Key, Version]:
        """The versions that landed last."""
        return self.warehouse.newest_versions(raw_table(self.outcome.entity), self.outcome.tenant_id, keys)

    def pages(self, state: State, begun: datetime) -> Iterator[Page]:  # noqa: PLR0911  one line a feed
        """The pages to read, from the cursor in `state`; of parents those among which none can land any more up to `begun`."""
        entity = self.outcome.entity
        reader = Reader(entity, self.client, self.outcome.meter)
        since = (
            moment_of(state) if entity.feed in {Feed.LIST, Feed.WINDOW} or (entity.polled and entity.cursor) else None
        )
        match entity.feed:
            case Feed.EXPORT:
                return reader.export_or_list(state.get("token"))
            case Feed.LIST:
                return reader.listed(since and since - OVERLAP)
            case Feed.SNAPSHOT:
                return reader.snapshot()
            case Feed.WINDOW:
                return reader.windows(since and since - TAIL, begun, self.parents)
            case Feed.CHILD if entity.is_batched:
                return reader.by_ids(self.parents(state.get("cursor", ""), begun))
            case Feed.CHILD if entity.polled:
                new = self.newcomers(since) if since else ()
                return without_state(reader.children(self.parents(), since and since - OVERLAP, new))
            case Feed.CHILD:
                return reader.children(self.parents(state.get("cursor", ""), begun))
            case Feed.REPORT:
                return ReportReader(reader).pages()

    def begin_again(self, state: State, begun: datetime) -> None:
        """Have slices of dates read from the first one where a parent is new: in each all parents' records are read together."""
        if self.outcome.entity.feed is not Feed.WINDOW:
            return
        known = state.get("parents") or state.get("cursor")
        if self.full or not known or self.newcomers(datetime.fromisoformat(known)):
            state.pop("cursor", None)
            state["parents"] = begun.isoformat()  # at once: a round that ends in between is gone on with

    def newcomers(self, since: datetime) -> set[Key]:
        """The parents that were not known when this was read: they are to be asked for what is older too."""
        table = raw_table(BY_NAME[self.outcome.entity.parent])
        return self.warehouse.newcomers(table, self.outcome.tenant_id, since)

    def parents(self, place: str = "", until: datetime | None = None) -> Iterator[Landed]:
        """The parents behind a place and up to a moment, in order; only those modified lately where the row says so."""
        entity = self.outcome.entity
        table = raw_table(BY_NAME[entity.parent])
        oldest = datetime.now(UTC) - timedelta(days=entity.recent_days) if entity.recent_days else None
        while some := self.warehouse.versions_behind(table, self.outcome.tenant_id, place, PARENTS_AT_ONCE, until):
            place = some[-1].place
            for version in some:
                if not oldest or (version.modified_on and version.modified_on >= oldest):
                    yield version


def without_state(pages: Iterator[Page]) -> Iterator[Page]:
    """Pages between which one cannot go on, because every parent is asked each time."""
    for page in pages:
        yield Page(page.records, page.asked_at, {}, page.is_repaired, page.scopes, page.closed, pages=page.pages)


def moment_of(state: State) -> datetime | None:
    """The moment at which a cursor of time stands."""
    return datetime.fromisoformat(state["cursor"]) if "cursor" in state else None


def position(state: State) -> str:
    """Where a cursor stands, as text."""
    return str(state.get("token") or state.get("cursor") or "")


def after(entity: Entity, state: State, begun: datetime, highest: datetime | None) -> State:
    """How the cursor stands behind a whole read that began at `begun` and met `highest` as its latest modification.

    A list's cursor never passes the read's own beginning: what changed while it was read may have been missed.
    """
    if entity.feed is Feed.LIST and highest:
        reached = min(highest, begun)
        known = datetime.fromisoformat(state["cursor"]) if "cursor" in state else reached
        return {"cursor": max(reached, known).isoformat()}
    if entity.polled:
        return {"cursor": begun.isoformat()}
    return {}
