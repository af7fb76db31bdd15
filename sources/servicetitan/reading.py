"""One entity of one tenant, read from where its cursor stands to ServiceTitan's end.

The cursor is a small dict that dlt keeps with the data (`state`). It moves only behind rows that were handed on:
an export's token with each page, everything else once the read is whole. A read that fails keeps what it landed and
leaves the cursor, so that the next one repeats rather than skips.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pyarrow as pa

from sources.servicetitan.catalog import BY_NAME, Entity, Feed
from sources.servicetitan.client import Client, Meter
from sources.servicetitan.exceptions import NotAvailableError, ServiceTitanError
from sources.servicetitan.landing import Landing, Tally
from sources.servicetitan.paging import Page, Reader
from store.warehouse import RawTable, Warehouse

OVERLAP = timedelta(minutes=10)  # lists are read again from so far before the cursor: clocks differ, fractions round
TAIL = timedelta(days=7)  # windows are read again from so far before the last one's end
State = dict[str, Any]

log = logging.getLogger(__name__)


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


def raw_table(entity: Entity) -> RawTable:
    """The entity's raw table."""
    return RawTable(entity.raw_table, str(entity.key_type))


@dataclass(slots=True)
class Reading:
    """How one entity is read."""

    outcome: Outcome
    client: Client
    warehouse: Warehouse
    observer: Observer
    full: bool = False

    def tables(self, state: State) -> Iterator[pa.Table]:
        """The rows to append, page by page; `state` moves as the module says. Errors end the reading, not the run."""
        outcome = self.outcome
        self.observer.begins(outcome)
        try:
            yield from self.rows(state)
        except NotAvailableError as error:
            outcome.end("unavailable", str(error))
        except ServiceTitanError as error:
            outcome.end("failed", str(error))
        except Exception as error:
            log.debug("reading failed", exc_info=True, extra={"entity": outcome.entity.name})
            outcome.end("failed", f"{type(error).__name__}: {error}")
        else:
            outcome.end("completed")
        self.observer.ends(outcome)

    def rows(self, state: State) -> Iterator[pa.Table]:
        """The rows of every page, and the cursor behind them."""
        entity, begun = self.outcome.entity, datetime.now(UTC)
        landing = Landing(entity, self.outcome.tenant_id, self.outcome.sync_batch_id, self.newest, self.outcome.tally)
        for page in self.pages({} if self.full else state, begun):
            rows = landing.rows(page)
            self.observer.progresses(self.outcome)
            if rows is not None:
                yield rows
            if page.token:
                state["token"] = page.token
        if landing.tally.unkeyed:
            log.warning("records without a key", extra={"entity": entity.name, "count": landing.tally.unkeyed})
        state.update(after(entity, state, begun, landing.highest))

    def newest(self, keys: Any) -> dict[Any, str]:
        """The hashes that landed last."""
        return self.warehouse.newest_hashes(raw_table(self.outcome.entity), self.outcome.tenant_id, keys)

    def pages(self, state: State, begun: datetime) -> Iterator[Page]:
        """The pages to read, from the cursor in `state`."""
        entity = self.outcome.entity
        reader = Reader(entity, self.client, self.outcome.meter)
        cursor = datetime.fromisoformat(state["cursor"]) if "cursor" in state else None
        match entity.feed:
            case Feed.EXPORT:
                return reader.export_or_list(state.get("token"))
            case Feed.LIST:
                return reader.listed(cursor and cursor - OVERLAP)
            case Feed.SNAPSHOT:
                return reader.listed(None)
            case Feed.WINDOW:
                return reader.windows(cursor and cursor - TAIL, begun)
            case Feed.CHILD:
                parent = raw_table(BY_NAME[entity.parent])
                since = (cursor or datetime(1970, 1, 1, tzinfo=UTC)).isoformat()
                return reader.children(self.warehouse.keys_landed_since(parent, self.outcome.tenant_id, since))


def after(entity: Entity, state: State, begun: datetime, highest: datetime | None) -> State:
    """How the cursor stands behind a whole read that began at `begun` and met `highest` as its latest modification.

    A list's cursor never passes the read's own beginning: what changed while it was read may have been missed.
    """
    if entity.feed in {Feed.WINDOW, Feed.CHILD}:
        return {"cursor": begun.isoformat()}
    if entity.feed is Feed.LIST and highest:
        reached = min(highest, begun)
        known = datetime.fromisoformat(state["cursor"]) if "cursor" in state else reached
        return {"cursor": max(reached, known).isoformat()}
    return {}
