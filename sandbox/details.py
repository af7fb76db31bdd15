"""Single records: every list whose records have an id of their own answers for one of them behind its path."""

from functools import cache
from typing import TYPE_CHECKING

from sandbox.demands import Demand, Query
from sandbox.external import lookup_of
from sandbox.filters import filter_of, includes_total, page_of
from sandbox.routes import routes
from sandbox.templates import Place, Templates, Values, blank
from sources.servicetitan.catalog import CATALOG, Entity

if TYPE_CHECKING:
    from sandbox.tenant import Tenant

OWN = frozenset({("id",), ("leadCall.id",)})
"""Keys that are the record's own id."""


@cache
def details() -> Templates[Entity]:
    """The entities by the address of one record, but for addresses that are something else."""
    taken = {(module, version, blank(path)) for module, version, path in routes()}
    found: dict[Place, Entity] = {}
    for row in CATALOG:
        place = (row.module, f"v{row.version}", f"{row.path}/{{id}}")
        if row.is_listable and row.has_detail and row.key in OWN and (*place[:2], blank(place[2])) not in taken:
            found[place] = row
    return Templates(found)


def find(module: str, version: str, path: str) -> tuple[Entity, Values] | None:
    """The entity and the id that an address means; None where it is no record's."""
    return details().find(module, version, path)


def one(tenant: "Tenant", entity: Entity, ident: str, query: Query) -> bytes:
    """A record as its list shows it. Raises Problem."""
    position = tenant.desk.existence.named(entity, [ident])
    face = (entity.name, "list")
    return tenant.table(entity.name).render_for(face, [position], lookup_of(entity, query))[0]


def below(tenant: "Tenant", entity: Entity, owner: Entity, ident: str, query: Query) -> bytes:
    """A page of what belongs to a record. Raises Problem."""
    existence = tenant.desk.existence
    positions = existence.below(entity, owner, existence.named(owner, [ident]))
    page = (*page_of(entity, query), includes_total(query))
    filter_ = filter_of(entity, Demand(shows_inactive=True), query)
    return tenant.listing(entity.name).children(filter_, page, entity.first_page, positions)
