"""The routes for records, below `/api/v1`: a table. `{id}` in a path is a key; `fixed` says which columns the path names."""

from dataclasses import dataclass
from enum import StrEnum

from api import relations
from api.resources import ENTITIES, MODELS, Resource
from sources.servicetitan.catalog import CATALOG

V1 = "/api/v1"


class Kind(StrEnum):
    """What a route answers with."""

    LIST = "list"
    DETAIL = "detail"


@dataclass(frozen=True, slots=True)
class Route:
    """A path, and what stands there."""

    path: str  # below /api/v1
    resource: Resource
    kind: Kind = Kind.LIST
    fixed: tuple[tuple[str, str], ...] = ()  # name in the path, column that it gives a value
    owner: Resource | None = None  # whose record `id` must be; otherwise 404
    adds: tuple[tuple[str, Resource], ...] = ()  # records of other resources with the same key, by the field's name
    has_past: bool = False  # whether `as_of` can be asked for
    scope: str = "read"

    @property
    def relations(self) -> frozenset[str]:
        """The names of all that its answers may be read from, records as they were aside."""
        own = [self.resource, *(other for _, other in self.adds), *([self.owner] if self.owner else [])]
        via = [each.via for each in self.resource.filters if each.via] + [self.resource.search_via]
        return frozenset(
            {each.relation.name for each in own} | {relation.name for relation in via if relation is not None}
        )

    @property
    def name(self) -> str:
        """A name that no other route has."""
        words = [part.strip("{}") for part in self.path.replace("-", "_").split("/")]
        return "_".join(["get" if self.kind is Kind.DETAIL else "list", *words])

    @property
    def summary(self) -> str:
        """What it does, in one line."""
        what = self.resource.relation.name
        if self.kind is Kind.DETAIL:
            return f"One record of `{what}`"
        return f"Records of `{what}`" + (f" that belong to one of `{self.owner.relation.name}`" if self.owner else "")


def plain(path: str, name: str) -> tuple[Route, ...]:
    """An entity's list and detail at a path of the original service."""
    return (Route(path, ENTITIES[name]), detail(path, name))


def detail(path: str, name: str, *adds: tuple[str, Resource]) -> Route:
    """An entity's detail at a path of the original service."""
    return Route(f"{path}/{{id}}", ENTITIES[name], Kind.DETAIL, (("id", "st_id"),), adds=adds, has_past=True)


def below(path: str, owner: str, name: str, column: str) -> Route:
    """Records that name another one, at a path below that one's."""
    return Route(path, ENTITIES[name], fixed=(("id", column),), owner=ENTITIES[owner])


def versions(name: str) -> Resource:
    """The versions of an entity's records."""
    return Resource(f"{name}_versions", relations.versions(name), name, descending=True, is_history=True)


def generic(name: str) -> tuple[Route, ...]:
    """The routes that every entity has."""
    path = f"entities/{name}"
    past = Route(f"{path}/{{id}}/versions", versions(name), fixed=(("id", "st_id"),), owner=ENTITIES[name])
    return (*plain(path, name), past)


def modelled(path: str, name: str, **more: object) -> Route:
    """A list of rows that were modelled by hand."""
    return Route(path, MODELS[name], **more)  # type: ignore[arg-type]


ROUTES: tuple[Route, ...] = (
    *plain("pricebook/services", "pricebook_services"),
    *plain("pricebook/materials", "pricebook_materials"),
    *plain("pricebook/equipment", "pricebook_equipment"),
    *plain("pricebook/categories", "pricebook_categories"),
    Route("customers", ENTITIES["customers"]),
    detail("customers", "customers", ("customer_360", MODELS["crm_customers"])),
    below("customers/{id}/contacts", "customers", "customer_contacts", "customer_id"),
    below("customers/{id}/notes", "customers", "customer_notes", "parent_st_id"),
    *plain("jobs", "jobs"),
    Route("jobs/appointments/list", ENTITIES["appointments"]),
    below("jobs/{id}/notes", "jobs", "job_notes", "job_id"),
    below("jobs/{id}/history", "jobs", "job_history", "job_id"),
    *plain("estimates", "estimates"),
    detail("appointments", "appointments"),
    detail("locations", "locations"),
    below("locations/{id}/equipment", "locations", "installed_equipment", "location_id"),
    modelled("crm/customers", "crm_customers"),
    Route("crm/customers/{id}", MODELS["crm_customers"], Kind.DETAIL, (("id", "customer_id"),)),
    modelled("crm/open-estimates", "open_estimates"),
    modelled("crm/contacts", "crm_contacts"),
    modelled("audit", "audit"),
    modelled("audit/record/{table}/{id}", "audit", fixed=(("table", "entity"), ("id", "record_id"))),
    modelled("audit/summary", "audit_summary"),
    *(route for entity in CATALOG for route in generic(entity.name)),
)
