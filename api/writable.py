"""What can be written to ServiceTitan, as `GET /api/v1/mutations/operations` tells it: the table of operations and its names."""

from collections import defaultdict
from functools import cache
from typing import Annotated

import msgspec

from api.mutation_schemas import told
from outbound.operations import ALIASES, OPERATIONS, Alias, Effect, Operation
from outbound.registry import top_names, tree


class OperationAlias(msgspec.Struct):
    """Another name of an operation."""

    entity_type: str
    operation: str
    entity_id_becomes: Annotated[
        str | None, told("The field of the payload that `entity_id` is put into; null: it is the path's, if it has one")
    ]


class WriteOperation(msgspec.Struct, kw_only=True):
    """Something that can be written."""

    entity_type: str
    operation: str
    aliases: list[OperationAlias]
    method: str
    kind: Effect
    needs_entity_id: bool
    path_params: Annotated[list[str], told("Further values that it needs")]
    is_list: Annotated[bool, told("Whether the payload is a list; the fields are then those of each item")]
    required: Annotated[list[str], told("Fields that the payload must have")]
    fields: Annotated[list[str], told("Fields that the payload may have; none: any, or no payload at all")]
    is_withdrawn: Annotated[bool, told("Gone from ServiceTitan's documents; off unless enabled")]


class WriteOperations(msgspec.Struct):
    """Everything that can be written."""

    data: list[WriteOperation]


@cache
def writable() -> tuple[WriteOperation, ...]:
    """All operations, as they are told."""
    aliases: dict[tuple[str, str], list[Alias]] = defaultdict(list)
    for alias in ALIASES:
        aliases[alias.means].append(alias)
    return tuple(shown(each, aliases[each.entity, each.name]) for each in OPERATIONS)


def shown(operation: Operation, aliases: list[Alias]) -> WriteOperation:
    """An operation as it is told."""
    return WriteOperation(
        entity_type=operation.entity,
        operation=operation.name,
        aliases=[OperationAlias(each.entity, each.name, each.record_field or None) for each in aliases],
        method=operation.method,
        kind=operation.kind,
        needs_entity_id=bool(operation.record),
        path_params=[name for name in operation.placeholders if name != operation.record],
        is_list=operation.is_list,
        required=required(operation),
        fields=list(top_names(operation.title)),
        is_withdrawn=operation.is_withdrawn,
    )


def required(operation: Operation) -> list[str]:
    """The fields that the payload, or each of its items, must have."""
    root = tree(operation.title)
    children = (root.element or root).children if root else {}
    return [name for name, child in children.items() if child.field.required]


def of_entity(name: str | None) -> WriteOperations:
    """The operations that an entity's names lead to; all for None."""
    return WriteOperations([each for each in writable() if name is None or name in names(each)])


def names(operation: WriteOperation) -> set[str]:
    """The entities under whose name an operation is asked for."""
    return {operation.entity_type, *(alias.entity_type for alias in operation.aliases)}
