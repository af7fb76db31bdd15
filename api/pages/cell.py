"""A value of a record as a page shows it. Pure."""

from dataclasses import dataclass
from typing import Any

import msgspec

from outbound.queue import ENCODER

ABSENT: Any = object()
"""Stands for a value that there is not, which null is not."""

LONG, MANY_LINES = 160, 4  # characters and lines from which a text is folded
MOST = 20_000  # characters of a text that a page holds
JOINERS = "\u200c\u200d"  # of letters and emoji: they are seen in what they join


@dataclass(frozen=True, slots=True)
class Cell:
    """A value for the eye. `kind` is `text`, `code` (JSON), `empty` or `absent`."""

    text: str
    kind: str = "text"

    @property
    def is_long(self) -> bool:
        """Whether it is folded."""
        return len(self.text) > LONG or self.text.count("\n") >= MANY_LINES

    @property
    def head(self) -> str:
        """What stands there while it is folded."""
        return " ".join(self.text[:LONG].split())[: LONG // 2] + "…"

    @property
    def whole(self) -> str:
        """What stands there unfolded."""
        return self.text if len(self.text) <= MOST else f"{self.text[:MOST]}…"


def cell(value: Any) -> Cell:
    """A value for the eye."""
    if value is ABSENT:
        return Cell("", "absent")
    if value is None or value in ("", {}, []):
        return Cell("empty", "empty")
    if isinstance(value, str):
        return Cell(readable(value))
    encoded = ENCODER.encode(value)
    if isinstance(value, dict | list):
        return Cell(readable(msgspec.json.format(encoded, indent=2).decode()), "code")
    return Cell(encoded.decode(), "text")


def readable(text: str) -> str:
    """A text without signs that only steer a screen. Spaces of any kind and ends of lines are none of them."""
    return "".join(
        sign if sign.isprintable() or sign.isspace() or sign in JOINERS else "\N{REPLACEMENT CHARACTER}"
        for sign in text
    )
