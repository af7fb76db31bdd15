"""Changes to ServiceTitan by HTTP: asked for, looked at, decided, undone. What a runner does is settled by hand here."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from litestar.testing import TestClient

from api.app import create_app, document
from api.mutation_schemas import MutationRequest
from api.reverting import inverse
from outbound.operations import OPERATIONS
from outbound.queue import NAMES, Mutation, Queue, Settlement, now
from outbound.request import Asked
from outbound.secrets import NOT_SHOWN
from outbound.state import State
from sandbox.server import Sandbox
from sources.servicetitan.catalog import BY_NAME
from sources.servicetitan.reading import raw_table
from store import keys
from store.operations import Operations, open_operations
from store.settings import Settings
from store.sqlite_operations import SqliteOperations
from store.warehouse import DuckDB, Postgres, open_warehouse

TENANT, OTHER_TENANT = 1, 2
LANDED = ("customers", "contacts", "estimates", "pricebook_services")
CUSTOMERS = count(1000)
PATH = "/api/v1/mutations"
LATER = datetime(2026, 5, 1, tzinfo=UTC)


@dataclass
class Town:
    """The API on a store of one kind, whose ServiceTitan nobody asks."""

    client: TestClient[Any]
    operations: Operations
    warehouse: DuckDB | Postgres

    @property
    def queue(self) -> Queue:
        """The queue behind the API."""
        return Queue(self.operations)

    def key(self, *scopes: str, name: str = "test", tenant: int = TENANT) -> dict[str, str]:
        """A new key, as a header."""
        made = keys.create(
            self.operations, name=name, scopes=scopes or keys.SCOPES, tenant_id=tenant, per_minute=0, per_hour=0
        )
        return {"x-api-key": made}

    def land(self, entity: str, key: int | str, hash_: str, payload: str, **more: Any) -> None:
        """Put a version of a record into the copy."""
        at = more.get("at", LATER)
        row = {
            "tenant_id": more.get("tenant", TENANT),
            "st_id": key,
            "payload": payload,
            "modified_on": at,
            "payload_hash": hash_,
            "is_deleted": False,
            "key_bucket": 1,
            "sync_batch_id": "batch",
            "synced_at": at,
            "scope": None,
        }
        self.warehouse.append(raw_table(BY_NAME[entity]), pa.Table.from_pylist([row]))

    def post(self, body: Any, path: str = "", status: int = 201, **headers: str) -> dict[str, Any]:
        """The answer to a POST, which must have this status."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        found = self.client.post(f"{PATH}{path}", content=content, headers=named)
        assert found.status_code == status, found.text
        answer: dict[str, Any] = found.json()
        if status >= 400:
            assert found.headers["content-type"] == "application/problem+json"
            assert answer["request_id"] == found.headers["x-request-id"]
        return answer

    def queued(self, body: Any, **headers: str) -> dict[str, Any]:
        """A mutation that was queued just now."""
        found: dict[str, Any] = self.post(body, **headers)["data"]
        return found

    def get(self, path: str = "", status: int = 200, key: dict[str, str] | None = None, **parameters: Any) -> Any:
        """The answer to a GET."""
        found = self.client.get(f"{PATH}{path}", params=parameters, headers=key)
        assert found.status_code == status, found.text
        return found.json()

    def settle(self, ident: int, end: Settlement, before: Any = None, *, is_sent: bool = True) -> None:
        """Do to a mutation what a runner does; all others stay as they are."""
        for mutation in self.queue.claim("runner", 10_000):
            if mutation.mutation_id != ident:
                self.queue.settle(mutation, Settlement("later", "", run_at=now(), counts=False))
                continue
            if is_sent:
                assert self.queue.mark_sent(mutation, before, ())
            assert self.queue.settle(mutation, end)


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def town(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Raw tables without rows, and a key for everything."""
    url = request.getfixturevalue("make_database")() if request.param == "postgres" else ""
    settings = Settings(url, tmp_path_factory.mktemp("data"), 3001, "warning")
    warehouse, operations = open_warehouse(settings), open_operations(settings)
    warehouse.prepare([raw_table(BY_NAME[name]) for name in LANDED])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAZI_APPROVAL", "estimates:approve, jobs:*")
        app = create_app(settings, warehouse)
    with TestClient(app, raise_server_exceptions=False) as client:
        made = Town(client, operations, warehouse)
        client.headers.update(made.key(name="alice"))
        yield made
    operations.close()
    warehouse.close()


def update(customer: int | None = None, **more: Any) -> dict[str, Any]:
    """A change of a customer's name; of one that no other test touches."""
    ident = next(CUSTOMERS) if customer is None else customer
    return {
        "entity_type": "customers",
        "operation": "update",
        "entity_id": ident,
        "payload": {"name": "Ann Lee"},
        **more,
    }


def test_a_change_is_queued_and_found_where_the_answer_says(town: Town):
    """201 with the whole mutation, `Location`, and in the history who queued it."""
    asked = update()
    answer = town.client.post(PATH, json=asked)
    made = answer.json()["data"]
    assert (answer.status_code, answer.headers["location"]) == (201, f"{PATH}/{made['mutation_id']}")
    assert (made["state"], made["entity_id"], made["payload"]) == ("pending", str(asked["entity_id"]), asked["payload"])
    assert (made["initiated_by"], made["possible"], made["base"]) == ("alice", ["cancel"], None)
    assert [(step["by"], step["did"]) for step in made["history"]] == [("alice", "queued")]
    assert town.get(f"/{made['mutation_id']}")["data"] == made
    assert town.queued(update(initiated_by="Bob"))["initiated_by"] == "Bob"


def test_an_alias_is_the_operation_that_it_means(town: Town):
    """With the record where that one takes it."""
    made = town.queued(
        {
            "entity_type": "appointments",
            "operation": "assign",
            "entity_id": 7,
            "payload": {"technicianIds": [1]},
        }
    )
    assert (made["entity_type"], made["operation"]) == ("appointment_assignments", "assign-technicians")
    assert made["payload"] == {"jobAppointmentId": 7, "technicianIds": [1]}


def test_numbers_are_queued_with_the_digits_that_were_sent(town: Town):
    """Also those that no double holds, in the payload and in the base."""
    record = b'{"id":5,"price":0.10,"cost":12345678901234567.125}'
    town.land("pricebook_services", 5, "a" * 32, record.decode())
    numbers = (
        b'{"price":12.50,"memberPrice":123456789012345678.123456789,"bonus":1e-7,"hours":0.0000001,"addOnPrice":100}'
    )
    body = b'{"entity_type":"pricebook_services","operation":"update","entity_id":5,"payload":' + numbers + b"}"
    made = town.queued(body)
    [row] = town.operations.run("mutation", mutation_id=made["mutation_id"], tenant_id=TENANT)
    assert row["payload"].encode() == numbers
    assert "12345678901234567.125" in row["base"]
    assert "0.10" in row["base"]


def test_the_same_key_and_request_is_the_same_mutation(town: Town):
    """200 and the first one, by header and by field; another request under the key is a 422; no key is a new mutation."""
    asked, other = update(), update()
    first = town.queued(asked, idempotency_key="once")
    assert first["idempotency_key"] == "once"
    for body, headers in ((asked, {"idempotency_key": "once"}), ({**asked, "idempotency_key": "once"}, {})):
        again = town.post(body, status=200, **headers)
        assert again["data"]["mutation_id"] == first["mutation_id"]
    assert "another key" in town.post(other, status=422, idempotency_key="once")["detail"]
    assert town.queued(asked)["mutation_id"] != town.queued(asked)["mutation_id"]
    named = {**other, "idempotency_key": "field"}
    wrong = town.post(named, status=422, idempotency_key="header")
    assert (wrong["parameter"], "`header`" in wrong["detail"]) == ("idempotency_key", True)
    assert town.queued(named, idempotency_key="field")["idempotency_key"] == "field"
    key = town.key(tenant=OTHER_TENANT)
    assert town.post(asked, idempotency_key="once", **key)["data"]["mutation_id"] != first["mutation_id"]


def test_a_key_of_spaces_or_of_a_page_is_refused(town: Town):
    """It would be found again by nobody."""
    for text in ("", " ", "x" * 201):
        assert town.post(update(idempotency_key=text), status=422)["parameter"] == "idempotency_key"
        assert town.post(update(), status=422, idempotency_key=text)["parameter"] == "idempotency_key"


def test_the_base_is_the_version_that_was_named_else_the_newest(town: Town):
    """By `modified_on`, of this tenant alone; an unknown hash is told the newest."""
    ident, old, new, foreign = next(CUSTOMERS), "1" * 32, "2" * 32, "3" * 32
    town.land("customers", ident, new, '{"id":1,"name":"new"}')
    town.land("customers", ident, old, '{"id":1,"name":"old"}', at=LATER - timedelta(days=1))
    town.land(
        "customers", ident, foreign, '{"id":1,"name":"theirs"}', tenant=OTHER_TENANT, at=LATER + timedelta(days=1)
    )
    newest, named = town.queued(update(ident)), town.queued(update(ident, based_on_payload_hash=old))
    assert (newest["base"]["name"], newest["based_on_payload_hash"]) == ("new", new)
    assert (named["base"]["name"], named["based_on_payload_hash"]) == ("old", old)
    for hash_ in (foreign, "nonsense", "\0", ""):
        wrong = town.post(update(ident, based_on_payload_hash=hash_), status=422)
        assert (wrong["parameter"], new in wrong["detail"]) == ("based_on_payload_hash", True)
        assert foreign not in wrong["detail"].replace(hash_ or "-", "")
    theirs = town.post(update(ident), **town.key(tenant=OTHER_TENANT))["data"]
    assert theirs["base"]["name"] == "theirs"


def test_without_a_version_there_is_no_base(town: Town):
    """The change is queued all the same, also where no table is there yet; a hash that cannot be looked up is refused."""
    assert town.queued(update())["base"] is None
    tagged = {"entity_type": "locations", "operation": "update", "entity_id": 3, "payload": {"name": "x"}}
    assert town.queued(tagged)["base"] is None  # `raw.st_locations` does not exist here
    assert "it has none" in town.post(update(based_on_payload_hash="a" * 32), status=422)["detail"]
    create = {"entity_type": "tag_types", "operation": "create", "payload": {"name": "x", "color": "#fff"}}
    assert "no version" in town.post({**create, "based_on_payload_hash": "a"}, status=422)["detail"]


def test_a_key_that_is_text_finds_its_base(town: Town):
    """A number is no reason to look for a number."""
    ident = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
    town.land("contacts", ident, "c" * 32, '{"id":"x"}')
    asked = {"entity_type": "contacts", "operation": "delete", "entity_id": ident}
    assert town.queued(asked)["based_on_payload_hash"] == "c" * 32
    assert town.queued({**asked, "entity_id": 12})["base"] is None
    assert town.queued(update("abc"))["base"] is None


WRONG = {
    "no such entity": ({"entity_type": "custmers"}, "entity_type", "`customers`"),
    "no such operation": ({"operation": "updat"}, "operation", "`update`"),
    "not offered": ({"entity_type": "estimates", "operation": "email"}, None, "sends no mail"),
    "withdrawn": ({"entity_type": "jobs", "operation": "hold"}, None, "LAZI_WITHDRAWN_OPERATIONS"),
    "no record": ({"entity_id": None}, "entity_id", "must name it"),
    "a record's id with a slash": ({"entity_id": "1/2"}, "entity_id", "letters, digits"),
    "a record's id that is no id": ({"entity_id": 1.5}, None, "entity_id"),
    "unknown place": ({"path_params": {"x": 1}}, "path_params", "`x`"),
    "unknown field": ({"payload": {"nmae": "x"}}, "payload", "did you mean `name`"),
    "wrong type": ({"payload": {"name": 1}}, "payload", "must be text"),
    "empty": ({"payload": {}}, "payload", "nothing to change"),
    "too deep": ({"payload": json.loads("[" * 60 + "]" * 60)}, "payload", "levels deep"),
    "unknown member": ({"entity": "customers"}, "entity", "Did you mean `entity_id`"),
    "a member of another type": ({"operation": 1}, None, "$.operation"),
    "a name that is not printable": ({"initiated_by": "a\nb"}, "initiated_by", "printable"),
    "a name that is too long": ({"initiated_by": "x" * 201}, "initiated_by", "printable"),
}


@pytest.mark.parametrize(("change", "parameter", "told"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_done_is_refused_before_it_is_queued(town: Town, change: Any, parameter: Any, told: str):
    """422 with what is right; of a body each fault by itself."""
    before = town.queue.counts()
    problem = town.post({**update(), **change}, status=422)
    assert problem.get("parameter") == parameter
    assert told in problem["detail"]
    if parameter == "payload":
        assert told in problem["errors"][0]["detail"]
    if parameter in {"entity_type", "operation"}:
        assert change[parameter] not in problem["allowed"]
        assert "update" in problem["allowed"] or "customers" in problem["allowed"]
    assert town.queue.counts() == before


@pytest.mark.parametrize("path", ["", "/preview", "/1/resolve"])
@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'"\xff"', b'{"a":nan}', b"[" * 100_000, b"1" * 5000], ids=repr)
def test_what_is_not_json_is_a_400(town: Town, path: str, body: bytes):
    """Whatever is wrong with it."""
    assert "The body is" in town.post(body, path, status=400)["detail"]


@pytest.mark.parametrize(
    "body", [1, "x", None, [], [update(1)], {}, b"[" * 900 + b"]" * 900], ids=lambda it: repr(it)[:9]
)
def test_json_that_is_no_mutation_is_a_422(town: Town, body: Any):
    """It says what one is."""
    assert "mutation" in town.post(body, status=422)["detail"]


def test_all_that_a_mutation_lacks_is_told_at_once(town: Town):
    """With the field that a form would mark first."""
    problem = town.post({"payload": {"name": "x"}}, status=422)
    assert problem["detail"] == "The mutation has no `entity_type` and no `operation`."
    assert problem["parameter"] == "entity_type"
    assert "no `operation`" in town.post({"entity_type": "customers"}, status=422)["detail"]


def test_a_batch_is_queued_in_its_order(town: Town):
    """`meta` says what is new; the header's key stands for each place, unless an item has its own."""
    batch = {"mutations": [update(), update(idempotency_key="own"), update()]}
    first = town.post(batch, idempotency_key="batch")
    assert first["meta"] == {"queued": 3, "repeated": 0}
    assert [row["entity_id"] for row in first["data"]] == [str(each["entity_id"]) for each in batch["mutations"]]
    assert [row["idempotency_key"] for row in first["data"]] == ["batch#0", "own", "batch#2"]
    again = town.post({"mutations": [*batch["mutations"], update()]}, idempotency_key="batch")
    assert again["meta"] == {"queued": 1, "repeated": 3}
    assert again["data"][:3] == first["data"]


def test_a_batch_with_a_fault_queues_nothing_and_lists_every_fault(town: Town):
    """Each with its place: bodies, unknown versions, keys that stand for something else."""
    town.queued(update(), idempotency_key="taken")
    before = town.queue.counts()
    batch = [
        update(),
        update(payload={"nmae": 1, "type": "huge"}),
        7,
        update(based_on_payload_hash="nonsense"),
        update(idempotency_key="taken"),
        update(idempotency_key="twice"),
        update(idempotency_key="twice"),
    ]
    problem = town.post({"mutations": batch}, status=422)
    assert "6 of 7" not in problem["detail"]
    assert "5 of 7" in problem["detail"]
    assert [fault["index"] for fault in problem["errors"]] == [1, 1, 2, 3, 4, 6]
    assert problem["errors"][3]["parameter"] == "based_on_payload_hash"
    assert town.queue.counts() == before
    same = update(idempotency_key="same")
    assert town.post({"mutations": [same, same]})["meta"] == {"queued": 1, "repeated": 1}


@contextmanager
def refusing(operations: Operations, name: str) -> Iterator[None]:
    """A store that takes no mutation of somebody."""
    if isinstance(operations, SqliteOperations):
        when = f"WHEN NEW.initiated_by = '{name}' BEGIN SELECT RAISE(ABORT, 'no room'); END"
        begin, end = [f"CREATE TRIGGER refuse BEFORE INSERT ON outbound_mutations {when}"], "DROP TRIGGER refuse"
    else:
        when = f"IF NEW.initiated_by = '{name}' THEN RAISE EXCEPTION 'no room'; END IF; RETURN NEW;"
        begin = [
            f"CREATE FUNCTION refuse() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN {when} END $$",
            "CREATE TRIGGER refuse BEFORE INSERT ON outbound.mutations FOR EACH ROW EXECUTE FUNCTION refuse()",
        ]
        end = "DROP FUNCTION refuse CASCADE"
    is_sqlite = isinstance(operations, SqliteOperations)
    with closing(operations.connection.cursor()) if is_sqlite else operations.cursor() as cursor:
        for statement in begin:
            cursor.execute(statement)
        try:
            yield
        finally:
            cursor.execute(end)


def test_a_batch_that_the_store_takes_half_of_is_not_queued(town: Town):
    """All or none: the second of three fails, the first is not there; later all are."""
    batch = {"mutations": [update(), update(initiated_by="eve"), update()]}
    before = town.queue.counts()
    with refusing(town.operations, "eve"):
        answer = town.client.post(PATH, json=batch, headers={"idempotency-key": "half"})
    assert answer.status_code >= 500
    assert town.queue.counts() == before
    assert town.post(batch, idempotency_key="half")["meta"] == {"queued": 3, "repeated": 0}


def test_a_batch_has_1_to_500(town: Town):
    """One more is refused, and so is anything beside the list."""
    many = [update(1, payload={"name": str(number)}) for number in range(501)]
    for wrong in ([], many, {}, None):
        assert "1 to 500" in town.post({"mutations": wrong}, status=422)["detail"]
    assert "nothing else" in town.post({"mutations": many[:1], "initiated_by": "x"}, status=422)["detail"]
    assert town.post({"mutations": many[:500]})["meta"]["queued"] == 500
    for mutation in town.queue.some(record_id="1", most=500):
        town.queue.decide(mutation, "cancel", "test")


def test_a_large_body_is_taken_here_and_nowhere_else(town: Town):
    """A batch or an upload is larger than any other request may be."""
    content = {"file_name": "photo.jpg", "content_type": "image/jpeg", "content": "AAAA" * 500_000}
    upload = next(operation for operation in OPERATIONS if operation.is_upload and operation.record)
    asked = {"entity_type": upload.entity, "operation": upload.name, "entity_id": 3, "payload": content}
    made = town.queued(asked)
    assert len(made["payload"]["content"]) == 2_000_000
    town.post(b" " * 1_000_001, "/1/resolve", status=413)
    town.post(b" " * 20_000_001, status=413)


def test_what_needs_approval_waits_for_somebody_else(town: Town):
    """Neither the initiator's key nor its name approves; whoever does is on the mutation."""
    sell = {"entity_type": "estimates", "operation": "sell", "entity_id": 11, "payload": {"soldBy": 1}}
    made = town.queued(sell)
    assert (made["state"], made["possible"]) == ("held", ["approve", "cancel", "reject"])
    path = f"/{made['mutation_id']}/approve"
    same_name, other = town.key("admin", name="alice"), town.key("admin", name="carol")
    for headers in ({}, same_name):
        problem = town.post(b"", path, status=409, **headers)
        assert problem["allowed"] == ["approve", "cancel", "reject"]
        assert "Somebody else" in problem["detail"]
    done = town.post(b"", path, status=200, **other)["data"]
    assert (done["state"], done["approved_by"], done["history"][-1]["by"]) == ("pending", "carol", "carol")
    problem = town.post(b"", path, status=409, **other)
    assert (problem["allowed"], "`pending`" in problem["detail"]) == (["cancel"], True)
    second = town.queued(sell)["mutation_id"]
    assert town.post(b"", f"/{second}/reject", status=409)["allowed"] == ["approve", "cancel", "reject"]
    assert town.post(b"", f"/{second}/reject", status=200, **other)["data"]["state"] == "cancelled"


def test_failed_ones_are_retried_and_others_cancelled(town: Town):
    """Each where STATES.md draws it, and not elsewhere."""
    ident = town.queued(update())["mutation_id"]
    assert town.post(b"", f"/{ident}/retry", status=409)["allowed"] == ["cancel"]
    town.settle(ident, Settlement("refused", "No such thing."))
    failed = town.get(f"/{ident}")["data"]
    assert (failed["state"], failed["error"], failed["possible"]) == ("failed", "No such thing.", ["cancel", "retry"])
    retried = town.post(b"", f"/{ident}/retry", status=200)["data"]
    assert (retried["state"], retried["attempts"], retried["history"][-1]["by"]) == ("pending", 0, "alice")
    assert town.post(b"", f"/{ident}/cancel", status=200)["data"]["state"] == "cancelled"
    assert town.post(b"", f"/{ident}/cancel", status=409)["allowed"] == []


RESOLVED = [
    ("in doubt", {"as": "done", "new_id": 88, "note": "Seen there."}, "completed"),
    ("in doubt", {"as": "not_done"}, "pending"),
    ("changed there", {"as": "mine"}, "pending"),
    ("changed there", {"as": "theirs"}, "cancelled"),
]


@pytest.mark.parametrize(("end", "body", "state"), RESOLVED, ids=lambda value: str(value)[:20])
def test_a_person_says_what_became_of_it(town: Town, end: str, body: dict[str, Any], state: str):
    """`done` and `not_done` of an unknown one, `mine` and `theirs` in a conflict; nothing else."""
    ident = town.queued(update())["mutation_id"]
    conflict = {"name": {"base": "a", "theirs": "b", "mine": "c"}}
    town.settle(ident, Settlement(end, "Hm.", conflict=conflict if end == "changed there" else None))
    for _, other, _ in RESOLVED:
        if f"resolve {other['as']}" not in town.get(f"/{ident}")["data"]["possible"]:
            assert f"resolve {body['as']}" in town.post(other, f"/{ident}/resolve", status=409)["allowed"]
    done = town.post(body, f"/{ident}/resolve", status=200)["data"]
    assert (done["state"], done["is_forced"]) == (state, body["as"] == "mine")
    assert done["new_id"] == ("88" if "new_id" in body else None)
    assert done["history"][-1]["did"] == f"resolve {body['as']}"
    assert done["history"][-1]["said"] == body.get("note", "")
    assert done["conflict"] == (conflict if end == "changed there" else None)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "`as`"),
        ({"as": "well"}, "$.as"),
        ({"as": "mine", "new_id": 1}, "`done` alone"),
        ({"as": "done", "new_id": "a/b"}, "letters, digits"),
        ({"as": "done", "note": "a\u2028b"}, "printable"),
        ({"as": "done", "note": "x" * 1001}, "1000"),
        ({"as": "done", "more": 1}, "`more`"),
        ([], "`as`"),
    ],
    ids=str,
)
def test_a_resolution_that_says_nothing_is_refused(town: Town, body: Any, told: str):
    """422, and nothing is decided."""
    ident = town.queued(update())["mutation_id"]
    town.settle(ident, Settlement("in doubt", "Hm."))
    assert told in town.post(body, f"/{ident}/resolve", status=422)["detail"]
    assert town.get(f"/{ident}")["data"]["state"] == "unknown"


def completed(town: Town, asked: dict[str, Any], before: Any, after: Any, **more: Any) -> int:
    """A mutation that a runner completed."""
    ident: int = town.queued(asked)["mutation_id"]
    end = Settlement("done", "Done.", after=after, not_applied=more.get("not_applied"))
    town.settle(ident, end, before, is_sent=more.get("is_sent", True))
    return ident


def test_an_update_is_reverted_by_another_one(town: Town):
    """The old values of what changed, on the record as it was just after; what was not taken over stays out."""
    address = {"street": "2 New St", "unit": "1", "city": "Austin", "state": "TX", "zip": "78701", "country": "USA"}
    address |= {"latitude": 1.25, "longitude": -97.5}
    payload = {"name": "New", "type": "Commercial", "doNotMail": True, "address": address}
    before = {"id": 1, "name": "Old", "type": "Residential", "doNotMail": False, "balance": 5.25}
    before["address"] = {**address, "street": "1 Old St", "isVerified": True}
    after = {**before, "name": "New", "doNotMail": True, "address": {**address, "isVerified": True}}
    more = {"not_applied": {"type": {"wanted": "Commercial", "found": "Residential"}}}
    ident = completed(town, update(payload=payload), before, after, **more)
    answer = town.client.post(f"{PATH}/{ident}/revert")
    made = answer.json()["data"]
    assert (answer.status_code, answer.headers["location"]) == (201, f"{PATH}/{made['mutation_id']}")
    assert made["payload"] == {"name": "Old", "doNotMail": False, "address": {**address, "street": "1 Old St"}}
    assert (made["reverts"], made["base"], made["initiated_by"]) == (ident, after, "alice")
    assert str(made["mutation_id"]) in town.post(b"", f"/{ident}/revert", status=409)["detail"]
    town.post(b"", f"/{made['mutation_id']}/cancel", status=200)
    second = town.post(b"", f"/{ident}/revert")["data"]
    assert second["mutation_id"] != made["mutation_id"]
    town.settle(second["mutation_id"], Settlement("done", "Done.", after=before), after)
    redone = town.post(b"", f"/{second['mutation_id']}/revert")["data"]
    assert redone["payload"] == {"name": "New", "doNotMail": True, "address": address}
    assert town.post(b"", f"/{ident}/revert")["data"]["payload"] == made["payload"]


def test_a_body_that_replaces_is_reverted_whole(town: Town):
    """What a PUT leaves out is emptied there, so that the inverse names it too."""
    asked = {"entity_type": "estimates", "operation": "update", "entity_id": 91}
    asked["payload"] = {"name": "New", "summary": "Same"}
    before = {"id": 91, "name": "Old", "summary": "Same"}
    ident = completed(town, asked, before, {**before, "name": "New"})
    assert town.post(b"", f"/{ident}/revert")["data"]["payload"] == {"name": "Old", "summary": "Same"}


def reverted_payload(town: Town, asked: dict[str, Any], before: Any, after: Any) -> Any:
    """What gives a record its old values back."""
    return town.post(b"", f"/{completed(town, asked, before, after)}/revert")["data"]["payload"]


ESTIMATE = {"entity_type": "estimates", "operation": "update", "entity_id": 92}


def test_what_a_body_left_out_and_servicetitan_emptied_is_given_back(town: Town):
    """Of a PUT, with what it named; bookkeeping, what no body holds and what stayed as it was are left out."""
    links = [{"name": "plan", "url": "https://example.com"}]
    before = {
        "id": 92,
        "name": "Old",
        "summary": "Words",
        "isRecommended": True,
        "soldBy": None,
        "externalLinks": links,
    }
    before |= {"tax": 1.5, "depositAmount": 20, "modifiedOn": "2026-01-01T00:00:00Z", "subtotal": 10}
    after = {"id": 92, "name": "New", "summary": "", "isRecommended": False, "soldBy": 7, "externalLinks": []}
    after |= {"tax": 1.5, "modifiedOn": "2026-01-02T00:00:00Z", "subtotal": 11}
    payload = reverted_payload(town, ESTIMATE | {"payload": {"name": "New"}}, before, after)
    gone = {"summary": "Words", "isRecommended": True, "soldBy": None, "externalLinks": links, "depositAmount": 20}
    assert payload == {"name": "Old", **gone}
    asked = ESTIMATE | {"entity_id": 93, "payload": {"name": "Same"}}
    payload = reverted_payload(town, asked, {"name": "Same", "summary": "Words"}, {"name": "Same", "summary": None})
    assert payload == {"name": "Same", "summary": "Words"}


def test_of_what_was_left_out_that_is_given_back_which_a_body_may_hold():
    """Of objects only such fields; what was null is left out where a body may not say so."""
    address = dict.fromkeys(("street", "unit", "country", "city", "state", "zip"), "x") | {"latitude": None}
    customer = {"id": 5, "name": "Ann", "address": {**address, "isVerified": True}, "contacts": []}
    before = {
        "excuseMemo": "a",
        "customer": customer,
        "location": None,
        "tag": "t",
        "reason": {"name": "r", "lead": True},
    }
    after = {
        "excuseMemo": "b",
        "customer": None,
        "location": {"id": 1},
        "tag": "t",
        "reason": {"name": "r", "lead": True},
    }
    asked = Asked(entity_type="calls", operation="update", entity_id=7, payload={"excuseMemo": "b"})
    values = dict.fromkeys(NAMES) | {"entity": "calls", "operation": "update", "state": State.COMPLETED, "history": []}
    values |= {"payload": asked.payload, "places": {"id": "7"}, "before": before, "after": after, "record_id": "7"}
    assert inverse(Mutation(**values)).payload == {
        "excuseMemo": "a",
        "customer": {**customer, "address": address},
    }


def test_an_update_that_does_not_replace_gives_back_what_it_named_alone(town: Town):
    """What else differs was changed by somebody else."""
    before, after = {"id": 1, "name": "Old", "doNotMail": True}, {"id": 1, "name": "Ann Lee", "doNotMail": False}
    assert reverted_payload(town, update(), before, after) == {"name": "Old"}


@pytest.mark.parametrize("payload", [{"name": "New", "summary": "Hush-1"}, {"name": "New", "summary": NOT_SHOWN}])
def test_a_secret_is_never_reverted(town: Town, monkeypatch: pytest.MonkeyPatch, payload: dict[str, str]):
    """Nobody knows the old one, and the words that are shown instead are not sent."""
    before, after = {"id": 1, "name": "Old", "summary": "Hush-0"}, {"id": 1, **payload}
    replacing = completed(town, ESTIMATE | {"entity_id": 94, "payload": payload}, before, after)
    patch = update(payload={"name": payload["name"], "type": "Commercial"})
    other = completed(town, patch, {**before, "type": "Residential"}, {**after, "type": "Commercial"})
    secrets = {"estimates:update": frozenset({"summary"}), "customers:update": frozenset({"type"})}
    for module in ("outbound.secrets", "api.reverting"):
        monkeypatch.setattr(f"{module}.names", lambda title: secrets.get(title, frozenset()))
    assert "holds a secret" in town.post(b"", f"/{replacing}/revert", status=422)["detail"]
    assert town.post(b"", f"/{other}/revert")["data"]["payload"] == {"name": "Old"}


def test_what_cannot_be_reverted_says_why(town: Town):
    """422: not completed, no update, nothing known of before, nothing changed that can be seen."""
    pending = town.queued(update())["mutation_id"]
    assert "`pending`" in town.post(b"", f"/{pending}/revert", status=422)["detail"]
    removal = {"entity_type": "contacts", "operation": "delete", "entity_id": "gone"}
    ident = completed(town, removal, {"id": "gone"}, None)
    assert "no inverse" in town.post(b"", f"/{ident}/revert", status=422)["detail"]
    ident = completed(town, update(), None, {"name": "Ann Lee"}, is_sent=False)
    assert "nothing was sent" in town.post(b"", f"/{ident}/revert", status=422)["detail"]
    ident = completed(town, update(), {"id": 1}, {"id": 1})
    assert "nothing to revert" in town.post(b"", f"/{ident}/revert", status=422)["detail"]
    for status, ident in ((404, 10**9), (400, 0), (400, "x")):
        town.post(b"", f"/{ident}/revert", status=status)


def test_lists_are_paged_and_filtered(town: Town):
    """Newest first, each once; a total where it costs nothing; both names of an operation find it."""
    key = town.key(name="lister", tenant=77)
    asked = [update(number, initiated_by="eve" if number % 2 else "dan") for number in range(1, 6)]
    note = {"entity_type": "customers", "operation": "add-note", "entity_id": 3, "payload": {"text": "Hello"}}
    made = [row["mutation_id"] for row in town.post({"mutations": [*asked, note]}, **key)["data"]]
    page = town.get(key=key, limit=4)
    assert [row["mutation_id"] for row in page["data"]] == made[:1:-1]
    assert (page["meta"]["total"], page["meta"]["has_more"], page["meta"]["limit"]) == (6, True, 4)
    rest = town.get(key=key, limit=4, after=page["meta"]["next"])
    assert [row["mutation_id"] for row in rest["data"]] == made[1::-1]
    assert (rest["meta"]["has_more"], rest["meta"]["next"]) == (False, None)

    def found(**filters: Any) -> list[int]:
        return [made.index(row["mutation_id"]) for row in town.get(key=key, **filters)["data"]]

    assert found(initiated_by="eve") == [4, 2, 0]
    assert found(entity_id="3") == [5, 2]
    assert found(entity_type="customers") == [4, 3, 2, 1, 0]
    assert found(entity_type="customers", operation="add-note") == [5]
    assert found(entity_type="customers", operation="update", entity_id="2") == [1]
    assert found(operation="create_note") == [5]
    assert found(entity_type="customers", operation="fly") == []
    assert (found(state="pending"), found(state="failed")) == ([5, 4, 3, 2, 1, 0], [])
    assert (found(since="2026-01-01"), found(since="2100-01-01")) == ([5, 4, 3, 2, 1, 0], [])
    assert town.get(key=key, state="pending")["meta"]["total"] == 6
    assert town.get(key=key, entity_id="3")["meta"]["total"] is None
    for status, wrong in (
        (400, {"colour": "red"}),
        (400, {"state": "done"}),
        (400, {"entity_type": "custmers"}),
        (400, {"limit": 1001}),
        (400, {"since": "yesterday"}),
        (409, {"after": "abc"}),
    ):
        assert town.get(key=key, status=status, **wrong)["status"] == status


def test_the_summary_counts_by_state(town: Town):
    """States that none is in as well."""
    key = town.key(tenant=78)
    town.post({"mutations": [update(), update()]}, **key)
    made = town.get("/summary", key=key)["data"]
    assert made.pop("pending") == 2
    assert set(made.values()) == {0}
    assert len(made) == 7
    town.get("/summary", status=400, x=1)


def test_what_can_be_written_is_told(town: Town):
    """Every operation, with its other names and what its payload must and may hold."""
    every = town.get("/operations")["data"]
    assert [(each["entity_type"], each["operation"]) for each in every] == [(o.entity, o.name) for o in OPERATIONS]
    own = {each["operation"]: each for each in town.get("/operations", entity_type="customers")["data"]}
    assert {"create", "update", "create-contact", "create-note"} <= own.keys()
    assert own["create-note"]["aliases"][0]["entity_type"] == "customers"
    assert (own["update"]["kind"], own["update"]["method"], own["update"]["needs_entity_id"]) == (
        "update",
        "PATCH",
        True,
    )
    assert {"name", "locations"} <= set(own["create"]["required"]) <= set(own["create"]["fields"])
    assert own["delete-contact"]["path_params"] == ["contactId"]
    assert any(each["is_withdrawn"] for each in every)
    town.get("/operations", status=400, entity_type="custmers")


def test_another_tenant_sees_and_decides_nothing(town: Town):
    """404, as if there were no such mutation."""
    ident, key = town.queued(update())["mutation_id"], town.key(tenant=79)
    assert town.get(key=key)["data"] == []
    assert set(town.get("/summary", key=key)["data"].values()) == {0}
    town.get(f"/{ident}", status=404, key=key)
    for word in ("approve", "reject", "retry", "cancel", "revert"):
        town.post(b"", f"/{ident}/{word}", status=404, **key)
    town.post({"as": "done"}, f"/{ident}/resolve", status=404, **key)
    assert town.get(f"/{ident}")["data"]["state"] == "pending"


PASSWORD = "Hush-4711"
TECHNICIAN = {
    "name": "Ben",
    "login": "ben",
    "password": PASSWORD,
    "roleId": 1,
    "positions": ["Service"],
    "accountCreationMethod": "AssignLoginAndPassword",
    "licenseType": "ManagedTech",
}


def technician(**more: Any) -> dict[str, Any]:
    return {"entity_type": "technicians", "operation": "create", "payload": TECHNICIAN | more}


def test_a_password_is_kept_for_servicetitan_and_shown_to_nobody(town: Town):
    """In no answer, whatever state the mutation is in; the same request finds it again."""
    key = town.key(tenant=84)
    made = town.post(technician(), idempotency_key="technician", **key)
    ident = made["data"]["mutation_id"]
    assert made["data"]["payload"] == TECHNICIAN | {"password": NOT_SHOWN}
    assert town.queue.get(ident).payload == TECHNICIAN
    again = town.post(technician(), status=200, idempotency_key="technician", **key)
    assert again["data"]["mutation_id"] == ident
    answers = [made, again, town.post({"mutations": [technician()]}, **key)]
    answers += [town.get(f"/{ident}", key=key), town.get(key=key)]
    for end in (
        Settlement(
            "done", "Done.", after=TECHNICIAN, not_applied={"password": {"wanted": PASSWORD, "found": PASSWORD}}
        ),
        Settlement("changed there", "Gone.", conflict={"deleted": {"base": None, "theirs": None, "mine": TECHNICIAN}}),
        Settlement("refused", "No."),
    ):
        ident = town.post(technician(), **key)["data"]["mutation_id"]
        town.settle(ident, end, TECHNICIAN)
        answers += [town.get(f"/{ident}", key=key), town.get(key=key)]
        if end.by == "refused":
            answers.append(town.post(b"", f"/{ident}/retry", status=200, **key))
            assert town.queue.get(ident).payload == TECHNICIAN
    assert PASSWORD not in json.dumps(answers)


def test_a_payload_that_was_copied_from_an_answer_is_not_sent(town: Town):
    """The password would be the words that stand there instead."""
    wrong = technician(password=NOT_SHOWN)
    before = town.queue.counts()
    for body, path in ((wrong, ""), (wrong, "/preview"), ({"mutations": [technician(), wrong]}, "")):
        problem = town.post(body, path, status=422)
        assert "`password`" in json.dumps(problem)
    assert town.queue.counts() == before


SCOPES = {
    "read": [("GET", ""), ("GET", "/summary"), ("GET", "/operations"), ("GET", "/1")],
    "mutate": [("POST", path) for path in ("", "/preview", "/1/retry", "/1/cancel", "/1/resolve", "/1/revert")],
    "admin": [("POST", "/1/approve"), ("POST", "/1/reject")],
}


def test_each_route_is_opened_by_its_scope_alone(town: Town):
    """401 without a key, 403 with the other scopes; with its own anything but those."""
    held = {scope: town.key(scope) for scope in SCOPES}
    for wanted, routes in SCOPES.items():
        for method, path in routes:
            assert town.client.request(method, f"{PATH}{path}", headers={"x-api-key": ""}).status_code == 401
            for scope, key in held.items():
                found = town.client.request(method, f"{PATH}{path}", headers=key)
                assert (found.status_code == 403) == (scope != wanted), (method, path, scope)
                assert found.status_code < 500


def test_the_list_tells_its_methods(town: Town):
    """Both of them, though each has a handler of its own."""
    answer = town.client.options(PATH)
    assert (answer.status_code, answer.headers["allow"]) == (204, "GET, OPTIONS, POST")


def test_every_route_is_in_the_list_of_scopes_and_documented():
    """A new one is tested by existing; a request's fields are those that the queue knows, each described."""
    made = document()
    ours = {path.removeprefix(PATH): on for path, on in made["paths"].items() if path.startswith(PATH)}
    listed = {(method, path.replace("/1", "/{id}")) for routes in SCOPES.values() for method, path in routes}
    assert {(method.upper(), path) for path, on in ours.items() for method in on} == listed
    schemas = made["components"]["schemas"]
    assert MutationRequest.__struct_fields__ == Asked.__struct_fields__
    assert msgspec.convert({"entity_type": "a", "operation": "b"}, MutationRequest) == MutationRequest(
        **msgspec.structs.asdict(Asked(entity_type="a", operation="b"))
    )
    assert all(field["description"] for field in schemas["MutationRequest"]["properties"].values())
    body = ours[""]["post"]["requestBody"]["content"]["application/json"]["schema"]
    named = [one["$ref"].rpartition("/")[2] for one in body["oneOf"]]
    assert named == ["MutationRequest", "MutationBatch"]
    assert schemas["Resolution"]["properties"]["as"]["enum"] == ["done", "not_done", "mine", "theirs"]


def test_metrics_tell_how_long_the_queue_is(town: Town):
    """By state, and how old the oldest is that waits."""
    town.queued(update())
    counts, text = town.queue.counts(), town.client.get("/metrics").text
    for state in ("pending", "unknown"):
        assert f'lazi_mutations{{state="{state}"}} {float(counts.get(state, 0))}' in text
    [age] = [line for line in text.splitlines() if line.startswith("lazi_mutations_oldest_pending_seconds ")]
    assert float(age.split()[1]) > 0


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A ServiceTitan of this tenant."""
    with Sandbox(seed=3, customers=5, tenants=(TENANT,)) as running:
        yield running


def test_a_preview_needs_credentials_and_says_which(town: Town):
    """503 with the setting's name; whose tenant is not configured is told so."""
    town_key = town.key(tenant=80)
    problem = town.post(update(), "/preview", status=503, **town_key)
    assert "SERVICE_TITAN_" in problem["detail"]
    assert "unknown_field" in town.post({**update(), "unknown_field": 1}, "/preview", status=422, **town_key)["detail"]


def test_a_preview_shows_the_live_record_and_queues_nothing(
    town: Town, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
):
    """What would be sent, what changes, what conflicts with the version in the copy; numbers with their digits."""
    for name, value in {**sandbox.environment(), "SERVICE_TITAN_RATE": "1000"}.items():
        monkeypatch.setenv(name, value)
    live = sandbox.records("customers")[0]
    ident, before = live["id"], town.queue.counts()
    shown = town.post(update(ident), "/preview", status=200)["data"]
    assert (shown["method"], shown["path"]) == ("PATCH", f"/crm/v2/tenant/{TENANT}/customers/{ident}")
    assert (shown["body"], shown["live"]["id"], shown["state"]) == ({"name": "Ann Lee"}, ident, "completed")
    assert shown["changes"] == {"name": {"old": live["name"], "new": "Ann Lee"}}
    assert "no version" in shown["warnings"][-1]
    town.land("customers", ident, "d" * 32, json.dumps({"id": ident, "name": "Before"}))
    shown = town.post(update(ident), "/preview", status=200)["data"]
    assert shown["conflicts"] == {"name": {"base": "Before", "theirs": live["name"], "mine": "Ann Lee"}}
    assert (shown["state"], shown["based_on_payload_hash"], shown["needs_approval"]) == ("conflict", "d" * 32, False)
    job = sandbox.records("jobs")[0]["id"]
    cancel = {"entity_type": "jobs", "operation": "cancel", "entity_id": job, "payload": {"reasonId": 1, "memo": "x"}}
    assert town.post(cancel, "/preview", status=200)["data"]["needs_approval"] is True
    service = sandbox.records("pricebook_services")[0]["id"]
    priced = {
        "entity_type": "pricebook_services",
        "operation": "update",
        "entity_id": service,
        "payload": {"price": 7.77},
    }
    answer = town.client.post(f"{PATH}/preview", content=json.dumps(priced).replace("7.77", "7.770").encode())
    assert answer.content.count(b"7.770") == 2, answer.text  # in the body, and in what changes
    problem = town.post(update(), "/preview", status=503, **town.key(tenant=OTHER_TENANT))
    assert f"tenant `{OTHER_TENANT}`" in problem["detail"]
    assert town.queue.counts() == before


def test_a_preview_shows_no_password(town: Town, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch):
    """Nor does it keep one."""
    for name, value in {**sandbox.environment(), "SERVICE_TITAN_RATE": "1000"}.items():
        monkeypatch.setenv(name, value)
    shown = town.post(technician(), "/preview", status=200)["data"]
    assert (shown["body"]["login"], shown["body"]["password"]) == ("ben", NOT_SHOWN)
    assert PASSWORD not in json.dumps(shown)


def test_a_servicetitan_that_refuses_is_a_502(town: Town, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch):
    """With what it said; no secret is among it."""
    environment = {**sandbox.environment(), "SERVICE_TITAN_TENANT_ID": "81", "SERVICE_TITAN_CLIENT_SECRET": "wrong-one"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    problem = town.post(update(), "/preview", status=502, **town.key(tenant=81))
    assert problem["title"] == "ServiceTitan cannot be asked"
    assert "wrong-one" not in json.dumps(problem)


def test_the_mutation_that_the_queue_reads_is_the_one_that_is_shown(town: Town):
    """Every column but what is for runners alone: lanes, the fencing token, the hash of the request, the mark, a doubt."""
    made = town.queued(update())
    hidden = {"tenant_id", "lane", "lane_above", "ref", "request_hash", "lease_token", "landing", "doubtful_at"}
    renamed = {"entity": "entity_type", "record_id": "entity_id", "places": "path_params", "base_hash": None}
    columns = {renamed.get(name, name) for name in Mutation.__slots__} - hidden - {None}
    assert columns | {"based_on_payload_hash", "possible"} == made.keys()
