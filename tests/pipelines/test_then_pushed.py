"""The way back and forth on a whole copy: a change is asked for by HTTP, reaches ServiceTitan, shows in the API and in the audit.

It stands behind the other tests of the whole copy, which it changes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from litestar.testing import TestClient

from api.app import create_app
from outbound.body import required_example
from outbound.operations import BY_TITLE
from outbound.queue import Queue
from outbound.runner import Runner
from pipelines.modelling import Models
from pipelines.pushed import Pushed
from pipelines.sync import client_for
from sources.servicetitan.client import Client
from store import keys
from store.operations import Row
from tests.outbound.desk import HURRIED
from tests.whole import Whole

VENDOR = required_example(BY_TITLE["vendors:create"]) | {"name": "Parts & Sons"}


@dataclass
class Service:
    """All parts of the service, each called when it is wanted."""

    http: TestClient[Any]
    whole: Whole
    client: Client
    queue: Queue
    pushed: Pushed

    def post(self, path: str, body: Any = None, status: int = 201) -> dict[str, Any]:
        """What a POST is answered with."""
        answer = self.http.post(f"/api/v1/mutations{path}", json=body)
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()["data"]
        return found

    def get(self, path: str) -> Any:
        """The data of a GET."""
        answer = self.http.get(f"/api/v1/{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def work(self) -> None:
        """Send what is due, and bring the copy up to date."""
        Runner(self.queue, lambda _: self.client, HURRIED).once()
        self.pushed.land()


@pytest.fixture
def service(whole: Whole, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """On the whole copy, with a key that may change things."""
    for name, value in whole.sandbox.environment().items():
        monkeypatch.setenv(name, value)
    settings, stores = whole.stores.settings, whole.stores
    models, queue = Models(settings), Queue(stores.operations)
    client = client_for(whole.connection, whole.connection.tenants[0], stores.budgets)
    text = keys.create(stores.operations, name="Ann", scopes=keys.SCOPES, tenant_id=client.tenant.tenant_id)
    with TestClient(create_app(settings, stores.warehouse)) as http:
        http.headers["x-api-key"] = text
        yield Service(http, whole, client, queue, Pushed(queue, stores.operations, stores.warehouse, settings, models))
    models.close()
    client.close()


def test_a_change_goes_there_and_comes_back(service: Service):
    """Preview, POST, runner: ServiceTitan has it, the API and the audit show it, and the inverse takes it back."""
    record = next(one for one in service.whole.sandbox.records("customers") if one["active"])
    key, path = record["id"], f"customers/{record['id']}"
    change = {"entity_type": "customers", "entity_id": key, "operation": "update", "payload": {"name": "Ada Byron"}}
    seen = service.post("/preview", change, status=200)
    assert seen["changes"] == {"name": {"old": record["name"], "new": "Ada Byron"}}
    asked = service.post("", change)
    assert asked["state"] == "pending"
    service.work()
    done = service.get(f"mutations/{asked['mutation_id']}")
    assert done["state"] == "completed", done
    assert done["landed_at"]
    assert service.get(path)["name"] == "Ada Byron"
    newest = service.get(f"audit/record/customers/{key}")[0]
    assert newest["mutation_id"] == str(asked["mutation_id"])
    assert (newest["actor_type"], newest["actor_id"]) == ("lazi", "Ann")
    assert newest["changes"]["name"] == {"old": record["name"], "new": "Ada Byron"}
    inverse = service.post(f"/{asked['mutation_id']}/revert")
    assert inverse["payload"] == {"name": record["name"]}
    service.work()
    assert service.get(path)["name"] == record["name"]
    assert next(one for one in service.whole.sandbox.records("customers") if one["id"] == key)["name"] == record["name"]


def test_what_is_made_can_be_read(service: Service):
    """Its new id is on the mutation, and the record in the API."""
    asked = service.post("", {"entity_type": "vendors", "operation": "create", "payload": VENDOR})
    service.work()
    done = service.get(f"mutations/{asked['mutation_id']}")
    assert (done["state"], done["not_applied"]) == ("completed", None), done
    assert service.get(f"entities/vendors/{done['new_id']}")["name"] == "Parts & Sons"


@pytest.mark.slow
def test_what_a_process_landed_before_it_ended_is_shown_by_the_next_one(service: Service):
    """Though nothing more waits: its models were not refreshed any more."""
    key = service.whole.sandbox.records("customers")[1]["id"]
    change = {"entity_type": "customers", "entity_id": key, "operation": "update", "payload": {"name": "Grace"}}
    asked, former = service.post("", change), service.pushed
    models, former.models = former.models, None
    service.work()
    assert service.get(f"mutations/{asked['mutation_id']}")["landed_at"]
    assert service.get(f"customers/{key}")["name"] != "Grace"
    stores = service.whole.stores
    service.pushed = Pushed(service.queue, stores.operations, stores.warehouse, stores.settings, models)
    service.work()
    assert service.get(f"customers/{key}")["name"] == "Grace"


@pytest.mark.slow
def test_what_lands_days_late_is_shown(service: Service, monkeypatch: pytest.MonkeyPatch):
    """Models look for new rows a day back from the newest one, so that it is not dated back further."""
    asked = service.post("", {"entity_type": "vendors", "operation": "create", "payload": VENDOR | {"name": "Late"}})
    told = service.queue.landable

    def late(most: int) -> list[Row]:
        return [{**row, "landing": [[*part[:4], days_ago(part[4])] for part in row["landing"]]} for row in told(most)]

    monkeypatch.setattr(service.queue, "landable", late)
    service.work()
    done = service.get(f"mutations/{asked['mutation_id']}")
    assert service.get(f"entities/vendors/{done['new_id']}")["name"] == "Late"


def days_ago(text: str) -> str:
    """Two days before a moment."""
    return (datetime.fromisoformat(text) - timedelta(days=2)).isoformat()
