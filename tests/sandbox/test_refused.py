"""What the sandbox refuses to write, as ServiceTitan does: with a problem that says why, and nothing is done."""

from typing import Any

import pytest

from outbound.operations import BY_TITLE, OPERATIONS, Operation
from sandbox.server import Sandbox
from sources.servicetitan.catalog import BY_NAME
from tests.sandbox.reader import Reader
from tests.sandbox.sender import NOWHERE, Sender

CUSTOMERS = BY_NAME["customers"]
PROBLEM = {"type", "title", "status", "traceId", "errors", "data"}


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"', b'{"name": "\xff"}'])
def test_what_is_no_object_is_refused(sender: Sender, body: bytes) -> None:
    """With a problem that has a trace id, and nothing is written."""
    answer = sender.reader.client.post(f"{CUSTOMERS.base}{sender.reader.tenant}/customers", content=body)
    assert answer.status_code == 400
    assert len(answer.json()["traceId"]) == 32
    assert "$" in answer.json()["errors"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": 5}, "name"),
        ({"doNotMail": "yes"}, "doNotMail"),
        ({"address": "Elm St 1"}, "address"),
        ({"creditLimit": "12"}, "creditLimit"),
        ({"type": "Industrial"}, "type"),
        ({"tagTypeIds": [1, "2"]}, "tagTypeIds[1]"),
        ({"externalData": {"applicationGuid": "no guid", "externalData": []}}, "externalData.applicationGuid"),
    ],
)
def test_a_wrong_type_is_named(sender: Sender, body: dict[str, Any], field: str) -> None:
    """Inside objects and lists too."""
    answer = sender.post("customers:update", body, id=sender.first("customers")["id"])
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


def test_all_faults_of_a_body_are_told_at_once(sender: Sender) -> None:
    """Each field with its own messages."""
    answer = sender.post("customers:create", {"name": None, "locations": [{"name": "A"}], "type": 1})
    assert answer.json()["errors"].keys() == {"name", "type", "address", "locations[0].address"}


def test_null_is_taken_unless_the_field_is_required(sender: Sender) -> None:
    """Whatever the documents say of null."""
    ident = sender.first("customers")["id"]
    assert sender.post("customers:update", {"name": None, "doNotMail": None}, id=ident).status_code == 200
    assert sender.record("customers", ident)["name"] is None


@pytest.mark.parametrize(
    ("title", "body", "word"),
    [
        ("locations:create", {"customerId": 5}, "Unknown customer"),
        ("jobs:update", {"businessUnitId": 5}, "Unknown business unit"),
        ("jobs:update", {"tagTypeIds": [5]}, "Unknown tag type"),
        ("jobs:update", {"customerId": 2700000001}, "Unknown customer"),
        (
            "jobs:create",
            {"appointments": [{"start": "2026-01-02", "end": "2026-01-02", "technicianIds": [5]}]},
            "technician",
        ),
        ("customers:add-tags", {"customerIds": [5]}, "Unknown customer"),
    ],
)
def test_a_reference_to_nothing_is_a_conflict(sender: Sender, title: str, body: dict[str, Any], word: str) -> None:
    """With 409 that names what is unknown, also where the id is another thing's."""
    operation = BY_TITLE[title]
    answer = sender.send(operation, sender.body(operation) | body, sender.places(operation))
    assert (answer.status_code, answer.json()["title"]) == (409, f"Unknown {word.removeprefix('Unknown ')}")
    assert answer.json().keys() == PROBLEM


def test_a_reference_to_a_deleted_record_is_a_conflict(sender: Sender) -> None:
    """As to one that never was; an inactive record is still there."""
    service = sender.first("pricebook_services")["id"]
    customer = sender.first("customers")["id"]
    sender.post("customers:update", {"active": False}, id=customer)
    body = sender.body(BY_TITLE["locations:create"]) | {"customerId": customer}
    assert sender.post("locations:create", body).status_code == 200
    assert sender.post("pricebook_services:delete", id=service).status_code == 204
    place = sender.first("estimates")["id"]
    answer = sender.post("estimates:put-item", {"skuId": service}, id=place)
    assert (answer.status_code, answer.json()["title"]) == (409, "Unknown sku")


@pytest.mark.parametrize(
    "title", ["customers:update", "customer_notes:create-note", "jobs:cancel", "zones:delete-zone"]
)
def test_a_record_that_is_not_there_is_not_found(sender: Sender, title: str) -> None:
    """A problem, whatever would be done to it; a deleted one is not there either."""
    operation = BY_TITLE[title]
    answer = sender.send(operation, sender.body(operation), dict.fromkeys(operation.placeholders, NOWHERE))
    assert (answer.status_code, answer.json().keys()) == (404, PROBLEM)
    places = sender.places(operation)
    if operation.method == "DELETE":
        assert [sender.send(operation, None, places).status_code for _ in range(2)] == [200, 404]


def test_a_note_of_another_record_is_not_found(sender: Sender) -> None:
    """A child is named with its own parent."""
    ours = sender.places(BY_TITLE["customer_notes:delete-note"])
    other = next(str(one["id"]) for one in sender.records("customers") if str(one["id"]) != ours["id"])
    assert sender.post("customer_notes:delete-note", **{**ours, "id": other}).status_code == 404
    assert sender.post("customer_notes:delete-note", **ours).status_code == 200


def test_an_upload_wants_a_file(sender: Sender) -> None:
    """Its name is the attachment's; the log has its content."""
    job = sender.first("jobs")["id"]
    body = {"file_name": "a.txt", "content_type": "text/plain"}
    answer = sender.post("job_attachments:create-attachment", body, id=job)
    assert (answer.status_code, answer.json()["fileName"]) == (200, "a.txt")
    assert sender.last.body == body | {"content": "dGV4dA=="}
    assert sender.post("job_attachments:create-attachment", {}, id=job).status_code == 400


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.is_withdrawn], ids=lambda one: one.title)
def test_a_withdrawn_operation_is_not_found_unless_wanted(sender: Sender, operation: Operation) -> None:
    """It answers in a sandbox that has withdrawn operations."""
    answer = sender.send(operation, sender.body(operation), sender.places(operation))
    assert answer.status_code == 404
    with Sandbox(customers=20, withdrawn=True) as old:
        reader = Reader(old)
        there = Sender(reader)
        assert there.send(operation, there.body(operation), there.places(operation)).status_code == operation.status
        reader.close()


def test_other_methods_are_told(sender: Sender) -> None:
    """With 405 and those that there are."""
    answer = sender.reader.client.put(f"{CUSTOMERS.base}{sender.reader.tenant}/customers", json={})
    assert (answer.status_code, answer.json()["title"]) == (405, "This address takes GET and POST only.")


def test_a_hidden_module_takes_no_writes(fresh: Sandbox, fresh_sender: Sender) -> None:
    """404, as for its reads."""
    fresh.hide("customers")
    assert fresh_sender.post("customers:create", {}).status_code == 404
