"""A year of operations in a store: batches, reconciliations, runs of the models, changes.

They are written straight into the tables, so that millions take a minute, and nothing is tidied away.
"""

import random
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2

from outbound.state import State
from sources.servicetitan.catalog import CATALOG, Entity
from sources.servicetitan.census import why_not
from store.settings import Settings
from store.sqlite_operations import for_sqlite, to_text
from store.timetable import INTERVALS

DAYS = 365
TENANT = 1
UNAVAILABLE = 13  # every so manyth entity is not open to the tenant
FAILED, APPENDED = 0.003, 0.08  # of the reads
MUTATIONS_A_DAY = 200
STATES = (State.COMPLETED,) * 400 + (State.FAILED, State.CANCELLED, State.CONFLICT, State.HELD)
Values = tuple[Any, ...]

BATCHES = (
    *("sync_batch_id", "tenant_id", "entity", "started_at", "finished_at", "status", "feed", "fetched", "appended"),
    *("unchanged", "bytes", "requests", "retries", "repaired", "error", "pages", "covered_from", "covered_to"),
)
RECONCILIATIONS = (
    *("reconciliation_id", "tenant_id", "entity", "started_at", "finished_at", "status", "proof", "served", "in_copy"),
    *("missing_in_copy", "vanished", "marked_deleted", "reappeared", "differing", "appended", "requests"),
)
RUNS = ("model_run_id", "started_at", "finished_at", "status", "fingerprint")
MUTATIONS = (
    *("tenant_id", "entity", "operation", "record_id", "places", "payload", "lane", "ref", "state", "initiated_by"),
    *("key_id", "request_hash", "is_forced", "attempts", "run_at", "created_at", "finished_at", "before", "after"),
    "history",
)


def add(settings: Settings, days: int = DAYS) -> int:
    """Write so many days up to now; the number of batches."""
    now, chance = datetime.now(UTC), random.Random(11)  # noqa: S311  not for cryptography
    tables: dict[str, tuple[Sequence[str], Iterable[Values]]] = {
        "system.sync_batches": (BATCHES, batches(now, days, chance)),
        "system.reconciliations": (RECONCILIATIONS, reconciliations(now, days, chance)),
        "system.model_runs": (RUNS, model_runs(now, days)),
        "outbound.mutations": (MUTATIONS, mutations(now, days, chance)),
    }
    write = in_sqlite if settings.is_embedded else in_postgres
    counts = [write(settings, table, columns, rows) for table, (columns, rows) in tables.items()]
    return counts[0]


def batches(now: datetime, days: int, chance: random.Random) -> Iterator[Values]:
    """One for each entity and interval, in the order of time."""
    for number, begun in moments(now, days, min(INTERVALS.values())):
        for place, entity in enumerate(CATALOG):
            every = INTERVALS[entity.priority] // min(INTERVALS.values())
            if number % every == place % every:
                yield batch(entity, begun + timedelta(seconds=place / 2), place, chance)


def moments(now: datetime, days: int, every: timedelta) -> Iterator[tuple[int, datetime]]:
    """Numbered moments up to now."""
    for number in range(timedelta(days=days) // every, 0, -1):
        yield number, now - number * every


def batch(entity: Entity, begun: datetime, place: int, chance: random.Random) -> Values:
    """One read: most find nothing new, a few fail."""
    luck = chance.random()
    status = "unavailable" if place % UNAVAILABLE == 0 else "failed" if luck < FAILED else "completed"
    is_good = status == "completed"
    fetched = int(luck * 200) if is_good and luck < 0.5 else 0  # noqa: PLR2004  every other read finds something
    appended = fetched if luck < APPENDED else 0
    ident = f"{begun:%Y%m%dT%H%M%S}-{entity.name}-{chance.getrandbits(32):08x}"
    token = f"{begun.isoformat()}" if is_good else None
    error = "No usable answer from the server: 503 Service Unavailable." if status == "failed" else None
    ended = begun + timedelta(seconds=1 + luck)
    counts = (fetched, appended, fetched - appended, fetched * 900, 1 + fetched // 50, 0, 0)
    return (ident, TENANT, entity.name, begun, ended, status, str(entity.feed), *counts, error, 1, token, token)


def reconciliations(now: datetime, days: int, chance: random.Random) -> Iterator[Values]:
    """Each night all that can be counted; one of a hundred finds something."""
    for number, begun in moments(now, days, timedelta(days=1)):
        for entity in CATALOG:
            status = "skipped" if why_not(entity) else "completed"
            found = chance.randrange(1, 40) if status == "completed" and chance.random() < 0.01 else 0  # noqa: PLR2004
            ended = begun + timedelta(seconds=30)
            proof = "totals agree with the keys" if status == "completed" else None
            counts = (5000, 5000, found, 0, 0, 0, found, 2 * found, 12)
            yield (f"r{number}-{entity.name}", TENANT, entity.name, begun, ended, status, proof, *counts)


def model_runs(now: datetime, days: int) -> Iterator[Values]:
    """One behind each turn of the most urgent entities."""
    for number, begun in moments(now, days, min(INTERVALS.values())):
        yield (f"m{number}", begun, begun + timedelta(seconds=3), "completed", "bench")


def mutations(now: datetime, days: int, chance: random.Random) -> Iterator[Values]:
    """Changes of customers, nearly all long done."""
    record, history = '{"name":"' + "x" * 400 + '"}', '{"at":"2026-01-01","by":"bench","what":"queue"}\n' * 5
    for number, at in moments(now, days, timedelta(days=1) / MUTATIONS_A_DAY):
        state, key = chance.choice(STATES), str(chance.randrange(1, 1_000_000))
        what = ("customers", "Customers_Update", key, "{}", '{"name":"New"}', f"customers {key}", f"ref {number}")
        ended = None if state in {State.HELD, State.CONFLICT} else at + timedelta(seconds=2)
        yield (TENANT, *what, state, "Ann", "bench", f"hash {number}", False, 1, at, at, ended, record, record, history)


def in_postgres(settings: Settings, table: str, columns: Sequence[str], rows: Iterable[Values]) -> int:
    """Copy rows into a table of PostgreSQL; how many."""
    connection = psycopg2.connect(settings.database_url)
    with connection, connection.cursor() as cursor:
        cursor.copy_expert(f"COPY {table} ({', '.join(columns)}) FROM STDIN", Lines(rows))
        number: int = cursor.rowcount
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"VACUUM (ANALYZE) {table}")
    connection.close()
    return number


class Lines:
    """Rows as a file that COPY reads."""

    def __init__(self, rows: Iterable[Values]) -> None:
        """Nothing is read yet."""
        self.rows, self.rest = iter(rows), b""

    def read(self, size: int) -> bytes:
        """At most so many bytes."""
        parts, length = [self.rest], len(self.rest)
        for row in self.rows:
            parts.append(line(row))
            length += len(parts[-1])
            if length >= size:
                break
        whole = b"".join(parts)
        self.rest = whole[size:]
        return whole[:size]


def line(row: Values) -> bytes:
    """A row as COPY takes it."""
    texts = ("\\N" if value is None else str(value).replace("\n", "\\n") for value in row)
    return ("\t".join(texts) + "\n").encode()


def in_sqlite(settings: Settings, table: str, columns: Sequence[str], rows: Iterable[Values]) -> int:
    """Insert rows into a table of SQLite; how many."""
    marks = ", ".join("?" * len(columns))
    statement = for_sqlite(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})")
    texts = (tuple(to_text(value) if isinstance(value, datetime) else value for value in row) for row in rows)
    with sqlite3.connect(settings.data_dir / "lazi-ops.sqlite") as connection:
        number = connection.executemany(statement, texts).rowcount
    connection.close()
    return number
