"""Text that no store takes, and what stands for it: NUL, half surrogate pairs and invalid UTF-8 become U+FFFD.

A strict JSON reader refuses all of these but NUL, so a page can be made readable without touching its other records.
"""

import re
from collections.abc import Callable

SUSPICIOUS = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a whole surrogate pair stays
    rb"|\\u(?:0000|[dD][89a-fA-F][0-9a-fA-F]{2})"  # half a pair goes, a NUL where no store takes it
    rb"|\\.",  # any other escape stays, a backslash before `u` among them
    re.DOTALL,
)
NUL, REPLACEMENT = b"\\u0000", b"\\ufffd"
LONE_LENGTH = 6


def is_storable(text: bytes) -> bool:
    """Whether PostgreSQL's jsonb and DuckDB take every byte as it is."""
    return not (b"\\u" in text and SUSPICIOUS.search(text)) and is_text(text)


def is_text(text: bytes) -> bool:
    """Whether it is valid UTF-8."""
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def storable_bytes(record: bytes) -> bytes:
    """A record in which the replacement character stands for what no store takes."""
    valid = record.decode("utf-8", errors="replace").encode()
    return replaced(valid, lambda escape: len(escape) == LONE_LENGTH)


def readable_bytes(page: bytes) -> bytes:
    """A page that a strict JSON reader takes. Records that it would have taken anyway stay as they are, NULs and all."""
    return replaced(page, lambda escape: len(escape) == LONE_LENGTH and escape != NUL)


def replaced(text: bytes, goes: Callable[[bytes], bool]) -> bytes:
    """JSON in which the replacement character stands for every escape that `goes`."""
    return ESCAPE.sub(lambda found: REPLACEMENT if goes(found[0]) else found[0], text)
