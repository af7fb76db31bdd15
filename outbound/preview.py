"""What a change would do, seen before it is queued: the request, the live record, what differs, what to beware of."""

from dataclasses import dataclass, field
from typing import Any

from outbound.difference import difference
from outbound.live import Live
from outbound.marks import Mark, mark_in, marked
from outbound.operations import ADD, CREATE, REMOVE, UPDATE
from outbound.registry import emptied
from outbound.request import Prepared
from sources.servicetitan.client import Client, Meter


@dataclass(slots=True)
class Preview:
    """What would be sent, and to what it would lead now. `state` is the one that the mutation would come to, as far as seen."""

    method: str
    path: str
    body: Any
    live: dict[str, Any] | None = None
    changes: dict[str, Any] = field(default_factory=dict)  # by field old and new
    conflicts: dict[str, Any] = field(default_factory=dict)  # by field base, theirs and mine
    merged: list[str] = field(default_factory=list)  # changed there meanwhile, and none of ours
    warnings: list[str] = field(default_factory=list)
    state: str = "completed"


def preview(client: Client, ready: Prepared, base: dict[str, Any] | None) -> Preview:
    """Look at the live record and compare. Nothing is queued or sent. Raises ServiceTitanError."""
    operation, tenant = ready.operation, client.tenant.tenant_id
    shown = Preview(
        operation.method, f"{operation.base}{tenant}/{ready.path}", marked(operation, ready.body, "made-when-queued")
    )
    if operation.kind in {CREATE, ADD} and mark_in(operation, ready.body) is Mark.NONE:
        shown.warnings.append(
            "What this makes cannot be found again by a mark: if ServiceTitan's answer is lost, the mutation becomes `unknown`."
        )
    subject = operation.subject
    if subject is None and operation.kind in {UPDATE, REMOVE}:
        shown.warnings.append(
            "The record cannot be read by itself, so that a change made there meanwhile cannot be told."
        )
    if subject is None or operation.kind is ADD:
        return shown
    live = Live(client, Meter()).record(subject, ready.record_id or "")
    if live is None:
        shown.state = "failed" if base is None else "completed" if operation.kind is REMOVE else "conflict"
        shown.warnings.append(f"`{subject.name}` {ready.record_id} is not there (any more).")
        return shown
    shown.live = live.values
    wanted = ready.body if operation.kind is UPDATE and isinstance(ready.body, dict) else dict(operation.outcome)
    wanted = {name: value for name, value in wanted.items() if "." not in name}
    found = difference(base, live.values, wanted, emptied(operation))
    shown.changes, shown.merged = found.changes, found.merged
    if operation.kind is UPDATE:
        shown.conflicts = found.conflicts
        shown.state = "conflict" if found.conflicts else "completed"
        shown.warnings += warnings(found.unseen, is_there=found.is_there, is_based=base is not None)
    return shown


def warnings(unseen: list[str], *, is_there: bool, is_based: bool) -> list[str]:
    """What to beware of in an update."""
    told = []
    if unseen:
        names = ", ".join(f"`{name}`" for name in unseen)
        told.append(
            f"The record does not show {names}, so that it cannot be checked whether ServiceTitan takes them over."
        )
    if is_there:
        told.append("The record is as wanted already; nothing would be sent.")
    if not is_based:
        told.append(
            "It was compared with no version of the copy, so that a change made there meanwhile cannot be told."
        )
    return told
