"""Undo: the inverse of a completed update, which goes the way of any other mutation."""

from dataclasses import replace
from typing import Any

from api.bases import Bases
from api.mutation_schemas import MutationAnswer, detail
from api.problems import NotNowError
from api.queueing import Changes
from outbound.difference import BOOKKEEPING, same
from outbound.exceptions import BadMutationError, KeyReusedError
from outbound.operations import BY_TITLE, PUT, UPDATE
from outbound.queue import Mutation, Queue
from outbound.registry import Node, tree
from outbound.request import Asked
from outbound.secrets import has_secrets, names
from outbound.state import COMPLETED, HELD, PENDING, PROCESSING, possible
from store.keys import Key
from store.operations import Row

UNDER_WAY = frozenset({HELD, PENDING, PROCESSING})


def reverted(changes: Changes, key: Key, ident: int) -> tuple[MutationAnswer, str]:
    """The inverse of a mutation, queued, and where it is. Raises ApiError or OutboundError."""
    queue = changes.queue
    mutation = queue.get(ident, key.tenant_id)
    asked = inverse(mutation)
    number, last = reverts(queue, mutation)
    if last and last["state"] in UNDER_WAY:
        raise under_way(mutation, last)
    asked.idempotency_key = name(mutation, number)
    wanted = changes.wanted(key, changes.readied(asked), Bases(changes.reader, key.tenant_id, ()))
    try:
        made, is_new = queue.add(replace(wanted, base=mutation.after, reverts=ident))
    except KeyReusedError:
        is_new = False
    if not is_new:  # somebody else was faster, by a moment
        raise under_way(mutation, reverts(queue, mutation)[1] or {})
    return MutationAnswer(detail(made)), f"/api/v1/mutations/{made.mutation_id}"


def inverse(mutation: Mutation) -> Asked:
    """What gives the record its old values back. Raises BadMutationError that says why it cannot be."""
    operation = BY_TITLE.get(mutation.title)
    if operation is None or operation.kind is not UPDATE:
        raise cannot(mutation, f"`{mutation.title}` is no update of a record, and has no inverse")
    if mutation.state is not COMPLETED:
        can = ", ".join(f"`{word}`" for word in possible(mutation.state)) or "nothing"
        raise cannot(mutation, f"it is `{mutation.state}`, and only a `completed` one can be reverted. Possible: {can}")
    replaces = operation.method == PUT and isinstance(mutation.payload, dict)
    if replaces and has_secrets(mutation.title, mutation.payload):
        raise cannot(mutation, "its payload replaces the record and holds a secret, whose old value nobody is shown")
    old = old_values(mutation, replaces=replaces)
    if replaces:  # what the body leaves out would be emptied
        old = mutation.payload | old
    return Asked(
        entity_type=mutation.entity,
        operation=mutation.operation,
        entity_id=mutation.record_id,
        path_params={each: value for each, value in mutation.places.items() if each != operation.record},
        payload=old,
    )


def old_values(mutation: Mutation, *, replaces: bool) -> dict[str, Any]:
    """By field what the record had before, of the fields that the mutation changed. Raises BadMutationError.

    Where the payload `replaces` the record, also of the fields that it left out.
    """
    before = mutation.before or (mutation.base if mutation.sent_at else None)
    if not before or not mutation.after:
        what = "was" if mutation.sent_at else "was: nothing was sent, because it was as wanted already"
        raise cannot(mutation, f"nothing is known of how the record {what}")
    wanted = mutation.payload if isinstance(mutation.payload, dict) else {}
    found = {
        each: part(before[each], value)
        for each, value in wanted.items()
        if each in before
        and each in mutation.after
        and each not in BOOKKEEPING
        and each not in (mutation.not_applied or {})
        and each not in names(mutation.title)
        and not same(value, before[each])
    }
    if replaces:
        found |= left_out(mutation.title, wanted, before, mutation.after)
    if not found:
        raise cannot(mutation, "it changed no field that the record shows, so that there is nothing to revert")
    return found


def left_out(title: str, wanted: dict[str, Any], before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """By field what the record had before, of what a payload may hold, did not, and came out otherwise."""
    body = tree(title)
    return {
        each: value
        for each, value in (as_body(before, body) if body else {}).items()
        if each not in wanted and each not in BOOKKEEPING and not same(value, after.get(each))
    }


def as_body(value: Any, node: Node) -> Any:
    """Of an object the fields that a payload may hold there; null is left out where it may hold none."""
    if not (isinstance(value, dict) and node.children):
        return value
    known = {each: child for each, child in node.children.items() if each in value}
    return {
        each: as_body(value[each], child)
        for each, child in known.items()
        if value[each] is not None or child.field.nullable
    }


def part(old: Any, wanted: Any) -> Any:
    """Of an old value what was wanted of it: an object's other fields stay as they are."""
    if isinstance(old, dict) and isinstance(wanted, dict):
        return {each: part(old[each], value) for each, value in wanted.items() if each in old}
    return old


def reverts(queue: Queue, mutation: Mutation) -> tuple[int, Row | None]:
    """How many mutations were to revert this one, and the last of them."""
    number, last, tenant = 0, None, mutation.tenant_id
    while rows := queue.operations.run(
        "mutation_by_idempotency_key", tenant_id=tenant, idempotency_key=name(mutation, number)
    ):
        number, last = number + 1, rows[0]
    return number, last


def name(mutation: Mutation, number: int) -> str:
    """The idempotency key of a revert: of two that are asked for at the same moment one is queued."""
    return f"revert {mutation.mutation_id} #{number}"


def cannot(mutation: Mutation, why: str) -> BadMutationError:
    """The error for what cannot be reverted."""
    return BadMutationError(f"Mutation {mutation.mutation_id} cannot be reverted: {why}.")


def under_way(mutation: Mutation, other: Row) -> NotNowError:
    """The error for what is being reverted already."""
    by = f"mutation {other.get('mutation_id')}"
    return NotNowError(
        f"Mutation {mutation.mutation_id} is being reverted already, by {by}. Wait for it, or cancel it."
    )
