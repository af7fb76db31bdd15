"""The first page: whether everything is well, at a glance. It is made of parts that renew themselves."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from litestar import MediaType, Response, get
from litestar.handlers import HTTPRouteHandler

from alarms.finding import Level
from api.pages import hours
from api.pages.door import Visit
from api.pages.entity_runs import STOPPED
from api.pages.grid import MARKS, grid
from api.pages.verdict import verdict
from outbound.state import State
from sources.servicetitan.catalog import CATALOG
from store.settings import RATE, Places, rate

if TYPE_CHECKING:
    from api.pages.site import Site

ALARMS = 5  # that are shown at once
RECONCILES = (5, 15)  # at least, and at most where so many differ
LEVELS: Mapping[Level, str] = {Level.HEALTHY: "good", Level.DEGRADED: "warn", Level.CRITICAL: "bad"}
STATES: Mapping[State, str] = {
    State.HELD: "info",
    State.PENDING: "info",
    State.PROCESSING: "info",
    State.COMPLETED: "good",
    State.FAILED: "bad",
    State.CONFLICT: "warn",
    State.UNKNOWN: "warn",
    State.CANCELLED: "",
}
"""The classes of levels and states."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A part as it stands on the page."""

    name: str
    title: str
    address: str
    html: str


class Parts:
    """Makes the HTML of each part for a tenant. What is the same gives the same HTML, whatever the time is."""

    def __init__(self, site: "Site") -> None:
        """Nothing is asked yet."""
        self.site, self.look, self.operations = site, site.look, site.answers.operations

    @cached_property
    def rate(self) -> float:
        """Requests a second that the settings allow. Raises SettingsError."""
        return rate(Places().text(RATE))

    def state(self, tenant: int) -> str:
        """A line, and the alarms."""
        found = self.site.condition.now(tenant)
        rows = self.operations.run("alarms_of_tenant", tenant_id=tenant)
        is_new = not found and not self.operations.run("any_read", tenant_id=tenant)
        said = verdict(found, rows)
        return self.look.text("parts/state.html", verdict=said, is_new=is_new, tones=LEVELS, shown=ALARMS)

    def freshness(self, tenant: int) -> str:
        """A tile for each entity."""
        rows = self.operations.run("last_reads", tenant_id=tenant, stopped=STOPPED)
        limit = self.site.condition.limits.get("stale", float("inf"))
        made = grid(CATALOG, rows, self.site.condition.timetable, limit, datetime.now(UTC))
        return self.look.text("parts/freshness.html", grid=made, marks=MARKS)

    def queue(self, tenant: int) -> str:
        """The number of changes in each state."""
        known = self.site.changes.queue.counts(tenant)
        return self.look.text("parts/queue.html", counts={state: known.get(state, 0) for state in State}, tones=STATES)

    def hours(self, tenant: int) -> str:
        """Charts of the last day."""
        now = datetime.now(UTC)
        rows = self.operations.run("reads_by_hour", tenant_id=tenant, since=hours.first_hour(now))
        charts = (hours.records(rows, now), hours.requests(rows, now, self.rate))
        return self.look.text("parts/hours.html", charts=charts)

    def reconciles(self, tenant: int) -> str:
        """The newest of each entity."""
        rows = self.operations.run("reconciliations_of_tenant", tenant_id=tenant)
        differing = sum(1 for row in rows if row["missing_in_copy"] + row["vanished"] + row["differing"])
        fewest, most = RECONCILES
        shown = max(fewest, min(differing, most))
        return self.look.text("parts/reconciles.html", rows=rows, differing=differing, shown=shown)

    def every(self) -> dict[str, tuple[str, Callable[[int], str]]]:
        """By name, in the order of the page: its title, and what makes it."""
        return {
            "state": ("State", self.state),
            "freshness": ("Freshness", self.freshness),
            "queue": ("Changes by state", self.queue),
            "hours": ("The last 24 hours", self.hours),
            "reconciles": ("Last reconciles", self.reconciles),
        }


def handlers(site: "Site") -> list[HTTPRouteHandler]:
    """The page, and its parts for whoever looks on."""
    known = {name: (title, f"/parts/{name}", make) for name, (title, make) in Parts(site).every().items()}
    for _, address, make in known.values():
        site.live.add(address, make)

    @get("/", media_type=MediaType.HTML)
    async def overview(request: Visit) -> Response[str]:
        tenant = request.auth.tenant_id
        texts = await asyncio.gather(*(site.live.html(address, tenant) for _, address, _ in known.values()))
        shown = [
            Shown(name, title, address, html)
            for (name, (title, address, _)), html in zip(known.items(), texts, strict=True)
        ]
        return site.look.page(request, "overview.html", parts=shown)

    return [overview]
