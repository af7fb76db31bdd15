"""THE TABLE: one row for everything ServiceTitan lets one read. Adding an entity is adding a row.

Rows are plain data: the standard library alone is imported, nothing is called, and code elsewhere never branches on an
entity's name (a difference between two entities is a column here). A row states only what departs from the
defaults, and a departure says why at the end of its line.

Names are those of the original service where it had the entity, and ServiceTitan's own word in snake_case elsewhere.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from sources.servicetitan.exceptions import NotListableError, UnknownEntityError


class Feed(StrEnum):
    """How an entity is read."""

    EXPORT = "export"  # continuation tokens; the only feed that tells of deletions
    LIST = "list"  # pages, from `modifiedOnOrAfter`
    SNAPSHOT = "snapshot"  # pages, all of them each time; what differs is appended
    CHILD = "child"  # for each parent that changed
    WINDOW = "window"  # for given dates
    REPORT = "report"  # the data of the reports that a user configures


class KeyType(StrEnum):
    """The type of `st_id` in the entity's raw and master tables."""

    BIGINT = "bigint"
    TEXT = "text"


EXPORT, LIST, SNAPSHOT, CHILD, WINDOW, REPORT = Feed
BIGINT, TEXT = KeyType
FROM_THE_FIRST = "modifiedOnOrAfter=2000-01-01T00:00:00Z"  # before ServiceTitan

SCOPE = "^"
"""As part of a key or as placeholder in a path: what the record was read for, which is its parent's key or its window's
first moment, and for what a tenant has one of, the tenant."""


@dataclass(frozen=True, slots=True)
class Window:
    """How dates are cut into slices: in so many days, or in calendar months when that is 0."""

    days: int = 0
    is_history: bool = True  # the first read begins with ServiceTitan's beginnings; else with the slice of today
    ahead: int = 0  # days beyond today that are read


MONTHLY = Window()


@dataclass(frozen=True, slots=True)
class Entity:
    """One readable thing; also `raw.st_<name>`, `master.<name>` and a route."""

    name: str
    module: str  # the first segment of the path
    path: str  # the list, behind `/{module}/v{version}/tenant/{tenant}/`; with the parent's fields in braces
    feed: Feed
    export: str = ""  # the export's path; `export/{path}` when empty
    key: tuple[str, ...] = ("id",)  # JSON paths, SCOPE; without a value in any of them the record's content is its key
    key_type: KeyType = BIGINT
    cursor: str = "modifiedOn"  # JSON path of the record's own modification time
    active: str = "active=Any"  # the filter that asks for inactive records too; most lists hide them by default
    takes_ids: bool = True  # whether the list can be asked for given records by `ids`
    has_detail: bool = True  # whether a record can be asked for at `{path}/{id}`; used where the list takes no ids
    shows_inactive: bool = True  # False: records can be inactive and no filter asks for those, so they may be left out
    priority: int = 4  # what is asked for parents has one, 3: each generation of it costs a pipeline run
    page_size: int = 5000
    first_page: int = 1
    params: str = ""  # further parameters that the endpoint demands; braces as in `path`, and {from}, {to}, {ids}
    paged: bool = True
    records: str = "data"  # where the records stand in an answer; empty when the answer itself is the record
    method: str = "GET"  # by POST the parameters are the body
    parent: str = ""  # CHILD, WINDOW: the entity for whose records is asked
    polled: bool = False  # CHILD: asked for every parent at each run, because parents do not change with their children
    recent_days: int = 0  # CHILD: only for parents modified in so many days
    window: Window = MONTHLY
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
    def list_path(self) -> str:
        """The list's path behind the tenant's id, also where only the export is read."""
        return self.path or self.export_path.removeprefix("export/")

    @property
    def raw_table(self) -> str:
        """The table's name in the schema `raw`."""
        return f"st_{self.name}"

    @property
    def generation(self) -> int:
        """How many parents, parents' parents and so on must be read first."""
        return 1 + BY_NAME[self.parent].generation if self.parent else 0

    @property
    def is_listable(self) -> bool:
        """Whether all records can be asked for at once by `path`."""
        return bool(self.path) and self.feed in {EXPORT, LIST, SNAPSHOT} and "{" not in self.path

    @property
    def is_scoped(self) -> bool:
        """Whether a record is read for a parent, for dates or as one of a set, so that it can vanish from there."""
        return self.feed in {CHILD, WINDOW, REPORT} or not self.key

    @property
    def is_set_of_tenant(self) -> bool:
        """Whether the tenant has one record, or one set of records without an id of their own."""
        return self.feed is SNAPSHOT and self.key in {(), (SCOPE,)}

    @property
    def is_batched(self) -> bool:
        """Whether one request asks for many parents."""
        return "{ids}" in self.params


def custom_field_types(owner: str, module: str, path: str) -> Entity:
    """The list of an owner's custom field definitions: the same everywhere."""
    return Entity(f"{owner}_custom_fields", module, f"{path}/custom-fields", LIST, active="", takes_ids=False)


def notes(owner: str, parent: str) -> Entity:
    """The notes of an owner that has no export of them: the same everywhere."""
    return Entity(f"{owner}_notes", "crm", f"{parent}/{{id}}/notes", CHILD, parent=parent, active="", priority=3)


def of_membership_type(what: str, active: str = "") -> Entity:
    """A bare array of what belongs to a membership type: the same everywhere."""
    name = f"membership_type_{what.replace('-', '_')}"
    path = f"membership-types/{{id}}/{what}"
    return Entity(name, "memberships", path, CHILD, parent="membership_types", active=active, paged=False, priority=3)


def performance(name: str, segment: str, *key: str) -> Entity:
    """What advertising brought in a month, by one of ServiceTitan's segmentations."""
    params = f"fromUtc={{from}}&toUtc={{to}}&performanceSegmentationType={segment}"
    return Entity(
        name,
        "marketingads",
        "performance",
        WINDOW,
        key=(SCOPE, *key),
        key_type=TEXT,
        active="",
        params=params,
        priority=3,
    )


CATALOG: tuple[Entity, ...] = (
    # pricebook
    Entity("pricebook_services", "pricebook", "services", EXPORT, priority=1),
    Entity("pricebook_materials", "pricebook", "materials", EXPORT, priority=1),
    Entity("pricebook_equipment", "pricebook", "equipment", EXPORT, priority=1),
    Entity("pricebook_categories", "pricebook", "categories", EXPORT, priority=1, takes_ids=False),
    Entity("pricebook_discounts_and_fees", "pricebook", "discounts-and-fees", LIST),
    Entity("pricebook_client_specific_pricing", "pricebook", "clientspecificpricing", SNAPSHOT),
    Entity("pricebook_materials_markup", "pricebook", "materialsmarkup", SNAPSHOT, active="", takes_ids=False),
    Entity(
        "material_cost_types", "pricebook", "materials/costtypes", SNAPSHOT, active="", paged=False, takes_ids=False
    ),  # no page number
    # crm
    Entity("customers", "crm", "customers", EXPORT, priority=1),
    Entity("locations", "crm", "locations", EXPORT, priority=2),
    Entity(
        "customer_contacts",
        "crm",
        "customers/contacts",
        EXPORT,
        active="",
        params=FROM_THE_FIRST,
        priority=2,
        takes_ids=False,
    ),  # the list demands a date
    Entity(
        "location_contacts",
        "crm",
        "locations/contacts",
        EXPORT,
        active="",
        params=FROM_THE_FIRST,
        priority=2,
        takes_ids=False,
    ),  # the list demands a date
    Entity("contacts", "crm", "contacts", LIST, key_type=TEXT, active="", priority=2, takes_ids=False),
    Entity(
        "contact_methods",
        "crm",
        "contacts/contact-methods",
        LIST,
        key_type=TEXT,
        active="",
        priority=2,
        takes_ids=False,
    ),
    Entity(
        "contact_preferences",
        "crm",
        "contacts/preferences",
        SNAPSHOT,
        key_type=TEXT,
        active="",
        paged=False,
        takes_ids=False,
    ),  # bare array
    Entity("bookings", "crm", "bookings", EXPORT, active="", priority=2),
    Entity("leads", "crm", "leads", EXPORT, active="", priority=2),
    Entity("booking_provider_tags", "crm", "booking-provider-tags", LIST, active="", shows_inactive=False),
    Entity("booking_contacts", "crm", "bookings/{id}/contacts", CHILD, parent="bookings", active="", priority=3),
    Entity(
        "contact_relationships",
        "crm",
        "contacts/{id}/relationships",
        CHILD,
        key=(SCOPE, "id", "relatedEntityId"),  # the id is the kind of relationship's
        key_type=TEXT,
        parent="contacts",
        active="",
        priority=3,
    ),
    notes("customer", "customers"),
    notes("lead", "leads"),
    notes("location", "locations"),
    Entity(
        "location_preferred_technician",  # a bare number
        "crm",
        "locations/{id}/preferredtechnician",
        CHILD,
        key=(SCOPE,),
        parent="locations",
        active="",
        paged=False,
        records="",
        priority=3,
    ),
    custom_field_types("customer", "crm", "customers"),
    custom_field_types("location", "crm", "locations"),
    # jpm
    Entity("jobs", "jpm", "jobs", EXPORT, active="", priority=1),
    Entity("appointments", "jpm", "appointments", EXPORT, priority=1),
    Entity("projects", "jpm", "projects", EXPORT, active="", priority=2),
    Entity("job_types", "jpm", "job-types", LIST),
    Entity("job_cancel_reasons", "jpm", "job-cancel-reasons", LIST, takes_ids=False),
    Entity("job_hold_reasons", "jpm", "job-hold-reasons", LIST, takes_ids=False),
    Entity(
        "job_cancel_reasons_by_job",
        "jpm",
        "jobs/cancel-reasons",
        CHILD,
        key=("jobId",),
        active="",
        params="ids={ids}",
        parent="jobs",
        priority=3,
    ),
    Entity(
        "job_hold_reasons_by_job",
        "jpm",
        "jobs/hold-reasons",
        CHILD,
        key=("jobId",),
        active="",
        params="ids={ids}",
        parent="jobs",
        priority=3,
    ),
    Entity("job_notes", "jpm", "jobs/{id}/notes", EXPORT, export="export/job-notes", active="", priority=2),
    Entity(
        "job_history",
        "jpm",
        "jobs/{id}/history",
        EXPORT,
        export="export/job-history",
        key=("jobId",),  # a row holds all of a job's history
        active="",
        priority=3,
    ),
    Entity(
        "job_canceled_log",
        "jpm",
        "jobs/{id}/canceled-log",
        EXPORT,
        export="export/job-canceled-logs",
        active="",
        priority=2,
    ),
    Entity(
        "job_booked_log",
        "jpm",
        "jobs/{id}/booked-log",
        CHILD,
        key=(SCOPE,),  # one a job
        parent="jobs",
        active="",
        paged=False,
        records="",
        priority=3,
    ),
    Entity(
        "job_equipment",
        "jpm",
        "jobs/{id}/equipment",
        CHILD,
        key=(SCOPE,),  # a list of ids
        parent="jobs",
        active="",
        paged=False,
        records="",
        priority=3,
    ),
    Entity("project_notes", "jpm", "projects/{id}/notes", EXPORT, export="export/project-notes", active="", priority=2),
    Entity("project_statuses", "jpm", "project-statuses", LIST, active=""),
    Entity("project_sub_statuses", "jpm", "project-substatuses", LIST),
    Entity("project_types", "jpm", "project-types", SNAPSHOT, active="", takes_ids=False),
    Entity("budget_codes", "jpm", "work-breakdown-structure/budget-codes", SNAPSHOT, active="", takes_ids=False),
    Entity(
        "project_budget_codes",
        "jpm",
        "work-breakdown-structure/projects/{id}/budget-codes",
        CHILD,
        key=(SCOPE, "id"),  # the same code in many projects
        key_type=TEXT,
        parent="projects",
        active="",
        priority=3,
    ),
    Entity(
        "project_segments",
        "jpm",
        "work-breakdown-structure/projects/{id}/segments",
        CHILD,
        key=(SCOPE, "id"),  # the same segment in many projects
        key_type=TEXT,
        parent="projects",
        active="",
        priority=3,
    ),
    Entity(
        "project_segment_items",
        "jpm",
        "work-breakdown-structure/projects/{^}/segments/{id}/items",
        CHILD,
        key=(SCOPE, "id"),  # the same item in many projects
        key_type=TEXT,
        params="includeChildren=true",
        parent="project_segments",
        active="",
        priority=3,
    ),
    Entity("segments", "jpm", "work-breakdown-structure/segments", SNAPSHOT, active="", takes_ids=False),
    Entity(
        "segment_items",
        "jpm",
        "work-breakdown-structure/segments/{id}/items",
        CHILD,
        params="includeChildren=true",
        parent="segments",
        polled=True,
        cursor="",
        active="",
        priority=3,
    ),
    custom_field_types("job", "jpm", "jobs"),
    custom_field_types("project", "jpm", "projects"),
    # sales
    Entity("estimates", "sales", "estimates", EXPORT, priority=2),
    Entity("estimate_items", "sales", "estimates/items", LIST, priority=2),
    Entity("estimate_templates", "sales", "estimate-templates", LIST, takes_ids=False),
    Entity("proposal_templates", "sales", "proposal-templates", LIST, takes_ids=False),
    Entity("proposal_types", "sales", "proposal-types", SNAPSHOT, paged=False, takes_ids=False),
    Entity(
        "estimate_status_changes",
        "sales",
        "status/estimates/{id}/changes",
        CHILD,
        parent="estimates",
        active="",
        paged=False,
        priority=3,
    ),
    # accounting
    Entity("invoices", "accounting", "invoices", EXPORT, active="activeState=All", priority=2),
    Entity("invoice_items", "accounting", "", EXPORT, export="export/invoice-items", priority=2),  # no list exists
    Entity("payments", "accounting", "payments", EXPORT, active="activeState=All", priority=2),
    Entity("ap_bills", "accounting", "ap-bills", LIST, active="", priority=3),
    Entity("ap_credits", "accounting", "ap-credits", LIST, active="", priority=3, shows_inactive=False),
    Entity("ap_payments", "accounting", "ap-payments", LIST, active="", priority=3, shows_inactive=False),
    Entity("credit_memos", "accounting", "credit-memos", LIST, priority=3),
    Entity("credit_memo_items", "accounting", "credit-memos/credit-memo-items", SNAPSHOT, priority=3, takes_ids=False),
    Entity("deposits", "accounting", "bank-deposits", LIST, active="", priority=3, shows_inactive=False),
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
    Entity(
        "journal_entry_details",
        "accounting",
        "journal-entries/{id}/details",
        CHILD,
        key=(),  # lines without an id
        key_type=TEXT,
        parent="journal_entries",
        active="",
        page_size=500,  # documented
        priority=3,
    ),
    Entity(
        "journal_entry_summary",
        "accounting",
        "journal-entries/{id}/summary",
        CHILD,
        key=(),  # lines without an id
        key_type=TEXT,
        parent="journal_entries",
        active="",
        page_size=500,  # documented
        priority=3,
    ),
    Entity(
        "bank_deposit_transactions",
        "accounting",
        "bank-deposits/{id}/transactions",
        CHILD,
        parent="deposits",
        active="",
        priority=3,
    ),
    Entity(
        "invoice_tasks",
        "accounting",
        "invoices/{id}/tasks",
        CHILD,
        key=("taskId",),
        key_type=TEXT,
        parent="invoices",
        active="",
        priority=3,
    ),
    Entity("gl_accounts", "accounting", "gl-accounts", LIST),
    Entity("gl_account_types", "accounting", "gl-accounts/types", LIST),
    Entity("payment_terms", "accounting", "payment-terms", LIST, active="", shows_inactive=False),
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
    Entity("tag_types", "settings", "tag-types", EXPORT, takes_ids=False, has_detail=False),
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
        shows_inactive=False,
    ),
    # dispatch
    Entity("teams", "dispatch", "teams", LIST, active="", priority=2, takes_ids=False, shows_inactive=False),
    Entity("appointment_assignments", "dispatch", "appointment-assignments", EXPORT, priority=2),
    Entity("non_job_appointments", "dispatch", "non-job-appointments", LIST, active="activeOnly=false", priority=3),
    Entity("technician_shifts", "dispatch", "technician-shifts", LIST, priority=3, takes_ids=False),
    Entity("technician_skills", "dispatch", "technician-skills", LIST, key_type=TEXT, takes_ids=False),
    Entity("zones", "dispatch", "zones", LIST, takes_ids=False),
    Entity("arrival_windows", "dispatch", "arrival-windows", SNAPSHOT, takes_ids=False),
    Entity(
        "arrival_window_configuration",
        "dispatch",
        "arrival-windows/configuration",
        SNAPSHOT,
        key=(SCOPE,),  # one a tenant
        active="",
        paged=False,
        records="",
        takes_ids=False,
    ),
    Entity(
        "business_hours",
        "dispatch",
        "business-hours",
        SNAPSHOT,
        key=(SCOPE,),  # one a tenant
        active="",
        paged=False,
        records="",
        takes_ids=False,
    ),
    Entity(
        "capacity",
        "dispatch",
        "capacity",
        WINDOW,
        key=("startUtc", "endUtc", "businessUnitIds"),  # a slot has no id
        key_type=TEXT,
        active="",
        paged=False,
        records="availabilities",
        method="POST",
        params="startsOnOrAfter={from}&endsOnOrBefore={to}&skillBasedAvailability=true",
        window=Window(days=14, is_history=False, ahead=14),  # ServiceTitan's limit
        priority=3,
    ),
    Entity(
        "technician_tracking",
        "dispatch",
        "technician-tracking",
        CHILD,
        key=(SCOPE,),  # one an assignment
        active="",
        paged=False,
        records="",
        params="technicianId={technicianId}&appointmentId={appointmentId}",
        parent="appointment_assignments",
        recent_days=2,  # the address is of use while the technician is on the way
        priority=3,
    ),
    # inventory
    Entity("purchase_orders", "inventory", "purchase-orders", EXPORT, active="", priority=3),
    Entity("purchase_order_requests", "inventory", "purchase-orders/requests", LIST, active="", priority=3),
    Entity("purchase_order_types", "inventory", "purchase-order-types", LIST, takes_ids=False, has_detail=False),
    Entity("purchase_orders_markup", "inventory", "purchase-order-markups", LIST, active=""),
    Entity("adjustments", "inventory", "adjustments", EXPORT, priority=3),
    Entity("receipts", "inventory", "receipts", LIST, priority=3),
    Entity("returns", "inventory", "returns", EXPORT, priority=3),
    Entity(
        "return_types",
        "inventory",
        "return-types",
        LIST,
        active="activeOnly=false",
        page_size=500,  # a cap is reported
        takes_ids=False,
        has_detail=False,
    ),
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
    Entity(
        "membership_status_changes",
        "memberships",
        "memberships/{id}/status-changes",
        EXPORT,
        export="export/membership-status-changes",
        active="",
        priority=3,
    ),
    of_membership_type("discounts"),
    of_membership_type("duration-billing-items", active="active=Any"),
    of_membership_type("recurring-service-items"),
    custom_field_types("membership", "memberships", "memberships"),
    Entity("service_agreements", "service-agreements", "service-agreements", EXPORT, active="", priority=3),
    custom_field_types("service_agreement", "service-agreements", "service-agreements"),
    # payroll and timesheets
    Entity("payrolls", "payroll", "payrolls", LIST, priority=3, takes_ids=False),
    Entity(
        "gross_pay_items",
        "payroll",
        "gross-pay-items",
        EXPORT,
        active="",
        priority=3,
        takes_ids=False,
        has_detail=False,
    ),
    Entity("payroll_adjustments", "payroll", "payroll-adjustments", EXPORT, priority=3, takes_ids=False),
    Entity(
        "payroll_settings",
        "payroll",
        "payroll-settings",
        EXPORT,
        key=("employeeId", "employeeType"),  # technicians and employees are numbered apart
        key_type=TEXT,
        priority=3,
        takes_ids=False,
    ),
    Entity("job_splits", "payroll", "jobs/splits", EXPORT, priority=3, takes_ids=False),
    Entity("payroll_timesheets", "payroll", "jobs/timesheets", EXPORT, priority=3, takes_ids=False),
    Entity("non_job_timesheets", "payroll", "non-job-timesheets", LIST, priority=3, takes_ids=False),
    Entity("activity_codes", "payroll", "activity-codes", EXPORT, takes_ids=False),
    Entity("timesheet_codes", "payroll", "timesheet-codes", EXPORT, takes_ids=False),
    Entity(
        "location_labor_types",
        "payroll",
        "locations/rates",
        SNAPSHOT,
        key=("locationId", "laborTypeCode"),  # a rate has no id of its own
        key_type=TEXT,
        takes_ids=False,
    ),
    Entity("timesheet_activities", "timesheets", "activities", EXPORT, priority=3, takes_ids=False),
    Entity("timesheet_activity_categories", "timesheets", "activity-categories", EXPORT, takes_ids=False),
    Entity("timesheet_activity_types", "timesheets", "activity-types", EXPORT, takes_ids=False),
    # marketing
    Entity("campaigns", "marketing", "campaigns", LIST, priority=3),
    Entity(
        "campaign_categories",
        "marketing",
        "categories",
        LIST,
        active="",
        priority=3,
        takes_ids=False,
        shows_inactive=False,
    ),
    Entity("campaign_costs", "marketing", "costs", SNAPSHOT, active="", priority=3, takes_ids=False),
    Entity(
        "campaign_cost_summary",
        "marketing",
        "campaign-cost-summary",
        WINDOW,
        key=(SCOPE, "campaignId"),  # a sum for a month
        key_type=TEXT,
        active="",
        paged=False,
        records="items",
        params="from={from}&to={to}",
        priority=3,
    ),
    Entity(
        "email_channel_cost",
        "marketing",
        "email-channel-cost",
        WINDOW,
        key=(SCOPE,),  # a sum for a month
        key_type=TEXT,
        active="",
        paged=False,
        records="",
        params="from={from}&to={to}",
        priority=3,
    ),
    Entity(
        "attributed_leads",
        "marketingads",
        "attributed-leads",
        WINDOW,
        key=(),  # a lead has no id
        key_type=TEXT,
        active="",
        params="fromUtc={from}&toUtc={to}",
        window=Window(days=90),
        priority=3,
    ),
    performance("marketing_performance", "Campaign", "campaign.id"),
    performance("marketing_performance_by_ad_group", "AdGroup", "campaign.id", "adGroup.id"),
    performance("marketing_performance_by_keyword", "Keyword", "campaign.id", "adGroup.id", "keyword.id"),
    Entity(
        "capacity_awareness_warning",
        "marketingads",
        "capacity-warnings",
        SNAPSHOT,
        key=(),  # a warning has no id
        key_type=TEXT,
        active="",
        paged=False,
        priority=3,
        takes_ids=False,
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
        takes_ids=False,
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
        takes_ids=False,
    ),
    Entity("forms", "forms", "forms", LIST, priority=3),
    Entity(
        "form_submissions", "forms", "submissions", SNAPSHOT, page_size=500, priority=3, takes_ids=False
    ),  # 5,000 exhaust memory
    Entity("location_findings", "findings", "location-findings", LIST, priority=3),
    Entity(
        "location_finding_attachments",
        "findings",
        "location-findings/{id}/attachments",
        CHILD,
        parent="location_findings",
        active="",
        priority=3,
    ),
    Entity(
        "job_attachments",
        "forms",
        "jobs/{id}/attachments",
        CHILD,
        key=(),  # the documents do not say what an attachment holds
        key_type=TEXT,
        parent="jobs",
        active="",
        paged=False,
        priority=3,
    ),
    Entity("tasks", "taskmanagement", "tasks", LIST, priority=3),
    Entity(
        "task_management_data",
        "taskmanagement",
        "data",
        SNAPSHOT,
        key=(SCOPE,),  # one a tenant
        active="",
        paged=False,
        records="",
        takes_ids=False,
    ),
    Entity(
        "technician_ratings",
        "customer-interactions",
        "technician-ratings",
        EXPORT,
        key=("technicianId", "jobId"),  # a rating has no id of its own
        key_type=TEXT,
        priority=3,
        takes_ids=False,
        has_detail=False,
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
    Entity(
        "calls_v2",
        "telecom",
        "",  # the list has another shape: `calls`
        EXPORT,
        export="export/calls",
        takes_ids=False,
        has_detail=False,  # it has the list's shape
        priority=2,
    ),
    Entity("call_reasons", "jbce", "call-reasons", LIST, takes_ids=False),
    Entity("schedulers", "schedulingpro", "schedulers", LIST, key_type=TEXT, active="", takes_ids=False),
    Entity(
        "scheduler_sessions",
        "schedulingpro",
        "schedulers/{id}/sessions",
        CHILD,
        key_type=TEXT,
        parent="schedulers",
        polled=True,
        active="",
        priority=3,
    ),
    Entity(
        "scheduler_performance",
        "schedulingpro",
        "schedulers/{id}/performance",
        WINDOW,
        key=(SCOPE, "id"),  # sums for a month
        key_type=TEXT,
        parent="schedulers",
        active="",
        paged=False,
        records="",
        params="sessionCreatedOnOrAfter={from}&sessionCreatedBefore={to}",
        priority=3,
    ),
    Entity("report_categories", "reporting", "report-categories", SNAPSHOT, key_type=TEXT, active="", takes_ids=False),
    Entity(
        "reports",
        "reporting",
        "report-category/{id}/reports",
        CHILD,
        parent="report_categories",
        polled=True,
        cursor="",
        active="",
        priority=3,
    ),
    Entity(
        "report_definitions",
        "reporting",
        "report-category/{^}/reports/{id}",
        CHILD,
        parent="reports",
        active="",
        paged=False,
        records="",
        priority=3,
    ),
    Entity(
        "dynamic_value_sets",
        "reporting",
        "dynamic-value-sets/{parameters[].acceptValues.dynamicSetId}",
        CHILD,
        key=(SCOPE, "page"),  # a page of values, as it came
        key_type=TEXT,
        parent="report_definitions",
        cursor="",
        active="",
        records="",
        priority=3,
    ),
    Entity(
        "report_data",
        "reporting",
        "report-category/{category}/reports/{report}/data",
        REPORT,
        key=(SCOPE, "page"),  # a page of rows, as it came
        key_type=TEXT,
        active="",
        records="",
        method="POST",
        page_size=25_000,  # documented
    ),
)

BY_NAME: dict[str, Entity] = {entity.name: entity for entity in CATALOG}
MODULES: tuple[str, ...] = tuple(sorted({entity.module for entity in CATALOG}))

ORIGINAL_NAMES: dict[str, str] = {"contacts": "customer_contacts"}
"""Names of the original service that mean another entity here; all its other names are ours."""

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

    Raises NotListableError or UnknownEntityError, each with what to do instead.
    """
    if entity := BY_NAME.get(name):
        return entity
    if reason := NOT_LISTABLE.get(name):
        raise NotListableError(f"Entity `{name}` cannot be read: {reason}. Leave it out.")
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
