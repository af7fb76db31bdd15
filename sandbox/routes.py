"""Where every catalog entity answers: paths behind the tenant's id, to lists and exports."""

from dataclasses import dataclass
from functools import cache

from sandbox.demands import UNCATALOGED
from sources.servicetitan.catalog import CATALOG, Entity

Place = tuple[str, str, str]
"""Module, version (`v2`) and path behind the tenant's id."""


@dataclass(frozen=True)
class Route:
    """One address of one entity."""

    entity: Entity
    path: str
    is_export: bool


@cache
def routes() -> dict[Place, Route]:
    """Every address."""
    found: dict[Place, Route] = {}
    by_export = {(row.module, row.export_path): row for row in CATALOG if row.export_path}
    for row in CATALOG:
        if row.path:
            found[row.module, f"v{row.version}", row.path] = Route(row, row.path, is_export=False)
        if row.export_path:
            found[row.module, f"v{row.version}", row.export_path] = Route(row, row.export_path, is_export=True)
    for (module, path), export in UNCATALOGED.items():
        row = by_export[module, export]
        found[module, f"v{row.version}", path] = Route(row, path, is_export=False)
    return found
