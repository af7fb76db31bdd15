"""All entities in a table, by module: how each stands, and the way to its page."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from litestar import MediaType, Response, get
from litestar.handlers import HTTPRouteHandler

from api.pages.door import Visit
from api.pages.entity_runs import STOPPED
from api.pages.grid import Cell, Freshness, cell
from api.problems import BadParameterError
from sources.servicetitan.catalog import CATALOG, Entity

if TYPE_CHECKING:
    from api.pages.site import Site

LONGEST = 100  # characters of a name that is looked for
TONES: Mapping[Freshness, str] = {
    Freshness.FRESH: "good",
    Freshness.LATE: "warn",
    Freshness.FAILING: "bad",
    Freshness.UNAVAILABLE: "",
    Freshness.NEVER: "",
}
"""The classes of states."""


@dataclass(frozen=True, slots=True)
class Line:
    """An entity and how it stands."""

    entity: Entity
    cell: Cell
    is_being_read: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """The lines that fit, by module, and how many of those that fit the text are in each state."""

    modules: Mapping[str, Sequence[Line]]
    counts: Mapping[Freshness, int]
    found: int
    text: str
    state: Freshness | None


def listing(lines: Iterable[Line], text: str, state: Freshness | None) -> Listing:
    """The lines whose name or module has the text, in a state or in any."""
    wanted = text.casefold().replace(" ", "_")
    fitting = [line for line in lines if wanted in line.entity.name or wanted in line.entity.module.replace("-", "_")]
    shown = [line for line in fitting if state in {None, line.cell.freshness}]
    modules: dict[str, list[Line]] = {}
    for line in sorted(shown, key=lambda line: (line.entity.module, line.entity.priority, line.entity.name)):
        modules.setdefault(line.entity.module, []).append(line)
    counts = Counter(line.cell.freshness for line in fitting)
    return Listing(modules, {each: counts[each] for each in Freshness}, len(shown), text, state)


def lines(site: "Site", tenant: int) -> list[Line]:
    """All of the catalog. Raises StoreError."""
    operations, condition, now = site.answers.operations, site.condition, datetime.now(UTC)
    known = {row["entity"]: row for row in operations.run("last_reads", tenant_id=tenant, stopped=STOPPED)}
    under_way = {row["entity"] for row in operations.run("reads_under_way", tenant_id=tenant)}
    limit = condition.limits.get("stale", float("inf"))
    return [
        Line(
            entity, cell(entity, known.get(entity.name, {}), condition.timetable, limit, now), entity.name in under_way
        )
        for entity in CATALOG
    ]


def state_asked(text: str) -> Freshness | None:
    """The state of a parameter; None where none is given. Raises BadParameterError."""
    if not text:
        return None
    if text not in set(Freshness):
        known = [str(each) for each in Freshness]
        raise BadParameterError("state", text, f"one of {', '.join(known)}", known)
    return Freshness(text)


def handlers(site: "Site") -> list[HTTPRouteHandler]:
    """The page."""

    @get("/entities", media_type=MediaType.HTML)
    async def entities(request: Visit) -> Response[str]:
        text = request.query_params.get("q", "").strip()[:LONGEST]
        state = state_asked(request.query_params.get("state", ""))
        found = listing(await site.work.do(lines, site, request.auth.tenant_id), text, state)
        return site.look.page(request, "entities.html", found=found, tones=TONES, every=len(CATALOG))

    return [entities]
