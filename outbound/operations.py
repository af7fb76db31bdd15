"""THE SECOND TABLE: one row for everything that can be written to ServiceTitan. Adding an operation is adding a row.

Rows are plain data, as the catalog's are, and state only what departs from the defaults. What a body may and must hold is
not repeated here: `registry/*.csv` has it, from ServiceTitan's own documents.

Names are ServiceTitan's own, with hyphens; `ALIASES` holds the original service's.
"""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from functools import cached_property

from outbound.exceptions import NotOfferedError, UnknownOperationError
from sources.servicetitan.catalog import BY_NAME, CATALOG, Entity

BRACES = re.compile(r"\{([^{}]+)\}")
GET, POST, PUT, PATCH, DELETE = "GET", "POST", "PUT", "PATCH", "DELETE"


class Effect(StrEnum):
    """What an operation does to the records."""

    CREATE = "create"  # makes a record
    ADD = "add"  # makes something below a record: a note, a contact, a task
    UPDATE = "update"  # gives a record's fields the values of the body
    REMOVE = "remove"  # takes a record away
    ACTION = "action"  # anything else: a verb, or many records at once


CREATE, ADD, UPDATE, REMOVE, ACTION = Effect


@dataclass(frozen=True)
class Operation:
    """One write operation; `entity` and `name` together are its own."""

    entity: str  # the catalog's name, where the catalog has it
    name: str
    method: str
    path: str  # behind `/{module}/v{version}/tenant/{tenant}/`
    module: str = ""  # where it is another one than the entity's, or the catalog has no such entity
    version: int = 0  # the entity's own, else 2
    is_withdrawn: bool = False  # gone from ServiceTitan's documents in 2026-05; refused unless enabled
    is_list: bool = False  # the body is an array
    is_upload: bool = False  # the body is a file; the documents say nothing about it
    status: int = 200  # of success
    beside: tuple[str, ...] = ()  # path parameters that name no record
    effect: Effect | None = None  # CREATE for a POST, ADD below a record, UPDATE, REMOVE of a record, else ACTION
    is_repeatable: bool | None = None  # whether sending it twice is harmless; so is everything but CREATE, ADD and POST
    outcome: tuple[
        tuple[str, str | bool], ...
    ] = ()  # ACTION: field and value of the record by which one sees that it is done
    made: str = ""  # ADD: the catalog entity of what is made below the record, where it is not `entity`

    @cached_property
    def placeholders(self) -> tuple[str, ...]:
        """The path's parameters, in order."""
        return tuple(BRACES.findall(self.path))

    @cached_property
    def record(self) -> str:
        """The path parameter that names the record; empty where none does."""
        return next((name for name in self.placeholders if name not in self.beside), "")

    @cached_property
    def kind(self) -> Effect:
        """What it does."""
        if self.effect:
            return self.effect
        if self.method == POST:
            return ADD if self.record else CREATE
        ends_with_record = bool(self.record) and self.path.endswith(f"{{{self.record}}}")
        if ends_with_record:
            return REMOVE if self.method == DELETE else UPDATE
        return ACTION

    @cached_property
    def is_harmless_twice(self) -> bool:
        """Whether sending it twice does no more than sending it once."""
        if self.is_repeatable is not None:
            return self.is_repeatable
        return self.kind not in {CREATE, ADD} and self.method != POST

    @cached_property
    def catalog(self) -> Entity | None:
        """The catalog's row of the records it touches; None where nothing of them can be read."""
        return BY_NAME.get(self.entity)

    @cached_property
    def subject(self) -> Entity | None:
        """The catalog's row of the record that the path names, where it can be read by that name alone."""
        if not self.record:
            return None
        head = self.path.partition(f"/{{{self.record}}}")[0]
        above = (entity for entity in CATALOG if (entity.base, entity.list_path) == (self.base, head))
        found = next(above, self.catalog)
        if found is None or not (found.path or found.takes_ids or found.has_detail):
            return None
        return found if "{" not in found.list_path and len(found.key) == 1 else None

    @cached_property
    def list_head(self) -> str:
        """The path of the list whose records it changes where the path names none: `payments` for `payments/status`."""
        own = self.catalog.list_path if self.catalog else ""
        return (own or self.path).partition("/")[0]

    @cached_property
    def base(self) -> str:
        """The path up to the tenant's id."""
        entity = self.catalog
        module = self.module or (entity.module if entity else "")
        version = self.version or (entity.version if entity and not self.module else 2)
        return f"/{module}/v{version}/tenant/"

    @cached_property
    def place(self) -> tuple[str, str]:
        """Method and whole path, with placeholders without names: what the documents and the registry know it by."""
        return self.method, f"{self.base}{{}}/{BRACES.sub('{}', self.path)}"

    @property
    def title(self) -> str:
        """Entity and name in one word, as messages and lists show it."""
        return f"{self.entity}:{self.name}"


@dataclass(frozen=True, slots=True)
class Alias:
    """A name of the original service's for an operation."""

    entity: str
    name: str
    means: tuple[str, str]  # entity and name of the operation
    record_field: str = ""  # of the body, which names the record where the path does not
    defaults: tuple[tuple[str, object], ...] = ()  # of the body


@dataclass(frozen=True, slots=True)
class NotOffered:
    """What the original promised and ServiceTitan has no operation for."""

    entity: str
    name: str
    why: str
    nearest: tuple[str, ...] = ()  # titles of operations


OPERATIONS: tuple[Operation, ...] = (
    # accounting
    Operation("ap_bill_custom_fields", "update-custom-fields", PATCH, "ap-bills/custom-fields"),
    Operation("ap_bills", "mark-as-exported", POST, "ap-bills/markasexported", effect=ACTION, is_repeatable=True),
    Operation("ap_credit_custom_fields", "update-custom-fields", PATCH, "ap-credits/custom-fields"),
    Operation(
        "ap_credits",
        "mark-as-exported",
        POST,
        "ap-credits/markasexported",
        is_list=True,
        effect=ACTION,
        is_repeatable=True,
    ),
    Operation("ap_payment_custom_fields", "update-custom-fields", PATCH, "ap-payments/custom-fields"),
    Operation(
        "ap_payments",
        "mark-as-exported",
        POST,
        "ap-payments/markasexported",
        is_list=True,
        effect=ACTION,
        is_repeatable=True,
    ),
    Operation("deposits", "mark-as-exported", POST, "bank-deposits/markasexported", effect=ACTION, is_repeatable=True),
    Operation("credit_memo_custom_fields", "update-custom-fields", PATCH, "credit-memos/custom-fields"),
    Operation(
        "credit_memos",
        "mark-as-exported",
        POST,
        "credit-memos/markasexported",
        is_list=True,
        effect=ACTION,
        is_repeatable=True,
    ),
    Operation("credit_memos", "update-credit-memo", PATCH, "credit-memos/{id}"),
    Operation("credit_memos", "add-credit-memo-splits", POST, "credit-memos/{id}/splits", effect=ACTION),
    Operation("gl_accounts", "create-account", POST, "gl-accounts", status=201),
    Operation("gl_accounts", "update-account", PATCH, "gl-accounts/{accountId}"),
    Operation("inventory_bill_custom_fields", "update-custom-fields", PATCH, "inventory-bills/custom-fields"),
    Operation(
        "inventory_bills", "mark-as-exported", POST, "inventory-bills/markasexported", effect=ACTION, is_repeatable=True
    ),
    Operation("invoices", "create-adjustment-invoice", POST, "invoices"),
    Operation("invoice_custom_fields", "update-custom-fields", PATCH, "invoices/custom-fields"),
    Operation(
        "invoices", "mark-as-exported", POST, "invoices/markasexported", is_list=True, effect=ACTION, is_repeatable=True
    ),
    Operation("invoices", "update-invoice", PATCH, "invoices/{id}"),
    Operation("invoices", "update-invoice-items", PATCH, "invoices/{invoiceId}/items", is_repeatable=False),
    Operation("invoices", "delete-invoice-item", DELETE, "invoices/{invoiceId}/items/{itemId}"),
    Operation("invoices", "create-invoice-task", POST, "invoices/{invoiceId}/tasks", made="invoice_tasks"),
    Operation("invoices", "update-invoice-task", PATCH, "invoices/{invoiceId}/tasks/{taskId}"),
    Operation("journal_entries", "create-journal-entry", POST, "journal-entries"),
    Operation("journal_entries", "delete-journal-entry", DELETE, "journal-entries/{id}"),
    Operation("journal_entries", "update", PATCH, "journal-entries/{id}"),
    Operation("journal_entries", "full-update", PUT, "journal-entries/{id}"),
    Operation("journal_entries", "sync-update", PATCH, "journal-entries/{id}/sync"),
    Operation("payments", "create", POST, "payments", is_withdrawn=True),
    Operation("payment_custom_fields", "update-custom-fields", PATCH, "payments/custom-fields"),
    Operation("payments", "update-status", POST, "payments/status", effect=ACTION, is_repeatable=True),
    Operation("payments", "update", PATCH, "payments/{id}"),
    # crm
    Operation("bookings", "create", POST, "booking-provider/{booking_provider}/bookings", beside=("booking_provider",)),
    Operation(
        "bookings", "update", PATCH, "booking-provider/{booking_provider}/bookings/{id}", beside=("booking_provider",)
    ),
    Operation(
        "bookings",
        "create-contact",
        POST,
        "booking-provider/{booking_provider}/bookings/{id}/contacts",
        beside=("booking_provider",),
    ),
    Operation(
        "bookings",
        "delete-contact",
        DELETE,
        "booking-provider/{booking_provider}/bookings/{id}/contacts/{contactId}",
        beside=("booking_provider",),
    ),
    Operation(
        "bookings",
        "update-booking-contact",
        PATCH,
        "booking-provider/{booking_provider}/bookings/{id}/contacts/{contactId}",
        beside=("booking_provider",),
    ),
    Operation(
        "bookings",
        "dismiss-booking",
        POST,
        "booking-provider/{booking_provider}/bookings/{id}/dismiss",
        beside=("booking_provider",),
        effect=ACTION,
        is_repeatable=True,
        outcome=(("status", "Dismissed"),),
    ),
    Operation("booking_provider_tags", "create", POST, "booking-provider-tags"),
    Operation("booking_provider_tags", "update", PATCH, "booking-provider-tags/{id}"),
    Operation("contacts", "create", POST, "contacts"),
    Operation("contacts", "create-contact-method", POST, "contacts/{contactId}/contact-methods"),
    Operation("contacts", "delete-contact-method", DELETE, "contacts/{contactId}/contact-methods/{contactMethodId}"),
    Operation("contacts", "update-contact-method", PATCH, "contacts/{contactId}/contact-methods/{contactMethodId}"),
    Operation("contacts", "upsert-contact-method", PUT, "contacts/{contactId}/contact-methods/{contactMethodId}"),
    Operation(
        "contacts",
        "update-contact-method-preference",
        PATCH,
        "contacts/{contactId}/contact-methods/{contactMethodId}/preferences/{preferenceName}",
    ),
    Operation(
        "contacts",
        "delete-contact-relationship",
        DELETE,
        "contacts/{contactId}/relationships/{relatedEntityId}/{typeSlug}",
    ),
    Operation(
        "contacts",
        "create-contact-relationship",
        POST,
        "contacts/{contactId}/relationships/{relatedEntityId}/{typeSlug}",
        effect=ACTION,
        is_repeatable=True,
    ),
    Operation("contacts", "delete-contact", DELETE, "contacts/{id}"),
    Operation("contacts", "update", PATCH, "contacts/{id}"),
    Operation("contacts", "replace", PUT, "contacts/{id}"),
    Operation("customers", "create", POST, "customers"),
    Operation("customers", "update", PATCH, "customers/{id}"),
    Operation("customers", "create-contact", POST, "customers/{id}/contacts", made="customer_contacts"),
    Operation("customers", "delete-contact", DELETE, "customers/{id}/contacts/{contactId}", made="customer_contacts"),
    Operation("customers", "update-contact", PATCH, "customers/{id}/contacts/{contactId}", made="customer_contacts"),
    Operation("customer_notes", "create-note", POST, "customers/{id}/notes"),
    Operation("customer_notes", "delete-note", DELETE, "customers/{id}/notes/{noteId}"),
    Operation("customers", "delete-tag", DELETE, "customers/{id}/tags/{tagTypeId}"),
    Operation("customers", "create-tag", POST, "customers/{id}/tags/{tagTypeId}", effect=ACTION, is_repeatable=True),
    Operation("leads", "create", POST, "leads"),
    Operation("leads", "submit-lead-form", POST, "leads/form"),
    Operation("leads", "update", PATCH, "leads/{id}"),
    Operation(
        "leads",
        "dismiss",
        POST,
        "leads/{id}/dismiss",
        effect=ACTION,
        is_repeatable=True,
        outcome=(("status", "Dismissed"),),
    ),
    Operation("leads", "create-follow-up", POST, "leads/{id}/follow-up"),
    Operation("lead_notes", "create-note", POST, "leads/{id}/notes"),
    Operation("locations", "create", POST, "locations"),
    Operation("locations", "update", PATCH, "locations/{id}"),
    Operation("locations", "create-contact", POST, "locations/{id}/contacts", made="location_contacts"),
    Operation("locations", "delete-contact", DELETE, "locations/{id}/contacts/{contactId}", made="location_contacts"),
    Operation("locations", "update-contact", PATCH, "locations/{id}/contacts/{contactId}", made="location_contacts"),
    Operation("location_notes", "create-note", POST, "locations/{id}/notes"),
    Operation("location_notes", "delete-note", DELETE, "locations/{id}/notes/{noteId}"),
    Operation(
        "location_preferred_technician",
        "update-preferred-technician",
        POST,
        "locations/{id}/preferredtechnician/{preferredTechnicianId}",
        effect=ACTION,
        is_repeatable=True,
    ),
    Operation("locations", "delete-tag", DELETE, "locations/{id}/tags/{tagTypeId}"),
    Operation("locations", "create-tag", POST, "locations/{id}/tags/{tagTypeId}", effect=ACTION, is_repeatable=True),
    Operation("customers", "remove-tags", DELETE, "tags"),
    Operation("customers", "add-tags", PUT, "tags"),
    # customer-interactions
    Operation("technician_ratings", "update", PUT, "technician-rating/technician/{technicianId}/job/{jobId}"),
    Operation("technician_ratings", "update-many", POST, "technician-ratings", effect=ACTION, is_repeatable=True),
    # dispatch
    Operation("capacity", "get-list", POST, "adcap/availability", is_withdrawn=True, effect=ACTION, is_repeatable=True),
    Operation(
        "capacity", "get-slots", POST, "adcap/availability/slots", is_withdrawn=True, effect=ACTION, is_repeatable=True
    ),
    Operation(
        "appointment_assignments",
        "assign-technicians",
        POST,
        "appointment-assignments/assign-technicians",
        effect=ACTION,
        is_repeatable=True,
    ),
    Operation(
        "appointment_assignments",
        "unassign-technicians",
        POST,
        "appointment-assignments/unassign-technicians",
        effect=ACTION,
        is_repeatable=True,
    ),
    Operation("arrival_windows", "create", POST, "arrival-windows"),
    Operation(
        "arrival_window_configuration",
        "updated-configuration",
        POST,
        "arrival-windows/configuration",
        effect=ACTION,
        is_repeatable=True,
    ),
    Operation("arrival_windows", "update", PUT, "arrival-windows/{id}"),
    Operation("arrival_windows", "activated", PUT, "arrival-windows/{id}/activated"),
    Operation("business_hours", "create", POST, "business-hours"),
    Operation(
        "gps_pings",
        "create",
        POST,
        "gps-provider/{gps_provider}/gps-pings",
        module="dispatch",
        is_list=True,
        beside=("gps_provider",),
        effect=ACTION,
    ),
    Operation("non_job_appointments", "create", POST, "non-job-appointments"),
    Operation("non_job_appointments", "delete", DELETE, "non-job-appointments/{id}"),
    Operation("non_job_appointments", "update", PUT, "non-job-appointments/{id}"),
    Operation("teams", "create", POST, "teams"),
    Operation("teams", "delete", DELETE, "teams/{id}"),
    Operation("technician_shifts", "create", POST, "technician-shifts", effect=ACTION),
    Operation(
        "technician_shifts", "bulk-delete", POST, "technician-shifts/bulk-delete", effect=ACTION, is_repeatable=True
    ),
    Operation("technician_shifts", "delete", DELETE, "technician-shifts/{id}"),
    Operation("technician_shifts", "update", PATCH, "technician-shifts/{id}"),
    Operation("technician_skills", "assign-technician-skills", PATCH, "technician-skills"),
    Operation("technician_skills", "create-technician-skill", POST, "technician-skills"),
    Operation("technician_skills", "delete", DELETE, "technician-skills/{id}"),
    Operation("zones", "create-zone", POST, "zones"),
    Operation("zones", "delete-zone", DELETE, "zones/{zoneId}"),
    Operation("zones", "update-zone", PATCH, "zones/{zoneId}"),
    # equipmentsystems
    Operation("equipment_types", "create", POST, "equipment-types"),
    Operation("equipment_types", "update", PATCH, "equipment-types/{id}"),
    Operation("installed_equipment", "create", POST, "installed-equipment"),
    Operation(
        "installed_equipment", "post-attachment", POST, "installed-equipment/attachments", effect=ACTION, is_upload=True
    ),
    Operation("installed_equipment", "update", PATCH, "installed-equipment/{id}"),
    # findings
    Operation("assets", "post-attachment", POST, "assets", module="findings", effect=ACTION, is_upload=True),
    Operation("location_findings", "create", POST, "location-findings"),
    Operation("location_findings", "update", PATCH, "location-findings/{id}"),
    Operation("location_finding_attachments", "create-finding-attachment", POST, "location-findings/{id}/attachments"),
    Operation(
        "location_finding_attachments",
        "delete-finding-attachment",
        DELETE,
        "location-findings/{id}/attachments/{attachmentId}",
    ),
    Operation(
        "location_finding_attachments",
        "update-finding-attachment",
        PATCH,
        "location-findings/{id}/attachments/{attachmentId}",
    ),
    # forms
    Operation("job_attachments", "create-attachment", POST, "jobs/{id}/attachments", is_upload=True),
    # inventory
    Operation("adjustments", "update-custom-fields", PATCH, "adjustments/custom-fields"),
    Operation("adjustments", "update", PATCH, "adjustments/{id}"),
    Operation("purchase_orders_markup", "create", POST, "purchase-order-markups"),
    Operation("purchase_orders_markup", "delete", DELETE, "purchase-order-markups/{id}"),
    Operation("purchase_orders_markup", "update", PATCH, "purchase-order-markups/{id}"),
    Operation("purchase_order_types", "create", POST, "purchase-order-types"),
    Operation("purchase_order_types", "update", PATCH, "purchase-order-types/{id}"),
    Operation("purchase_orders", "create", POST, "purchase-orders"),
    Operation(
        "purchase_order_requests",
        "approve-request",
        PATCH,
        "purchase-orders/requests/{id}/approve",
        outcome=(("requestStatus", "Approved"),),
    ),
    Operation(
        "purchase_order_requests",
        "reject-request",
        PATCH,
        "purchase-orders/requests/{id}/reject",
        outcome=(("requestStatus", "Rejected"),),
    ),
    Operation("purchase_orders", "update", PATCH, "purchase-orders/{id}"),
    Operation(
        "purchase_orders", "cancel", PATCH, "purchase-orders/{id}/cancellation", outcome=(("status", "Canceled"),)
    ),
    Operation("receipts", "create-receipt", POST, "receipts"),
    Operation("receipts", "update-custom-fields", PATCH, "receipts/custom-fields"),
    Operation("receipts", "cancel-receipts", PATCH, "receipts/{id}/cancellation", outcome=(("active", False),)),
    Operation("return_types", "create", POST, "return-types"),
    Operation("return_types", "update", PATCH, "return-types/{id}"),
    Operation("returns", "create-return", POST, "returns"),
    Operation("returns", "update-custom-fields", PATCH, "returns/custom-fields"),
    Operation("returns", "update", PATCH, "returns/{id}"),
    Operation("returns", "cancel", PATCH, "returns/{id}/cancellation", outcome=(("status", "Canceled"),)),
    Operation("transfers", "update-custom-fields", PATCH, "transfers/custom-fields"),
    Operation("transfers", "update", PATCH, "transfers/{id}"),
    Operation("trucks", "create", POST, "trucks"),
    Operation("trucks", "update", PATCH, "trucks/{id}"),
    Operation("vendors", "create", POST, "vendors"),
    Operation("vendor_custom_fields", "update-custom-fields", PATCH, "vendors/custom-fields"),
    Operation("vendors", "update", PATCH, "vendors/{id}"),
    Operation("warehouses", "update", PATCH, "warehouses/{id}"),
    # jpm
    Operation("appointments", "add", POST, "appointments"),
    Operation("appointments", "delete", DELETE, "appointments/{id}"),
    Operation(
        "appointments",
        "remove-confirmation",
        DELETE,
        "appointments/{id}/confirmation",
        outcome=(("isConfirmed", False),),
    ),
    Operation("appointments", "confirm", PUT, "appointments/{id}/confirmation", outcome=(("isConfirmed", True),)),
    Operation("appointments", "remove-hold", DELETE, "appointments/{id}/hold"),
    Operation("appointments", "hold", PUT, "appointments/{id}/hold", outcome=(("status", "Hold"),)),
    Operation("appointments", "reschedule", PATCH, "appointments/{id}/reschedule", effect=UPDATE),
    Operation(
        "appointments", "update-special-instructions", PUT, "appointments/{id}/special-instructions", effect=UPDATE
    ),
    Operation("appointments", "set-summary", POST, "appointments/{id}/summaries", effect=ACTION, is_repeatable=True),
    Operation("job_types", "create", POST, "job-types"),
    Operation("job_types", "update", PATCH, "job-types/{id}"),
    Operation("jobs", "create", POST, "jobs"),
    Operation("jobs", "update", PATCH, "jobs/{id}"),
    Operation("jobs", "cancel", PUT, "jobs/{id}/cancel", outcome=(("jobStatus", "Canceled"),)),
    Operation("jobs", "complete", PUT, "jobs/{id}/complete", is_withdrawn=True, outcome=(("jobStatus", "Completed"),)),
    Operation("job_equipment", "detach-bulk", DELETE, "jobs/{id}/equipment"),
    Operation("job_equipment", "attach", POST, "jobs/{id}/equipment", effect=ACTION, is_repeatable=True),
    Operation("job_equipment", "detach", DELETE, "jobs/{id}/equipment/{equipmentId}"),
    Operation("jobs", "hold", PUT, "jobs/{id}/hold", is_withdrawn=True, outcome=(("jobStatus", "Hold"),)),
    Operation("jobs", "create-message", POST, "jobs/{id}/messages", is_withdrawn=True),
    Operation("job_notes", "create-note", POST, "jobs/{id}/notes"),
    Operation("jobs", "remove-cancellation", PUT, "jobs/{id}/remove-cancellation"),
    Operation("projects", "create", POST, "projects"),
    Operation(
        "projects",
        "detach-job",
        POST,
        "projects/detach-job/{jobId}",
        beside=("jobId",),  # the project is the job's own
        effect=ACTION,
        is_repeatable=True,
    ),
    Operation("projects", "update", PATCH, "projects/{id}"),
    Operation("projects", "attach-job", POST, "projects/{id}/attach-job/{jobId}", effect=ACTION, is_repeatable=True),
    Operation("projects", "create-message", POST, "projects/{id}/messages", is_withdrawn=True),
    Operation("project_notes", "create-note", POST, "projects/{id}/notes"),
    Operation("budget_codes", "create-budget-code", POST, "work-breakdown-structure/budget-codes"),
    Operation(
        "budget_codes", "create-budget-codes-batch", POST, "work-breakdown-structure/budget-codes/batch", effect=ACTION
    ),
    Operation("budget_codes", "create-budget-code-partial", POST, "work-breakdown-structure/budget-codes/partial"),
    Operation(
        "budget_codes",
        "create-budget-codes-partial-batch",
        POST,
        "work-breakdown-structure/budget-codes/partial/batch",
        effect=ACTION,
    ),
    # marketing
    Operation("campaigns", "create", POST, "campaigns"),
    Operation("campaigns", "update", PATCH, "campaigns/{id}"),
    Operation("campaign_categories", "create", POST, "categories"),
    Operation("campaign_categories", "update", PATCH, "categories/{id}"),
    Operation("campaign_costs", "create", POST, "costs"),
    Operation("campaign_costs", "update", PATCH, "costs/{id}"),
    Operation(
        "suppressions",
        "add",
        POST,
        "suppressions/suppress",
        module="marketing",
        is_withdrawn=True,
        effect=ACTION,
        is_repeatable=True,
    ),
    Operation(
        "suppressions",
        "remove",
        POST,
        "suppressions/unsuppress",
        module="marketing",
        is_withdrawn=True,
        effect=ACTION,
        is_repeatable=True,
    ),
    # marketingads
    Operation("external_call_attributions", "create", POST, "external-call-attributions", module="marketingads"),
    Operation("job_attributions", "create", POST, "job-attributions", module="marketingads"),
    Operation("web_booking_attributions", "create", POST, "web-booking-attributions", module="marketingads"),
    Operation("web_lead_form_attributions", "create", POST, "web-lead-form-attributions", module="marketingads"),
    # memberships
    Operation("invoice_templates", "create", POST, "invoice-templates"),
    Operation("invoice_templates", "update", PATCH, "invoice-templates/{id}"),
    Operation("memberships", "create", POST, "memberships/sale"),
    Operation("memberships", "update", PATCH, "memberships/{id}"),
    Operation(
        "recurring_service_events",
        "mark-complete",
        POST,
        "recurring-service-events/{id}/mark-complete",
        effect=ACTION,
        is_repeatable=True,
    ),
    Operation(
        "recurring_service_events",
        "mark-incomplete",
        POST,
        "recurring-service-events/{id}/mark-incomplete",
        effect=ACTION,
        is_repeatable=True,
    ),
    Operation("recurring_services", "update", PATCH, "recurring-services/{id}"),
    # payroll
    Operation(
        "employees", "update-employee-payroll-settings", PUT, "employees/{employee}/payroll-settings", module="payroll"
    ),
    Operation("gross_pay_items", "create", POST, "gross-pay-items"),
    Operation("gross_pay_items", "delete", DELETE, "gross-pay-items/{id}"),
    Operation("gross_pay_items", "update", PUT, "gross-pay-items/{id}"),
    Operation("jobs", "create-job-timesheet", POST, "jobs/{job}/timesheets", module="payroll", is_withdrawn=True),
    Operation("jobs", "update-job-timesheet", PUT, "jobs/{job}/timesheets/{id}", module="payroll", is_withdrawn=True),
    Operation("payroll_adjustments", "create", POST, "payroll-adjustments"),
    Operation(
        "technicians",
        "update-technician-payroll-settings",
        PUT,
        "technicians/{technician}/payroll-settings",
        module="payroll",
    ),
    # pricebook
    Operation("pricebook_categories", "create", POST, "categories", status=201),
    Operation("pricebook_categories", "delete", DELETE, "categories/{id}", status=204),
    Operation("pricebook_categories", "update", PATCH, "categories/{id}"),
    Operation("pricebook_client_specific_pricing", "update-rate-sheet", PATCH, "clientspecificpricing/{rateSheetId}"),
    Operation("pricebook_discounts_and_fees", "create", POST, "discounts-and-fees", status=201),
    Operation("pricebook_discounts_and_fees", "delete", DELETE, "discounts-and-fees/{id}", status=204),
    Operation("pricebook_discounts_and_fees", "update", PATCH, "discounts-and-fees/{id}"),
    Operation("pricebook_equipment", "create", POST, "equipment", status=201),
    Operation("pricebook_equipment", "delete", DELETE, "equipment/{id}", status=204),
    Operation("pricebook_equipment", "update", PATCH, "equipment/{id}"),
    Operation("images", "post", POST, "images", module="pricebook", status=201, effect=ACTION, is_upload=True),
    Operation("pricebook_materials", "create", POST, "materials", status=201),
    Operation("pricebook_materials", "delete", DELETE, "materials/{id}", status=204),
    Operation("pricebook_materials", "update", PATCH, "materials/{id}"),
    Operation("pricebook_materials_markup", "create", POST, "materialsmarkup", status=201),
    Operation("pricebook_materials_markup", "update", PUT, "materialsmarkup/{id}"),
    Operation("pricebook", "update", PATCH, "pricebook", module="pricebook"),
    Operation("pricebook", "create", POST, "pricebook", module="pricebook", status=201, effect=ACTION),
    Operation("pricebook_services", "create", POST, "services", status=201),
    Operation("pricebook_services", "delete", DELETE, "services/{id}", status=204),
    Operation("pricebook_services", "update", PATCH, "services/{id}"),
    # reporting
    Operation("data_queries", "cancel", DELETE, "data-queries/{token}", module="reporting", status=204),
    Operation(
        "report_category",
        "start-get-data",
        POST,
        "report-category/{report_category}/reports/{reportId}/data/query",
        module="reporting",
        effect=ACTION,
        is_repeatable=True,
    ),
    # sales
    Operation("estimate_templates", "create", POST, "estimate-templates"),
    Operation("estimate_templates", "delete", DELETE, "estimate-templates/{id}"),
    Operation("estimate_templates", "update", PATCH, "estimate-templates/{id}"),
    Operation("estimates", "create", POST, "estimates"),
    Operation("estimates", "update", PUT, "estimates/{id}"),
    Operation("estimates", "dismiss", PUT, "estimates/{id}/dismiss", outcome=(("status.name", "Dismissed"),)),
    Operation("estimates", "put-item", PUT, "estimates/{id}/items", is_repeatable=False),
    Operation("estimates", "delete-item", DELETE, "estimates/{id}/items/{itemId}"),
    Operation("estimates", "sell", PUT, "estimates/{id}/sell", outcome=(("status.name", "Sold"),)),
    Operation("estimates", "unsell", PUT, "estimates/{id}/unsell", outcome=(("status.name", "Open"),)),
    Operation("proposal_templates", "create", POST, "proposal-templates"),
    Operation("proposal_templates", "delete", DELETE, "proposal-templates/{id}"),
    Operation("proposal_templates", "update", PATCH, "proposal-templates/{id}"),
    # settings
    Operation("business_units", "update", PATCH, "business-units/{id}"),
    Operation("employees", "create", POST, "employees"),
    Operation("employees", "update", PATCH, "employees/{id}"),
    Operation(
        "employees", "account-actions", POST, "employees/{id}/account-actions", effect=ACTION, is_repeatable=True
    ),
    Operation("tag_types", "create", POST, "tag-types"),
    Operation("tag_types", "update", PATCH, "tag-types/{id}"),
    Operation("technicians", "create", POST, "technicians"),
    Operation("technicians", "update", PATCH, "technicians/{id}"),
    Operation(
        "technicians", "account-actions", POST, "technicians/{id}/account-actions", effect=ACTION, is_repeatable=True
    ),
    # taskmanagement
    Operation("tasks", "create", POST, "tasks"),
    Operation("tasks", "create-subtask", POST, "tasks/{id}/subtasks"),
    # telecom
    Operation("calls", "update", PUT, "calls/{id}", version=2),
    Operation(
        "optinouts",
        "create-opt-out-list",
        POST,
        "optinouts/optouts",
        module="telecom",
        version=3,
        is_withdrawn=True,
        effect=ACTION,
        is_repeatable=True,
    ),
    Operation(
        "optinouts",
        "get-opt-out-list",
        POST,
        "optinouts/optouts/getlist",
        module="telecom",
        version=3,
        is_withdrawn=True,
        effect=ACTION,
        is_repeatable=True,
    ),
    # timesheets
    Operation("timesheet_activities", "create", POST, "activities"),
    Operation("timesheet_activities", "delete", DELETE, "activities/{id}"),
    Operation("timesheet_activities", "update", PUT, "activities/{id}"),
)

ALIASES: tuple[Alias, ...] = (
    Alias("estimates", "approve", ("estimates", "sell")),
    Alias("estimates", "decline", ("estimates", "dismiss")),
    Alias("customers", "add-note", ("customer_notes", "create-note")),
    Alias("customers", "add-contact", ("customers", "create-contact")),
    Alias("locations", "add-note", ("location_notes", "create-note")),
    Alias("locations", "add-contact", ("locations", "create-contact")),
    Alias("leads", "add-note", ("lead_notes", "create-note")),
    Alias("jobs", "add-note", ("job_notes", "create-note")),
    Alias("projects", "add-note", ("project_notes", "create-note")),
    Alias("appointments", "create", ("appointments", "add")),
    Alias("appointments", "assign", ("appointment_assignments", "assign-technicians"), "jobAppointmentId"),
    Alias("appointments", "unassign", ("appointment_assignments", "unassign-technicians"), "jobAppointmentId"),
    Alias("appointments", "cancel", ("appointments", "delete")),
    Alias("invoices", "create", ("invoices", "create-adjustment-invoice")),
    Alias("invoices", "update", ("invoices", "update-invoice")),
    Alias("credit_memos", "update", ("credit_memos", "update-credit-memo")),
    Alias("gl_accounts", "create", ("gl_accounts", "create-account")),
    Alias("gl_accounts", "update", ("gl_accounts", "update-account")),
    Alias("contacts", "delete", ("contacts", "delete-contact")),
    Alias("journal_entries", "create", ("journal_entries", "create-journal-entry")),
    Alias("journal_entries", "delete", ("journal_entries", "delete-journal-entry")),
    Alias("receipts", "create", ("receipts", "create-receipt")),
    Alias("returns", "create", ("returns", "create-return")),
    Alias("zones", "create", ("zones", "create-zone")),
    Alias("zones", "update", ("zones", "update-zone")),
    Alias("zones", "delete", ("zones", "delete-zone")),
)
"""ServiceTitan names the same verb differently from entity to entity; so do these, in the original's way."""

NOT_OFFERED: tuple[NotOffered, ...] = (
    NotOffered(
        "estimates",
        "convert-to-invoice",
        "ServiceTitan makes the invoice itself when a sold estimate's job is done",
        ("estimates:sell",),
    ),
    NotOffered("estimates", "email", "ServiceTitan's API sends no mail", ("estimates:update",)),
    NotOffered(
        "appointments",
        "complete",
        "ServiceTitan completes an appointment when its technician is done",
        ("appointments:confirm", "recurring_service_events:mark-complete"),
    ),
)

BY_TITLE: dict[str, Operation] = {operation.title: operation for operation in OPERATIONS}
ALIASED: dict[str, Alias] = {f"{alias.entity}:{alias.name}": alias for alias in ALIASES}
REFUSED: dict[str, NotOffered] = {f"{refusal.entity}:{refusal.name}": refusal for refusal in NOT_OFFERED}


def find(entity: str, name: str) -> tuple[Operation, Alias | None]:
    """The operation that these names mean, and the alias they are. Raises UnknownOperationError or NotOfferedError."""
    entity, name = entity.strip().replace("-", "_"), name.strip().replace("_", "-")
    title = f"{entity}:{name}"
    if title in BY_TITLE:
        return BY_TITLE[title], None
    if alias := ALIASED.get(title):
        return BY_TITLE[":".join(alias.means)], alias
    if refusal := REFUSED.get(title):
        nearest = " or ".join(f"`{other}`" for other in refusal.nearest)
        raise NotOfferedError(f"ServiceTitan has no operation `{title}`: {refusal.why}. Nearest: {nearest}.")
    own = names_of(entity)
    if not own:
        raise UnknownOperationError("entity_type", entity, sorted(ENTITIES), get_close_matches(entity, ENTITIES, 3))
    raise UnknownOperationError("operation", name, own, get_close_matches(name, own, 3))


def names_of(entity: str) -> list[str]:
    """All names that an entity's operations have, aliases among them."""
    return sorted(
        {operation.name for operation in OPERATIONS if operation.entity == entity}
        | {alias.name for alias in ALIASES if alias.entity == entity}
    )


ENTITIES: frozenset[str] = frozenset(
    {operation.entity for operation in OPERATIONS} | {alias.entity for alias in ALIASES}
)
"""Everything that can be written, by name."""
