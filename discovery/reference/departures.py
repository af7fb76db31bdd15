"""How an entity departs from the rule: its row of the catalog in words, with the reasons that stand in the catalog's source."""

import ast
import io
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from sources.servicetitan import catalog
from sources.servicetitan.catalog import CATALOG, SCOPE, Entity, Feed

RULE = Entity("", "", "", Feed.LIST)
"""A row that departs from nothing."""


def departures(entity: Entity) -> list[str]:
    """Sentences, the reasons last."""
    return [*asked(entity), *answered(entity), *known(entity), *reasons().get(entity.name, ())]


def asked(entity: Entity) -> Iterator[str]:
    """How it is asked for otherwise than others."""
    if entity.method != RULE.method:
        yield f"It is asked for by {entity.method}."
    if entity.params:
        yield f"Each request says `{entity.params}`."
    if entity.active not in {"", RULE.active}:
        yield f"Inactive records are asked for with `{entity.active}`."
    if not entity.shows_inactive:
        yield "Records can be inactive, and no filter asks for those: they may be left out."
    if not entity.takes_ids and entity.is_listable:
        single = (
            f"a record is asked for at `{entity.path}/{{id}}`"
            if entity.has_detail
            else "a record cannot be asked for alone"
        )
        yield f"The list takes no `ids`; {single}."
    if entity.polled:
        yield "Every parent is asked at each read, because parents do not change with their children."
    if entity.recent_days:
        yield f"Only parents modified within {entity.recent_days} days are asked."


def answered(entity: Entity) -> Iterator[str]:
    """How it answers otherwise than others."""
    if not entity.paged:
        yield "It comes whole, in one answer."
    elif entity.page_size != RULE.page_size:
        yield f"Pages hold {entity.page_size:,} records."
    if entity.first_page != RULE.first_page:
        yield f"The first page is number {entity.first_page}."
    if not entity.records:
        yield "An answer is one record."
    elif entity.records != RULE.records:
        yield f"Records stand in `{entity.records}`."


def known(entity: Entity) -> Iterator[str]:
    """How a record's key and time of change are known otherwise than others'."""
    if not entity.key:
        yield "A record has no key; its content is taken for one."
    elif entity.key != RULE.key:
        yield f"A record is known by {' and '.join(map(part, entity.key))}."
    if entity.feed is Feed.LIST and entity.cursor != RULE.cursor:
        yield f"The time of change stands in `{entity.cursor}`."


def part(name: str) -> str:
    """A part of a key."""
    return "what it was read for" if name == SCOPE else f"`{name}`"


@cache
def reasons() -> dict[str, tuple[str, ...]]:
    """By entity the comments within its row of the catalog's source, as sentences."""
    source = Path(catalog.__file__).read_text(encoding="utf-8")
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    found: dict[str, tuple[str, ...]] = {}
    for call in calls(ast.parse(source)):
        lines = range(call.lineno, (call.end_lineno or call.lineno) + 1)
        told = tuple(f"{text[0].upper()}{text[1:]}." for number in lines if (text := comments.get(number)))
        name = call.args[0].value  # type: ignore[attr-defined]
        if told and name in {entity.name for entity in CATALOG}:
            found[str(name)] = told
    return found


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    """The rows as they are written: calls of `Entity` with a name that stands there."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and getattr(node.func, "id", "") == "Entity"
            and isinstance(node.args[0], ast.Constant)
        ):
            yield node
