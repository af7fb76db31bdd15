"""What is read for each parent: notes, logs, lines, relations. What a record belongs to follows from its place."""

from typing import Any

from sandbox import clock, naming, texts
from sandbox.business import Business
from sandbox.chance import below, salt
from sandbox.row import Row
from sandbox.sizes import PER_PARENT
from sandbox.stories.sales import STATES
from sandbox.stories.story import Near, Story
from sandbox.stories.work import reason_of, span
from sandbox.words import NOTES

SAYS, SERVES, COMES, SUM, DOCUMENT = map(salt, ("says", "serves", "comes", "sum", "document"))
KINDS = ("customer", "location")
NONE_PREFERRED = 3
LINES, TWINS, TWIN_FILE = 8, (2, 7), 2
FILES = 4
ITEMS, CODES, SEGMENTS = 6, 15, 2
SINCE = 300 * clock.DAY
BUSINESS_HOURS = {"fromHour": 8, "toHour": 17}
MEMBERSHIP = (("Active", "Suspended"), ("Suspended", "Active"))


def nth(name: str, position: int) -> int:
    """The place of a record among those of its parent."""
    pattern = PER_PARENT[name][1]
    return position - pattern.children(pattern.parent(position))[0]


def note(row: Row) -> dict[str, Any]:
    """What somebody wrote down."""
    return {"text": NOTES[row.chance(len(NOTES), SAYS)]}


def booking_contact(row: Row) -> dict[str, Any]:
    """A number or an address of who booked."""
    is_email = nth(row.name, row.position) > 0
    value = naming.email(row.number) if is_email else naming.phone(row.number)
    return {"type": "Email" if is_email else "MobilePhone", "value": value}


def relationship(row: Row) -> dict[str, Any]:
    """Whose contact it is; the id is that of the kind of relationship."""
    place = nth(row.name, row.position)
    kind = KINDS[place]
    return {
        "id": texts.guid(place + 1),
        "relatedEntityId": row.id_of(f"{kind}s", SERVES),
        "typeName": kind.capitalize(),
        "typeSlug": kind,
    }


def preferred(row: Row) -> dict[str, Any]:
    """The technician who shall come, if one is wished for."""
    return {"value": row.id_of("technicians", SERVES) if row.chance(NONE_PREFERRED, COMES) else None}


def booked(row: Row) -> dict[str, Any]:
    """When a job was planned to begin."""
    job = row.near["jobs"]
    start = span(row.business, job, row.business.job_created(job))[0]
    return {
        "id": row.ident,
        "start": clock.stamp(start),
        "arrivalWindowStart": clock.stamp(start),
        "arrivalWindowEnd": clock.stamp(start + 2 * clock.HOUR),
    }


def canceled(row: Row) -> dict[str, Any]:
    """Why a job was canceled."""
    return {"reasonId": row.business.ident("job_cancel_reasons", reason_of(row, "job_cancel_reasons"))}


def estimate_change(row: Row) -> dict[str, Any]:
    """From open to what became of it, and back before that."""
    was = ("Dismissed", "Open")[nth(row.name, row.position) > 0]
    return {"oldStatus": was, "newStatus": STATES[1 - (was == "Open")][2]}


def membership_change(row: Row) -> dict[str, Any]:
    """Suspended, and active again."""
    old, new = MEMBERSHIP[nth(row.name, row.position)]
    return {"oldStatus": old, "newStatus": new}


def line(row: Row) -> dict[str, Any]:
    """One side of an entry: what the first line takes is given by the others."""
    business, place = row.business, nth(row.name, row.position)
    entry = row.near["journal_entries"]
    amount = 50 + below(50_000, business.number("journal_entries", entry), SUM)
    others = len(PER_PARENT[row.name][1].children(entry)) - 1
    return {"debit": 0.0 if place else float(amount * others), "credit": float(amount) if place else 0.0}


def twin_line(business: Business, position: int) -> tuple[str, int]:  # noqa: ARG001  as every source
    """The last of three lines says what the one before says."""
    return "journal_entry_details", position - (position % LINES in TWINS)


def twin_file(business: Business, position: int) -> tuple[str, int]:  # noqa: ARG001  as every source
    """The same file was attached twice."""
    return "job_attachments", position - (position % FILES == TWIN_FILE)


def attachment(row: Row) -> dict[str, Any]:
    """A file's name."""
    return {"fileName": f"photo-{row.chance(100_000, DOCUMENT):05}.jpg"}


def item_of_segment(row: Row) -> dict[str, Any]:
    """Below the first item of its segment stand the others."""
    first = PER_PARENT["segment_items"][1].children(PER_PARENT["segment_items"][1].parent(row.position))[0]
    return {"parentId": None if first == row.position else row.business.ident("segment_items", first)}


def near_session(business: Business, _name: str, position: int) -> Near:
    """The scheduler of a session, and a customer."""
    scheduler = PER_PARENT["scheduler_sessions"][1].parent(position) % business.sizes["schedulers"]
    return {"schedulers": scheduler, "customers": position % business.customers}


def session_created(business: Business, name: str, position: int, _near: Near) -> int:
    """Any time in the last months."""
    return business.horizon - clock.HOUR - below(SINCE, business.number(name, position), COMES)


def session(row: Row) -> dict[str, Any]:
    """Which scheduler was used."""
    return {"schedulerId": f"schedulers-{row.near['schedulers'] + 1}"}


def tracking(row: Row) -> dict[str, Any]:
    """Where a customer sees the technician come."""
    return {"technicianTrackingUrl": f"https://track.example.com/{row.number:016x}"}


def hours(_row: Row) -> dict[str, Any]:
    """When the office is open."""
    return {"weekdays": [BUSINESS_HOURS], "saturday": [{"fromHour": 9, "toHour": 12}], "sunday": []}


STORIES = {
    **{f"{owner}_notes": Story(note) for owner in ("customer", "lead", "location", "job", "project")},
    "booking_contacts": Story(booking_contact),
    "contact_relationships": Story(relationship),
    "location_preferred_technician": Story(preferred),
    "job_booked_log": Story(booked),
    "job_canceled_log": Story(canceled),
    "job_attachments": Story(attachment, source=twin_file),
    "estimate_status_changes": Story(estimate_change),
    "membership_status_changes": Story(membership_change),
    "journal_entry_details": Story(line, source=twin_line),
    "journal_entry_summary": Story(line, source=twin_line),
    "segment_items": Story(item_of_segment),
    "project_segments": Story(source=lambda _business, position: ("segments", position % SEGMENTS)),
    "project_segment_items": Story(
        item_of_segment, source=lambda _business, position: ("segment_items", position % ITEMS)
    ),
    "project_budget_codes": Story(source=lambda _business, position: ("budget_codes", position % CODES)),
    "scheduler_sessions": Story(session, near_session, session_created),
    "technician_tracking": Story(tracking),
    "business_hours": Story(hours),
}
