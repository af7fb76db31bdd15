"""Records to rows of a raw table: the payload is the record's own bytes, everything else is derived.

One Arrow table a page, without a Python object a value. A record is left out when its bytes equal its newest landed
version. Nothing is lost: a record without a key gets one from its content, and bytes that no store takes (NUL and
half surrogates in text, invalid UTF-8) are replaced after hashing and counted.
"""

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate
from typing import Any

import msgspec
import pyarrow as pa

from sources.servicetitan.catalog import Entity
from sources.servicetitan.head import Head, Key, bucket, content_hash, head_reader
from sources.servicetitan.paging import Page
from sources.servicetitan.storable import is_storable, storable_bytes

COLUMNS: dict[str, Any] = {
    "tenant_id": {"data_type": "bigint", "nullable": False},
    "st_id": {"data_type": "bigint", "nullable": False},
    "payload": {"data_type": "json", "nullable": False},
    "modified_on": {"data_type": "timestamp", "timezone": True, "precision": 6},
    "payload_hash": {"data_type": "text", "nullable": False},
    "is_deleted": {"data_type": "bool", "nullable": False},
    "key_bucket": {"data_type": "bigint", "precision": 16, "nullable": False},
    "sync_batch_id": {"data_type": "text", "nullable": False},
    "synced_at": {"data_type": "timestamp", "timezone": True, "precision": 6, "nullable": False},
}
"""The envelope in dlt's words; `st_id` is text for some entities."""

MOMENT = pa.timestamp("us", "UTC")


@dataclass(slots=True)
class Tally:
    """What became of the records of one run."""

    fetched: int = 0
    appended: int = 0
    unchanged: int = 0
    repaired: int = 0  # payloads in which bytes had to be replaced
    unkeyed: int = 0  # records that had no key


@dataclass(slots=True)
class Landing:
    """One entity's rows of one run.

    `newest_hashes` tells the hash that landed last for keys not yet met in this run.
    """

    entity: Entity
    tenant_id: int
    sync_batch_id: str
    newest_hashes: Callable[[Sequence[Key]], dict[Key, str]]
    tally: Tally = field(default_factory=Tally)
    highest: datetime | None = None  # the latest modification met
    newest: dict[Key, str] = field(default_factory=dict)
    last_moment: int = 0

    def rows(self, page: Page) -> pa.Table | None:
        """The rows that a page adds, or None when it adds nothing."""
        reader = head_reader(self.entity)
        hashes = [content_hash(record) for record in page.records]
        heads = [reader.read(record, hash_) for record, hash_ in zip(page.records, hashes, strict=True)]
        self.tally.fetched += len(heads)
        self.tally.repaired += page.is_repaired
        self.tally.unkeyed += sum(not head.is_keyed for head in heads)
        self.note_highest(heads)
        self.look_up({head.key for head in heads} - self.newest.keys())
        new = [i for i, head in enumerate(heads) if self.is_news(head.key, hashes[i])]
        self.tally.appended += len(new)
        self.tally.unchanged += len(heads) - len(new)
        if not new:
            return None
        return self.table(
            [page.records[i] for i in new], [heads[i] for i in new], [hashes[i] for i in new], page.asked_at
        )

    def note_highest(self, heads: Sequence[Head]) -> None:
        """Remember the latest modification."""
        met = [head.modified_on for head in heads if head.modified_on]
        if self.highest:
            met.append(self.highest)
        self.highest = max(met, default=None)

    def look_up(self, keys: set[Key]) -> None:
        """Learn what landed last for keys that this run has not met."""
        if keys:
            self.newest.update(self.newest_hashes(list(keys)))

    def is_news(self, key: Key, hash_: str) -> bool:
        """Whether this version differs from the newest one; it is the newest from now on."""
        changed = self.newest.get(key) != hash_
        if changed:
            self.newest[key] = hash_
        return changed

    def table(self, records: list[msgspec.Raw], heads: list[Head], hashes: list[str], asked_at: datetime) -> pa.Table:
        """The rows of these records. Their `synced_at` rises by a microsecond a row: the order in which they were seen."""
        count = len(records)
        begin = max(int(asked_at.timestamp() * 1_000_000), self.last_moment + 1)
        self.last_moment = begin + count - 1
        is_text = self.entity.key_type == "text"
        keys = [head.key for head in heads]
        return pa.table(
            {
                "tenant_id": pa.repeat(pa.scalar(self.tenant_id, pa.int64()), count),
                "st_id": pa.array(keys, pa.string() if is_text else pa.int64()),
                "payload": self.payloads(records),
                "modified_on": pa.array([head.modified_on for head in heads], MOMENT),
                "payload_hash": pa.array(hashes, pa.string()),
                "is_deleted": pa.array([head.is_deleted for head in heads], pa.bool_()),
                "key_bucket": pa.array([bucket(self.tenant_id, key) for key in keys], pa.int16()),
                "sync_batch_id": pa.repeat(pa.scalar(self.sync_batch_id), count),
                "synced_at": pa.array(range(begin, begin + count), pa.int64()).cast(MOMENT),
            }
        )

    def payloads(self, records: list[msgspec.Raw]) -> pa.StringArray:
        """The records' bytes as one buffer."""
        joined = b"".join(records)
        if is_storable(joined):
            return text_array(records, joined)
        storable = [storable_bytes(bytes(record)) for record in records]
        self.tally.repaired += sum(bytes(old) != new for old, new in zip(records, storable, strict=True))
        return text_array(storable, b"".join(storable))


def columns(entity: Entity) -> dict[str, Any]:
    """The envelope of one entity in dlt's words."""
    return COLUMNS | {"st_id": {"data_type": str(entity.key_type), "nullable": False}}


def text_array(parts: Sequence[Any], joined: bytes) -> pa.StringArray:
    """Parts that stand one behind the other in `joined`, as an Arrow array that shares the buffer."""
    offsets = array("i", [0, *accumulate(len(memoryview(part)) for part in parts)])
    return pa.StringArray.from_buffers(len(parts), pa.py_buffer(offsets), pa.py_buffer(joined))
