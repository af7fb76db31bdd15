"""The named queries of the operations store, as they stand in `queries/`: one set for SQLite and PostgreSQL."""

import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

from store.exceptions import TakenError

FOLDER = Path(__file__).parent / "queries"
READS = re.compile(r"\A(?:--.*\n)*SELECT\b")
Row = dict[str, Any]


@cache
def queries() -> dict[str, str]:
    """The named queries of all files in `queries/`."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.sql")))
    blocks = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)[1:]
    named = dict(zip(blocks[::2], blocks[1::2], strict=True))
    if twice := [name for name, times in Counter(blocks[::2]).items() if times > 1]:
        raise ValueError(f"There are several queries of the name {', '.join(twice)}.")
    return named


def only_reads(query: str) -> bool:
    """Whether a named query changes nothing."""
    return READS.search(queries()[query]) is not None


def check_every(query: str, found: list[list[Row]]) -> None:
    """Raise TakenError where a query returned no row for some of the values."""
    if missing := sum(not rows for rows in found):
        raise TakenError(f"`{query}`: {missing} of {len(found)} returned no row")
