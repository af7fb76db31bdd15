"""What stands around the records of an answer that is no page of a list, by module and path."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from sandbox.problem import Problem
from sources.servicetitan.catalog import Entity


@dataclass(frozen=True)
class Told:
    """What some answers tell of themselves."""

    tenant: int
    now: str


Frame = Callable[[Sequence[bytes], Told], bytes]
"""Makes an answer of records."""


def array(records: Sequence[bytes], _told: Told) -> bytes:
    """An array without an envelope."""
    return b"[%b]" % b",".join(records)


def one(records: Sequence[bytes], _told: Told) -> bytes:
    """The record itself. Raises Problem where there is none."""
    if not records:
        raise Problem(404, "There is no such record.")
    return records[0]


def value(records: Sequence[bytes], told: Told) -> bytes:
    """The bare value of a record `{"value":5}`, whatever else a fault put into it."""
    return msgspec.json.encode(msgspec.json.decode(one(records, told))["value"])


def data(records: Sequence[bytes], _told: Told) -> bytes:
    """An envelope that tells nothing of pages."""
    return b'{"data":[%b]}' % b",".join(records)


def items(records: Sequence[bytes], _told: Told) -> bytes:
    """The sums of campaigns."""
    return b'{"items":[%b]}' % b",".join(records)


def availabilities(records: Sequence[bytes], told: Told) -> bytes:
    """Capacity as of now."""
    return b'{"timeStamp":"%b","availabilities":[%b]}' % (told.now.encode(), b",".join(records))


def warnings(records: Sequence[bytes], told: Told) -> bytes:
    """Warnings of a named tenant."""
    head = b'{"tenantId":%d,"tenantName":"Tenant %d","totalCount":%d,' % (told.tenant, told.tenant, len(records))
    return head + b'"data":[%b]}' % b",".join(records)


FRAMES: dict[tuple[str, str], Frame] = {
    ("accounting", "inventory-bills"): array,
    ("crm", "contacts/preferences"): array,
    ("crm", "locations/{id}/preferredtechnician"): value,
    ("dispatch", "capacity"): availabilities,
    ("jpm", "jobs/{id}/history"): one,
    ("jpm", "work-breakdown-structure/projects/{id}/segments"): data,
    ("jpm", "work-breakdown-structure/segments"): data,
    ("marketing", "campaign-cost-summary"): items,
    ("marketingads", "capacity-warnings"): warnings,
    ("memberships", "membership-types/{id}/discounts"): array,
    ("memberships", "membership-types/{id}/duration-billing-items"): array,
    ("memberships", "membership-types/{id}/recurring-service-items"): array,
    ("memberships", "memberships/{id}/status-changes"): array,
    ("sales", "proposal-types"): data,
    ("sales", "status/estimates/{id}/changes"): array,
}


def frame_of(entity: Entity, path: str) -> Frame | None:
    """The frame of the answers at a path; None is the envelope of a page."""
    return FRAMES.get((entity.module, path)) or (None if entity.records else one)
