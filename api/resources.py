"""The resources of the API: relations with what one may ask of them. A table; what departs from the rule stands in it.

The rule: a resource has the parameters that its columns allow. A number whose name ends in `_id` can be asked for, and so
can `active`, deletion, the time of change and, where there is a name, code, number or description, a piece of text.
"""

from dataclasses import dataclass
from enum import StrEnum

from api.relations import Column, Relation, master, model
from sources.servicetitan.catalog import CATALOG

SEARCHED = (
    "name",
    "code",
    "number",
    "job_number",
    "reference_number",
    "display_name",
    "description",
    "summary",
    "email",
    "phone_number",
    "value",
)
"""Text columns that `search` looks at, where a relation has them."""

LONGEST_TEXT = 200  # characters of a text that is asked for


class Comparison(StrEnum):
    """How a column is compared with a value."""

    IS = "is"
    IS_TEXT = "is_text"  # whatever the case
    NOT_BEFORE = "not_before"
    BEFORE = "before"
    HOLDS = "holds"  # an array of keys holds the value
    HOLDS_RECORD = "holds_record"  # an array of objects holds one with this `id`
    IS_LIVE = "is_live"  # for the value true: the column is true or null, the record not deleted; for false: anything
    NEVER = "never"  # ServiceTitan's records have no such field, so that nothing is found


@dataclass(frozen=True, slots=True, eq=False)
class Filter:
    """A parameter that narrows a list. With `via` the column is another relation's, whose key names ours."""

    name: str
    column: str
    test: Comparison = Comparison.IS
    values: tuple[str, ...] = ()  # all that are allowed; none named: any
    via: Relation | None = None
    description: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """A relation, and what one may ask of it."""

    name: str
    relation: Relation
    entity: str = ""  # whose last sync tells how fresh it is
    filters: tuple[Filter, ...] = ()
    searched: tuple[str, ...] = ()
    search_via: Relation | None = None  # whose columns are searched in its place
    descending: bool = False  # the order of lists that do not ask for one; by the relation's key
    is_history: bool = False  # whether rows are versions, which stay when their record is deleted

    @property
    def has_deleted(self) -> bool:
        """Whether its rows are records, some of which are deleted."""
        return self.relation.has("is_deleted") and not self.is_history


CUSTOMER_360 = model("crm.customer_360", "customer_id")
FACTS = model("crm.customer_facts", "customer_id")
OPEN_ESTIMATES = model("crm.open_estimates", "estimate_id")
CONTACTS = model("crm.contacts", "contact_id")
LOG = model("audit.log", "synced_at", "entity", "record_id", "payload_hash")
SUMMARY = model("audit.daily_summary", "day", "entity", "operation", "actor_type")
TIERS = ("high", "medium", "low")
ENGAGEMENT = ("new", "active", "recent", "dormant", "inactive")


def text(name: str, column: str = "", *values: str, via: Relation | None = None) -> Filter:
    """A filter by text, whatever its case."""
    return Filter(name, column or name, Comparison.IS if values else Comparison.IS_TEXT, values, via)


OWN: dict[str, tuple[Filter, ...]] = {
    "customers": (
        text("city", "address_city"),
        text("state", "address_state"),
        text("type"),
        text("value_tier", "", *TIERS, via=CUSTOMER_360),
        text("engagement_status", "", *ENGAGEMENT, via=CUSTOMER_360),
        Filter("has_open_estimates", "has_open_estimates", via=CUSTOMER_360),
    ),
    "locations": (text("city", "address_city"), text("state", "address_state")),
    "jobs": (text("job_status"),),
    "appointments": (text("status"),),
    "estimates": (text("status", "status_name"),),
    "customer_contacts": (text("type"),),
    "pricebook_services": (Filter("category_id", "categories", Comparison.HOLDS_RECORD),),
    "pricebook_materials": (Filter("category_id", "categories", Comparison.HOLDS),),
    "pricebook_equipment": (
        Filter("category_id", "categories", Comparison.HOLDS),
        Filter(
            "business_unit_id",
            "st_id",
            Comparison.NEVER,
            description="Equipment belongs to no business unit: finds nothing.",
        ),
    ),
    "pricebook_categories": (
        Filter("category_id", "parent_id", description="Only the sub-categories of this category."),
        Filter("business_unit_id", "business_unit_ids", Comparison.HOLDS),
    ),
}
"""What entities allow beyond the rule."""

SEARCH_VIA = {"customers": FACTS}
"""Where to look for a piece of text instead of in the master table."""


def ruled(relation: Relation, own: tuple[Filter, ...]) -> tuple[Filter, ...]:
    """A relation's filters: its own, and those that its columns allow."""
    taken = {each.name for each in own}
    found = [
        Filter(column.name, column.name)
        for column in relation.columns
        if is_reference(column) and column.name not in taken
    ]
    if relation.has("active"):
        found.append(Filter("active", "active", description="ServiceTitan's own mark: whether the record is in use."))
        found.append(
            Filter(
                "active_only", "active", Comparison.IS_LIVE, description="`true`: only what is in use and not deleted."
            )
        )
    changed = next((name for name in ("modeled_at", "modified_on") if relation.has(name)), "")
    if changed:
        found.append(
            Filter(
                "updated_after",
                changed,
                Comparison.NOT_BEFORE,
                description=f"Only rows whose `{changed}` is at or after this.",
            )
        )
    return (*own, *found)


def is_reference(column: Column) -> bool:
    """Whether a column names another record."""
    return column.is_number and column.name.endswith("_id") and column.name not in {"tenant_id", "st_id"}


def searched(relation: Relation) -> tuple[str, ...]:
    """The columns that a piece of text is looked for in."""
    return tuple(name for name in SEARCHED if relation.has(name) and relation.column(name).type == "TEXT")


def of_entity(name: str) -> Resource:
    """The resource of an entity's master table."""
    relation, via = master(name), SEARCH_VIA.get(name)
    looked_at = ("name", "primary_email", "primary_phone") if via else searched(relation)
    return Resource(name, relation, name, ruled(relation, OWN.get(name, ())), looked_at, via)


ENTITIES: dict[str, Resource] = {entity.name: of_entity(entity.name) for entity in CATALOG}

MODELS: dict[str, Resource] = {
    resource.name: resource
    for resource in (
        Resource(
            "crm_customers",
            CUSTOMER_360,
            "customers",
            ruled(
                CUSTOMER_360,
                (
                    text("city", "address_city"),
                    text("state", "address_state"),
                    text("type"),
                    text("value_tier", "", *TIERS),
                    text("engagement_status", "", *ENGAGEMENT),
                    Filter("has_open_estimates", "has_open_estimates"),
                ),
            ),
            ("name", "primary_email", "primary_phone"),
            FACTS,
        ),
        Resource(
            "open_estimates",
            OPEN_ESTIMATES,
            "estimates",
            ruled(OPEN_ESTIMATES, (text("urgency", "", "fresh", "due", "overdue", "stale"),)),
            ("name", "customer_name", "customer_email", "customer_phone", "job_number"),
            descending=True,
        ),
        Resource(
            "crm_contacts",  # `contacts` are an entity of ServiceTitan's, people with any number of these
            CONTACTS,
            "customer_contacts",
            ruled(CONTACTS, (text("type"), text("owner_type", "", "customer", "location"))),
            ("value", "normalized_value", "customer_name", "memo"),
        ),
        Resource(
            "audit",
            LOG,
            "",
            (
                Filter("table", "entity", values=tuple(sorted(ENTITIES)), description="The entity: `jobs`."),
                Filter("record_id", "record_id"),
                text("actor_type", "", "lazi", "servicetitan"),
                text("operation", "", "insert", "update", "delete", "restore"),
                Filter("from", "synced_at", Comparison.NOT_BEFORE, description="Only what landed at or after this."),
                Filter("to", "synced_at", Comparison.BEFORE, description="Only what landed before this."),
            ),
            descending=True,
            is_history=True,
        ),
        Resource(
            "audit_summary",
            SUMMARY,
            "",
            (
                Filter("table", "entity", values=tuple(sorted(ENTITIES)), description="The entity: `jobs`."),
                text("actor_type", "", "lazi", "servicetitan"),
                text("operation", "", "insert", "update", "delete", "restore"),
                Filter("from", "day", Comparison.NOT_BEFORE, description="Only days from this one on."),
                Filter("to", "day", Comparison.BEFORE, description="Only days before this one."),
            ),
            descending=True,
        ),
    )
}
"""Resources whose relations were modelled by hand."""
