"""What stands around the routes: metrics, log, document, other origins, stores that fail."""

import io
import json
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from litestar.testing import TestClient
from prometheus_client import CollectorRegistry, generate_latest

from api import metrics
from api.app import create_app, document
from api.routes import ROUTES
from api.watch import logger
from store import keys
from store.exceptions import StoreUnreachableError
from store.operations import open_operations
from store.reading import told
from store.settings import Settings


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Where the API's log is written."""
    stream = io.StringIO()
    monkeypatch.setattr("api.app.logger", lambda _: logger(stream))
    return stream


@pytest.fixture
def client(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, log: io.StringIO) -> Iterator[TestClient]:  # noqa: ARG001  its place
    """The API on an empty embedded store, for one other origin, with a key."""
    monkeypatch.setenv("LAZI_API_ORIGINS", "https://app.example.com")
    settings = Settings("", tmp_path / "data", 3001, "warning")
    operations = open_operations(settings)
    key = keys.create(operations, name="x", scopes=keys.SCOPES, tenant_id=1)
    operations.close()
    with TestClient(create_app(settings), raise_server_exceptions=False) as opened:
        opened.headers["x-api-key"] = key
        yield opened


def test_each_budget_is_a_series_of_its_own(settings: Settings):
    """A tenant has several: one of its application, one of each report."""
    operations = open_operations(settings)
    for application in ("app", "app revenue"):
        operations.run("take_from_budget", application=application, tenant_id=1, interval=1.0, burst_seconds=3.0)
    registry = CollectorRegistry()
    registry.register(metrics.Lag(operations))
    lines = [line for line in generate_latest(registry).decode().splitlines() if line.startswith("lazi_rate_budget")]
    operations.close()
    assert len(lines) == len({line.rpartition(" ")[0] for line in lines}) == 2


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/api/v1/entities/custmers", " Is /api/v1/entities/customers meant?"),
        ("/api/v1/customer", " Is /api/v1/customers meant?"),
        ("/api/v1/zzz", ""),
    ],
)
def test_a_misspelled_route_is_told_of_the_right_one(client: TestClient, path: str, meant: str):
    """Where there is one that is much like it."""
    answer = client.get(path)
    assert (answer.status_code, answer.json()["detail"]) == (
        404,
        f"Not Found.{meant} The routes are listed at /api/docs.",
    )


def test_what_nobody_foresaw_is_in_the_log_with_its_trace(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
):
    """Under the id that the answer has."""
    monkeypatch.setattr("api.page.page", lambda *_: 1 / 0)
    answer = client.get("/api/v1/customers")
    assert answer.status_code == 500
    events = [json.loads(line) for line in log.getvalue().splitlines()]
    (failure,) = [event for event in events if event["event"] == "failure"]
    assert failure["request_id"] == answer.json()["request_id"]
    assert "Traceback" in failure["exception"]


def test_a_store_that_fails_is_named_in_the_log_and_not_in_the_answer(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
):
    """The answer says that the log has it, and it has."""

    def fail(*_: Any) -> None:
        raise StoreUnreachableError("PostgreSQL went away: db-17.")

    monkeypatch.setattr("api.page.page", fail)
    answer = client.get("/api/v1/customers")
    assert (answer.status_code, "db-17" in answer.text) == (503, False)
    logged = [line for line in log.getvalue().splitlines() if "db-17" in line]
    assert answer.json()["request_id"] in logged[0]


def test_other_origins_see_what_they_need(client: TestClient):
    """The mark of an answer, its id, and when to come again; an origin that is not named sees nothing."""
    ours = client.get("/api/v1/entities", headers={"origin": "https://app.example.com"})
    assert ours.headers["access-control-allow-origin"] == "https://app.example.com"
    assert {"etag", "x-request-id", "retry-after"} <= set(ours.headers["access-control-expose-headers"].split(", "))
    other = client.get("/api/v1/entities", headers={"origin": "https://elsewhere.example"})
    assert "access-control-allow-origin" not in other.headers


def test_the_document_is_of_the_api_alone():
    """Its own pages are not part of it."""
    assert [path for path in document()["paths"] if path.startswith("/api/docs")] == []


@pytest.mark.parametrize("error", [psycopg2.InternalError, psycopg2.errors.InsufficientPrivilege])
def test_an_engine_that_cannot_read_is_a_store_that_does_not_answer(error: type[Exception]):
    """Such as one whose table a plan has just replaced: the next request may find it."""
    with pytest.raises(StoreUnreachableError, match="cannot be read"), told():
        raise error("could not open relation with OID 17")


def test_each_route_is_documented_with_the_columns_of_its_own_relation():
    """Also where ServiceTitan has a thing of the same name as a model's."""
    made = document()
    for route in ROUTES:
        answer = made["paths"][f"/api/v1/{route.path}"]["get"]["responses"]["200"]["content"]["application/json"]
        data = named(made, answer["schema"])["properties"]["data"]
        row = named(made, data.get("items", data))
        columns = {column.name for column in route.resource.relation.columns}
        assert columns == row["properties"].keys() - dict(route.adds).keys(), route.path


def named(made: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A schema itself, where a reference to it may stand."""
    found = schema.get("$ref") or next((one["$ref"] for one in schema.get("oneOf", ()) if "$ref" in one), None)
    return made["components"]["schemas"][found.rpartition("/")[2]] if found else schema
