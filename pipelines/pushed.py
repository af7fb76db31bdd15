"""What mutations changed, into the copy at once: the record as it was read back lands, and the models that show it run.

A version that a mutation made names it in `sync_batch_id`: `mutation:<id>:<who>`. It is appended directly: a run of dlt would
take as long as all the rest. Its `synced_at` is the moment at which ServiceTitan was asked for the record, however late it
lands; it never goes over a version that the copy saw later. Repeats are harmless, as everywhere in raw.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from operator import attrgetter
from typing import Any

import msgspec
import pyarrow as pa

from outbound.queue import Queue
from pipelines.modelling import ModelError, Models
from sources.servicetitan.catalog import BY_NAME, Entity, Feed
from sources.servicetitan.head import Head, Key, content_hash, head_reader, moment, whole
from sources.servicetitan.landing import Landing
from sources.servicetitan.page import Page
from sources.servicetitan.reading import raw_table
from store.exceptions import StoreError
from store.lock import held
from store.operations import Operations, Row
from store.settings import Settings
from store.warehouse import Copy, DuckDB, Postgres

AT_ONCE = 500  # mutations landed together
LONGEST_PAUSE = 60.0  # seconds after which what failed is tried again
OLDEST = timedelta(hours=12)  # rows are dated back no further: models look for new ones a day back
RIGHT = "what mutations changed"  # the lock's name, which waiting processes log
RAW_RECORD: msgspec.json.Decoder[dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw])
EXACT: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Decimal)
ONE_ORDER = msgspec.json.Encoder(order="sorted", decimal_format="number")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Change:
    """A record after a mutation, or its key where it is gone; `read_at` is when ServiceTitan was asked for it."""

    mutation_id: int
    by: str
    scope: str | None
    text: str
    is_gone: bool
    read_at: datetime

    @property
    def batch(self) -> str:
        """As raw names what landed it."""
        return f"mutation:{self.mutation_id}:{self.by}"


@dataclass(slots=True)
class Pause:
    """How long something that failed is left alone: 1, 2, 4 and so on up to `LONGEST_PAUSE` seconds."""

    clock: Callable[[], float] = time.monotonic
    seconds: float = 0.0
    until: float = 0.0

    @property
    def is_over(self) -> bool:
        """Whether it may be tried."""
        return self.clock() >= self.until

    def lengthen(self) -> None:
        """It failed again."""
        self.seconds = min(max(1.0, self.seconds * 2), LONGEST_PAUSE)
        self.until = self.clock() + self.seconds

    def end(self) -> None:
        """It went well."""
        self.seconds = self.until = 0.0


@dataclass(slots=True)
class Known:
    """What the copy holds of one entity's changed records, with the rows that are about to be appended."""

    landing: Landing
    copies: dict[Key, Copy]  # what master shows
    last_seen: dict[Key, datetime]  # when ServiceTitan was asked for the version that landed last
    gone: set[Key]
    late: dict[tuple[Key, datetime], datetime]  # by key and `synced_at`: when it was read back in truth

    def row(self, change: Change) -> pa.Table | None:
        """A change's row; None where it is no news, or where the copy saw the record later than it was read back."""
        self.landing.sync_batch_id = change.batch
        head = head_of(self.landing.entity, change)
        if head is None or self.is_outdated(head, change.read_at):
            return None
        asked_at = max(change.read_at, datetime.now(UTC) - OLDEST)
        row = self.tombstone(head.key, asked_at) if change.is_gone else self.version(head.key, change, asked_at)
        if row is not None:
            self.learn(row, change.read_at)
        return row

    def is_outdated(self, head: Head, read_at: datetime) -> bool:
        """Whether the copy has a later state of the record.

        Versions that ServiceTitan was asked for later are later. An export alone lags: what it shows may be earlier, and
        is if it was modified earlier.
        """
        seen, height = self.last_seen.get(head.key), self.landing.heights.get(head.key)
        if seen is None or seen <= read_at:
            return False
        is_ahead = head.modified_on is not None and (height is None or head.modified_on > height)
        return not (self.landing.entity.feed is Feed.EXPORT and is_ahead)

    def tombstone(self, key: Key, asked_at: datetime) -> pa.Table | None:
        """The row of a record that is gone; None where the copy knows that, or never had it."""
        known = self.copies.get(key)
        if known is None or key in self.gone:
            return None
        return self.landing.tombstones([known], asked_at, [known.scope])

    def version(self, key: Key, change: Change, asked_at: datetime) -> pa.Table | None:
        """The row of a record; None where it is what landed last, or what the copy shows."""
        record, known = change.text.encode(), self.copies.get(key)
        if known and self.landing.entity.feed is Feed.EXPORT:
            record = overlaid(known.payload.encode(), record)
            if key not in self.gone and content(record) == content(known.payload):
                return None  # its bytes may differ: PostgreSQL gives the fields of a record back in an order of its own
        scope = change.scope or (known.scope if known else None)
        return self.landing.rows(Page([msgspec.Raw(record)], asked_at, scopes=[scope] if scope else None))

    def learn(self, row: pa.Table, read_at: datetime) -> None:
        """A later change of the same record goes by this row."""
        [value] = row.to_pylist()
        copy = Copy(value["st_id"], *(value[name] for name in Copy._fields[1:]))
        self.copies[copy.key] = copy
        (self.gone.add if value["is_deleted"] else self.gone.discard)(copy.key)
        if value["synced_at"] > read_at:
            self.late[copy.key, value["synced_at"]] = read_at


@dataclass(slots=True)
class Pushed:
    """Lands what mutations changed. For one thread at a time; processes take turns.

    `stuck` holds mutations that could not be landed: they wait to be tried again and keep no others from it.
    `owes_refresh` tells that the models may lack something that landed.
    """

    queue: Queue
    operations: Operations
    warehouse: DuckDB | Postgres
    settings: Settings
    models: Models | None = None
    owes_refresh: bool = field(init=False)
    stuck: set[int] = field(default_factory=set)
    late: dict[tuple[int, str], dict[tuple[Key, datetime], datetime]] = field(default_factory=dict)  # see Known
    landing_pause: Pause = field(default_factory=Pause)
    models_pause: Pause = field(default_factory=Pause)

    def __post_init__(self) -> None:
        """Models that ran before may lack what a process landed that ended before it refreshed them."""
        self.owes_refresh = bool(self.models and self.operations.run("last_model_run"))

    def run(self, landable: threading.Event, stopping: threading.Event) -> None:
        """Land whenever something waits, until told to stop; then all that waits once more."""
        while not stopping.is_set():
            landable.wait(1.0)
            landable.clear()
            self.safely(self.turn)
        self.safely(self.land)

    def safely(self, work: Callable[[], object]) -> None:
        """Do it; what fails is tried again later."""
        try:
            work()
        except (StoreError, ModelError) as error:
            log.warning("changes are not in the copy yet: %s", error)
        except Exception:
            log.exception("changes are not in the copy yet")

    def turn(self) -> None:
        """Land what waits and bring the models up to date, except for what failed a moment ago."""
        if self.landing_pause.is_over:
            self.stuck.clear()
        self.land_waiting()
        if self.models_pause.is_over:
            self.refresh()

    def land(self) -> int:
        """Land all that waits and bring the models up to date; how many mutations landed.

        An entity whose changes cannot be landed is logged and waits for the next call. Raises StoreError or ModelError.
        """
        self.stuck.clear()
        landed = self.land_waiting()
        self.refresh()
        return landed

    def refresh(self) -> None:
        """Bring the models up to date, if that is due. Raises ModelError, upon which it stays due."""
        if self.owes_refresh and self.models:
            self.models_pause.lengthen()
            self.models.refresh(self.operations)
            self.models_pause.end()
            self.owes_refresh = False

    def land_waiting(self) -> int:
        """Land what waits and is not stuck; how many mutations."""
        landed = 0
        if self.waiting():
            with held(self.settings, RIGHT, log.info):
                while rows := self.waiting():
                    landed += self.land_rows(rows)
        if not self.stuck:
            self.landing_pause.end()
        elif self.landing_pause.is_over:
            self.landing_pause.lengthen()
        return landed

    def waiting(self) -> list[Row]:
        """The oldest mutations that wait and are not stuck."""
        rows = self.queue.landable(AT_ONCE + len(self.stuck))
        return [row for row in rows if row["mutation_id"] not in self.stuck]

    def land_rows(self, rows: list[Row]) -> int:
        """Land these mutations and mark those of which everything landed; how many."""
        for (tenant_id, name), changes in grouped(rows, self.ended_at).items():
            errors = self.errors(tenant_id, name, changes)
            if errors:
                self.stuck |= errors.keys()
                tell(name, tenant_id, errors)
        landed = [row for row in rows if row["mutation_id"] not in self.stuck]
        self.owes_refresh = self.owes_refresh or bool(landed)
        for row in landed:
            self.queue.mark_landed(row["mutation_id"], row["finished_at"])
        return len(landed)

    def errors(self, tenant_id: int, name: str, changes: list[Change]) -> dict[int, Exception]:
        """Append the changes of one entity; by mutation what kept it from landing. Where a few are bad, only they fail."""
        try:
            self.append(BY_NAME[name], tenant_id, changes)
        except StoreError as error:
            return {change.mutation_id: error for change in changes}
        except Exception as error:  # noqa: BLE001  whatever a record brings about, the others must land
            middle = len(changes) // 2
            if not middle:
                return {change.mutation_id: error for change in changes}
            return self.errors(tenant_id, name, changes[:middle]) | self.errors(tenant_id, name, changes[middle:])
        return {}

    def append(self, entity: Entity, tenant_id: int, changes: list[Change]) -> None:
        """Append the versions that are news."""
        keys = {head.key for change in changes if (head := head_of(entity, change))}
        known = self.known(entity, tenant_id, list(keys))
        rows = [row for change in changes if (row := known.row(change)) is not None]
        if rows:
            self.operations.run("note_landed", entity=entity.name, now=datetime.now(UTC))
            self.warehouse.append(raw_table(entity), pa.concat_tables(rows))
            self.owes_refresh = True
            self.operations.run("note_landed", entity=entity.name, now=datetime.now(UTC))

    def known(self, entity: Entity, tenant_id: int, keys: list[Key]) -> Known:
        """What the copy holds of these records."""
        table = raw_table(entity)
        landing = Landing(
            entity,
            tenant_id,
            "",
            newest_versions=lambda some: self.warehouse.newest_versions(table, tenant_id, some),
            is_present=True,
        )
        late = self.late.setdefault((tenant_id, entity.name), {})
        if not keys:
            return Known(landing, {}, {}, set(), late)
        versions, seen = landing.newest_versions(keys), self.warehouse.last_seen(table, tenant_id, keys)
        landing.learn(versions)
        return Known(
            landing,
            {copy.key: copy for copy in self.warehouse.copies(table, tenant_id, keys)},
            {key: late.get((key, at), at) for key, at in seen.items()},
            {key for key, version in versions.items() if version.is_deleted and not version.is_overtaken},
            late,
        )

    def ended_at(self, mutation_id: int) -> datetime:
        """When a mutation ended, or now where it did not."""
        return self.queue.get(mutation_id).finished_at or datetime.now(UTC)


def grouped(rows: Iterable[Row], ended_at: Callable[[int], datetime]) -> dict[tuple[int, str], list[Change]]:
    """The changes of these mutations by tenant and entity, in the order in which they were read back.

    `ended_at` tells when a mutation ended: older rows do not say when their record was read back.
    """
    found: dict[tuple[int, str], list[Change]] = {}
    for row in rows:
        for name, scope, text, is_gone, *told in row["landing"]:
            read_at = (moment(told[0]) if told else None) or ended_at(row["mutation_id"])
            change = Change(row["mutation_id"], row["initiated_by"], scope, text, is_gone, read_at)
            found.setdefault((row["tenant_id"], name), []).append(change)
    return {group: sorted(changes, key=attrgetter("read_at")) for group, changes in found.items()}


def tell(name: str, tenant_id: int, errors: dict[int, Exception]) -> None:
    """Log what kept mutations of one entity from landing; the first error stands for all."""
    error = next(iter(errors.values()))
    log.warning(
        "what %s mutations changed in `%s` of tenant %s is not in the copy yet: %s",
        len(errors),
        name,
        tenant_id,
        error,
        exc_info=None if isinstance(error, StoreError) else error,
    )


def head_of(entity: Entity, change: Change) -> Head | None:
    """The head of a changed record; None where one that is gone has no key that the entity could have."""
    if change.is_gone:
        key: Any = change.text if entity.key_type == "text" else whole(change.text)
        return None if key is None else Head(key, None, is_deleted=True)
    record = msgspec.Raw(change.text.encode())
    return head_reader(entity).read(record, content_hash(record), change.scope)


def overlaid(export: bytes, listed: bytes) -> bytes:
    """A record of an export with a list's values: an export shows other fields than a list, and its own must stay."""
    old, new = RAW_RECORD.decode(export), RAW_RECORD.decode(listed)
    return msgspec.json.encode({name: new.get(name, value) for name, value in old.items()})


def content(record: bytes | str) -> bytes:
    """A record with its fields in one order; `true` is not `1`, and digits are kept."""
    return ONE_ORDER.encode(EXACT.decode(record))
