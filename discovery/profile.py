"""What sampled records look like: for each path its types, how often it is there and null, formats, values, examples."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from discovery.redacting import AGAIN, GUID, MOMENT, MOST_VALUES
from discovery.shapes import Shape

EXAMPLES = 3
LONGEST = 200  # characters of an example
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
DEPTH = 2  # levels of objects of which columns are made


@dataclass(slots=True)
class Path:
    """One path in the records of a sample; `[]` stands for the elements of an array."""

    types: Counter[str] = field(default_factory=Counter)
    records: set[int] = field(default_factory=set)  # in which it is
    formats: Counter[str] = field(default_factory=Counter)
    values: Counter[str] = field(default_factory=Counter)
    examples: list[Any] = field(default_factory=list)

    def see(self, record: int, value: Any) -> None:
        """Count a value."""
        kind = kind_of(value)
        self.types[kind] += 1
        self.records.add(record)
        if kind == "string":
            self.values[value] += 1
            self.formats[format_of(value)] += 1
        is_new = value not in self.examples and value not in (None, "", [], {})
        if kind not in {"object", "array"} and is_new and len(self.examples) < EXAMPLES:
            self.examples.append(value[:LONGEST] if isinstance(value, str) else value)

    def report(self, records: int) -> dict[str, Any]:
        """For a file."""
        seen = self.types.total()
        formats = [name for name, times in self.formats.items() if times == self.types["string"] and name]
        found: dict[str, Any] = {
            "types": dict(self.types),
            "missing_share": round(1 - len(self.records) / records, 4),
            "null_share": round(self.types["null"] / seen, 4),
            "examples": self.examples,
        }
        if formats:
            found["format"] = formats[0]
        if self.values and not formats and len(self.values) <= MOST_VALUES and seen >= AGAIN * len(self.values):
            found["values"] = sorted(self.values)
        return found


def kind_of(value: Any) -> str:
    """A value's type in the registry's words."""
    return NAMES[type(value)]


NAMES = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


def format_of(text: str) -> str:
    """A text's format, or an empty string."""
    if MOMENT.fullmatch(text):
        return "time" if text[2:3] == ":" else "date-time" if len(text) > len("2024-01-01") else "date"
    if GUID.fullmatch(text):
        return "guid"
    return "email" if EMAIL.fullmatch(text) else ""


def profile(records: Iterable[Any]) -> dict[str, Path]:
    """All paths of some records, in the order in which they are met."""
    found: dict[str, Path] = {}

    def see(number: int, value: Any, path: str) -> None:
        if path:
            found.setdefault(path, Path()).see(number, value)
        if isinstance(value, dict):
            for name, part in value.items():
                see(number, part, f"{path}.{name}" if path else name)
        elif isinstance(value, list):
            for part in value:
                see(number, part, f"{path}[]")

    for number, record in enumerate(records):
        see(number, record, "")
    return found


def shape_of(paths: dict[str, Path], records: int) -> Shape:
    """The same as the warehouse tells it of what landed."""
    own = {path: one for path, one in paths.items() if "[]" not in path and path.count(".") < DEPTH}
    return Shape(
        records,
        {path: dict(one.types) for path, one in own.items()},
        {path: set(one.values) for path, one in own.items() if one.values},
    )
