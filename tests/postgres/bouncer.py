"""PgBouncer, where this machine has it."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2

from tests.ports import free_port
from tests.postgres.server import NOBODY, PASSWORD, Server, allowed

CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = 12
server_tls_sslmode = prefer
"""


def found() -> str | None:
    """Where it is."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


@contextmanager
def bouncing(server: Server, role: str, mode: str, password: str = PASSWORD) -> Iterator[int]:
    """The port of one before a server, in this mode of pooling."""
    program = found()
    assert program
    folder, port = allowed(Path(tempfile.mkdtemp(prefix="lazi-bouncer-"))), free_port()
    (folder / "users").write_text(f"{doubled(role)} {doubled(password)}\n", encoding="utf-8")
    (folder / "pgbouncer.ini").write_text(
        CONFIGURATION.format(server=server.port, port=port, folder=folder, mode=mode), encoding="utf-8"
    )
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [program, folder / "pgbouncer.ini"], user=NOBODY, stdout=log, stderr=subprocess.STDOUT, cwd=folder
        )
    try:
        while process.poll() is None:
            try:
                psycopg2.connect(host="127.0.0.1", port=port, user=role, dbname="postgres").close()
            except psycopg2.OperationalError as error:
                if "refused" in str(error):
                    continue
            break
        assert process.poll() is None, (folder / "log").read_text()
        yield port
    finally:
        process.kill()
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def doubled(text: str) -> str:
    """A word of its file of users."""
    return '"' + text.replace('"', '""') + '"'
