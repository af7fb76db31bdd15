"""Which entity a field points to, by the field's name."""

import re

REFERENCES: dict[str, str] = {
    "account": "gl_accounts",
    "accountManager": "employees",
    "activityCode": "activity_codes",
    "activityType": "timesheet_activity_types",
    "appoitment": "appointments",
    "appointment": "appointments",
    "assetAccount": "gl_accounts",
    "assignedBy": "employees",
    "assignedTo": "employees",
    "bankAccount": "gl_accounts",
    "billingService": "pricebook_services",
    "booking": "bookings",
    "bookingProvider": "booking_provider_tags",
    "budgetCode": "budget_codes",
    "businessUnit": "business_units",
    "call": "calls",
    "callReason": "call_reasons",
    "campaign": "campaigns",
    "canceledBy": "employees",
    "category": "pricebook_categories",
    "contact": "contacts",
    "costOfSaleAccount": "gl_accounts",
    "createdBy": "employees",
    "creditMemo": "credit_memos",
    "customer": "customers",
    "deposit": "deposits",
    "employee": "employees",
    "employeeInfo": "employees",
    "equipment": "pricebook_equipment",
    "estimate": "estimates",
    "estimateItem": "estimate_items",
    "estimateTemplate": "estimate_templates",
    "feeAccount": "gl_accounts",
    "firstAppointment": "appointments",
    "form": "forms",
    "fromLocation": "warehouses",
    "generalLedgerAccount": "gl_accounts",
    "glAccount": "gl_accounts",
    "installedEquipment": "installed_equipment",
    "inventoryBill": "inventory_bills",
    "inventoryLocation": "warehouses",
    "inventoryTemplate": "inventory_templates",
    "invoice": "invoices",
    "invoiceItem": "invoice_items",
    "invoiceTemplate": "invoice_templates",
    "job": "jobs",
    "jobAppointment": "appointments",
    "jobType": "job_types",
    "lastAppointment": "appointments",
    "lead": "leads",
    "leadCall": "calls",
    "location": "locations",
    "locationRecurringService": "recurring_services",
    "mainZone": "zones",
    "manager": "employees",
    "materialSku": "pricebook_materials",
    "membership": "memberships",
    "membershipType": "membership_types",
    "modifiedBy": "employees",
    "parent": "pricebook_categories",
    "paymentTerm": "payment_terms",
    "paymentType": "payment_types",
    "payrollBusinessUnit": "business_units",
    "pickedBy": "employees",
    "preferredTechnician": "technicians",
    "project": "projects",
    "projectManager": "employees",
    "projectType": "project_types",
    "purchaseOrder": "purchase_orders",
    "receivedBy": "employees",
    "recurringLocation": "locations",
    "recurringServiceType": "recurring_service_types",
    "remittanceVendor": "remittance_vendors",
    "remittanceVendorInfo": "remittance_vendors",
    "reportedBy": "employees",
    "returnType": "return_types",
    "role": "user_roles",
    "sku": "pricebook_services",
    "soldBy": "technicians",
    "sourceJob": "jobs",
    "stCampaign": "campaigns",
    "tag": "tag_types",
    "tagType": "tag_types",
    "taxZone": "tax_zones",
    "technician": "technicians",
    "timesheetCode": "timesheet_codes",
    "toLocation": "warehouses",
    "vendor": "vendors",
    "verifiedByUser": "employees",
    "warehouse": "warehouses",
    "zone": "zones",
}
"""Entity by the field's name without `Id`, `Ids` or the plural's s."""


ALSO: dict[str, tuple[str, ...]] = {
    "category": ("campaign_categories",),
    "equipment": ("installed_equipment",),
    "inventoryLocation": ("trucks",),
    "sku": ("pricebook_materials", "pricebook_equipment", "pricebook_discounts_and_fees"),
    "soldBy": ("employees",),
}
"""Further entities that a field of this name may point to in a request."""


def stem(name: str) -> str:
    """`customerId`, `customerIds` and `customers` to `customer`; `soldBy` stays."""
    return re.sub(r"(Ids?|(?<!s)s)$", "", name)


def entity_of(name: str) -> str:
    """The entity that a field of this name points to, or an empty string."""
    return REFERENCES.get(stem(name), "")


def entities_of(name: str) -> tuple[str, ...]:
    """All entities that a field of this name may point to in a request."""
    entity = entity_of(name)
    return (entity, *ALSO.get(stem(name), ())) if entity else ()
