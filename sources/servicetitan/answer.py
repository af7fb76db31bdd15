"""An answer's envelope. Records stay the bytes that ServiceTitan sent.

Lists and exports wrap records in `data`; some answers hold them under another name, are a bare array, or are the record
themselves. Nothing here asks for anything.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import msgspec

from sources.servicetitan.storable import is_storable, readable_bytes


class Envelope(msgspec.Struct):
    """A page as ServiceTitan wraps it, in lists and in exports."""

    data: list[msgspec.Raw] | None
    has_more: bool | None = msgspec.field(default=None, name="hasMore")
    continue_from: str | int | None = msgspec.field(default=None, name="continueFrom")
    total_count: Any = msgspec.field(default=None, name="totalCount")
    is_repaired: bool = msgspec.field(default=False, name="")


WHOLE: msgspec.json.Decoder[Any] = msgspec.json.Decoder()


@cache
def envelope_type(records: str) -> Any:
    """The type of an answer whose records stand under this name; a bare array counts as the only page."""
    if records == "data":
        return Envelope | list[msgspec.Raw]
    renamed = ("data", list[msgspec.Raw] | None, msgspec.field(default=None, name=records))
    return msgspec.defstruct("Renamed", [renamed]) | list[msgspec.Raw]


@cache
def decoder(records: str) -> Callable[[bytes], Envelope]:
    """What reads the answers of an entity whose records stand under this name; the empty name is the answer itself."""
    if not records:
        return whole
    return partial(wrapped, msgspec.json.Decoder(envelope_type(records)))


def wrapped(answers: "msgspec.json.Decoder[Any]", body: bytes) -> Envelope:
    """An answer's envelope. Raises msgspec.DecodeError.

    A body with half a surrogate pair is no JSON to a strict reader; it is read with the pair replaced. The page's other
    records keep their bytes: what a record hashes to must not depend on its neighbours.
    """
    repaired = False
    try:
        answer = answers.decode(body)
    except msgspec.DecodeError:
        if is_storable(body):
            raise
        answer, repaired = answers.decode(readable_bytes(body)), True
    if isinstance(answer, list):
        return Envelope(answer, has_more=False, is_repaired=repaired)
    if not isinstance(answer, Envelope):
        return Envelope(answer.data, is_repaired=repaired)
    answer.is_repaired = repaired
    return answer


def whole(body: bytes) -> Envelope:
    """An answer that is a record; a bare value is put under `value`, an empty answer holds none. Raises msgspec.DecodeError."""
    record, repaired = body.strip(), False
    if not record:
        return Envelope([], has_more=False)
    try:
        value = WHOLE.decode(record)
    except msgspec.DecodeError:
        if is_storable(record):
            raise
        record, repaired = readable_bytes(record), True
        value = WHOLE.decode(record)
    more = isinstance(value, dict) and value.get("hasMore") is True
    named = record if isinstance(value, dict | list) else b'{"value":' + record + b"}"
    return Envelope([msgspec.Raw(named)], has_more=more, is_repaired=repaired)


decode = decoder("data")
