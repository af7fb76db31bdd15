"""Where every catalog entity answers: paths behind the tenant's id, to lists, exports and what is read for a parent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import parse_qsl

from sandbox.demands import UNCATALOGED
from sandbox.templates import Place, Templates, Values
from sources.servicetitan.catalog import BY_NAME, CATALOG, Entity

REPORTS = BY_NAME["report_data"]
REPORT_QUERY, QUERY_TOKEN = f"{REPORTS.path}/query", "data-queries/{token}"


@dataclass(frozen=True)
class Route:
    """One address. `others` are further entities there, told apart by a fixed parameter of their rows."""

    entity: Entity
    path: str
    is_export: bool = False
    methods: tuple[str, ...] = ("GET",)
    others: tuple[Entity, ...] = field(default=())

    def wanted(self, query: Mapping[str, str]) -> Entity:
        """The entity that a query asks for."""
        if not self.others:
            return self.entity
        choices = (self.entity, *self.others)
        return next((entity for entity in choices if fixed(entity).items() <= query.items()), self.entity)


@cache
def fixed_items(entity: Entity) -> tuple[tuple[str, str], ...]:
    """A row's parameters without braces."""
    return tuple((name, value) for name, value in parse_qsl(entity.params) if "{" not in value)


def fixed(entity: Entity) -> Values:
    """The same as a dictionary."""
    return dict(fixed_items(entity))


@cache
def routes() -> dict[Place, Route]:
    """Every address, by its template."""
    found: dict[Place, Route] = {}
    for row in CATALOG:
        version = f"v{row.version}"
        if row.path:
            place = (row.module, version, row.path)
            known = found.get(place)
            others = (*known.others, row) if known else ()
            found[place] = Route(known.entity if known else row, row.path, methods=(row.method,), others=others)
        if row.export_path:
            found[row.module, version, row.export_path] = Route(row, row.export_path, is_export=True)
    by_export = {(row.module, row.export_path): row for row in CATALOG if row.export_path}
    for (module, path), export in UNCATALOGED.items():
        row = by_export[module, export]
        found[module, f"v{row.version}", path] = Route(row, path)
    reporting, version = REPORTS.module, f"v{REPORTS.version}"
    found[reporting, version, REPORT_QUERY] = Route(REPORTS, REPORT_QUERY, methods=("POST",))
    found[reporting, version, QUERY_TOKEN] = Route(REPORTS, QUERY_TOKEN, methods=("GET", "DELETE"))
    return found


@cache
def templates() -> Templates[Route]:
    """Every address, ready to be found."""
    return Templates(routes())


def find(module: str, version: str, path: str) -> tuple[Route, Values] | None:
    """The route of a path and the values of its placeholders; None where there is nothing."""
    return templates().find(module, version, path)
