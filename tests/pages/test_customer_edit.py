"""Changing a customer by a form, on both stores and without a browser: each step, and everything that is refused."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pyarrow as pa
import pytest
from httpx import Response
from litestar.testing import TestClient

from api.app import create_app
from outbound.queue import Queue
from sources.servicetitan.catalog import BY_NAME
from sources.servicetitan.reading import raw_table
from store import keys
from store.operations import Operations, open_operations
from store.settings import Settings
from store.warehouse import DuckDB, Postgres, open_warehouse

HOST = "http://lazi.test"
RECORD = {
    "id": 7,
    "name": "Ann <Lee>",
    "type": "Residential",
    "active": True,
    "tagTypeIds": [1],
    "paymentTermId": 5,
    "creditLimit": 12.5,
    "address": {"street": "1 Elm", "unit": None, "city": "Troy", "state": "MI", "zip": "0123", "country": "USA"},
}
NAMED = "tenant_id BIGINT, st_id BIGINT, name TEXT, active BOOLEAN, is_deleted BOOLEAN"


TABLES = (
    "CREATE SCHEMA master",
    f"CREATE TABLE master.tag_types ({NAMED})",
    f"CREATE TABLE master.payment_terms ({NAMED})",
    "INSERT INTO master.tag_types VALUES (1, 1, 'VIP', TRUE, FALSE), (1, 2, 'Dog', NULL, FALSE), (1, 3, 'Old', TRUE, TRUE)",
    "INSERT INTO master.payment_terms VALUES (1, 5, 'Net 30', TRUE, FALSE), (2, 6, 'Not ours', TRUE, FALSE)",
)


class Form(HTMLParser):
    """What a browser would send of the last form on a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.values: dict[str, list[str]] = {}
        self.select = self.area = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.values = {}
        elif tag == "select":
            self.select = found["name"]
        elif tag == "textarea":
            self.area = found["name"]
        elif tag == "option" and "selected" in found:
            self.values[self.select] = [found["value"]]
        elif tag == "input" and (found.get("type") != "checkbox" or "checked" in found):
            self.values.setdefault(found["name"], []).append(found["value"])

    def handle_data(self, data: str) -> None:
        if self.area:
            self.values[self.area] = [data.removeprefix("\n")]

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self.area = ""


@dataclass
class Desk:
    """Somebody at a form of customer 7."""

    client: TestClient[Any]
    operations: Operations
    warehouse: DuckDB | Postgres
    form: dict[str, list[str]] = field(default_factory=dict)

    def enter(self, *scopes: str, tenant: int = 1) -> None:
        """Sign in with a new key."""
        self.client.cookies.clear()
        key = keys.create(self.operations, name="Ann", scopes=scopes or keys.SCOPES, tenant_id=tenant)
        assert self.client.post("/sign-in", data={"key": key}, follow_redirects=False).status_code == 303

    def open(self, customer: object = 7, status: int = 200) -> str:
        """The form."""
        found = self.client.get(f"/customers/{customer}/edit", follow_redirects=False)
        assert found.status_code == status, found.text
        self.form = Form(found.text).values
        return found.text

    def send(self, step: str, status: int = 200, **typed: str | list[str]) -> Response:
        """The form with what was typed over it; what comes back is the form that is sent next."""
        self.form |= {
            name.replace("__", "."): [text] if isinstance(text, str) else text for name, text in typed.items()
        }
        found = self.client.post("/customers/7/edit", data={**self.form, "step": step}, follow_redirects=False)
        assert found.status_code == status, found.text
        self.form = Form(found.text).values if found.text else self.form
        return found

    def queued(self) -> list[Any]:
        """All mutations."""
        return Queue(self.operations).some()

    def land(self, hash_: str, tenant: int = 1, **over: Any) -> None:
        """A version of the customer."""
        at = datetime.now(UTC)
        row = {
            "tenant_id": tenant,
            "st_id": 7,
            "payload": json.dumps(RECORD | over),
            "modified_on": at,
            "payload_hash": hash_,
        }
        rest = {"is_deleted": False, "key_bucket": 1, "sync_batch_id": "batch", "synced_at": at, "scope": None}
        self.warehouse.append(raw_table(BY_NAME["customers"]), pa.Table.from_pylist([row | rest]))


@contextmanager
def set_up(settings: Settings, approval: str) -> Iterator[Desk]:
    """A store with one customer, tags and payment terms; no credentials of ServiceTitan."""
    with closing(open_warehouse(settings)) as warehouse, closing(open_operations(settings)) as operations:
        warehouse.prepare([raw_table(BY_NAME["customers"])])
        for statement in TABLES:
            run(warehouse, statement)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LAZI_APPROVAL", approval)
            app = create_app(settings, warehouse)
        with TestClient(app, raise_server_exceptions=False, base_url=HOST) as client:
            made = Desk(client, operations, warehouse)
            made.land("v1")
            yield made


def run(warehouse: DuckDB | Postgres, statement: str) -> None:
    """A statement that returns nothing."""
    if isinstance(warehouse, DuckDB):
        warehouse.cursor().execute(statement)
        return
    with warehouse.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Where changes of estimates alone need approval."""
    url = request.getfixturevalue("make_database")() if request.param == "postgres" else ""
    settings = Settings(url, tmp_path_factory.mktemp("edit") / "data", 3001, "warning")
    with set_up(settings, "estimates:*") as made:
        yield made


@pytest.fixture
def desk(place: Desk) -> Desk:
    """With the form open."""
    place.enter()
    place.open()
    return place


def test_the_form_holds_what_is_there(desk: Desk):
    """Names of tags and payment terms instead of ids; nothing that is deleted or another tenant's; all escaped."""
    text = desk.open()
    assert "Ann &lt;Lee&gt;" in text
    assert "Ann <Lee>" not in text
    assert [word in text for word in ("VIP", "Dog", "Net 30", "Old", "Not ours")] == [True, True, True, False, False]
    assert (desk.form["name"], desk.form["tagTypeIds"], desk.form["address.unit"]) == (["Ann <Lee>"], ["", "1"], [""])


def test_a_change_goes_from_form_to_queue(desk: Desk):
    """With only what differs, on the version that the form was made from, by whoever's key it is; twice is once."""
    found = desk.send("preview", name="Ann Li", tagTypeIds=["", "1", "2"])
    assert "Ann &lt;Lee&gt;" in found.text
    assert "VIP, Dog" in found.text
    assert "ServiceTitan could not be asked" in found.text
    assert "no approval needed" in found.text
    ways = [desk.send("queue", 303).headers["location"] for _ in range(2)]
    [mutation, *_] = desk.queued()
    assert ways == [f"/mutations/{mutation.mutation_id}"] * 2
    assert (mutation.title, mutation.record_id, mutation.state) == ("customers:update", "7", "pending")
    assert mutation.payload == {"name": "Ann Li", "tagTypeIds": [1, 2]}
    assert (mutation.base_hash, mutation.initiated_by) == ("v1", "Ann")


def test_the_same_form_with_another_value_is_another_change(desk: Desk):
    """Somebody may go back and think again."""
    first = desk.send("queue", 303, name="One").headers["location"]
    second = desk.send("queue", 303, name="Two").headers["location"]
    assert first != second


def test_numbers_keep_the_digits_that_were_typed(desk: Desk):
    """From the form into the queue."""
    desk.send("queue", 303, creditLimit="100.10")
    [row] = desk.operations.run("mutation", mutation_id=desk.queued()[0].mutation_id, tenant_id=1)
    assert row["payload"] == '{"creditLimit":100.10}'


def test_ends_of_lines_are_no_change(desk: Desk):
    """Browsers send CR LF whatever they were given."""
    desk.land("lines", customFields=[{"typeId": 9, "name": "Gate", "value": "left\nthen up"}])
    try:
        assert "left\nthen up" in desk.open()
        assert "Nothing differs" in desk.send("preview", 422, customFields__0="left\r\nthen up").text
    finally:
        desk.land("v1")


def test_a_customer_without_a_name_can_be_edited(desk: Desk):
    """Its key stands for it."""
    desk.land("nameless", name=None)
    try:
        assert "<title>Edit 7 " in desk.open()
        assert "<title>Preview · 7 " in desk.send("preview", name="Ann").text
    finally:
        desk.land("v1")


def test_an_edit_that_changes_nothing_is_none(desk: Desk):
    """Neither when looked at nor when queued."""
    before = len(desk.queued())
    assert "Nothing differs" in desk.send("preview", 422).text
    assert "Nothing differs" in desk.send("queue", 422).text
    assert len(desk.queued()) == before


def test_what_is_wrong_is_told_beside_what_was_typed(desk: Desk):
    """In the form again, with everything that was typed; also what only ServiceTitan's documents know to be wrong."""
    found = desk.send("preview", 422, creditLimit="much", name="<Kept>").text
    assert "<code>much</code> is not a number." in found
    assert (desk.form["creditLimit"], desk.form["name"]) == (["much"], ["<Kept>"])
    found = desk.send("queue", 422, creditLimit="1", type="Farm").text
    assert "it must be one of" in unescape(found)
    assert desk.form["type"] == ["Farm"]


def test_one_goes_back_with_what_was_typed(desk: Desk):
    """From the preview to the form."""
    desk.send("preview", name="Ann Li")
    desk.send("edit")
    assert (desk.form["name"], desk.form["version"]) == (["Ann Li"], ["v1"])


def test_a_form_of_a_version_that_is_gone_is_compared_anew(desk: Desk):
    """And says so; what was typed is kept."""
    found = desk.send("queue", 409, version="gone\0", name="Ann Li")
    assert "no longer has the version" in found.text
    assert (desk.form["version"], desk.form["name"]) == (["v1"], ["Ann Li"])


def test_a_change_is_made_on_the_version_that_the_form_shows(desk: Desk):
    """Not on what landed meanwhile: what somebody else changed since must come to light."""
    desk.send("preview", name="Ann Li")
    desk.land("v2", name="Changed there")
    try:
        desk.send("queue", 303, name="Ann Lo")
        assert desk.queued()[0].base_hash == "v1"
        assert desk.open()
        assert desk.form["name"] == ["Changed there"]
    finally:
        desk.land("v1")


def test_an_edit_needs_its_scope_and_a_form_of_ours(desk: Desk):
    """A key that reads sees no form; another's token sends none; another tenant has no such customer."""
    assert desk.client.post("/customers/7/edit", data={"step": "queue", "name": "x"}).status_code == 403
    desk.enter("read")
    assert "mutate" in desk.open(status=403)
    desk.enter(tenant=2)
    desk.open(status=404)


@pytest.mark.parametrize("customer", ["8", "x", "1" * 30, "-7", "%00"])
def test_a_customer_that_is_not_there_has_no_form(desk: Desk, customer: str):
    """Nor any other page."""
    desk.open(customer, 404)


def test_what_needs_approval_is_said_before_it_is_queued(settings: Settings):
    """Somebody else must approve it; it is held until then."""
    with set_up(settings, "customers:*") as desk:
        desk.enter()
        desk.open()
        assert "needs approval" in desk.send("preview", name="Ann Li").text
        desk.send("queue", 303)
        assert desk.queued()[0].state == "held"
