"""A warehouse of Parquet files in a folder, whose models Spark builds. DuckDB in memory reads it, so that no reader needs Java.

    raw/st_jobs/*.parquet                         landed; each file whole or not there
    master_store/jobs__1/key_bucket=7/*.parquet   what a model built
    shown/master.jobs.json                        what a name shows, as whoever builds models writes it down
    identity

A view reads the files that are there when it is asked. Raw files are only ever added.
"""

import errno
import hashlib
import json
import os
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from store.embedded import DuckDB, frugal
from store.exceptions import SettingsError, StoreUnwritableError
from store.folder import prepare_folder
from store.raw import ENVELOPE, PUSHED, RawTable, with_load_id
from store.settings import LAKE, Settings

if TYPE_CHECKING:
    import pyarrow as pa

SHOWN = "shown"  # the folder of what names show
FUNCTIONS = "functions"  # in it: statements that make what the views call
EMPTY = "empty.parquet"  # in each folder of a table: its columns, where it has no rows yet
IDENTITY = "identity"
STEP = 50_000_000  # nanoseconds within which a folder may change twice and show one time
LOADS = "_dlt_loads"  # what dlt tells of its loads
UNDONE = ".part"  # the end of a name that no reader takes for a table's file


@dataclass(frozen=True, slots=True)
class Shown:
    """What a name shows: `query` in DuckDB's words, for readers, and for whoever builds models what makes it there."""

    kind: str  # table or view
    schema: str
    name: str
    query: str
    made: str
    columns: dict[str, str] = field(default_factory=dict)  # of a table, with types in PostgreSQL's words


class SparkFiles(DuckDB):
    """The folder, by a DuckDB in memory of this process. All threads and libraries go through one root connection."""

    def __init__(self, settings: Settings) -> None:
        """Open the folder, or begin one. Raises StoreError."""
        self.files = self.path = folder_of(settings)
        spilled = prepare_folder(settings.data_dir / "spilled").resolve()
        for name in ("raw", SHOWN):
            with writing(self.files):
                (self.files / name).mkdir(parents=True, exist_ok=True)
        self.known: dict[str, str] = {}  # by name the text of each view that was made here
        self.seen: tuple[int, ...] = ()
        self.turn = threading.Lock()
        root = duckdb.connect(
            ":memory:", config={"autoinstall_known_extensions": False, "temp_directory": str(spilled)}
        )
        self.settle(frugal(root))
        self.look()

    @contextmanager
    def filling(self) -> Iterator[None]:
        """See DuckDB.filling."""
        with writing(self.files):
            yield

    def session(self) -> duckdb.DuckDBPyConnection:
        """See DuckDB.session."""
        self.look()
        return super().session()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """See DuckDB.cursor."""
        self.look()
        return super().cursor()

    def look(self) -> None:
        """See DuckDB.look: models may have been built by another process."""
        stamps = tuple((self.files / name).stat().st_mtime_ns for name in ("raw", SHOWN))
        if stamps == self.seen:
            return
        with self.turn:
            if stamps != self.seen:
                self.show(stamps)

    def show(self, stamps: tuple[int, ...]) -> None:
        """Make the views of all that is there."""
        cursor = self.root.cursor()
        cursor.execute("CREATE SCHEMA IF NOT EXISTS raw")
        wanted = {f"raw.{each.parent.name}": raw_view(each.parent) for each in self.files.glob(f"raw/*/{EMPTY}")}
        if (loads := self.files / "raw" / LOADS).is_dir():
            wanted[f"raw.{LOADS}"] = f"SELECT * FROM read_json({text(loads / '*.jsonl')})"
        wanted |= {f"{found.schema}.{found.name}": found.query for found in noted(self.files)}
        functions = self.files / SHOWN / FUNCTIONS
        for statement in json.loads(functions.read_text(encoding="utf-8")) if functions.exists() else ():
            cursor.execute(statement)
        for name in self.known.keys() - wanted.keys():
            cursor.execute(f"DROP VIEW IF EXISTS {quoted(name)}")
        self.known = make_views(cursor, wanted, self.known)
        cursor.close()
        # what could not be made was written down before what it asks for; and a folder's time moves by steps
        is_settled = time.time_ns() - max(stamps) > STEP and self.known.keys() == wanted.keys()
        self.seen = stamps if is_settled else ()

    def prepare(self, tables: Iterable[RawTable]) -> None:
        """See Warehouse.prepare."""
        with self.filling():
            for table in tables:
                begin_table(self.files / "raw" / table.name, raw_types(table))
            if not (self.files / IDENTITY).exists():
                put_once(self.files / IDENTITY, uuid.uuid4().hex)
        self.seen = ()
        self.look()

    @property
    def identity(self) -> str:
        """See Warehouse.identity."""
        return (self.files / IDENTITY).read_text(encoding="utf-8")

    def append(self, table: RawTable, rows: "pa.Table") -> None:
        """See Warehouse.append. The file is named by what it holds, so that doing it again changes nothing."""
        told = with_load_id(rows).select(list(PUSHED))
        names = zip(
            *(rows[name].to_pylist() for name in ("tenant_id", "st_id", "payload_hash", "sync_batch_id")), strict=True
        )
        digest = hashlib.sha256(json.dumps(list(names)).encode()).hexdigest()[:32]
        with self.filling():
            land_rows(told, self.files / "raw" / table.name / f"pushed.{digest}.parquet")

    def newest_state(self, pipeline: str) -> str:
        """The hash of the state of this pipeline of dlt's that landed last; empty where none did."""
        found = (
            each.stem.rsplit("__", 2) for each in (self.files / "raw").glob(f"_dlt_pipeline_state/{pipeline}__*.jsonl")
        )
        loads = [(load, digest) for name, load, digest in found if name == pipeline]
        if not loads:
            return ""
        load, digest = max(loads)
        file = self.files / "raw" / "_dlt_pipeline_state" / f"{pipeline}__{load}__{digest}.jsonl"
        return str(json.loads(file.read_text(encoding="utf-8"))["version_hash"])

    def counted(self, schema: str, table: str) -> int | None:
        """How many rows a table has, by what its files tell; None where there is no such table."""
        folder = self.files / schema / table
        if not folder.is_dir():
            return None
        return int(
            self.fetch(f"SELECT SUM(num_rows) FROM parquet_file_metadata({text(folder / '**' / '*.parquet')})")[0][0]
        )

    def held(self, schema: str) -> dict[str, tuple[int, int, int]]:
        """By table of a schema, or of that of its models' tables, its rows, bytes and files."""
        found = {}
        for folder in sorted(each for name in (schema, f"{schema}_store") for each in (self.files / name).glob("*")):
            files = [each.stat().st_size for each in folder.rglob("*.parquet")]
            if files:
                found[folder.name] = self.counted(folder.parent.name, folder.name) or 0, sum(files), len(files)
        return found


def note(files: Path, shown: Shown) -> None:
    """Write down what a name shows from now on."""
    put(files / SHOWN / f"{shown.schema}.{shown.name}.json", json.dumps(asdict(shown)))


def noted(files: Path, schema: str = "*") -> list[Shown]:
    """What names show, of a schema or of all."""
    return [
        found for each in sorted((files / SHOWN).glob(f"{schema}.*.json")) if (found := what_shows(each)) is not None
    ]


def noted_as(files: Path, schema: str, name: str) -> Shown | None:
    """What a name shows, if it is there."""
    return what_shows(files / SHOWN / f"{schema}.{name}.json")


def what_shows(file: Path) -> Shown | None:
    """What is written down in a file; None where it is not there, be it erased meanwhile."""
    try:
        return Shown(**json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def erase(files: Path, schema: str, name: str) -> None:
    """Forget what a name shows."""
    (files / SHOWN / f"{schema}.{name}.json").unlink(missing_ok=True)


def show_functions(files: Path, statements: Iterable[str]) -> None:
    """Write down what makes the functions that views call."""
    told = json.dumps(list(statements))
    file = files / SHOWN / FUNCTIONS
    if not file.exists() or file.read_text(encoding="utf-8") != told:
        put(file, told)


def landed_tables(files: Path) -> list[str]:
    """The raw tables that have rows."""
    return sorted({each.parent.name for each in files.glob("raw/st_*/*.parquet") if each.name != EMPTY})


def folder_of(settings: Settings) -> Path:
    """The folder of the files. Raises SettingsError."""
    if "://" in settings.lake_files:
        raise SettingsError(
            f"`{LAKE.name}` is `{settings.lake_files}`, but with `LAZI_WAREHOUSE=spark` it is a folder: one that every host "
            "of the cluster has under the same path. A `ducklake` takes an address in an object store."
        )
    return Path(settings.lake_files)


def make_views(cursor: duckdb.DuckDBPyConnection, wanted: dict[str, str], known: dict[str, str]) -> dict[str, str]:
    """Make what is not known, those first that others ask for; all that are there then, by name."""
    made = {name: text for name, text in known.items() if wanted.get(name) == text}
    waiting = {name: text for name, text in wanted.items() if name not in made}
    for schema in {name.partition(".")[0] for name in waiting}:
        cursor.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
    while waiting:
        done = {name: text for name, text in waiting.items() if is_made(cursor, name, text)}
        if not done:
            break
        made |= done
        waiting = {name: text for name, text in waiting.items() if name not in done}
    return made


def is_made(cursor: duckdb.DuckDBPyConnection, name: str, text: str) -> bool:
    """Make a view; whether it could be done, and not what it asks for is missing yet."""
    try:
        cursor.execute(f"CREATE OR REPLACE VIEW {quoted(name)} AS {text}")
    except (duckdb.CatalogException, duckdb.BinderException, duckdb.IOException):
        return False
    return True


def quoted(name: str) -> str:
    """A name with its schema, as SQL takes it."""
    return ".".join(f'"{part}"' for part in name.split(".", 1))


def raw_types(table: RawTable) -> dict[str, str]:
    """By column of a raw table its type in DuckDB's words. JSON is text in the files."""
    return {name: {"": table.key_type, "JSONB": "TEXT"}.get(kind, kind).upper() for name, kind, _ in ENVELOPE}


def raw_view(folder: Path) -> str:
    """What a raw table shows: all its files."""
    columns = ", ".join(
        f'CAST("{name}" AS JSON) AS "{name}"' if kind == "JSONB" else f'"{name}"' for name, kind, _ in ENVELOPE
    )
    return f"SELECT {columns} FROM read_parquet({text(folder / '*.parquet')}, union_by_name = FALSE)"


def text(value: object) -> str:
    """A value as SQL's text."""
    return "'" + str(value).replace("'", "''") + "'"


def begin_table(folder: Path, types: dict[str, str]) -> None:
    """Make a raw table's folder if it is not there: with the file of its columns in it, so that who sees it sees a table."""
    if (folder / EMPTY).exists():
        return
    part = (
        folder.parent.parent / f".{uuid.uuid4().hex}{UNDONE}"
    )  # elsewhere: what stands beside tables is taken for one
    part.mkdir()
    write_empty(part / EMPTY, types)
    try:
        part.rename(folder)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        # another process was first, or one was killed between the folder and its file, as they came before
        (part / EMPTY).replace(folder / EMPTY)
        part.rmdir()
        os.utime(folder.parent)  # a new name in a folder does not change the time of the one above


def write_empty(file: Path, types: dict[str, str]) -> None:
    """A Parquet file of these columns, with types in DuckDB's words, without rows."""
    columns = ", ".join(f'CAST(NULL AS {kind}) AS "{name}"' for name, kind in types.items())
    part = file.with_name(f".{uuid.uuid4().hex}{UNDONE}")
    with duckdb.connect(":memory:", config={"autoinstall_known_extensions": False}) as made:
        made.execute("SET TimeZone = 'UTC'")
        made.execute(f"COPY (SELECT {columns} WHERE FALSE) TO {text(part)} (FORMAT PARQUET)")
    synced(part)
    part.replace(file)


def land_rows(rows: "pa.Table", file: Path) -> None:
    """Write rows to a file of a raw table, with the columns and types that it has, whole or not at all."""
    import pyarrow as pa  # noqa: PLC0415  a costly import, made when it is needed
    import pyarrow.parquet as pq  # noqa: PLC0415  a costly import, made when it is needed

    wanted = pq.read_schema(file.with_name(EMPTY))
    given = set(rows.column_names)
    columns = [rows[one.name].cast(one.type) if one.name in given else pa.nulls(len(rows), one.type) for one in wanted]
    part = file.with_name(f".{uuid.uuid4().hex}{UNDONE}")
    try:
        pq.write_table(pa.Table.from_arrays(columns, schema=wanted.remove_metadata()), part, compression="zstd")
        synced(part)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def put(file: Path, content: str) -> None:
    """Write a small file, whole or not at all."""
    part = file.with_name(f".{uuid.uuid4().hex}{UNDONE}")
    part.write_text(content, encoding="utf-8")
    synced(part)
    part.replace(file)


def put_once(file: Path, content: str) -> None:
    """Write a small file, unless another process has written it first."""
    part = file.with_name(f".{uuid.uuid4().hex}{UNDONE}")
    put(part, content)
    with suppress(FileExistsError):
        file.hardlink_to(part)
    part.unlink()


def synced(file: Path) -> None:
    """See that a file is on the disk before it has its name, or the names that a folder holds."""
    opened = os.open(file, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def writing(files: Path) -> Iterator[None]:
    """Turn a folder that cannot be used into a StoreUnwritableError."""
    try:
        yield
    except (OSError, duckdb.IOException) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error).splitlines()[0]
        raise StoreUnwritableError(
            f"The files in `{files}` cannot be had: {said}. Is there room, and may we write there? Models that are being built "
            "put new files in the place of old ones: ask again. The next run goes on where this one stopped."
        ) from error
