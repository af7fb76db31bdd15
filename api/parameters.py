"""The parameters of lists: which there are, how they are documented, and how their values are read.

A parameter that is not known, one that is given twice, and a value that is not allowed are errors that say what is.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from difflib import get_close_matches
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

from api.problems import ApiError, BadParameterError, UnknownParameterError
from api.resources import LONGEST_TEXT, Comparison, Filter, Resource

LARGEST = 2**63 - 1
EXACT = 2**53 - 1  # the largest whole number that every JSON reader keeps
DEFAULT_LIMIT, HIGHEST_LIMIT = 100, 1000
HIGHEST_OFFSET = 1_000_000_000
LONGEST_CURSOR = 6000  # characters
MANY = 24  # words: more are no sentence
LONG = ("summary", "description", "text", "memo", "notes", "body", "note", "comment", "comments")
"""Columns of long texts: nobody sorts by them, and marks of places would not fit an address."""
MOST_PARAMETERS = 60
FORMATS = ("json", "ndjson", "csv")
DELETED = ("exclude", "include", "only")
INTEGER = re.compile(r"-?\d{1,19}", re.ASCII)
MARK = re.compile(r"[A-Za-z0-9_-]+")


SCHEMAS: dict[str, dict[str, Any]] = {
    "integer": {"type": "integer", "format": "int64"},
    "boolean": {"type": "boolean"},
    "moment": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "word": {"type": "string"},
    "words": {"type": "array", "minItems": 1},
    "text": {"type": "string", "minLength": 1, "pattern": "^[^\\u0000]*$"},
    "mark": {"type": "string", "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$"},
}
"""JSON Schema by kind, without its bounds."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter in the query: its name, the kind of its values and what it does."""

    name: str
    kind: str  # integer, boolean, moment, date, text, mark, word or words
    description: str
    allowed: tuple[str, ...] = ()  # of word and words
    default: str = ""
    lowest: int = -EXACT
    highest: int = EXACT
    example: str = ""

    @property
    def schema(self) -> dict[str, Any]:
        """The values in JSON Schema's words."""
        found = dict(SCHEMAS[self.kind])
        match self.kind:
            case "integer":
                found |= {"minimum": self.lowest, "maximum": self.highest}
            case "word":
                found["enum"] = list(self.allowed)
            case "words":
                found["items"] = {"type": "string", "enum": list(self.allowed)}
            case "text" | "mark":
                found |= {"maxLength": self.highest} | ({"minLength": 0} if self.name == "search" else {})
        return found | ({"default": self.read(self.default)} if self.default else {})

    def read(self, text: str) -> Any:
        """A value from its text. Raises BadParameterError."""
        return READERS[self.kind](self, text)


def integer(parameter: Parameter, text: str) -> int:
    """A whole number within bounds."""
    if INTEGER.fullmatch(text) and parameter.lowest <= int(text) <= parameter.highest:
        return int(text)
    wanted = f"a whole number from {parameter.lowest} to {parameter.highest}"
    raise BadParameterError(parameter.name, text, wanted)


def boolean(parameter: Parameter, text: str) -> bool:
    """A truth value."""
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    raise BadParameterError(parameter.name, text, "`true` or `false`", ["true", "false"])


def moment(parameter: Parameter, text: str) -> datetime:
    """A moment; UTC where it names no zone. A `+` that arrived as a space counts as one."""
    try:
        found = datetime.fromisoformat(re.sub(r" (\d\d:?\d\d)$", r"+\1", text))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadParameterError(parameter.name, text, "a moment like `2026-05-01T13:30:00Z`") from None


def day(parameter: Parameter, text: str) -> date:
    """A day."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadParameterError(parameter.name, text, "a day like `2026-05-01`") from None


def piece(parameter: Parameter, text: str) -> str:
    """A text that stores take."""
    if text and len(text) <= parameter.highest and "\0" not in text:
        return text
    raise BadParameterError(parameter.name, text, f"a text of 1 to {parameter.highest} characters without NUL")


def mark(parameter: Parameter, text: str) -> str:
    """A text that may be the mark of a place."""
    if len(text) <= parameter.highest and MARK.fullmatch(text):
        return text
    raise BadParameterError(parameter.name, text, "`meta.next` of a page of this list")


def word(parameter: Parameter, text: str) -> str:
    """One of the words that are allowed."""
    if text in parameter.allowed:
        return text
    listed = ", ".join(f"`{each}`" for each in parameter.allowed)
    if len(parameter.allowed) > MANY:
        near = get_close_matches(text[:80], parameter.allowed, 1)
        listed = f"one of the {len(parameter.allowed)} in `allowed`" + (
            f", of which `{near[0]}` is nearest" if near else ""
        )
    raise BadParameterError(parameter.name, text, listed, list(parameter.allowed))


def words(parameter: Parameter, text: str) -> tuple[str, ...]:
    """Some of the words that are allowed, in the given order, each once."""
    return tuple(dict.fromkeys(word(parameter, each.strip()) for each in text.split(",")))


READERS = {
    "integer": integer,
    "boolean": boolean,
    "moment": moment,
    "date": day,
    "text": piece,
    "mark": mark,
    "word": word,
    "words": words,
}


def kind_of(resource: Resource, each: Filter) -> str:
    """The kind of a filter's values."""
    if each.values:
        return "word"
    if each.test in {Comparison.HOLDS, Comparison.HOLDS_RECORD, Comparison.NEVER}:
        return "integer"
    column = (each.via or resource.relation).column(each.column)
    return {"BIGINT": "integer", "BOOLEAN": "boolean", "TIMESTAMPTZ": "moment", "DATE": "date"}.get(column.type, "text")


def filter_parameter(resource: Resource, each: Filter) -> Parameter:
    """A filter as a parameter."""
    told = each.description or f"Only rows with this `{each.column}`."
    return Parameter(each.name, kind_of(resource, each), told, each.values, highest=highest_of(resource, each))


def highest_of(resource: Resource, each: Filter) -> int:
    """The bound of a filter's values: of numbers, or of a text's length."""
    return LONGEST_TEXT if kind_of(resource, each) == "text" else EXACT


@cache
def list_parameters(resource: Resource) -> dict[str, Parameter]:
    """By name, all parameters of a resource's lists."""
    found = [filter_parameter(resource, each) for each in resource.filters]
    names = tuple(column.name for column in resource.relation.columns)
    sortable = tuple(
        column.name for column in resource.relation.columns if column.is_scalar and column.name not in LONG
    )
    if resource.searched:
        looked = ", ".join(f"`{name}`" for name in resource.searched)
        found.append(Parameter("search", "text", f"A piece of {looked}, whatever the case.", highest=LONGEST_TEXT))
    if resource.has_deleted:
        found.append(Parameter("deleted", "word", "What to do with deleted records.", DELETED, "exclude"))
    found += [
        Parameter(
            "limit",
            "integer",
            "So many rows. NDJSON and CSV without it hold every row.",
            default=str(DEFAULT_LIMIT),
            lowest=1,
            highest=HIGHEST_LIMIT,
        ),
        Parameter("offset", "integer", "Leave out so many rows first.", default="0", lowest=0, highest=HIGHEST_OFFSET),
        Parameter(
            "after",
            "mark",
            "Go on behind the page whose `meta.next` this is: steady and fast however deep. Not together with `offset`.",
            highest=LONGEST_CURSOR,
        ),
        Parameter(
            "sort",
            "word",
            "The column to sort by; null is the lowest value.",
            sortable,
            resource.relation.key[0],
        ),
        Parameter("order", "word", "Which way.", ("asc", "desc"), "desc" if resource.descending else "asc"),
        Parameter("fields", "words", "Only these columns, separated by commas.", names),
        Parameter("format", "word", "The form of the answer; goes before `Accept`.", FORMATS, "json"),
    ]
    return {parameter.name: parameter for parameter in found}


def pairs(query: bytes) -> dict[str, str]:
    """The names and values in a query. Raises ApiError for one that cannot be read."""
    try:
        found = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS
        )
    except ValueError:  # UnicodeDecodeError is one
        raise BadQueryError from None
    names = [name for name, _ in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise BadParameterError(twice, "given twice", "one value")
    return dict(found)


class BadQueryError(ApiError):
    """A query that is not UTF-8, or has too many parameters."""

    status, title = 400, "Bad request"

    def __init__(self) -> None:
        """The same words always."""
        super().__init__(
            f"The query cannot be read: it must be percent-encoded UTF-8 with at most {MOST_PARAMETERS} parameters."
        )


def read(query: bytes, parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """The values of the parameters that were given. An empty `search` counts as none. Raises ApiError."""
    if not query:
        return {}
    values: dict[str, Any] = {}
    for name, text in pairs(query).items():
        if name not in parameters:
            raise UnknownParameterError(name, sorted(parameters))
        if text or name != "search":
            values[name] = parameters[name].read(text)
    return values


def none(query: bytes) -> None:
    """Raise UnknownParameterError when there is any parameter."""
    read(query, {})
