"""Records to rows of a raw table: the payload is the record's own bytes, everything else is derived.

One Arrow table a page, without a Python object a value. A record is left out when its bytes equal its newest landed
version. Where the read shows the present (`is_present`: lists do, an export may repeat what was), the version that it
shows wins in master even when its `modifiedOn` went back: the envelope's `modified_on` is lifted to the latest one of
its key, the payload keeps the true one. Nothing is lost: a record without a key gets one from its content, and bytes
that no store takes (NUL and half surrogates in text, invalid UTF-8) are replaced after hashing and counted.
"""

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import accumulate, count
from typing import Any

import msgspec
import pyarrow as pa

from sources.servicetitan.catalog import Entity, Feed
from sources.servicetitan.head import Head, Key, bucket, content_hash, head_reader
from sources.servicetitan.page import Page
from sources.servicetitan.storable import REPLACEMENT, SUSPICIOUS, is_storable, is_text, storable_bytes
from store.warehouse import Copy, Version

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
    "scope": {"data_type": "text"},
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
    vanished: int = 0  # records that were gone from what they are read for


def nothing_landed(_: Sequence[Key]) -> dict[Key, Version]:
    """For a table without rows."""
    return {}


def nothing_lives(_: Sequence[Any]) -> list[Any]:
    """For a table without rows, and for entities that are not read for anything."""
    return []


@dataclass(slots=True)
class Landing:
    """One entity's rows of one run.

    `newest_versions` tells the version that landed last for keys not yet met in this run; `living` tells scope and key
    of records that are not deleted, `copies` the versions of keys that master shows.
    """

    entity: Entity
    tenant_id: int
    sync_batch_id: str
    newest_versions: Callable[[Sequence[Key]], dict[Key, Version]] = nothing_landed
    is_present: bool = False
    tally: Tally = field(default_factory=Tally)
    highest: datetime | None = None  # the latest modification met
    newest: dict[Key, str] = field(default_factory=dict)  # hashes of the versions that landed last
    heights: dict[Key, datetime] = field(default_factory=dict)  # is_present: the latest modification that landed
    overtaken: set[Key] = field(default_factory=set)  # is_present: what landed last is not what master shows
    last_moment: int = 0
    living: Callable[[Sequence[str]], list[tuple[str, Key]]] = nothing_lives
    copies: Callable[[Sequence[Key]], list[Copy]] = nothing_lives
    met: dict[str | None, set[Key]] = field(default_factory=dict)  # keys of scopes that have not ended
    seen: set[Key] = field(default_factory=set)  # keys of all scopes: a record that moved to another one is not gone

    def rows(self, page: Page) -> pa.Table | None:
        """The rows that a page adds, or None when it adds nothing."""
        hashes, heads = self.heads(page)
        self.tally.fetched += len(heads)
        if page.is_repaired:
            self.tally.repaired += sum(REPLACEMENT in bytes(record) for record in page.records)
        self.tally.unkeyed += sum(not head.is_keyed for head in heads)
        self.meet(heads)
        self.look_up({head.key for head in heads} - self.newest.keys())
        new = [i for i, head in enumerate(heads) if self.is_news(head, hashes[i])]
        self.tally.appended += len(new)
        self.tally.unchanged += len(heads) - len(new)
        if not new:
            return None
        fresh = [self.lifted(heads[i]) if self.is_present else heads[i] for i in new]
        scopes = [page.scopes[i] for i in new] if page.scopes else None
        payloads = self.payloads([page.records[i] for i in new])
        return self.table(payloads, fresh, [hashes[i] for i in new], page.asked_at, scopes)

    def heads(self, page: Page) -> tuple[list[str], list[Head]]:
        """The hashes and heads of a page's records."""
        if page.scopes is None:
            return page.heads(self.entity)
        reader, heads = head_reader(self.entity), []
        hashes = [content_hash(record) for record in page.records]
        for record, hash_, scope in zip(page.records, hashes, page.scopes, strict=True):
            head = reader.read(record, hash_, scope)
            met = self.met.setdefault(scope, set())
            if not self.entity.key and self.entity.feed is Feed.CHILD and head.key in met:  # the same line twice is two
                head = msgspec.structs.replace(head, key=again(head.key, met))
            met.add(head.key)
            self.seen.add(head.key)
            heads.append(head)
        return hashes, heads

    def gone(self, page: Page) -> pa.Table | None:
        """Tombstones of living records that the scopes which end with this page no longer hold, or None."""
        if not page.closed:
            return None
        for scope in page.closed:
            self.met.pop(scope, None)
        lost = {key: scope for scope, key in self.living(page.closed) if key not in self.seen}
        if not lost:
            return None
        copies = list(self.copies(list(lost)))
        self.tally.vanished += len(copies)
        return self.tombstones(copies, page.asked_at, [lost[copy.key] for copy in copies])

    def tombstones(self, copies: Sequence[Copy], asked_at: datetime, scopes: Sequence[str | None]) -> pa.Table:
        """Rows that say of these records that they are gone: the same payload, marked as deleted."""
        heads = [
            Head(copy.key, copy.modified_on and copy.modified_on.astimezone(UTC), is_deleted=True) for copy in copies
        ]
        hashes = [tombstone_hash(copy.payload_hash) for copy in copies]
        self.newest.update(zip((copy.key for copy in copies), hashes, strict=True))
        self.tally.appended += len(copies)
        return self.table(pa.array([copy.payload for copy in copies], pa.string()), heads, hashes, asked_at, scopes)

    def meet(self, heads: Sequence[Head]) -> None:
        """Remember the latest modification."""
        met = [head.modified_on for head in heads if head.modified_on]
        if self.highest:
            met.append(self.highest)
        self.highest = max(met, default=None)

    def look_up(self, keys: set[Key]) -> None:
        """Learn what landed last for keys that this run has not met."""
        if keys:
            self.learn(self.newest_versions(list(keys)))

    def learn(self, versions: dict[Key, Version]) -> None:
        """Remember what landed before this run."""
        self.newest.update((key, version.payload_hash) for key, version in versions.items())
        if self.is_present:
            self.heights.update((key, version.height) for key, version in versions.items() if version.height)
            self.overtaken.update(key for key, version in versions.items() if version.is_overtaken)

    def is_news(self, head: Head, hash_: str) -> bool:
        """Whether this version differs from the newest one, or has to overtake another one; it is the newest from now on."""
        changed = self.newest.get(head.key) != hash_ or head.key in self.overtaken
        if changed:
            self.newest[head.key] = hash_
            self.overtaken.discard(head.key)
        return changed

    def lifted(self, head: Head) -> Head:
        """A head whose modification is not before the latest one of its key that landed."""
        height = self.heights.get(head.key)
        if height and (head.modified_on is None or head.modified_on < height):
            return msgspec.structs.replace(head, modified_on=height)
        if head.modified_on:
            self.heights[head.key] = head.modified_on
        return head

    def table(
        self,
        payloads: pa.StringArray,
        heads: list[Head],
        hashes: list[str],
        asked_at: datetime,
        scopes: Sequence[str | None] | None = None,
    ) -> pa.Table:
        """The rows of these records. Their `synced_at` rises by a microsecond a row: the order in which they were seen."""
        length = len(heads)
        begin = max(int(asked_at.timestamp() * 1_000_000), self.last_moment + 1)
        self.last_moment = begin + length - 1
        is_text = self.entity.key_type == "text"
        keys = [head.key for head in heads]
        return pa.table(
            {
                "tenant_id": pa.repeat(pa.scalar(self.tenant_id, pa.int64()), length),
                "st_id": pa.array(keys, pa.string() if is_text else pa.int64()),
                "payload": payloads,
                "modified_on": pa.array([head.modified_on for head in heads], MOMENT),
                "payload_hash": pa.array(hashes, pa.string()),
                "is_deleted": pa.array([head.is_deleted for head in heads], pa.bool_()),
                "key_bucket": pa.array([bucket(self.tenant_id, key) for key in keys], pa.int16()),
                "sync_batch_id": pa.repeat(pa.scalar(self.sync_batch_id), length),
                "synced_at": pa.array(range(begin, begin + length), pa.int64()).cast(MOMENT),
                "scope": pa.array(scopes, pa.string()) if scopes else pa.nulls(length, pa.string()),
            }
        )

    def payloads(self, records: list[msgspec.Raw]) -> pa.StringArray:
        """The records' bytes as one buffer."""
        joined = b"".join(records)
        if is_storable(joined):
            return text_array(records, joined)
        storable: list[Any] = list(records)
        for number in suspects(joined, records):
            old = bytes(records[number])
            storable[number] = storable_bytes(old)
            self.tally.repaired += storable[number] != old
        return text_array(storable, b"".join(storable))


def again(key: Key, met: set[Key]) -> str:
    """The key of another record of the same content."""
    return next(name for number in count(2) if (name := f"{key}#{number}") not in met)


def tombstone_hash(payload_hash: str) -> str:
    """The hash of the version that says that a record is gone: never one of content, so that the same bytes are news again."""
    return blake2b(f"deleted:{payload_hash}".encode(), digest_size=16).hexdigest()


def columns(entity: Entity) -> dict[str, Any]:
    """The envelope of one entity in dlt's words."""
    return COLUMNS | {"st_id": {"data_type": str(entity.key_type), "nullable": False}}


def suspects(joined: bytes, records: Sequence[Any]) -> Iterable[int]:
    """The numbers of the records, joined one behind the other, that may hold what no store takes."""
    if not is_text(joined):
        return range(len(records))
    behind = ends(records)
    return sorted({bisect_right(behind, found.start()) for found in SUSPICIOUS.finditer(joined)})


def ends(parts: Iterable[Any]) -> list[int]:
    """Where each part ends when they stand one behind the other."""
    return list(accumulate(len(memoryview(part)) for part in parts))


def text_array(parts: Sequence[Any], joined: bytes) -> pa.StringArray:
    """Parts that stand one behind the other in `joined`, as an Arrow array that shares the buffer."""
    offsets = array("i", [0, *ends(parts)])
    return pa.StringArray.from_buffers(len(parts), pa.py_buffer(offsets), pa.py_buffer(joined))
