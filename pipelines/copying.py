"""Copying all of `raw` from one warehouse of an installation to its other one, between PostgreSQL and a lake.

Buckets of tables whose digests differ are replaced, each in one transaction: whatever cuts a copy off, the next one goes on with
what still differs. The other warehouse never loses a row that this one lacks, and has no cursors while it is not whole:
a sync there would read everything from the beginning rather than leave something out.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import duckdb
import psycopg2
import pyarrow as pa

from pipelines.landing import innermost
from pipelines.model_state import plan_next
from pipelines.names import PIPELINES, tenant_of
from pipelines.pushed import RIGHT
from pipelines.sides import LakeSide, Mark, Piece, PostgresSide, Shape, Side
from sources.servicetitan.catalog import CATALOG
from sources.servicetitan.reading import raw_table
from store.exceptions import SettingsError, StoreError
from store.lake import METADATA, DuckLake
from store.lock import leased_if_free, let_go, place_of
from store.operations import open_operations
from store.server import reachable
from store.session import connect
from store.setting import WAREHOUSE
from store.settings import Engine, Settings
from store.warehouse import Postgres, open_warehouse

MOST = 100_000  # rows that are replaced in one transaction, unless a bucket has more
TOGETHER = 20  # pieces likewise: most tables are small, and a transaction costs as much as thousands of rows
PRUNED = "_lazi_pruned"
STATE = "_dlt_pipeline_state"
LAST = (PRUNED, "_dlt_version", "_dlt_loads", STATE)
"""What is copied behind all records, in this order: the cursors last."""
RIGHTS = (RIGHT, "the models", "pruning", "maintenance", "dlt's own tables", "taking over a database of the original")
SCHEMAS = {Engine.POSTGRES: "raw", Engine.DUCKLAKE: METADATA}
"""PostgreSQL's schema without which there is no such warehouse."""

Progress = Callable[[str, int, int], None]
"""Told a table, and how many of all rows to be copied are."""


class CopyError(StoreError):
    """A copy cannot be made, or was cut off."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A table here, and how much of it differs there."""

    shape: Shape
    here: dict[int, Mark]
    there: dict[int, Mark]

    @property
    def differing(self) -> list[int]:
        """The buckets that are not the same."""
        return [one for one in sorted({*self.here, *self.there}) if self.here.get(one) != self.there.get(one)]

    @property
    def rows(self) -> int:
        """How many it has here."""
        return sum(mark.rows for mark in self.here.values())

    @property
    def pieces(self) -> Iterator[Piece]:
        """What is to be replaced, in pieces of a size."""
        buckets: list[int] = []
        rows = 0
        for bucket in self.differing:
            more = self.here[bucket].rows if bucket in self.here else 0
            if buckets and rows + more > MOST:
                yield self.piece(buckets, rows)
                buckets, rows = [], 0
            buckets, rows = [*buckets, bucket], rows + more
        if buckets:
            yield self.piece(buckets, rows)

    def piece(self, buckets: Sequence[int], rows: int) -> Piece:
        """Some of its buckets."""
        return Piece(self.shape, tuple(buckets), rows, replaces=bool({*buckets} & {*self.there}))


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy found and did."""

    tables: dict[str, int] = field(default_factory=dict)  # rows of each that is not empty
    rows: int = 0  # that were copied, or would be


def other(settings: Settings, to: Engine, lake: str = "") -> Settings:
    """The settings of the same installation with another warehouse. Raises CopyError or SettingsError."""
    if settings.is_embedded or to is Engine.DUCKDB:
        raise CopyError(
            "The embedded store is an installation of its own, with its own queue, keys and schedules. Set `DATABASE_URL` to a "
            "new database and run `lazi sync` there, which reads everything anew; `lazi export` writes what is here as Parquet."
        )
    if Engine.SPARK in {to, settings.engine}:
        raise CopyError(
            f"Records are copied between `{Engine.POSTGRES}` and `{Engine.DUCKLAKE}`, and not to or from `{Engine.SPARK}`. Set "
            f"`LAZI_WAREHOUSE={to}` and run `lazi sync`, which reads everything anew; versions of the past stay where they are."
        )
    if to is settings.engine:
        raise CopyError(f"The warehouse is `{to}` already. Name the one to copy to.")
    if lake and to is not Engine.DUCKLAKE:
        raise SettingsError(f"`--lake` says where the files of a lake stand, and `{to}` is none. Leave it out.")
    return replace(settings, warehouse=str(to), lake=lake or settings.lake)


def copy(
    settings: Settings,
    to: Settings,
    *,
    dry: bool = False,
    tenants: Iterable[int] = (),
    progress: Progress | None = None,
) -> Copied:
    """Make `raw` of one warehouse that of another; when `dry`, only count. Raises StoreError.

    `tenants` are those that may be read, besides those that ever were.
    """
    with ExitStack() as stack:
        here = opened(stack, settings)
        if dry:
            there = opened(stack, to) if is_there(to) else None
            return told(compared(here, there))
        stack.enter_context(standing(settings, rights(here, tenants)))
        there = opened(stack, to)
        there.warehouse.prepare(map(raw_table, CATALOG))
        found = compared(here, there)
        replaced(here, there, found, progress or (lambda *_: None))
        prepare_models(settings, found)
        return told(found)


def opened(stack: ExitStack, settings: Settings) -> PostgresSide | LakeSide:
    """A warehouse, as a copy uses it."""
    warehouse = stack.enter_context(closing(open_warehouse(settings)))
    if isinstance(warehouse, Postgres):
        return PostgresSide(warehouse)
    assert isinstance(warehouse, DuckLake)  # noqa: S101  `other` lets no other in
    return LakeSide(warehouse)


def is_there(settings: Settings) -> bool:
    """Whether a warehouse has been made: to open a lake would make one."""
    with closing(connect(settings.session_url)) as connection, reachable(), connection.cursor() as cursor:
        cursor.execute("SELECT to_regnamespace(%s) IS NOT NULL", (SCHEMAS[settings.engine],))
        return bool(cursor.fetchone()[0])


def rights(here: Side, tenants: Iterable[int]) -> list[str]:
    """What all those hold who write to the warehouse."""
    known = {str(tenant) for tenant in tenants}
    state = here.shapes().get(STATE)
    if state:
        names = (name for name in here.values(state, "pipeline_name") if name.startswith(tuple(PIPELINES)))
        known |= {tenant_of(name) for name in names} - {""}
    found = [*RIGHTS, *(f"pipeline {name}" for name in PIPELINES)]
    for tenant in sorted(known):
        found += [text for name in PIPELINES for text in (f"pipeline {name}_{tenant}", f"{tenant} in {name}")]
    return found


@contextmanager
def standing(settings: Settings, names: Sequence[str]) -> Iterator[None]:
    """Nobody lands, models or prunes meanwhile. Raises CopyError where somebody does at the moment.

    Work is held by locks or by leases: both are taken, so that who holds either is seen.
    """
    with ExitStack() as stack:
        connection = connect(settings.session_url)
        stack.callback(let_go, connection)
        connection.autocommit = True
        for name in names:
            if not (is_locked(connection, name) and stack.enter_context(leased_if_free(settings, name))):
                raise CopyError(
                    f"Another process is at work on {name}. Stop `lazi up`, `lazi sync` and `lazi outbound` on every host, and "
                    "try again."
                )
        yield


def is_locked(connection: Any, name: str) -> bool:
    """Lock a right, if nobody has; whether it is."""
    with reachable(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", place_of(name))
        return bool(cursor.fetchone()[0])


def compared(here: Side, there: Side | None) -> list[Compared]:
    """Every table that is copied, in order. Raises CopyError where the other warehouse has records that this one lacks."""
    with here.looking(), there.looking() if there else nullcontext():
        return looked_through(here, there)


def looked_through(here: Side, there: Side | None) -> list[Compared]:
    """The same, asked as of one moment."""
    shapes, others = here.shapes(), there.shapes() if there else {}
    names = [name for name in (raw_table(entity).name for entity in CATALOG) if name in shapes]
    found = []
    for name in [*dict.fromkeys(names), *(name for name in LAST if name in shapes)]:
        shape = shapes[name]
        is_alike = name in others and {*shape.names} <= {*others[name].names}
        found.append(Compared(shape, here.marks(shape), there.marks(shape) if there and is_alike else {}))
    if there:
        pruned = here.values(shapes[PRUNED], "entity") if PRUNED in shapes else set()
        for one in found:
            if one.shape.name not in LAST and one.there and one.differing:
                check_kept(here, there, one, is_pruned=one.shape.name.removeprefix("st_") in pruned)
    return found


def check_kept(here: Side, there: Side, table: Compared, *, is_pruned: bool) -> None:
    """Raise CopyError where a table there has rows that it lacks here, other than by pruning.

    Pruning leaves the version of each record that landed last: a record with a later one there was read there since.
    """
    shape = table.shape
    has_own = has_later if is_pruned else has_more
    if any(has_own(here, there, shape, bucket) for bucket in table.differing if bucket in table.there):
        raise CopyError(
            f"`raw.{shape.name}` of the other warehouse has rows that the present one lacks: records landed there since. They "
            f"would be lost. Copy in the other direction, with `{WAREHOUSE.name}` set to the other one, or drop that warehouse "
            "if it is worth nothing: docs/warehouses.md says how."
        )


def has_more(here: Side, there: Side, shape: Shape, bucket: int) -> bool:
    """Whether a bucket has a row there that it lacks here."""
    return bool(there.digests(shape, bucket) - here.digests(shape, bucket))


def has_later(here: Side, there: Side, shape: Shape, bucket: int) -> bool:
    """Whether a record in a bucket landed later there than the last time that it did here, or is there alone."""
    known = here.latest(shape, bucket)
    return any(record not in known or moment > known[record] for record, moment in there.latest(shape, bucket).items())


def replaced(here: Side, there: Side, found: Sequence[Compared], progress: Progress) -> None:
    """Replace what differs. Raises CopyError."""
    pieces = pieces_of(found)
    if pieces:
        forget_cursors(there)
    done, total = 0, sum(piece.rows for piece in pieces)
    for unit in units(pieces):
        progress(unit[0].shape.name, done, total)
        with cut_off(unit):
            for piece in unit:
                if piece.shape.name in LAST:
                    make(there, piece.shape)
            there.put(unit, here.batches)
        done += sum(piece.rows for piece in unit)
    progress("", total, total)
    with here.looking(), there.looking():
        for shape in dict.fromkeys(piece.shape for piece in pieces):
            if there.marks(shape) != here.marks(shape):
                raise CopyError(f"`raw.{shape.name}` is not the same in both warehouses after all. Run the copy again.")


def pieces_of(found: Sequence[Compared]) -> list[Piece]:
    """What is to be replaced: nothing, or whatever differs and all cursors."""
    pieces = [piece for table in found if table.shape.name != STATE for piece in table.pieces]
    cursors = [table for table in found if table.shape.name == STATE]
    if pieces:
        cursors = [Compared(table.shape, table.here, {}) for table in cursors]
    return pieces + [piece for table in cursors for piece in table.pieces]


def units(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Pieces that are replaced together; the cursors alone, behind all others."""
    unit: list[Piece] = []
    for piece in pieces:
        rows = sum(one.rows for one in unit)
        if unit and (rows + piece.rows > MOST or len(unit) == TOGETHER or piece.shape.name == STATE):
            yield unit
            unit = []
        unit.append(piece)
    if unit:
        yield unit


def forget_cursors(there: Side) -> None:
    """Have the other warehouse begin a new life: working folders of its former one are emptied, and no cursor is restored."""
    statements = [f"UPDATE raw._lazi_warehouse SET identity = '{uuid.uuid4().hex}'"]
    if STATE in there.shapes():
        statements.append(f"DELETE FROM raw.{STATE}")
    there.run(statements)


def make(there: Side, shape: Shape) -> None:
    """Have a table there with the columns of this one: dlt's own change with its version."""
    known = there.shapes().get(shape.name)
    if known and {*known.names} != {*shape.names}:
        there.run([f"DROP TABLE raw.{shape.name}"])
    there.run([shape.create()])


@contextmanager
def cut_off(unit: Sequence[Piece]) -> Iterator[None]:
    """Say in which table a copy was cut off, and why. Raises CopyError."""
    try:
        yield
    except (psycopg2.Error, duckdb.Error, pa.ArrowException) as error:
        tables = ", ".join(f"`raw.{piece.shape.name}`" for piece in unit)
        raise CopyError(
            f"The copy was cut off in {tables}: {innermost(error)}. What was copied stays; run it again, and it goes on there."
        ) from error


def prepare_models(settings: Settings, found: Iterable[Compared]) -> None:
    """Have the next run of the models plan, and look at all that was copied."""
    operations, now = open_operations(settings), datetime.now(UTC)
    try:
        entities = [one.shape.name.removeprefix("st_") for one in found if one.rows and one.shape.name not in LAST]
        operations.run_all("note_landed", [{"entity": name, "now": now} for name in entities])
        plan_next(operations)
    finally:
        operations.close()


def told(found: Sequence[Compared]) -> Copied:
    """What a copy does."""
    rows = sum(piece.rows for piece in pieces_of(found))
    return Copied({one.shape.name: one.rows for one in found if one.rows}, rows)
