"""Text that no store takes."""

import json

import duckdb
import msgspec
from hypothesis import given
from hypothesis import strategies as st

from sources.servicetitan.storable import is_storable, storable_bytes

ESCAPES = st.sampled_from(
    ["\\u0000", "\\ud800", "\\udc00", "\\ud83d\\ude00", "\\\\u0000", "\\\\", "\\n", "\\u00e9", "x", "é", "😀"]
)


@given(parts=st.lists(ESCAPES, max_size=12))
def test_what_comes_out_is_taken_by_the_engine_and_keeps_the_rest(parts):
    """NUL and half pairs become U+FFFD; everything else is what it was."""
    record = ('{"a":"' + "".join(parts) + '"}').encode()
    stored = storable_bytes(record)
    value = json.loads(stored)["a"]
    assert "\x00" not in value
    value.encode()  # no half pair is left
    duckdb.sql("SELECT CAST($1 AS JSON)", params=[stored.decode()]).fetchall()
    lost = {"\\u0000", "\\ud800", "\\udc00"}
    pairs = "".join(parts)
    if not lost & set(parts) and "\\ud83d" not in pairs:
        assert stored == record


@given(junk=st.binary(max_size=40))
def test_invalid_utf8_becomes_valid(junk: bytes):
    """Bytes that are no text are replaced, not refused."""
    storable_bytes(junk).decode()


def test_an_ordinary_record_is_not_touched():
    """The usual case: the same bytes."""
    record = msgspec.json.encode({"id": 1, "name": "Zoë 😀", "path": "C:\\users\\u0000"[:12]})
    assert is_storable(record)
    assert storable_bytes(record) == record
