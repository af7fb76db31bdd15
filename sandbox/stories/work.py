"""Jobs, their appointments and what became of them."""

from typing import Any

from sandbox import clock, share
from sandbox.business import LATER, LENGTH, START, Business
from sandbox.chance import below, salt
from sandbox.row import Row
from sandbox.stories.billing import total
from sandbox.stories.story import Near, Story, near_job
from sandbox.words import PRIORITIES

REASON = salt("reason")
LONG_JOB = 5
FRESH_ASSIGNMENT = 12
APPOINTMENT_STATUS = {
    "Completed": "Done",
    "InProgress": "Working",
    "Scheduled": "Scheduled",
    "Dispatched": "Dispatched",
    "Hold": "Hold",
    "Canceled": "Canceled",
}
ASSIGNMENT_STATUS = {"Done": "Done", "Working": "Working", "Dispatched": "Dispatched"}


def span(business: Business, job: int, created: int) -> tuple[int, int]:
    """When the first appointment of a job starts and when the last one ends."""
    number = business.number("jobs", job)
    start = created + 2 * clock.HOUR + below(6 * clock.DAY, number, START)
    is_long = below(LONG_JOB, number, LENGTH) == 0
    return start, start + 2 * clock.HOUR + (below(4 * clock.DAY, number, LATER) if is_long else clock.HOUR)


def status(business: Business, job: int, created: int) -> str:
    """The status of a job on the business's day."""
    blocks = (("Canceled", share.CANCELED_JOBS), ("Hold", share.HELD_JOBS))
    for name, pattern in blocks:
        if job % pattern.parents in pattern.owners:
            return name
    start, end = span(business, job, created)
    if end <= business.horizon:
        return "Completed"
    if start <= business.horizon:
        return "InProgress"
    return "Dispatched" if start - clock.DAY <= business.horizon else "Scheduled"


def job_created(business: Business, _name: str, position: int, _near: Near) -> int:
    """When the job was booked."""
    return business.job_created(position)


def job_settled(business: Business, job: int, created: int) -> int:
    """When the job was completed, or booked."""
    end = span(business, job, created)[1]
    return end if status(business, job, created) == "Completed" else created


def job(row: Row) -> dict[str, Any]:
    """A job with its customer, location, appointments, estimates and invoice."""
    business, position = row.business, row.position
    appointments = share.APPOINTMENTS.children(position)
    now = status(business, position, row.created)
    return {
        "jobNumber": str(row.ident),
        "customerId": business.ident("customers", row.near["customers"]),
        "locationId": business.ident("locations", row.near["locations"]),
        "jobStatus": now,
        "completedOn": clock.stamp(span(business, position, row.created)[1]) if now == "Completed" else None,
        "priority": PRIORITIES[row.chance(len(PRIORITIES), LATER)],
        "appointmentCount": len(appointments),
        "firstAppointmentId": business.ident("appointments", appointments[0]),
        "lastAppointmentId": business.ident("appointments", appointments[-1]),
        "invoiceId": business.ident("invoices", position),
        "total": total(business, position) / 100,
        "estimateIds": [business.ident("estimates", child) for child in share.ESTIMATES.children(position)],
    }


def near_appointment(business: Business, _name: str, position: int) -> Near:
    """The job of an appointment."""
    return near_job(business, share.APPOINTMENTS.parent(position)) | {"appointments": position}


def appointment_created(business: Business, _name: str, position: int, near: Near) -> int:
    """Right after the job was booked, one after the other."""
    nth = position - share.APPOINTMENTS.children(near["jobs"])[0]
    return business.capped(business.job_created(near["jobs"]) + clock.SECOND + nth * clock.HOUR, position)


def appointment(row: Row) -> dict[str, Any]:
    """An appointment within its job's span, with the status that follows from the job's."""
    business, job_position = row.business, row.near["jobs"]
    booked = business.job_created(job_position)
    start, end = span(business, job_position, booked)
    if row.position != share.APPOINTMENTS.children(job_position)[0]:
        start = end - clock.HOUR
    elif share.APPOINTMENTS.children(job_position)[-1] != row.position:
        end -= clock.HOUR
    return {
        "jobId": business.ident("jobs", job_position),
        "appointmentNumber": f"{business.ident('jobs', job_position)}-{row.position % 6 + 1}",
        "customerId": business.ident("customers", row.near["customers"]),
        "start": clock.stamp(start),
        "end": clock.stamp(end),
        "arrivalWindowStart": clock.stamp(start),
        "arrivalWindowEnd": clock.stamp(start + 2 * clock.HOUR),
        "status": APPOINTMENT_STATUS[status(business, job_position, booked)],
        "unused": False,
    }


def assigned(business: Business, assignment: int, created: int) -> int:
    """When somebody was last sent to an appointment: one in twelve since yesterday."""
    number = business.number("appointment_assignments", assignment)
    is_fresh = assignment % FRESH_ASSIGNMENT == 0
    return max(created, business.horizon - below(12 * clock.HOUR, number, START)) if is_fresh else created


def assignment(row: Row) -> dict[str, Any]:
    """Who goes to an appointment."""
    now = appointment(row)["status"]
    return {
        "status": ASSIGNMENT_STATUS.get(now, "Scheduled"),
        "assignedOn": clock.stamp(row.created),
        "isPaused": False,
    }


def reason_of(row: Row, name: str) -> int:
    """The position of the reason for which a job was stopped."""
    return below(row.business.sizes[name], row.business.number("jobs", row.near["jobs"]), REASON)


def reason(row: Row, name: str) -> dict[str, Any]:
    """Why a job was stopped."""
    position = reason_of(row, name)
    return {
        "jobId": row.business.ident("jobs", row.near["jobs"]),
        "reasonId": row.business.ident(name, position),
        "name": row.business.called(name, position),
    }


def held(row: Row) -> dict[str, Any]:
    """Why a job waits, appointment by appointment."""
    told = reason(row, "job_hold_reasons")
    appointments = [
        {
            "appointmentId": row.business.ident("appointments", child),
            "reasonId": told["reasonId"],
            "name": told["name"],
            "text": told["name"],
        }
        for child in share.APPOINTMENTS.children(row.near["jobs"])
    ]
    return {**told, "appointmentHoldReasons": appointments}


def project(row: Row) -> dict[str, Any]:
    """A project of one job."""
    return {"jobIds": [row.business.ident("jobs", row.near["jobs"])], "number": str(row.ident)}


STORIES = {
    "jobs": Story(job, lambda business, _name, position: near_job(business, position), job_created, job_settled),
    "appointments": Story(appointment, near_appointment, appointment_created),
    "appointment_assignments": Story(assignment, near_appointment, appointment_created, assigned, is_edited=False),
    "job_cancel_reasons_by_job": Story(
        lambda row: reason(row, "job_cancel_reasons"),
        lambda business, _name, position: near_job(business, share.CANCELED_JOBS.parent(position)),
    ),
    "job_hold_reasons_by_job": Story(
        held, lambda business, _name, position: near_job(business, share.HELD_JOBS.parent(position))
    ),
    "projects": Story(project),
}
