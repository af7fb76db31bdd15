"""The mark of a place between two pages: the sort values of the row that it stands behind, as text that no one need read."""

import base64
import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from api.problems import OtherListError
from api.query import Behind, Shape
from api.text import shortened

LARGEST = 2**63


class Place(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """A place in one order of one resource."""

    resource: str
    sort: str
    descending: bool
    values: list[str | None]


def written(shape: Shape, places: tuple[str | None, ...]) -> str:
    """The mark behind a row with these sort values."""
    place = Place(shape.resource.name, shape.sort, shape.descending, list(places))
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def read(shape: Shape, text: str) -> tuple[Behind, dict[str, Any]]:
    """Where the page begins, and the values of the query's slots. Raises OtherListError for a mark of another list."""
    try:
        found = placed(shape, decoded(text))
    except (ValueError, ArithmeticError, msgspec.MsgspecError):  # binascii.Error is a ValueError
        raise OtherListError(
            f"`after` is `{shortened(text)}`, which is no `meta.next` of a page of this list with the same `sort` and "
            "`order`. Begin again without `after`.",
            parameter="after",
        ) from None
    return (Behind.NULL if found[f"after_{shape.sorts[0]}"] is None else Behind.VALUE), found


def decoded(text: str) -> Place:
    """A mark's place. Raises ValueError or MsgspecError."""
    return msgspec.json.decode(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True), type=Place)


def placed(shape: Shape, place: Place) -> dict[str, Any]:
    """The values of a place, by slot. Raises ValueError when it is one of another list, or none at all."""
    columns = [shape.resource.relation.column(name) for name in shape.sorts]
    is_ours = (place.resource, place.sort, place.descending) == (shape.resource.name, shape.sort, shape.descending)
    if not is_ours or len(place.values) != len(columns) or None in place.values[1:]:
        raise ValueError
    if place.values[0] is None and not shape.sort:
        raise ValueError
    pairs = zip(columns, place.values, strict=True)
    return {f"after_{c.name}": None if value is None else READERS[c.type](value) for c, value in pairs}


def key(text: str) -> str:
    """A whole number of 64 bits."""
    if not INTEGER.fullmatch(text) or not -LARGEST <= int(text) < LARGEST:
        raise ValueError
    return str(int(text))


def money(text: str) -> str:
    """A number that NUMERIC(18,6) takes."""
    found = Decimal(text).quantize(Decimal("0.000001"))
    if abs(found) >= TOO_MUCH:
        raise ValueError
    return f"{found:f}"


def real(text: str) -> str:
    """A finite number."""
    if not math.isfinite(float(text)):
        raise ValueError
    return repr(float(text))


def truth(text: str) -> str:
    """A truth value."""
    if text not in {"true", "false"}:
        raise ValueError
    return text


def plain(text: str) -> str:
    """A text that stores take."""
    if "\0" in text:
        raise ValueError
    return text


INTEGER = re.compile(r"-?\d{1,19}", re.ASCII)
TOO_MUCH = Decimal(10) ** 12
READERS: dict[str, Callable[[str], str]] = {
    "BIGINT": key,
    "NUMERIC(18,6)": money,
    "DOUBLE PRECISION": real,
    "BOOLEAN": truth,
    "TIMESTAMPTZ": lambda text: datetime.fromisoformat(text).astimezone(UTC).isoformat(),
    "DATE": lambda text: date.fromisoformat(text).isoformat(),
    "TEXT": plain,
}
"""A value of a type as every store reads it, from its text; raises ValueError, InvalidOperation or OverflowError."""
