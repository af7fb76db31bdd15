"""What stands for the braces in a row's path and parameters: a parent's fields, dates, ids."""

import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any
from urllib.parse import parse_qsl, quote

import msgspec

from sources.servicetitan.catalog import SCOPE, Entity
from store.warehouse import Landed

BRACES = re.compile(r"\{([^{}]+)\}")
NOT_THE_PARENTS = frozenset({"from", "to", "ids"})
Filling = dict[str, str]


def names(entity: Entity) -> tuple[str, ...]:
    """The parent's fields that a row asks for, in order; SCOPE is what the parent itself was read for."""
    found = BRACES.findall(f"{entity.path} {entity.params}")
    return tuple(dict.fromkeys(name for name in found if name not in NOT_THE_PARENTS))


def fillings(entity: Entity, parent: Landed) -> Iterator[Filling]:
    """Every way to fill a row's braces from a parent: several where a field is in an array, none where one is missing."""
    record = msgspec.json.decode(parent.payload)
    choices = [values(record, parent, name) for name in names(entity)]
    for chosen in product(*choices):
        yield dict(zip(names(entity), chosen, strict=True))


def scope(parent: Landed, filling: Filling) -> str:
    """What is read with a filling: the parent, or what it names where it may name several things."""
    named = [value for name, value in filling.items() if "[]" in name]
    return ":".join(named) or str(parent.key)


def values(record: Any, parent: Landed, name: str) -> list[str]:
    """The distinct texts that a parent has under a name."""
    if name == SCOPE:
        return [parent.scope] if parent.scope else []
    found = [record]
    for part in name.split("."):
        inner = [item.get(part.removesuffix("[]")) for item in found if isinstance(item, dict)]
        found = [each for item in inner if item for each in item] if part.endswith("[]") else inner
    return list(dict.fromkeys(str(value) for value in found if value is not None))


def filled(template: str, filling: Mapping[str, str]) -> str:
    """A template with its braces filled."""
    return BRACES.sub(lambda found: filling[found[1]], template)


def path(entity: Entity, filling: Mapping[str, str]) -> str:
    """A row's path for a parent, values escaped."""
    return filled(entity.path, {name: quote(value, safe="") for name, value in filling.items()})


def parameters(entity: Entity, filling: Mapping[str, str]) -> dict[str, str]:
    """A row's own query parameters."""
    pairs = parse_qsl(f"{entity.active}&{entity.params}")
    return {name: filled(value, filling) for name, value in pairs}
