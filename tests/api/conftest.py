"""The API on a whole copy of each store, asked as its consumers ask: by HTTP, with a key."""

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn
from litestar.testing import TestClient

from api.app import create_app
from store import keys
from tests.whole import Whole

EVERYTHING = ("read", "mutate", "admin")


@dataclass
class Api:
    """The API, and the store behind it."""

    client: TestClient[Any]
    whole: Whole
    tenant: int

    def key(self, *scopes: str, tenant: int | None = None, **limits: int) -> str:
        """A new key."""
        return keys.create(
            self.whole.stores.operations,
            name="test",
            scopes=scopes or EVERYTHING,
            tenant_id=tenant or self.tenant,
            per_minute=limits.get("per_minute", 0),
            per_hour=limits.get("per_hour", 0),
        )

    def get(self, path: str, **parameters: Any) -> Any:
        """The answer to a GET below /api/v1 that must be good."""
        found = self.client.get(f"/api/v1/{path}", params=parameters)
        assert found.status_code == 200, (path, parameters, found.text)
        return found.json()

    def refused(self, path: str, status: int, **parameters: Any) -> dict[str, Any]:
        """The problem that a GET below /api/v1 is answered with."""
        found = self.client.get(f"/api/v1/{path}", params=parameters)
        assert found.status_code == status, (path, parameters, found.text)
        assert found.headers["content-type"] == "application/problem+json"
        problem: dict[str, Any] = found.json()
        assert problem["status"] == status
        assert problem["request_id"] == found.headers["x-request-id"]
        return problem

    def every(self, path: str, **parameters: Any) -> list[dict[str, Any]]:
        """All rows of a list, page by page."""
        rows, after = [], {}
        for _ in range(5000):
            page = self.get(path, **parameters, **after)
            rows += page["data"]
            if not page["meta"]["has_more"]:
                return rows
            after = {"after": page["meta"]["next"]}
        raise AssertionError(path, "has no end")

    def fetch(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the warehouse."""
        return self.whole.stores.warehouse.fetch(query)


@pytest.fixture(scope="session")
def api(whole: Whole) -> Iterator[Api]:
    """The API in this process, with a key for everything and no limit."""
    app = create_app(whole.stores.settings, whole.stores.warehouse)
    with TestClient(app, raise_server_exceptions=False) as client:
        made = Api(client, whole, whole.connection.tenants[0].tenant_id)
        client.headers["x-api-key"] = made.key()
        yield made


@pytest.fixture(scope="module")
def port(api: Api) -> Iterator[int]:
    """Where a real server with this API listens."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    app = create_app(api.whole.stores.settings, api.whole.stores.warehouse)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join()
