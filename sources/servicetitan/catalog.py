"""THE TABLE: one row for everything ServiceTitan lets one read. Adding an entity is adding a row.

Rows are plain data: the standard library alone is imported, nothing is called, and code elsewhere never branches on an
entity's name (a difference between two entities is a column here). A row states only what departs from the
defaults, and a departure says why at the end of its line.

Names are those of the original service where it had the entity, and ServiceTitan's own word in snake_case elsewhere.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from sources.servicetitan.exceptions import NotListableError, PlannedEntityError, UnknownEntityError


class Feed(StrEnum):
    """How an entity is read."""

    EXPORT = "export"  # continuation tokens; the only feed that tells of deletions
    LIST = "list"  # pages, from `modifiedOnOrAfter`
    SNAPSHOT = "snapshot"  # pages, all of them each time; what differs is appended
    CHILD = "child"  # for given parents
    WINDOW = "window"  # for given dates


class KeyType(StrEnum):
    """The type of `st_id` in the entity's raw and master tables."""

    BIGINT = "bigint"
    TEXT = "text"


EXPORT, LIST, SNAPSHOT, CHILD, WINDOW = Feed
BIGINT, TEXT = KeyType


@dataclass(frozen=True, slots=True)
class Entity:
    """One readable thing; also `raw.st_<name>`, `master.<name>` and a route."""

    name: str
    module: str  # the first segment of the path
    path: str  # the list, behind `/{module}/v{version}/tenant/{tenant}/`; empty where only the export can be read
    feed: Feed
    export: str = ""  # the export's path; `export/{path}` when empty
    key: tuple[str, ...] = ("id",)  # JSON paths; without a value in any of them the record's content is its key
    key_type: KeyType = BIGINT
    cursor: str = "modifiedOn"  # JSON path of the record's own modification time
    active: str = "active=Any"  # the filter that asks for inactive records too; most lists hide them by default
    priority: int = 4
    page_size: int = 5000
    first_page: int = 1
    params: str = ""  # further query parameters that the endpoint demands
    paged: bool = True
    parent: str = ""  # CHILD: the entity whose ids are asked for
    version: int = 2

    @property
    def base(self) -> str:
        """The path up to the tenant's id."""
        return f"/{self.module}/v{self.version}/tenant/"

    @property
    def export_path(self) -> str:
        """The export's path behind the tenant's id, or an empty string."""
        return (self.export or f"export/{self.path}") if self.feed is EXPORT else ""

    @property
    def raw_table(self) -> str:
        """The table's name in the schema `raw`."""
        return f"st_{self.name}"


def custom_field_types(owner: str, module: str, path: str) -> Entity:
    """The list of an owner's custom field definitions: the same everywhere."""
    return Entity(f"{owner}_custom_fields", module, f"{path}/custom-fields", LIST, active="")


CATALOG: tuple[Entity, ...] = (
    # pricebook
    Entity("pricebook_services", "pricebook", "services", EXPORT, priority=1),
    Entity("pricebook_materials", "pricebook", "materials", EXPORT, priority=1),
    Entity("pricebook_equipment", "pricebook", "equipment", EXPORT, priority=1),
    Entity("pricebook_categories", "pricebook", "categories", EXPORT, priority=1),
    Entity("pricebook_discounts_and_fees", "pricebook", "discounts-and-fees", LIST),
    Entity("pricebook_client_specific_pricing", "pricebook", "clientspecificpricing", SNAPSHOT),
    Entity("pricebook_materials_markup", "pricebook", "materialsmarkup", SNAPSHOT, active=""),
    Entity(
        "material_cost_types", "pricebook", "materials/costtypes", SNAPSHOT, active="", paged=False
    ),  # no page number
    # crm
    Entity("customers", "crm", "customers", EXPORT, priority=1),
    Entity("locations", "crm", "locations", EXPORT, priority=2),
    Entity("customer_contacts", "crm", "customers/contacts", EXPORT, active="", priority=2),
    Entity("location_contacts", "crm", "locations/contacts", EXPORT, active="", priority=2),
    Entity("contacts", "crm", "contacts", LIST, key_type=TEXT, active="", priority=2),
    Entity("contact_methods", "crm", "contacts/contact-methods", LIST, key_type=TEXT, active="", priority=2),
    Entity(
        "contact_preferences", "crm", "contacts/preferences", SNAPSHOT, key_type=TEXT, active="", paged=False
    ),  # bare array
    Entity("bookings", "crm", "bookings", EXPORT, active="", priority=2),
    Entity("leads", "crm", "leads", EXPORT, active="", priority=2),
    Entity("booking_provider_tags", "crm", "booking-provider-tags", LIST, active=""),
    custom_field_types("customer", "crm", "customers"),
    custom_field_types("location", "crm", "locations"),
    # jpm
    Entity("jobs", "jpm", "jobs", EXPORT, active="", priority=1),
    Entity("appointments", "jpm", "appointments", EXPORT, priority=1),
    Entity("projects", "jpm", "projects", EXPORT, active="", priority=2),
    Entity("job_types", "jpm", "job-types", LIST),
    Entity("job_cancel_reasons", "jpm", "job-cancel-reasons", LIST),
    Entity("job_hold_reasons", "jpm", "job-hold-reasons", LIST),
    Entity(
        "job_cancel_reasons_by_job",
        "jpm",
        "jobs/cancel-reasons",
        CHILD,
        key=("jobId",),
        active="",
        parent="jobs",
        priority=2,
    ),
    Entity(
        "job_hold_reasons_by_job",
        "jpm",
        "jobs/hold-reasons",
        CHILD,
        key=("jobId",),
        active="",
        parent="jobs",
        priority=2,
    ),
    Entity("project_statuses", "jpm", "project-statuses", LIST, active=""),
    Entity("project_sub_statuses", "jpm", "project-substatuses", LIST),
    Entity("project_types", "jpm", "project-types", SNAPSHOT, active=""),
    Entity("budget_codes", "jpm", "work-breakdown-structure/budget-codes", SNAPSHOT, active=""),
    custom_field_types("job", "jpm", "jobs"),
    custom_field_types("project", "jpm", "projects"),
    # sales
    Entity("estimates", "sales", "estimates", EXPORT, priority=2),
    Entity("estimate_items", "sales", "estimates/items", LIST, priority=2),
    Entity("estimate_templates", "sales", "estimate-templates", LIST),
    Entity("proposal_templates", "sales", "proposal-templates", LIST),
    # accounting
    Entity("invoices", "accounting", "invoices", EXPORT, active="activeState=All", priority=2),
    Entity("invoice_items", "accounting", "", EXPORT, export="export/invoice-items", priority=2),  # no list exists
    Entity("payments", "accounting", "payments", EXPORT, active="activeState=All", priority=2),
    Entity("ap_bills", "accounting", "ap-bills", LIST, active="", priority=3),
    Entity("ap_credits", "accounting", "ap-credits", LIST, active="", priority=3),
    Entity("ap_payments", "accounting", "ap-payments", LIST, active="", priority=3),
    Entity("credit_memos", "accounting", "credit-memos", LIST, priority=3),
    Entity("credit_memo_items", "accounting", "credit-memos/credit-memo-items", SNAPSHOT, priority=3),
    Entity("deposits", "accounting", "bank-deposits", LIST, active="", priority=3),
    Entity("inventory_bills", "accounting", "inventory-bills", LIST, active="", paged=False, priority=3),  # bare array
    Entity(
        "inventory_bills_paginated",  # the same bills as above, with deletions
        "accounting",
        "inventory-bills/paginated",
        EXPORT,
        export="export/inventory-bills",
        active="",
        priority=3,
    ),
    Entity(
        "journal_entries", "accounting", "journal-entries", LIST, key_type=TEXT, active="", page_size=500, priority=3
    ),
    Entity("gl_accounts", "accounting", "gl-accounts", LIST),
    Entity("gl_account_types", "accounting", "gl-accounts/types", LIST),
    Entity("payment_terms", "accounting", "payment-terms", LIST, active=""),
    Entity("payment_types", "accounting", "payment-types", SNAPSHOT),
    Entity("remittance_vendors", "accounting", "remittance-vendors", LIST),
    Entity("tax_zones", "accounting", "tax-zones", LIST),
    custom_field_types("ap_bill", "accounting", "ap-bills"),
    custom_field_types("ap_credit", "accounting", "ap-credits"),
    custom_field_types("ap_payment", "accounting", "ap-payments"),
    custom_field_types("credit_memo", "accounting", "credit-memos"),
    custom_field_types("inventory_bill", "accounting", "inventory-bills"),
    custom_field_types("invoice", "accounting", "invoices"),
    custom_field_types("payment", "accounting", "payments"),
    # settings
    Entity("employees", "settings", "employees", EXPORT, priority=2),
    Entity("technicians", "settings", "technicians", EXPORT, priority=2),
    Entity("business_units", "settings", "business-units", EXPORT, priority=2),
    Entity("tag_types", "settings", "tag-types", EXPORT),
    Entity("user_roles", "settings", "user-roles", SNAPSHOT),
    Entity(
        "business_unit_intacct_mappings",
        "settings",
        "business-units/intacct",
        SNAPSHOT,
        active="",
        page_size=500,  # documented
        first_page=0,  # unlike every other list
        params="includeTotal=true",
    ),
    # dispatch
    Entity("teams", "dispatch", "teams", LIST, active="", priority=2),
    Entity("appointment_assignments", "dispatch", "appointment-assignments", EXPORT, priority=2),
    Entity("non_job_appointments", "dispatch", "non-job-appointments", LIST, active="activeOnly=false", priority=3),
    Entity("technician_shifts", "dispatch", "technician-shifts", LIST, priority=3),
    Entity("technician_skills", "dispatch", "technician-skills", LIST, key_type=TEXT),
    Entity("zones", "dispatch", "zones", LIST),
    Entity("arrival_windows", "dispatch", "arrival-windows", SNAPSHOT),
    # inventory
    Entity("purchase_orders", "inventory", "purchase-orders", EXPORT, active="", priority=3),
    Entity("purchase_order_requests", "inventory", "purchase-orders/requests", LIST, active="", priority=3),
    Entity("purchase_order_types", "inventory", "purchase-order-types", LIST),
    Entity("purchase_orders_markup", "inventory", "purchase-order-markups", LIST, active=""),
    Entity("adjustments", "inventory", "adjustments", EXPORT, priority=3),
    Entity("receipts", "inventory", "receipts", LIST, priority=3),
    Entity("returns", "inventory", "returns", EXPORT, priority=3),
    Entity(
        "return_types", "inventory", "return-types", LIST, active="activeOnly=false", page_size=500
    ),  # a cap is reported
    Entity("transfers", "inventory", "transfers", EXPORT, active="", priority=3),
    Entity("inventory_templates", "inventory", "inventory-templates", LIST),
    Entity("trucks", "inventory", "trucks", LIST, priority=3),
    Entity("vendors", "inventory", "vendors", LIST, priority=3),
    Entity("warehouses", "inventory", "warehouses", LIST, priority=3),
    custom_field_types("vendor", "inventory", "vendors"),
    # memberships and service agreements
    Entity("memberships", "memberships", "memberships", EXPORT, priority=3),
    Entity("membership_types", "memberships", "membership-types", EXPORT, priority=3),
    Entity("recurring_services", "memberships", "recurring-services", EXPORT, priority=3),
    Entity("recurring_service_events", "memberships", "recurring-service-events", EXPORT, active="", priority=3),
    Entity("recurring_service_types", "memberships", "recurring-service-types", EXPORT),
    Entity(
        "invoice_templates", "memberships", "", EXPORT, export="export/invoice-templates"
    ),  # the list wants known ids
    custom_field_types("membership", "memberships", "memberships"),
    Entity("service_agreements", "service-agreements", "service-agreements", EXPORT, active="", priority=3),
    custom_field_types("service_agreement", "service-agreements", "service-agreements"),
    # payroll and timesheets
    Entity("payrolls", "payroll", "payrolls", LIST, priority=3),
    Entity("gross_pay_items", "payroll", "gross-pay-items", EXPORT, active="", priority=3),
    Entity("payroll_adjustments", "payroll", "payroll-adjustments", EXPORT, priority=3),
    Entity(
        "payroll_settings",
        "payroll",
        "payroll-settings",
        EXPORT,
        key=("employeeId", "employeeType"),  # technicians and employees are numbered apart
        key_type=TEXT,
        priority=3,
    ),
    Entity("job_splits", "payroll", "jobs/splits", EXPORT, priority=3),
    Entity("payroll_timesheets", "payroll", "jobs/timesheets", EXPORT, priority=3),
    Entity("non_job_timesheets", "payroll", "non-job-timesheets", LIST, priority=3),
    Entity("activity_codes", "payroll", "activity-codes", EXPORT),
    Entity("timesheet_codes", "payroll", "timesheet-codes", EXPORT),
    Entity(
        "location_labor_types",
        "payroll",
        "locations/rates",
        SNAPSHOT,
        key=("locationId", "laborTypeCode"),  # a rate has no id of its own
        key_type=TEXT,
    ),
    Entity("timesheet_activities", "timesheets", "activities", EXPORT, priority=3),
    Entity("timesheet_activity_categories", "timesheets", "activity-categories", EXPORT),
    Entity("timesheet_activity_types", "timesheets", "activity-types", EXPORT),
    # marketing
    Entity("campaigns", "marketing", "campaigns", LIST, priority=3),
    Entity("campaign_categories", "marketing", "categories", LIST, active="", priority=3),
    Entity("campaign_costs", "marketing", "costs", SNAPSHOT, active="", priority=3),
    Entity(
        "attributed_leads", "marketingads", "attributed-leads", WINDOW, key=(), key_type=TEXT, active="", priority=3
    ),
    Entity(
        "marketing_reviews",
        "marketingreputation",
        "reviews",
        LIST,
        key=("internalId", "externalId"),  # jobId comes and goes as reviews are matched to jobs
        key_type=TEXT,
        active="",
        priority=3,
    ),
    # equipment, forms, tasks, findings, ratings
    Entity("installed_equipment", "equipmentsystems", "installed-equipment", EXPORT, priority=3),
    Entity("equipment_types", "equipmentsystems", "equipment-types", LIST, priority=3),
    Entity(
        "installed_equipment_custom_field_types",
        "equipmentsystems",
        "installed-equipment/custom-field-types",
        LIST,
        active="",
        params="descending=false",
    ),
    Entity("forms", "forms", "forms", LIST, priority=3),
    Entity("form_submissions", "forms", "submissions", SNAPSHOT, page_size=500, priority=3),  # 5,000 exhaust memory
    Entity("location_findings", "findings", "location-findings", LIST, priority=3),
    Entity("tasks", "taskmanagement", "tasks", LIST, priority=3),
    Entity(
        "technician_ratings",
        "customer-interactions",
        "technician-ratings",
        EXPORT,
        key=("technicianId", "jobId"),  # a rating has no id of its own
        key_type=TEXT,
        priority=3,
    ),
    # telecom and scheduling
    Entity(
        "calls",
        "telecom",
        "calls",
        LIST,
        version=3,
        key=("leadCall.id",),  # the outer id is 0
        cursor="leadCall.modifiedOn",
        priority=2,
    ),
    Entity("calls_v2", "telecom", "", EXPORT, export="export/calls", priority=2),  # the list has another shape: `calls`
    Entity("call_reasons", "jbce", "call-reasons", LIST),
    Entity("schedulers", "schedulingpro", "schedulers", LIST, key_type=TEXT, active=""),
    Entity("report_categories", "reporting", "report-categories", SNAPSHOT, key_type=TEXT, active=""),
)

BY_NAME: dict[str, Entity] = {entity.name: entity for entity in CATALOG}
MODULES: tuple[str, ...] = tuple(sorted({entity.module for entity in CATALOG}))

ORIGINAL_NAMES: dict[str, str] = {"contacts": "customer_contacts"}
"""Names of the original service that mean another entity here; all its other names are ours."""

PLANNED: dict[str, str] = {
    "business_hours": "dispatch/v2/business-hours, a singleton",
    "campaign_cost_summary": "marketing/v2/campaign-cost-summary, read by windows of dates",
    "capacity": "dispatch/v2/capacity, asked by POST for windows of at most 14 days",
    "capacity_awareness_warning": "marketingads/v2/capacity-warnings, a singleton",
    "email_channel_cost": "marketing/v2/email-channel-cost, read by windows of dates",
    "marketing_performance": "marketingads/v2/performance, an aggregate over a window of dates",
    "technician_tracking": "dispatch/v2/technician-tracking, read for a technician and an appointment",
}
"""What ServiceTitan offers and this release does not read yet."""

NOT_LISTABLE: dict[str, str] = {
    "opportunities": "ServiceTitan withdrew /sales/v2/opportunities from its documents in 2026-05",
    "opt_in_out": "ServiceTitan withdrew /telecom/v3/optinouts/optouts from its documents in 2026-05",
    "scheduled_job_attributions": "/marketingads/v2/job-attributions takes POST only; there is nothing to list",
    "suppressions": "ServiceTitan withdrew /marketing/v2/suppressions from its documents in 2026-05",
    "web_booking_attributions": "/marketingads/v2/web-booking-attributions takes POST only; there is nothing to list",
    "web_lead_form_attributions": "/marketingads/v2/web-lead-form-attributions takes POST only; there is nothing to list",
}
"""Names of the original service that cannot be read, with the reason."""


def resolve(name: str) -> Entity:
    """The row called `name`.

    Raises NotListableError, PlannedEntityError or UnknownEntityError, each with what to do instead.
    """
    if entity := BY_NAME.get(name):
        return entity
    if reason := NOT_LISTABLE.get(name):
        raise NotListableError(f"Entity `{name}` cannot be read: {reason}. Leave it out.")
    if what := PLANNED.get(name):
        raise PlannedEntityError(f"Entity `{name}` ({what}) is not read by this release. Leave it out.")
    near = get_close_matches(name, BY_NAME, 3)
    hint = f" Did you mean {' or '.join(f'`{n}`' for n in near)}?" if near else ""
    raise UnknownEntityError(f"There is no entity `{name}`.{hint} `lazi entities` lists all {len(CATALOG)}.")


def resolve_original(name: str) -> Entity:
    """The row for a name as the original service used it; raises as `resolve` does."""
    return resolve(ORIGINAL_NAMES.get(name, name))


def select(
    names: tuple[str, ...] = (), modules: tuple[str, ...] = (), priorities: tuple[int, ...] = ()
) -> tuple[Entity, ...]:
    """The rows that fit every given criterion, in catalog order; all rows when none is given.

    Raises as `resolve` does for an unknown name, and UnknownEntityError for an unknown module.
    """
    wanted = {resolve(name).name for name in names}
    for module in modules:
        if module not in MODULES:
            raise UnknownEntityError(f"There is no module `{module}`. Modules: {', '.join(MODULES)}.")
    return tuple(
        entity
        for entity in CATALOG
        if (not wanted or entity.name in wanted)
        and (not modules or entity.module in modules)
        and (not priorities or entity.priority in priorities)
    )
