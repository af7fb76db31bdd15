"""The sides of a mutation: what is known of base, theirs and mine, from what the API shows of it. Pure."""

from collections.abc import Mapping
from typing import Any

from api.mutation_schemas import MutationDetail
from outbound.operations import ACTION, REMOVE, UPDATE, Operation
from outbound.registry import emptied
from outbound.state import HELD, PENDING, PROCESSING

ON_A_RECORD = frozenset({UPDATE, ACTION, REMOVE})
BEFORE_SENDING = frozenset({HELD, PENDING, PROCESSING})
WHOLE = "(the whole body)"  # stands for the field of a body that has none
Values = Mapping[str, Any]


def is_deletion(shown: MutationDetail) -> bool:
    """Whether the conflict is that the record is gone."""
    found = shown.conflict or {}
    return set(found) == {"deleted"} and found["deleted"].get("theirs") is None and "deleted" not in (shown.base or {})


def base_of(shown: MutationDetail) -> dict[str, Any]:
    """The record as it was known; in a conflict as it was compared."""
    known = dict(shown.base or {})
    if shown.conflict and not is_deletion(shown):
        known |= {name: each["base"] for name, each in shown.conflict.items() if "base" in each}
    return known


def theirs_of(shown: MutationDetail, copy: Values | None, operation: Operation | None) -> tuple[Values | None, str]:
    """The record as others have it, as far as it is known, and when that was."""
    if shown.conflict:
        gone = is_deletion(shown)
        found = {} if gone else {name: each.get("theirs") for name, each in shown.conflict.items()}
        return found, "in ServiceTitan when it was looked at"
    if operation is None or operation.kind not in ON_A_RECORD:
        return None, ""
    if shown.state in BEFORE_SENDING and not shown.sent_at:
        return copy, "as the copy has it now"
    return shown.before, "in ServiceTitan just before"


def wanted_of(shown: MutationDetail) -> dict[str, Any]:
    """The body's fields."""
    if isinstance(shown.payload, dict):
        return dict(shown.payload)
    return {} if shown.payload is None else {WHOLE: shown.payload}


def left_out(shown: MutationDetail, operation: Operation | None) -> list[str]:
    """The fields that the body leaves out, and thereby empties, as a PUT does."""
    known = {**(shown.base or {}), **(shown.before or {})}
    found = [name for name in emptied(operation) if known.get(name)] if operation else []
    lost = [] if is_deletion(shown) else [name for name, each in (shown.conflict or {}).items() if each["mine"] is None]
    wanted = wanted_of(shown)
    return [name for name in dict.fromkeys([*found, *lost]) if name not in wanted]


def mine_of(shown: MutationDetail, operation: Operation | None) -> dict[str, Any]:
    """What is wanted: the body, what it empties because it leaves it out, and what an action leads to."""
    outcome = dict(operation.outcome) if operation else {}
    return wanted_of(shown) | dict.fromkeys(left_out(shown, operation)) | outcome


def told_conflicts(shown: MutationDetail) -> frozenset[str] | None:
    """The fields that the attempt found in conflict; None before there was one."""
    if shown.conflict:
        return frozenset(wanted_of(shown) if is_deletion(shown) else shown.conflict)
    return None if shown.state in BEFORE_SENDING and not shown.sent_at else frozenset()
