"""Text that no store takes, and what stands for it: NUL, half surrogate pairs and invalid UTF-8 become U+FFFD."""

import re

SUSPICIOUS = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a whole surrogate pair stays
    rb"|\\u(?:0000|[dD][89a-fA-F][0-9a-fA-F]{2})"  # a NUL or half a pair goes
    rb"|\\.",  # any other escape stays, a backslash before `u` among them
    re.DOTALL,
)
PAIR_LENGTH, LONE_LENGTH = 12, 6


def is_storable(text: bytes) -> bool:
    """Whether PostgreSQL's jsonb and DuckDB take every byte as it is."""
    if SUSPICIOUS.search(text):
        return False
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
    return ESCAPE.sub(lambda found: found[0] if keeps(found[0]) else b"\\ufffd", valid)


def keeps(escape: bytes) -> bool:
    """Whether an escape may stay: half a surrogate pair and NUL may not."""
    return len(escape) == PAIR_LENGTH or len(escape) != LONE_LENGTH
