"""How many records of each entity the business has."""

from sandbox import share
from sandbox.share import Share

USUAL = 6
LEAST = 2

FIXED: dict[str, int] = {
    "activity_codes": 9,
    "arrival_window_configuration": 1,
    "booking_provider_tags": 4,
    "budget_codes": 15,
    "business_hours": 1,
    "business_unit_intacct_mappings": 8,
    "business_units": 8,
    "call_reasons": 12,
    "campaign_cost_summary": 8,
    "campaign_categories": 6,
    "campaign_costs": 120,
    "campaigns": 20,
    "capacity": 2,
    "email_channel_cost": 1,
    "employees": 40,
    "equipment_types": 15,
    "estimate_templates": 15,
    "forms": 10,
    "gl_account_types": 10,
    "gl_accounts": 30,
    "invoice_templates": 12,
    "job_cancel_reasons": 10,
    "job_hold_reasons": 8,
    "job_types": 30,
    "marketing_performance": 4,
    "marketing_performance_by_ad_group": 8,
    "marketing_performance_by_keyword": 16,
    "payment_types": 8,
    "payroll_settings": 65,
    "pricebook_categories": 24,
    "pricebook_discounts_and_fees": 10,
    "pricebook_equipment": 60,
    "pricebook_materials": 120,
    "pricebook_services": 200,
    "project_sub_statuses": 8,
    "proposal_templates": 8,
    "recurring_service_types": 10,
    "remittance_vendors": 12,
    "report_categories": 8,
    "schedulers": 3,
    "tag_types": 30,
    "task_management_data": 1,
    "technician_skills": 75,
    "technicians": 25,
    "timesheet_activity_types": 14,
    "timesheet_codes": 12,
    "trucks": 20,
    "user_roles": 12,
    "vendors": 20,
    "warehouses": 3,
    "zones": 10,
}
"""Reference lists, and what sums are made of: the same for a small business and a large one."""

PER_CUSTOMER: dict[str, float] = {
    "adjustments": 0.1,
    "ap_bills": 0.2,
    "ap_credits": 0.05,
    "ap_payments": 0.15,
    "attributed_leads": 0.5,
    "bookings": 0.3,
    "calls": 1.0,
    "calls_v2": 1.0,
    "contact_methods": 1.8,
    "contacts": 1.0,
    "credit_memo_items": 0.1,
    "credit_memos": 0.05,
    "customers": 1.0,
    "deposits": 0.1,
    "form_submissions": 0.5,
    "gross_pay_items": 2.0,
    "installed_equipment": 0.8,
    "inventory_bills": 0.2,
    "inventory_bills_paginated": 0.2,
    "job_splits": 1.0,
    "journal_entries": 0.1,
    "leads": 0.4,
    "location_findings": 0.3,
    "location_labor_types": 0.3,
    "marketing_reviews": 0.3,
    "memberships": 0.3,
    "non_job_appointments": 0.3,
    "non_job_timesheets": 0.5,
    "payroll_adjustments": 0.2,
    "payroll_timesheets": 2.0,
    "payrolls": 0.3,
    "projects": 0.1,
    "purchase_order_requests": 0.1,
    "purchase_orders": 0.3,
    "receipts": 0.25,
    "recurring_service_events": 0.9,
    "recurring_services": 0.3,
    "returns": 0.05,
    "service_agreements": 0.05,
    "tasks": 0.2,
    "technician_ratings": 0.6,
    "technician_shifts": 0.5,
    "timesheet_activities": 1.0,
    "transfers": 0.1,
}
"""What grows with the customers, at so many for each."""

PER_PARENT: dict[str, tuple[str, Share]] = {
    "locations": ("customers", share.LOCATIONS),
    "jobs": ("customers", share.JOBS),
    "customer_contacts": ("customers", share.CUSTOMER_CONTACTS),
    "location_contacts": ("locations", share.LOCATION_CONTACTS),
    "appointments": ("jobs", share.APPOINTMENTS),
    "appointment_assignments": ("appointments", share.ONE_EACH),
    "estimates": ("jobs", share.ESTIMATES),
    "estimate_items": ("estimates", share.ESTIMATE_ITEMS),
    "invoices": ("jobs", share.ONE_EACH),
    "invoice_items": ("invoices", share.INVOICE_ITEMS),
    "payments": ("invoices", share.PAYMENTS),
    "job_cancel_reasons_by_job": ("jobs", share.CANCELED_JOBS),
    "job_hold_reasons_by_job": ("jobs", share.HELD_JOBS),
    "bank_deposit_transactions": ("deposits", share.DEPOSITED),
    "booking_contacts": ("bookings", share.BOOKING_CONTACTS),
    "contact_relationships": ("contacts", share.RELATIONSHIPS),
    "customer_notes": ("customers", share.CUSTOMER_NOTES),
    "estimate_status_changes": ("estimates", share.STATUS_CHANGES),
    "invoice_tasks": ("invoices", share.INVOICE_TASKS),
    "job_attachments": ("jobs", share.ATTACHMENTS),
    "job_booked_log": ("jobs", share.BOOKED_LOGS),
    "job_canceled_log": ("jobs", share.CANCELED_JOBS),
    "job_equipment": ("jobs", share.ONE_EACH),
    "job_history": ("jobs", share.ONE_EACH),
    "job_notes": ("jobs", share.JOB_NOTES),
    "journal_entry_details": ("journal_entries", share.JOURNAL_LINES),
    "journal_entry_summary": ("journal_entries", share.JOURNAL_LINES),
    "lead_notes": ("leads", share.LEAD_NOTES),
    "location_finding_attachments": ("location_findings", share.FINDING_ATTACHMENTS),
    "location_notes": ("locations", share.LOCATION_NOTES),
    "location_preferred_technician": ("locations", share.ONE_EACH),
    "membership_status_changes": ("memberships", share.MEMBERSHIP_CHANGES),
    "membership_type_discounts": ("membership_types", share.OF_MEMBERSHIP_TYPE),
    "membership_type_duration_billing_items": ("membership_types", share.OF_MEMBERSHIP_TYPE),
    "membership_type_recurring_service_items": ("membership_types", share.OF_MEMBERSHIP_TYPE),
    "project_budget_codes": ("projects", share.BUDGET_CODES),
    "project_notes": ("projects", share.PROJECT_NOTES),
    "project_segments": ("projects", share.PROJECT_SEGMENTS),
    "project_segment_items": ("project_segments", share.PROJECT_SEGMENT_ITEMS),
    "report_definitions": ("reports", share.ONE_EACH),
    "reports": ("report_categories", share.REPORTS),
    "scheduler_performance": ("schedulers", share.ONE_EACH),
    "scheduler_sessions": ("schedulers", share.SESSIONS),
    "segment_items": ("segments", share.SEGMENT_ITEMS),
    "technician_tracking": ("appointment_assignments", share.ONE_EACH),
}
"""What belongs to a parent, by a fixed pattern; a parent stands before its children."""


def size(name: str, customers: int) -> int:
    """How many records the entity called `name` has in a business of so many customers."""
    if name in PER_PARENT:
        parent, pattern = PER_PARENT[name]
        return pattern.count(size(parent, customers))
    if name in PER_CUSTOMER:
        return max(LEAST, round(PER_CUSTOMER[name] * customers))
    return FIXED.get(name, USUAL)


def grows(name: str) -> bool:
    """Whether an entity's records are made in the course of business rather than set up once."""
    return name in PER_CUSTOMER or (name in PER_PARENT and grows(PER_PARENT[name][0]))
