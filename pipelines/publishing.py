"""Publishing what screens need from a warehouse that answers slowly, a lake, to PostgreSQL, which answers at once.

Each table is brought up to date in one transaction, together with what is known of it (`system.publications`): whatever cuts it
off leaves the former state, and the next run goes on. Only rows that are new in the warehouse's snapshot come over; afterwards
both must have as many rows, and where they do not, everything is compared. Tables that are built anew stand beside the former
ones until all are whole, and then names lead to them at once (`pipelines.names_served`). Whoever publishes holds the right to the
models.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import duckdb
import psycopg2
import psycopg2.extras
import pyarrow as pa

from pipelines import names_served
from pipelines.definitions import Definitions, Table, View, read, written
from pipelines.engines import ENGINES, called
from pipelines.landing import innermost
from pipelines.published_source import New, Source
from pipelines.sides import Lines
from store.choice import chosen
from store.exceptions import StoreError
from store.operations import Operations, Row
from store.postgres_operations import PostgresOperations
from store.server import hushed, reachable
from store.serving import SCHEMA
from store.session import connect
from store.settings import Settings
from store.transaction import transaction

RIGHT = 7_210_535  # the advisory lock of a transaction that publishes
TRIGRAMS = f"""DO $$ BEGIN CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA {SCHEMA};
EXCEPTION WHEN OTHERS THEN NULL; END $$"""
"""For pieces of text, as in a PostgreSQL warehouse. Without it they are found by looking at every row."""

COMING = f"{SCHEMA}.coming"
"""What came over, until the transaction ends. No temporary table: those want a right of their own."""

OF_A_TABLE = (
    psycopg2.DataError,
    psycopg2.IntegrityError,
    psycopg2.InternalError,
    psycopg2.ProgrammingError,
    psycopg2.NotSupportedError,
    pa.ArrowException,
)
"""What may keep one table from being brought up to date, and not the others."""

Progress = Callable[[str, int, int], None]
"""Told a table, and how many of all are done."""
Define = Callable[[Iterable[str], Any], Definitions]
"""What names are in PostgreSQL, by a session there; costly."""


class PublicationError(StoreError):
    """What is served could not be brought up to date; it stays as it was."""


@dataclass(frozen=True, slots=True)
class Published:
    """What a publication did: how many rows of each table it wrote or deleted, and what it could not publish, with why."""

    changed: dict[str, int]
    rows: dict[str, int]
    refused: dict[str, str]


def is_due(settings: Settings, operations: Operations, mark: str, *, ran: bool = False) -> bool:
    """Whether something is to be published that is not, or given up; `mark` is of the models' text.

    Behind models that `ran` it is, whatever the clocks of several hosts say of which run is shown.
    """
    if settings.is_embedded:
        return False
    rows = operations.run("publications")
    if not ENGINES[settings.engine].published_from:
        return bool(rows)
    wanted = chosen(settings.serving)
    if not wanted:
        return bool(rows)
    if ran:
        return True
    marked = own_mark(settings, mark)
    missing = wanted - {row["name"] for row in rows if row["is_shown"]}
    told = [row for row in rows if row["is_shown"] or row["refusal"]]
    return bool(missing) or any(row["behind_since"] or row["refusal"] or row["mark"] != marked for row in told)


def own_mark(settings: Settings, mark: str) -> str:
    """The mark of the models' text and of what is chosen."""
    return hashlib.sha256(f"{mark} {sorted(chosen(settings.serving))}".encode()).hexdigest()[:32]


def put_back(settings: Settings, operations: Operations) -> None:
    """Where the warehouse is PostgreSQL again, put back the views that names led to before they were published.

    SQLMesh, which made them, changes none that are the same to it.
    """
    if settings.is_embedded or ENGINES[settings.engine].published_from:
        return
    if operations.run("former_views"):
        with closing(connect(settings.session_url)) as connection, reachable():
            connection.autocommit = True
            names_served.put_back(Server(connection, operations))


def publish(
    settings: Settings,
    operations: Operations,
    mark: str,
    define: Define,
    *,
    whole: bool = False,
    progress: Progress | None = None,
) -> Published:
    """Bring what is served up to date, comparing every row if `whole`. Raises PublicationError, which is noted too.

    `mark` is of the models' text. The right to the models is the caller's.
    """
    try:
        with told():
            found = published(settings, operations, mark, define, whole=whole, progress=progress or (lambda *_: None))
    except StoreError as error:
        operations.run(
            "refuse_publication", name="", place="", now=datetime.now(UTC), refusal=hushed(str(error))[:2000]
        )
        raise
    operations.run("forget_publication", name="", place="")
    return found


@contextmanager
def told() -> Iterator[None]:
    """Turn what engines raise into a PublicationError."""
    try:
        with reachable():
            yield
    except (psycopg2.Error, duckdb.Error, pa.ArrowException) as error:
        raise PublicationError(
            f"What PostgreSQL serves could not be brought up to date: {innermost(error)}. It stays as it was, and the next run "
            "of the models or `lazi warehouse publish` goes on."
        ) from error


def published(
    settings: Settings, operations: Operations, mark: str, define: Define, *, whole: bool, progress: Progress
) -> Published:
    """The same. Raises what engines raise."""
    wanted = chosen(settings.serving)
    opener = ENGINES[settings.engine].published_from
    with closing(connect(settings.session_url)) as connection, reachable():
        connection.autocommit = True
        server = Server(connection, operations)
        if not wanted or not opener:
            names_served.give_up(server)
            return Published({}, {}, {})
        server.prepare(anew=whole)
        with closing(called(opener)(settings)) as source, source.looking() as snapshot:
            run = Run(server, source, snapshot, own_mark(settings, mark))
            return run.done(run.defined(wanted, define, anew=whole), whole=whole, progress=progress)


class Server:
    """PostgreSQL, as it is published to: a session, and the named queries of the operations store on it."""

    def __init__(self, connection: Any, operations: Operations) -> None:
        """A session that commits by itself."""
        assert isinstance(operations, PostgresOperations)  # noqa: S101  wherever the warehouse is not embedded
        self.connection, self.operations = connection, operations
        self.cursor = connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor)

    def prepare(self, *, anew: bool) -> None:
        """See that there is room for rows, and what helps to search them. Raises StoreRightsError."""
        is_known = self.asked("SELECT to_regnamespace(%s) IS NOT NULL AS known", (SCHEMA,))[0]["known"]
        if not is_known:
            self.run(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        if anew or not is_known:
            self.run(TRIGRAMS)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """A transaction that only one publisher has at a time."""
        with transaction(self.cursor.execute, "BEGIN ISOLATION LEVEL READ COMMITTED"):
            self.run("SELECT pg_advisory_xact_lock(%s)", (RIGHT,))
            yield

    def run(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Run a statement; how many rows it was about."""
        self.cursor.execute(statement, values or None)
        return int(self.cursor.rowcount)

    def asked(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        """What a statement returns."""
        self.run(statement, values)
        return [dict(row) for row in self.cursor.fetchall()]

    def named(self, query: str, **values: Any) -> list[Row]:
        """Run a named query, in the transaction at hand if there is one."""
        return self.operations.once(self.cursor, query, values, self.operations.guard(query))

    def is_there(self, relation: str) -> bool:
        """Whether a table or view of this name is there."""
        return bool(self.asked("SELECT to_regclass(%s) IS NOT NULL AS known", (relation,))[0]["known"])


class Run:
    """One publication, of one snapshot."""

    def __init__(self, server: Server, source: Source, snapshot: int, mark: str) -> None:
        """Look at what was published before."""
        self.server, self.source, self.snapshot, self.mark = server, source, snapshot, mark
        self.tables, self.lake = source.tables(), source.identity
        self.known = {(row["name"], row["place"]): row for row in server.named("publications") if row["name"]}
        last = server.named("last_model_run")
        self.modeled_until = last[0]["started_at"] if last else None
        self.changed: Collection[str] | None = None

    def defined(self, wanted: Collection[str], define: Define, *, anew: bool) -> Definitions:
        """What is published: as it was the last time, while the models' text is the same and nothing else is wanted."""
        rows = [row for row in self.known.values() if row["is_shown"]]
        is_same = not anew and {row["name"] for row in rows} >= {*wanted}
        if is_same and all(row["mark"] == self.mark for row in rows):
            found = [read(row["name"], row["place"], row["definition"]) for row in rows]
            tables, views = ([one for one in found if isinstance(one, kind)] for kind in (Table, View))
            return Definitions(tuple(tables), tuple(views), {})  # type: ignore[arg-type]
        return define(sorted(wanted), self.server.connection)

    def done(self, definitions: Definitions, *, whole: bool, progress: Progress) -> Published:
        """Bring every table up to date, then have the names lead to them."""
        tables, changed, left = definitions.tables, dict[str, int](), dict[str, str]()
        self.changed = self.changed_since(tables)
        for number, table in enumerate(tables):
            progress(table.name, number, len(tables))
            if table.name not in self.tables:
                left[table.name] = "the warehouse has no such table yet: the models have not built it"
                continue
            try:
                with self.server.turn():
                    changed[table.name] = self.brought_up(table, whole=whole)
            except psycopg2.errors.InsufficientPrivilege:
                raise
            except OF_A_TABLE as error:
                left[table.name] = f"it could not be brought up to date: {innermost(error)}"
        progress("", len(tables), len(tables))
        every: tuple[Table | View, ...] = (*tables, *definitions.views)
        for view in definitions.views:
            if lacking := [one.name for one in every if one.name in left and view.reads(one)]:
                left[view.name] = f"it reads `{lacking[0]}`: {left[lacking[0]]}"
        made = [one for one in every if one.name not in left]
        refused = names_served.lead(self.server, made, left, lambda view: self.note(view, self.snapshot, None, 0, 0))
        refused |= definitions.refused
        now, known = datetime.now(UTC), {row["name"] for row in self.server.named("publications")}
        for name in refused.keys() - known:
            self.server.named("refuse_publication", name=name, place="", now=now, refusal=refused[name])
        return Published(changed, {row["name"]: row["row_count"] for row in self.rows()}, refused)

    def changed_since(self, tables: Iterable[Table]) -> Collection[str] | None:
        """The warehouse's tables that changed since these were published; None where that is not known."""
        places = {table.place for table in tables}
        rows = [row for row in self.known.values() if row["place"] in places and row["lake"] == self.lake]
        return self.source.changed(min(row["snapshot"] for row in rows)) if rows else None

    def rows(self) -> list[Row]:
        """The tables that are shown."""
        return [row for row in self.server.named("publications") if row["is_shown"] and row["place"]]

    def note(self, one: Table | View, snapshot: int, watermark: datetime | None, rows: int, changed: int) -> None:
        """Write down how far a table or view is, in the transaction at hand."""
        self.server.named(
            "note_publication",
            name=one.name,
            place=one.place,
            definition=written(one),
            mark=self.mark,
            lake=self.lake,
            source=self.tables.get(one.name, ""),
            snapshot=snapshot,
            watermark=watermark,
            row_count=rows,
            changed=changed,
            modeled_until=self.modeled_until,
            now=datetime.now(UTC),
        )

    def brought_up(self, table: Table, *, whole: bool) -> int:
        """Bring a table up to date, in the transaction at hand; how many rows changed."""
        at, source = table.place, self.tables[table.name]
        row = next((one for one in self.server.named("publications") if one["place"] == at), None)
        if row is None or not self.server.is_there(at):
            return self.filled(table, source)
        is_alike = row["lake"] == self.lake and row["source"] == source and not whole
        if is_alike and row["snapshot"] > self.snapshot:
            return 0  # another has published since
        if is_alike and self.changed is not None and source not in self.changed:
            self.note(table, self.snapshot, row["watermark"], row["row_count"], 0)
            return 0
        self.server.run(f"CREATE UNLOGGED TABLE {COMING} (LIKE {at})")
        rows, changed = int(row["row_count"]), 0
        if is_alike:
            new = New(int(row["snapshot"]), table.watermark, row["watermark"])
            self.copied(table, COMING, new)
            added, changed = self.put(table)
            rows += added
        total = self.source.count(source)
        if not is_alike or rows != total:
            self.server.run(f"TRUNCATE {COMING}")
            self.copied(table, COMING, None)
            changed += self.gone(table) + self.put(table)[1]
        self.server.run(f"DROP TABLE {COMING}")
        self.note(table, self.snapshot, self.watermark(table), total, changed)
        return changed

    def filled(self, table: Table, source: str) -> int:
        """Make a table and fill it; how many rows it has."""
        at, run = table.place, self.server.run
        run(f"DROP TABLE IF EXISTS {at}")
        columns = ", ".join(f'"{name}" {kind}' for name, kind in table.columns)
        run(f"CREATE TABLE {at} ({columns})")
        self.copied(table, at, None)
        run(f"CREATE UNIQUE INDEX ON {at} ({listed(table.key)})")
        for text in table.indexes:
            run(names_served.placed(text, table))
        run(f"ANALYZE {at}")
        total = self.source.count(source)
        self.note(table, self.snapshot, self.watermark(table), total, total)
        return total

    def watermark(self, table: Table) -> Any:
        """The greatest `modeled_at` of a table, or now where a host's clock was ahead: what came later looks older than that."""
        newest = self.source.newest(self.tables[table.name], table.watermark) if table.watermark else None
        return newest and min(newest, datetime.now(UTC))

    def copied(self, table: Table, to: str, new: New | None) -> None:
        """Copy rows of the warehouse into a table of PostgreSQL."""
        columns = listed(name for name, _ in table.columns)
        lines = Lines(self.source.rows(self.tables[table.name], table.columns, new))
        try:
            self.server.cursor.copy_expert(f"COPY {to} ({columns}) FROM STDIN (FORMAT csv)", lines)
        except psycopg2.Error as error:
            if lines.failed:
                raise lines.failed from error
            raise

    def put(self, table: Table) -> tuple[int, int]:
        """Have what came; how many rows are new, and how many were written."""
        names = [name for name, _ in table.columns]
        own = [name for name in names if name not in table.key]
        sets = ", ".join(f'"{name}" = EXCLUDED."{name}"' for name in own)
        differs = f"({of('t', own)}) IS DISTINCT FROM ({of('excluded', own)})"
        does = f"UPDATE SET {sets} WHERE {differs}" if own else "NOTHING"
        found = self.server.asked(
            f"WITH put AS (INSERT INTO {table.place} AS t ({listed(names)}) SELECT {listed(names)} FROM {COMING} "
            f"ON CONFLICT ({listed(table.key)}) DO {does} RETURNING t.xmax = 0 AS is_new) "
            "SELECT COUNT(*) FILTER (WHERE is_new) AS added, COUNT(*) AS written FROM put"
        )
        return int(found[0]["added"]), int(found[0]["written"])

    def gone(self, table: Table) -> int:
        """Delete what did not come; how many rows."""
        same = " AND ".join(f'c."{name}" = t."{name}"' for name in table.key)
        return self.server.run(
            f"DELETE FROM {table.place} AS t WHERE NOT EXISTS (SELECT 1 FROM {COMING} AS c WHERE {same})"
        )


def listed(names: Iterable[str]) -> str:
    """Columns in quotes."""
    return ", ".join(f'"{name}"' for name in names)


def of(table: str, names: Iterable[str]) -> str:
    """Columns of a table, in quotes."""
    return ", ".join(f'{table}."{name}"' for name in names)
