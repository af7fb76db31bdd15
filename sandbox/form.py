"""The answers given in a form: sections and fields of several types, nested, unlike anything a table likes."""

from typing import Any

from sandbox.row import Row
from sandbox.words import NOTES

VALUES: tuple[dict[str, Any], ...] = (
    {"type": "Text", "value": "señal débil 👍"},
    {"type": "Number", "value": 42.5},
    {"type": "Number", "value": None},
    {"type": "Checkbox", "values": ["A", "C"], "options": "A,B,C"},
    {"type": "Date", "value": "2026-01-02T00:00:00Z"},
)


def field(number: int) -> dict[str, Any]:
    """One field with its answer."""
    comment = NOTES[number % len(NOTES)]
    return {"id": f"f{number}", "name": f"Field {number}", "comment": comment, "attachments": []} | VALUES[
        number % len(VALUES)
    ]


def section(row: Row, grain: int) -> dict[str, Any]:
    """A section of two fields."""
    first = row.chance(1000, grain)
    return {
        "id": f"s{first}",
        "name": f"Section {first}",
        "type": "Section",
        "description": "",
        "units": [field(first), field(first + 1)],
    }
