"""What ServiceTitan's documents offer for reading and this project leaves out, with the reason. Plain data.

Addresses are written as in the documents, with `{}` for every placeholder. A detail of something the catalog lists
(`/{list}/{id}`) needs no line.
"""

SAME = "the same records as in {}, which is read at once instead of for each parent"

EXCLUDED: dict[str, str] = {
    "/accounting/v2/tenant/{}/credit-memos/{}/items": SAME.format("credit_memo_items"),
    "/crm/v2/tenant/{}/booking-provider/{}/bookings": "bookings of all providers are in bookings, and providers are not listed",
    "/crm/v2/tenant/{}/booking-provider/{}/bookings/{}/contacts": SAME.format("booking_contacts"),
    "/crm/v2/tenant/{}/contacts/{}/contact-methods": SAME.format("contact_methods"),
    "/crm/v2/tenant/{}/contacts/{}/contact-methods/{}/preferences": SAME.format("contact_preferences"),
    "/crm/v2/tenant/{}/contacts/{}/contact-methods/{}/preferences/{}": SAME.format("contact_preferences"),
    "/crm/v2/tenant/{}/contacts/relationships/{}": "contact_relationships seen from the other side",
    "/crm/v2/tenant/{}/customers/{}/contacts": SAME.format("customer_contacts"),
    "/crm/v2/tenant/{}/locations/{}/contacts": SAME.format("location_contacts"),
    "/equipmentsystems/v2/tenant/{}/installed-equipment/attachments": "answers with a file, for a path that a record names",
    "/findings/v2/tenant/{}/assets": "answers with a file, for a path that a record names",
    "/forms/v2/tenant/{}/jobs/attachment/{}": "answers with a file",
    "/jpm/v2/tenant/{}/work-breakdown-structure/budget-codes/match": "a look-up of given codes in budget_codes",
    "/jpm/v2/tenant/{}/work-breakdown-structure/projects/{}/budget-codes/match": "a look-up in project_budget_codes",
    "/jpm/v2/tenant/{}/work-breakdown-structure/projects/{}/segments/{}/items/{}/children": (
        "project_segment_items is read with includeChildren"
    ),
    "/jpm/v2/tenant/{}/work-breakdown-structure/segments/{}/items/{}/children": "segment_items is read with includeChildren",
    "/marketing/v2/tenant/{}/campaigns/{}/costs": SAME.format("campaign_costs"),
    "/memberships/v2/tenant/{}/invoice-templates": "asks for known ids; the export in invoice_templates has them all",
    "/payroll/v2/tenant/{}/employees/{}/payrolls": SAME.format("payrolls"),
    "/payroll/v2/tenant/{}/technicians/{}/payrolls": SAME.format("payrolls"),
    "/payroll/v2/tenant/{}/employees/{}/payroll-settings": SAME.format("payroll_settings"),
    "/payroll/v2/tenant/{}/technicians/{}/payroll-settings": SAME.format("payroll_settings"),
    "/payroll/v2/tenant/{}/jobs/{}/splits": SAME.format("job_splits"),
    "/payroll/v2/tenant/{}/jobs/{}/timesheets": SAME.format("payroll_timesheets"),
    "/pricebook/v2/tenant/{}/images": "answers with a file, for a path that a record names",
    "/sales/v2/tenant/{}/estimates/export": "the older address of the export that estimates is read by",
    "/schedulingpro/v2/tenant/{}/routers/{}/sessions": "routers are not listed anywhere, so there is no id to ask for",
    "/schedulingpro/v2/tenant/{}/routers/{}/performance": "routers are not listed anywhere, so there is no id to ask for",
    "/telecom/v2/tenant/{}/calls": "another shape of the calls in calls (v3) and calls_v2 (export)",
    "/telecom/v2/tenant/{}/calls/{}/recording": "answers with a sound file",
    "/telecom/v2/tenant/{}/calls/{}/voicemail": "answers with a sound file",
}
