"""What an action does to the fields of a record: pure functions from the record and the request to what to write."""

from collections.abc import Mapping
from typing import Any

from outbound.operations import BRACES, DELETE, POST, PUT, Operation
from sandbox.problem import Problem
from sandbox.references import stem
from sandbox.stories.born import BORN
from sources.servicetitan.catalog import Entity

Json = dict[str, Any]
TAKES_BACK = "remove-"
"""How the names of operations begin that take back what another one did."""


def at(record: Any, path: str) -> Any:
    """What stands at a path with dots, or None."""
    for step in path.split("."):
        record = record.get(step) if isinstance(record, dict) else None
    return record


def check_state(operation: Operation, record: Json) -> None:
    """Raise the Problem of an action that has been done already and cannot be done twice."""
    if operation.method not in {POST, PUT}:
        return
    for path, value in operation.outcome:
        if isinstance(value, str) and at(record, path) == value:
            raise Problem(409, f"The record is already in this state: {value}")


def part_of(operation: Operation) -> str:
    """The field that the path names behind the record: `items`."""
    names = [part for part in operation.path.split("/") if not BRACES.fullmatch(part)]
    first, *rest = names[-1].split("-")
    return first + "".join(word.capitalize() for word in rest)


def changes(operation: Operation, entity: Entity, record: Json, body: Any, places: Mapping[str, str]) -> Json:
    """The fields that an action gives a record; `places` are the parameters behind the one that names the record."""
    part = part_of(operation)
    sent: Json = body if isinstance(body, dict) else {}
    if is_list_of_objects(record.get(part)) and part not in sent:
        return {part: elements(operation, record[part], sent, list(places.values()))}
    found = BORN.get(entity.name, {}) if operation.name.startswith(TAKES_BACK) and not operation.outcome else {}
    found = found | {name: combined(operation, record.get(name), value) for name, value in sent.items()}
    return found | named(operation, record, places)


def is_list_of_objects(value: Any) -> bool:
    """Whether a field holds things of their own."""
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def elements(operation: Operation, old: list[Json], sent: Json, idents: list[str]) -> list[Json]:
    """A record's parts without the one that is taken away, or with the one that is sent."""
    ident = idents[0] if idents else str(sent.get("id"))
    if operation.method == DELETE:
        if ident not in {str(one.get("id")) for one in old}:
            raise Problem(404, f"There is no such {stem(part_of(operation))}.")
        return [one for one in old if str(one.get("id")) != ident]
    known = [one for one in old if str(one.get("id")) == ident]
    return [one | sent if one in known else one for one in old] + ([] if known else [sent])


def combined(operation: Operation, old: Any, new: Any) -> Any:
    """A value after an action: a POST adds to a list of ids, a DELETE takes from it, all else replaces."""
    if not isinstance(old, list) or not isinstance(new, list) or is_list_of_objects(new):
        return new
    if operation.method == DELETE:
        return [one for one in old if one not in new]
    return [*old, *(one for one in new if one not in old)] if operation.method == POST else new


def named(operation: Operation, record: Json, places: Mapping[str, str]) -> Json:
    """What parameters say: an id for the record's list of such ids, or its one value."""
    found: Json = {}
    for name, value in places.items():
        many, ident = f"{stem(name)}Ids", int(value) if value.isdecimal() else value
        if many in record:
            found[many] = combined(operation, record[many] or [], [ident])
        elif len(record) == 1:
            found |= dict.fromkeys(record, None if operation.method == DELETE else ident)
    return found


def outcome(operation: Operation, entity: Entity, record: Json, now: str) -> Json:
    """The fields by which one sees that an action was done: its state, and the moment of it where a record tells that.

    An action that leads to the state of a new record undoes what led away from it.
    """
    found: Json = {}
    for path, value in operation.outcome:
        *above, leaf = path.split(".")
        holder = found
        for step in above:
            holder = holder.setdefault(step, {})
        holder[leaf] = value
        since = f"{value[:1].lower()}{value[1:]}On" if isinstance(value, str) else ""
        if since in record:
            found[since] = now
        if at(BORN.get(entity.name), path) == value:
            found |= BORN[entity.name]
    return found
