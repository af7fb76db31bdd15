"""Whether the catalog knows everything that ServiceTitan's documents offer for reading."""

from dataclasses import dataclass

from discovery.openapi import Documents, placeless
from sources.servicetitan.catalog import CATALOG, Entity
from sources.servicetitan.exclusions import EXCLUDED


@dataclass(frozen=True, slots=True)
class Coverage:
    """Addresses by what becomes of them. `unknown` are in neither table, `gone` are in a table but in no document."""

    read: tuple[str, ...]
    detail: tuple[str, ...]
    excluded: tuple[str, ...]
    unknown: tuple[str, ...]
    gone: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        """Whether every offered address is known."""
        return not self.unknown


def addresses(entity: Entity) -> tuple[str, ...]:
    """The addresses of a row, without the names of placeholders."""
    paths = filter(None, (entity.path, entity.export_path))
    return tuple(placeless(f"{entity.base}{{}}/{path}") for path in paths)


def compare(documents: Documents) -> Coverage:
    """Set the documents against the catalog and the exclusions."""
    offered = {path for method, path in documents.operations if method == "GET"}
    rows = {address for entity in CATALOG for address in addresses(entity)}
    posted = {address for e in CATALOG if e.method == "POST" for address in addresses(e)}
    known = rows | set(EXCLUDED)
    detail = {path for path in offered - known if path.endswith("/{}") and path.removesuffix("/{}") in known}
    everything = offered | {path for method, path in documents.operations if method == "POST"}
    return Coverage(
        read=tuple(sorted(offered & rows | posted & everything)),
        detail=tuple(sorted(detail)),
        excluded=tuple(sorted(offered & set(EXCLUDED))),
        unknown=tuple(sorted(offered - known - detail)),
        gone=tuple(sorted(known - everything)),
    )
