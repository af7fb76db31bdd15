"""What a write is answered with: nothing, an id, or the record."""

from dataclasses import dataclass
from typing import Any

import msgspec

from outbound.operations import Operation
from outbound.registry import answers
from sandbox.writes.write import Key


@dataclass(frozen=True, slots=True)
class Done:
    """What a write came to: the record's key, and its JSON where it can be read."""

    key: Key
    text: bytes = b""


INSIDE: dict[str, str] = {
    "budget_codes:create-budget-code": "code",
    "budget_codes:create-budget-code-partial": "code",
    "pricebook_materials_markup:create": "data",
    "pricebook_materials_markup:update": "data",
}
"""Answers in which the record stands in a field."""
ID_ALONE: dict[str, str] = {
    "employees:update-employee-payroll-settings": "employeeId",
    "leads:submit-lead-form": "leadId",
    "memberships:create": "customerMembershipId",
    "technicians:update-technician-payroll-settings": "employeeId",
}
"""Answers with nothing but the id, under another name."""


def reply(operation: Operation, done: Done, body: Any) -> bytes:
    """The JSON of an answer, empty where there is none; `body` is what was taken of the request."""
    match answers().get(operation.title, "empty"):
        case "empty":
            return b""
        case "id":
            return msgspec.json.encode({"id": done.key})
        case "integer":
            return msgspec.json.encode(done.key)
        case "record":
            return done.text or msgspec.json.encode(({"id": done.key} if done.key else {}) | body)
        case _:
            return other(operation, done, body)


def other(operation: Operation, done: Done, body: Any) -> bytes:
    """An answer of a shape of its own: near to it, the record, or what was sent with the word that it was done."""
    if operation.is_upload:
        return msgspec.json.encode({"path": f"Files/{done.key}", **body})
    if operation.title in ID_ALONE:
        return msgspec.json.encode({ID_ALONE[operation.title]: done.key})
    if operation.title in INSIDE:
        return b'{"%b":%b}' % (INSIDE[operation.title].encode(), done.text)
    if done.text:
        return done.text
    if isinstance(body, list):
        return msgspec.json.encode([{**one, "success": True, "errorMessage": None} for one in body])
    return msgspec.json.encode(body)
