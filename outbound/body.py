"""Whether a body is what its operation takes, said before anything is sent.

ServiceTitan drops unknown fields in silence and answers 200; here they are faults. Pure: nothing is read but the registry,
nothing is changed, and whatever decoded JSON holds gives faults rather than another error.
"""

import json
import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from functools import partial
from itertools import islice
from math import isfinite
from typing import Any

from outbound.exceptions import MOST_SHOWN, BadBodyError
from outbound.operations import PATCH, PUT, UPDATE, Operation
from outbound.registry import BodyField, Node, tree

MOST_FAULTS = 20
DEEPEST = 40  # ServiceTitan's own go 5 deep
LONGEST = 100  # characters of a value or a name in a message

Sentence = Callable[[], str]
"""A fault, put into words only when it is shown: a body may hold very many."""

DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
ZONE = r"(?:[Zz]|[+-][0-9]{2}:?[0-9]{2})?"
MOMENT = re.compile(rf"{DAY}[Tt ][0-9]{{2}}:[0-9]{{2}}(?::[0-9]{{2}}(?:\.[0-9]+)?)?{ZONE}")
DATE = re.compile(rf"{DAY}(?:[Tt ]00:00(?::00(?:\.0+)?)?{ZONE})?")
GUID = re.compile(r"\{?[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\}?", re.IGNORECASE)
FILE_NAME = re.compile(r"[^\x00-\x1f\x7f/\\]{1,255}")
MEDIA_TYPE = re.compile(
    r"[a-z0-9.+-]+/[a-z0-9.+-]+(?:; ?[a-z0-9-]+=[a-z0-9._-]+)*", re.IGNORECASE
)  # it becomes a header


def is_whole(value: Any, bits: int) -> bool:
    """Whether it is an integer of so many bits, which a truth value is not."""
    return isinstance(value, int) and not isinstance(value, bool) and -(1 << bits - 1) <= value < 1 << bits - 1


def is_number(value: Any) -> bool:
    """Whether it is a number that a double can hold; `value` may be a Decimal."""
    try:
        return not isinstance(value, str | bool) and isfinite(value)
    except (TypeError, ValueError, OverflowError):
        return False


def is_text(value: Any) -> bool:
    """Whether it is text."""
    return isinstance(value, str)


def is_time(value: Any, shape: re.Pattern[str]) -> bool:
    """Whether it is text of that shape, and a time that there is."""
    try:
        return is_like(value, shape) and bool(datetime.fromisoformat(value.upper()))
    except ValueError:
        return False


def is_like(value: Any, shape: re.Pattern[str]) -> bool:
    """Whether it is text of that shape."""
    return isinstance(value, str) and shape.fullmatch(value) is not None


def is_base64(value: Any) -> bool:
    """Whether it is text that decodes."""
    try:
        return isinstance(value, str) and b64decode(value, validate=True) is not None
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Kind:
    """What a type takes, or a format of it."""

    words: str
    example: Any
    fits: Callable[[Any], bool]


MOMENT_EXAMPLE, DATE_EXAMPLE = "2026-01-02T03:04:05Z", "2026-01-02"
GUID_EXAMPLE = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"

KINDS: dict[tuple[str, str], Kind] = {
    ("any", ""): Kind("anything", "text", lambda _: True),
    ("object", ""): Kind("an object", {}, lambda value: isinstance(value, dict)),
    ("array", ""): Kind("a list", [], lambda value: isinstance(value, list)),
    ("boolean", ""): Kind("true or false", True, lambda value: isinstance(value, bool)),
    ("integer", ""): Kind("a whole number of at most 64 bits", 1, partial(is_whole, bits=64)),
    ("integer", "int32"): Kind("a whole number of at most 32 bits", 1, partial(is_whole, bits=32)),
    ("number", ""): Kind("a number", 1, is_number),
    ("string", ""): Kind("text", "text", is_text),
    ("string", "date-time"): Kind(
        f"a moment such as `{MOMENT_EXAMPLE}`", MOMENT_EXAMPLE, partial(is_time, shape=MOMENT)
    ),
    ("string", "date"): Kind(f"a day such as `{DATE_EXAMPLE}`", DATE_EXAMPLE, partial(is_time, shape=DATE)),
    ("string", "guid"): Kind(f"a GUID such as `{GUID_EXAMPLE}`", GUID_EXAMPLE, partial(is_like, shape=GUID)),
    ("string", "file-name"): Kind("a file's name such as `photo.jpg`", "text.txt", partial(is_like, shape=FILE_NAME)),
    ("string", "media-type"): Kind("a type such as `image/jpeg`", "text/plain", partial(is_like, shape=MEDIA_TYPE)),
    ("string", "byte"): Kind("a file's content in base64", "dGV4dA==", is_base64),
    ("string", "duration"): Kind("text", "01:00:00", is_text),
    ("string", "email"): Kind("text", "someone@example.com", is_text),
    ("string", "phone"): Kind("text", "5555550100", is_text),
}
"""By type and format; a format that is not listed is its type's."""


def kind_of(field: BodyField) -> Kind:
    """What a field takes, but for its enum."""
    return KINDS.get((field.type, field.format)) or KINDS[field.type, ""]


def check(operation: Operation, body: Any) -> None:
    """Raises BadBodyError with every fault of `body`, which is decoded JSON."""
    found = faults(operation, body)
    if found:
        raise BadBodyError(operation.title, found)


def faults(operation: Operation, body: Any) -> list[str]:
    """What is wrong with `body`, a sentence each, at most 20 and how many more there are; empty when nothing is."""
    found = all_faults(operation, body)
    shown = [sentence() for sentence in islice(found, MOST_FAULTS)]
    more = sum(1 for _ in found)
    return [*shown, f"And {more} more."] if more else shown


def all_faults(operation: Operation, body: Any) -> Iterator[Sentence]:
    """Every fault of a body."""
    root = tree(operation.title)
    if is_too_deep(body):
        yield lambda: f"The payload is more than {DEEPEST} levels deep."
    elif root is None:
        if body not in (None, {}):
            yield lambda: f"`{operation.title}` takes no payload, or `{{}}`; this one is {shown(body)}."
    else:
        if body == [] and root.element:
            yield lambda: "The payload is an empty list; there is nothing to send."
        if body == {} and operation.kind is UPDATE:
            yield lambda: f"There is nothing to change; known are {listed(list(root.children))}."
        yield from below(root, body, "")


def below(node: Node, value: Any, where: str) -> Iterator[Sentence]:
    """Every fault of the value at `where` and of what is in it; as deep as the documents, whatever `value` is."""
    if node.field.type == "any" or (value is None and node.field.nullable):
        return
    if not fits(node.field, value):
        yield partial(unfit, node.field, value, where)
    elif isinstance(value, list) and node.element:
        for index, item in enumerate(value):
            yield from below(node.element, item, f"{where}[{index}]")
    elif isinstance(value, dict) and node.children:
        for name, item in value.items():
            if child := node.children.get(name):
                yield from below(child, item, inside(where, name))
            else:
                yield partial(unknown, node, name, where)
        for name, child in node.children.items():
            if child.field.required and name not in value:
                yield partial(missing, child.field, inside(where, name))


def fits(field: BodyField, value: Any) -> bool:
    """Whether a value is of the field's type, format and enum."""
    if not kind_of(field).fits(value):
        return False
    return not field.enum or str(value).casefold() in {allowed.casefold() for allowed in field.enum}


def is_too_deep(body: Any) -> bool:
    """Whether objects and lists stand in each other more than 40 deep."""
    level = [body]
    for _ in range(DEEPEST):
        level = [item for value in level for item in items(value) if isinstance(item, dict | list)]
        if not level:
            return False
    return True


def items(value: Any) -> Any:
    """What is in an object or a list; nothing is in anything else."""
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def unfit(field: BodyField, value: Any, where: str) -> str:
    """The fault of a value that is not what its field takes."""
    instead = ", or be left out" if value is None and not field.required else " or null" if field.nullable else ""
    return f"{subject(where)} is {shown(value)}; it must be {wanted(field)}{instead}."


def unknown(node: Node, name: str, where: str) -> str:
    """The fault of a field that the documents do not have."""
    by_folded = {known.casefold(): known for known in node.children}
    near = [by_folded[folded] for folded in get_close_matches(name[:LONGEST].casefold(), by_folded)]
    hint = f"did you mean {' or '.join(f'`{known}`' for known in near)}?" if near else ""
    return f"`{inside(where, plain(name))}` is not a field here; {hint or f'known are {listed(list(node.children))}.'}"


def missing(field: BodyField, where: str) -> str:
    """The fault of a required field that is not there."""
    return f"{subject(where)} is missing; it must be {wanted(field)}."


def wanted(field: BodyField) -> str:
    """What a field takes, in words."""
    return f"one of {listed(field.enum)}" if field.enum else kind_of(field).words


def listed(names: tuple[str, ...] | list[str]) -> str:
    """Names for a message."""
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    return ", ".join(f"`{name}`" for name in names[:MOST_SHOWN]) + more


def subject(where: str) -> str:
    """What a sentence is about."""
    return f"`{where}`" if where else "The payload"


def inside(where: str, name: str) -> str:
    """The path of a field in the object at `where`."""
    return f"{where}.{name}" if where else name


def shown(value: Any) -> str:
    """A value for a message; of an object or a list only that it is one."""
    match value:
        case dict():
            return "an object"
        case list():
            return f"a list of {len(value)}"
        case str():
            return f'`"{plain(value, LONGEST - 2)}"`'
        case None | bool():
            return f"`{json.dumps(value)}`"
        case int() if not is_whole(value, bits=256):
            return f"a whole number of {value.bit_length()} bits"
    return f"`{plain(str(value))}`"


def plain(text: str, longest: int = LONGEST) -> str:
    """Text on one line that every encoding can write, shortened."""
    escaped = json.dumps(text[: longest + 1], ensure_ascii=False)[1:-1].encode("utf-8", "backslashreplace").decode()
    return escaped if len(escaped) <= longest else f"{escaped[: longest - 3]}..."


def required_example(operation: Operation) -> Any:
    """The smallest body that an operation takes: every required field, or one where PATCH or PUT requires none."""
    root = tree(operation.title)
    if root is None:
        return None
    body = example(root)
    if not body and operation.method in {PATCH, PUT}:
        children = list(root.children.values())
        one = next((child for child in children if child.field.type not in {"object", "array"}), children[0])
        return {one.field.name: example(one)}
    return body


def example(node: Node) -> Any:
    """The smallest plausible value of a field: an object with what it must hold, a list of one."""
    if node.field.type == "array":
        return [example(node.element)] if node.element else []
    if node.field.type == "object":
        return {name: example(child) for name, child in node.children.items() if child.field.required}
    return next(iter(node.field.enum), kind_of(node.field).example)
