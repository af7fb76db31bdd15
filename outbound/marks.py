"""How what a mutation made is found again in ServiceTitan, when no answer told that it was made."""

from enum import StrEnum
from functools import cache
from typing import Any

from outbound.operations import ADD, CREATE, Operation
from outbound.registry import top_names
from sources.servicetitan.catalog import CATALOG, Entity

APPLICATION_GUID = "6f1d3c52-0f0b-4f4e-9a53-5d1c7e0a2b91"
"""Ours, in everybody's ServiceTitan: what is stored under it is shown to who asks with it."""

EXTERNAL_KEY = "lazi_mutation"


class Mark(StrEnum):
    """What tells the record."""

    EXTERNAL_DATA = "externalData"  # an entry of ours, which lists can be asked for
    TEXT = "text"  # `[ref:...]` at the end of a note
    CONTENT = "content"  # made since it was sent, with all that was wanted (a natural key among it)
    NONE = "none"


@cache
def mark_of(operation: Operation) -> Mark:
    """The mark that an operation's body can carry."""
    if operation.kind is CREATE and operation.catalog and operation.catalog.is_listable:
        return Mark.EXTERNAL_DATA if "externalData" in top_names(operation.title) else Mark.CONTENT
    if operation.kind is ADD and has_children(operation):
        return Mark.TEXT if "text" in top_names(operation.title) else Mark.CONTENT
    return Mark.NONE


@cache
def child_of(operation: Operation) -> Entity | None:
    """ADD: the catalog entity of what is made; None where there is none."""
    if operation.made:
        return next(entity for entity in CATALOG if entity.name == operation.made)
    found = operation.catalog
    return found if found and has_children(operation) else None


@cache
def has_children(operation: Operation) -> bool:
    """ADD: whether what stands at the operation's own path can be listed."""
    if operation.made:
        return True
    return any(
        (entity.module, entity.path.count("{")) == (operation.base.split("/")[1], operation.path.count("{"))
        and placeless(entity.path) == placeless(operation.path)
        for entity in CATALOG
    )


def mark_in(operation: Operation, body: Any) -> Mark:
    """The mark that this body can carry: its own external data leaves no room for ours."""
    mark = mark_of(operation)
    if mark is Mark.EXTERNAL_DATA and not (isinstance(body, dict) and is_ours(body)):
        return Mark.CONTENT
    if mark is Mark.TEXT and not (isinstance(body, dict) and isinstance(body.get("text"), str)):
        return Mark.CONTENT
    return mark


def placeless(path: str) -> str:
    """A path without the names of its placeholders."""
    return "/".join("{}" if part.startswith("{") else part for part in path.split("/"))


def marked(operation: Operation, body: Any, ref: str) -> Any:
    """The body with its mark."""
    mark = mark_in(operation, body)
    if mark is Mark.TEXT:
        return {**body, "text": f"{body['text']} {in_text(ref)}"}
    if mark is Mark.EXTERNAL_DATA:
        given = body.get("externalData") or {}
        entries = [*(given.get("externalData") or []), {"key": EXTERNAL_KEY, "value": ref}]
        return {**body, "externalData": {**given, "applicationGuid": APPLICATION_GUID, "externalData": entries}}
    return body


def is_ours(body: dict[str, Any]) -> bool:
    """Whether external data of a body can hold our entry: it has room for one application's."""
    given = body.get("externalData")
    return not given or str(given.get("applicationGuid", "")).lower() == APPLICATION_GUID


def in_text(ref: str) -> str:
    """The mark in a note."""
    return f"[ref:{ref}]"
