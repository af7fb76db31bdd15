"""What the stores know of an entity, asked for a page and for the parts of it that renew themselves."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from api.pages.coverage import Coverages
from api.pages.entity_now import asked, nightly, quiet, readings, rhythm, turn
from api.pages.entity_runs import STOPPED, Run, runs
from api.pages.fields_table import field_rows, own_rows
from api.pages.grid import Cell, cell
from api.pages.newest import newest
from api.pages.null_shares import NullShares, Shares
from api.pages.refused import NOT_READY, TOLD
from api.relations import master
from sources.servicetitan.catalog import Entity
from sources.servicetitan.census import why_not
from sources.servicetitan.master import record_columns
from sources.servicetitan.registry import load
from store.exceptions import StoreError

if TYPE_CHECKING:
    from api.pages.site import Site

RUNS, OLDER_RUNS = 20, 50
AHEAD = timedelta(days=1)  # of clocks elsewhere, so that no run counts as one of the future


@dataclass(frozen=True, slots=True)
class Page:
    """Runs, the newest first, and the moment before which older ones began; None when there are none."""

    runs: list[Run]
    before: datetime | None


class EntityFacts:
    """Asks. What is costly is kept for a while."""

    def __init__(self, site: "Site") -> None:
        """Nothing is asked yet."""
        self.site, self.answers = site, site.answers
        self.coverages, self.shares = Coverages(site.answers.operations), NullShares(site.answers.reader)

    def run(self, query: str, tenant: int, entity: Entity, **more: Any) -> list[dict[str, Any]]:
        """The rows of a query about a tenant's entity. Raises StoreError."""
        return self.answers.operations.run(query, tenant_id=tenant, entity=entity.name, **more)

    def state(self, tenant: int, entity: Entity, now: datetime) -> Cell:
        """How fresh an entity is."""
        [row] = self.run("last_reads_of_entity", tenant, entity, stopped=STOPPED)
        condition = self.site.condition
        return cell(entity, row, condition.timetable, condition.limits.get("stale", float("inf")), now)

    def now(self, tenant: int, entity: Entity) -> dict[str, Any]:
        """How it stands: what is under way, asked for and due."""
        now, table, operations = datetime.now(UTC), self.site.condition.timetable, self.answers.operations
        under_way = readings(operations.run("reads_under_way", tenant_id=tenant), entity.name)
        return {
            "entity": entity,
            "state": self.state(tenant, entity, now),
            "under_way": under_way,
            "asked": asked(self.run("wishes_of_entity", tenant, entity), under_way, now),
            "rhythm": rhythm(table, entity),
            "is_own": entity.name in table.own,
            "turn": turn(operations.run("last_turn", tenant_id=tenant, duty=table.duty(entity.name, entity.priority))),
            "nightly": "" if why_not(entity) else nightly(table),
            "quiet": quiet(table),
        }

    def page_of_runs(self, tenant: int, entity: Entity, before: datetime | None = None, most: int = RUNS) -> Page:
        """So many runs, of those that began before a moment."""
        latest = before or datetime.now(UTC) + AHEAD
        rows = self.run("runs_of_entity", tenant, entity, before=latest, most=most + 1)
        found = runs(rows[:most])
        return Page(found, found[-1].begun_at if len(rows) > most else None)

    def page(self, tenant: int, entity: Entity) -> dict[str, Any]:
        """All else of the page. Where the warehouse cannot be read, the reason stands in its place."""
        record, relation = load()[entity.name], master(entity.name)
        shares, unread = tried(lambda: self.shares.of(tenant, entity.name), Shares())
        records, unlisted = tried(lambda: newest(self.answers.reader, tenant, entity.name), None)
        reconciliations = self.run("last_reconciliation", tenant, entity)
        return {
            "entity": entity,
            "coverage": self.coverages.of(tenant, entity.name),
            "reconciliation": reconciliations[0] if reconciliations else None,
            "uncountable": why_not(entity),
            "newest": records,
            "unlisted": unlisted,
            "shares": shares,
            "unread": unread,
            "fields": field_rows(entity, record, shares, self.run("drift_of_entity", tenant, entity)),
            "own": own_rows(relation, record_columns(entity, record), shares),
        }


def tried(ask: Any, instead: Any) -> tuple[Any, str]:
    """What the warehouse answers; or something instead, and why."""
    try:
        return ask(), ""
    except StoreError as error:
        return instead, str(error) if isinstance(error, TOLD) else NOT_READY
