"""What mutations changed, into the copy at once: the record as it was read back lands, and the models that show it run.

A version that a mutation made names it in `sync_batch_id`: `mutation:<id>:<who>`. It is appended directly: a run of dlt would
take as long as all the rest. Repeats are harmless, as everywhere in raw.
"""

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import pyarrow as pa

from outbound.queue import Queue
from pipelines.modelling import ModelError, Models
from sources.servicetitan.catalog import BY_NAME, Entity, Feed
from sources.servicetitan.head import Key, content_hash, head_reader, whole
from sources.servicetitan.landing import Landing
from sources.servicetitan.page import Page
from sources.servicetitan.reading import raw_table
from store.exceptions import StoreError
from store.operations import Operations
from store.warehouse import Copy, DuckDB, Postgres

AT_ONCE = 500  # mutations landed together
RAW_RECORD: msgspec.json.Decoder[dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw])

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Change:
    """A record after a mutation, or its key where it is gone."""

    mutation_id: int
    by: str
    scope: str | None
    text: str
    is_gone: bool

    @property
    def batch(self) -> str:
        """As raw names what landed it."""
        return f"mutation:{self.mutation_id}:{self.by}"


@dataclass(slots=True)
class Pushed:
    """Lands what mutations changed. `models` are this process's, for one thread at a time."""

    queue: Queue
    operations: Operations
    warehouse: DuckDB | Postgres
    models: Models | None = None

    def run(self, landable: threading.Event, stopping: threading.Event) -> None:
        """Land whenever something waits, until told to stop; then once more."""
        while not stopping.is_set():
            landable.wait(1.0)
            landable.clear()
            self.safely()
        self.safely()

    def safely(self) -> None:
        """Land; what fails is tried again at the next turn."""
        try:
            self.land()
        except (StoreError, ModelError) as error:
            log.warning("changes are not in the copy yet: %s", error)
        except Exception:
            log.exception("changes are not in the copy yet")

    def land(self) -> int:
        """Land all that waits and bring the models up to date; how many mutations. Raises StoreError or ModelError."""
        landed = 0
        while rows := self.queue.landable(AT_ONCE):
            for (tenant_id, name), changes in grouped(rows).items():
                self.append(BY_NAME[name], tenant_id, changes)
            for row in rows:
                self.queue.mark_landed(row["mutation_id"])
            landed += len(rows)
        if landed and self.models:
            self.models.refresh(self.operations)
        return landed

    def append(self, entity: Entity, tenant_id: int, changes: list[Change]) -> None:
        """Append the versions that are news."""
        table = raw_table(entity)
        landing = Landing(
            entity,
            tenant_id,
            "",
            newest_versions=lambda keys: self.warehouse.newest_versions(table, tenant_id, keys),
            is_present=True,
        )
        keys = {key for change in changes if (key := key_of(entity, change)) is not None}
        copies = {copy.key: copy for copy in self.warehouse.copies(table, tenant_id, list(keys))} if keys else {}
        landing.look_up(keys)
        rows = [part for change in changes if (part := rows_of(landing, change, copies)) is not None]
        if rows:
            self.operations.run("note_late_load", entity=entity.name, noted_at=datetime.now(UTC))
            self.warehouse.append(table, pa.concat_tables(rows))
            self.operations.run("note_late_load", entity=entity.name, noted_at=datetime.now(UTC))


def grouped(rows: Iterable[dict[str, Any]]) -> dict[tuple[int, str], list[Change]]:
    """What waits, by tenant and entity, in order."""
    found: dict[tuple[int, str], list[Change]] = {}
    for row in rows:
        for name, scope, text, is_gone in row["landing"]:
            change = Change(row["mutation_id"], row["initiated_by"], scope, text, is_gone)
            found.setdefault((row["tenant_id"], name), []).append(change)
    return found


def key_of(entity: Entity, change: Change) -> Key | None:
    """The key of a changed record."""
    if change.is_gone:
        return change.text if entity.key_type == "text" else whole(change.text)
    record = msgspec.Raw(change.text.encode())
    return head_reader(entity).read(record, content_hash(record), change.scope).key


def rows_of(landing: Landing, change: Change, copies: dict[Key, Copy]) -> pa.Table | None:
    """The row of a version, or None where it is no news."""
    landing.sync_batch_id, asked_at = change.batch, datetime.now(UTC)
    key = key_of(landing.entity, change)
    known = copies.get(key) if key is not None else None
    if change.is_gone:
        return landing.tombstones([known], asked_at, [known.scope]) if known else None
    record = change.text.encode()
    if known and landing.entity.feed is Feed.EXPORT:
        record = overlaid(known.payload.encode(), record)
    scope = change.scope or (known.scope if known else None)
    return landing.rows(Page([msgspec.Raw(record)], asked_at, scopes=[scope] if scope else None))


def overlaid(export: bytes, listed: bytes) -> bytes:
    """A record of an export with a list's values: an export shows other fields than a list, and its own must stay."""
    old, new = RAW_RECORD.decode(export), RAW_RECORD.decode(listed)
    return msgspec.json.encode({name: new.get(name, value) for name, value in old.items()})
