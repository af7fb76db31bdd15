"""What writes do: to the record, to what belongs to it, to its state, and to nobody else's."""

from typing import Any

import httpx
import pytest

from outbound.operations import BRACES, BY_TITLE
from sandbox.details import details
from sandbox.server import Sandbox
from sources.servicetitan.catalog import BY_NAME, CATALOG, Entity
from tests.sandbox.reader import Reader, filled
from tests.sandbox.sender import NOWHERE, Sender

CUSTOMERS, JOBS = BY_NAME["customers"], BY_NAME["jobs"]
DETAILED = {found for some in details().patterns.values() for _, _, found in some}
PROBLEM = {"type", "title", "status", "traceId", "errors", "data"}
CHILDREN = ["customers:create-contact", "locations:create-contact", "contacts:create-contact-method"]
NOTES = ["customer_notes:create-note", "lead_notes:create-note", "location_notes:create-note"]


def test_objects_are_merged_and_lists_replaced(sender: Sender) -> None:
    """Field by field, write after write; what was not sent stays."""
    before = next(one for one in sender.records("pricebook_equipment") if one["dimensions"])
    for body in ({"dimensions": {"height": 1.5}}, {"dimensions": {"width": 2.5}}):
        assert sender.post("pricebook_equipment:update", body, id=before["id"]).status_code == 200
    after = sender.record("pricebook_equipment", before["id"])
    assert after["dimensions"] == before["dimensions"] | {"height": 1.5, "width": 2.5}
    assert after["code"] == before["code"]
    ident, tags = sender.first("customers")["id"], [one["id"] for one in sender.records("tag_types")[:2]]
    for chosen in (tags, tags[1:], []):
        assert sender.post("customers:update", {"tagTypeIds": chosen}, id=ident).json()["tagTypeIds"] == chosen


def test_an_object_where_there_was_none_has_all_its_fields(sender: Sender) -> None:
    """Those that were not sent are null."""
    before = next(one for one in sender.records("pricebook_equipment") if one["dimensions"] is None)
    sender.post("pricebook_equipment:update", {"dimensions": {"height": 1.5}}, id=before["id"])
    assert sender.record("pricebook_equipment", before["id"])["dimensions"] == {
        "height": 1.5,
        "width": None,
        "depth": None,
    }


def test_a_value_takes_the_records_own_form(sender: Sender) -> None:
    """Moments in UTC with seven digits, an enum in its own spelling, amounts as text where records have text."""
    job = sender.first("jobs")["id"]
    body = {"jobId": job, "start": "2026-05-01T10:00:00+02:00", "end": "2026-05-01T09:00:00Z"}
    made = sender.post("appointments:add", body).json()
    assert (made["start"], made["end"]) == ("2026-05-01T08:00:00.0000000Z", "2026-05-01T09:00:00.0000000Z")
    ident = sender.first("customers")["id"]
    assert sender.post("customers:update", {"type": "commercial"}, id=ident).json()["type"] == "Commercial"


def test_modifications_are_told_in_order(sender: Sender) -> None:
    """Each is later than the one before, and an export that goes on from a token shows what was written since."""
    _, token = sender.reader.read_export(JOBS)
    idents = [one["id"] for one in sender.records("jobs")[:5]]
    for ident in (*idents, idents[0]):
        assert sender.post("jobs:update", {"summary": f"about {ident}"}, id=ident).status_code == 200
    news, _ = sender.reader.read_export(JOBS, token)
    assert [one["id"] for one in news] == [*idents[1:], idents[0]]
    stamps = [one["modifiedOn"] for one in news]
    assert stamps == sorted(set(stamps))


def test_a_customer_comes_with_what_its_body_lists(sender: Sender) -> None:
    """Its locations and contacts are records of their own, and belong to it."""
    address = {"street": "Elm St 1", "city": "Dunmore", "state": "OH", "zip": "43001", "country": "USA"}
    place = {"name": "Shop", "address": address, "contacts": [{"type": "Phone", "value": "2015550100"}]}
    mail = {"type": "Email", "value": "a@example.com"}
    body = {"name": "Ada", "address": address, "locations": [place, place], "contacts": [mail]}
    made = sender.post("customers:create", body).json()
    own = [one for one in sender.records("locations") if one["customerId"] == made["id"]]
    assert [(one["name"], one["address"]["street"]) for one in own] == [("Shop", "Elm St 1")] * 2
    (contact,) = [one for one in sender.records("customer_contacts") if one["customerId"] == made["id"]]
    assert contact["value"] == "a@example.com"
    phones = [one["locationId"] for one in sender.records("location_contacts") if one["value"] == "2015550100"]
    assert sorted(phones) == sorted(one["id"] for one in own)


def test_a_new_job_is_scheduled_and_has_nothing_yet_but_its_appointments(sender: Sender) -> None:
    """Whatever chance would have drawn; and what is added later belongs to its customer and place."""
    operation = BY_TITLE["jobs:create"]
    made = sender.post("jobs:create", sender.body(operation)).json()
    assert (made["jobStatus"], made["invoiceId"], made["estimateIds"]) == ("Scheduled", None, [])
    assert made["appointmentCount"] == 1
    visit = sender.record("appointments", made["firstAppointmentId"])
    assert (visit["jobId"], visit["customerId"], visit["status"]) == (made["id"], made["customerId"], "Scheduled")
    offer = sender.post("estimates:create", {"jobId": made["id"], "name": "Offer"}).json()
    assert [offer[name] for name in ("jobId", "customerId", "locationId")] == [
        made[name] for name in ("id", "customerId", "locationId")
    ]
    assert offer["status"]["name"] == "Open"


def test_a_job_is_cancelled_once(sender: Sender) -> None:
    """A second time it is a conflict, until the cancellation is taken back."""
    job = sender.post("jobs:create", sender.body(BY_TITLE["jobs:create"])).json()["id"]
    body = sender.body(BY_TITLE["jobs:cancel"])
    assert [sender.post("jobs:cancel", body, id=job).status_code for _ in range(2)] == [200, 409]
    assert sender.record("jobs", job)["jobStatus"] == "Canceled"
    assert sender.post("jobs:remove-cancellation", id=job).status_code == 200
    assert sender.record("jobs", job)["jobStatus"] == "Scheduled"
    assert sender.post("jobs:cancel", body, id=job).status_code == 200


def test_an_estimate_is_sold_and_unsold(sender: Sender) -> None:
    """With all that its status says, who sold it and when."""
    job, seller = sender.first("jobs")["id"], sender.first("technicians")["id"]
    ident = sender.post("estimates:create", {"jobId": job, "name": "Offer"}).json()["id"]
    sold = sender.post("estimates:sell", {"soldBy": seller}, id=ident).json()
    assert (sold["status"], sold["soldBy"]) == ({"value": 1, "name": "Sold"}, seller)
    assert sold["soldOn"] <= sold["modifiedOn"]
    again = sender.post("estimates:sell", {"soldBy": seller}, id=ident)
    assert (again.status_code, again.json().keys()) == (409, PROBLEM)
    assert sender.post("estimates:unsell", id=ident).status_code == 200
    after = sender.record("estimates", ident)
    assert (after["status"], after["soldOn"], after["soldBy"]) == ({"value": 0, "name": "Open"}, None, None)


def test_what_is_no_status_can_be_done_twice(sender: Sender) -> None:
    """An appointment is confirmed again and again."""
    ident = sender.first("appointments")["id"]
    assert [sender.post("appointments:confirm", id=ident).status_code for _ in range(3)] == [200] * 3
    assert sender.record("appointments", ident)["isConfirmed"] is True
    sender.post("appointments:remove-confirmation", id=ident)
    assert sender.record("appointments", ident)["isConfirmed"] is False


def test_a_tag_in_the_path_joins_the_records_own(sender: Sender) -> None:
    """And leaves them."""
    ident = sender.first("customers")["id"]
    before = sender.record("customers", ident)["tagTypeIds"]
    tag = next(one["id"] for one in sender.records("tag_types") if one["id"] not in before)
    assert sender.post("customers:create-tag", id=ident, tagTypeId=tag).status_code == 200
    assert sender.record("customers", ident)["tagTypeIds"] == [*before, tag]
    assert sender.post("customers:delete-tag", id=ident, tagTypeId=tag).status_code == 200
    assert sender.record("customers", ident)["tagTypeIds"] == before
    assert sender.post("customers:create-tag", id=ident, tagTypeId=5).status_code == 404


@pytest.mark.parametrize("title", [*CHILDREN, *NOTES])
def test_what_is_added_stands_below_its_record(sender: Sender, title: str) -> None:
    """Last in the list that is read for the record; its record does not count as modified."""
    operation = BY_TITLE[title]
    places = sender.places(operation)
    path = BRACES.sub(lambda found: places[found[1]], operation.path)
    where = f"{operation.base}{sender.reader.tenant}/{path}"
    before = sender.reader.client.get(where).json()["data"]
    stamp = record_in(sender, operation.path, places)["modifiedOn"]
    made = sender.send(operation, sender.body(operation), places).json()
    after = sender.reader.client.get(where, params={"includeTotal": "true"}).json()
    assert after["data"] == [*before, made]
    assert after["totalCount"] == len(after["data"])
    assert record_in(sender, operation.path, places)["modifiedOn"] == stamp


def record_in(sender: Sender, path: str, places: dict[str, str]) -> dict[str, Any]:
    """The record in a path's beginning."""
    return next(one for one in sender.records(path.partition("/")[0]) if str(one["id"]) == next(iter(places.values())))


def test_what_cannot_be_read_is_kept_with_an_id(sender: Sender) -> None:
    """And the record that it was added to counts as modified."""
    before = sender.first("tasks")
    body = sender.body(BY_TITLE["tasks:create-subtask"])
    assert sender.post("tasks:create-subtask", body, id=before["id"]).status_code == 200
    assert sender.record("tasks", before["id"])["modifiedOn"] > before["modifiedOn"]
    (kept,) = sender.sandbox.known(sender.reader.tenant).desk.loose["tasks:create-subtask"]
    assert (kept["id"], kept["body"]) == (sender.last.key, body)


def test_tenants_do_not_see_each_others_writes(many: Reader, sender: Sender) -> None:
    """Nor does a write for one change the other's pages."""
    other = Sender(many)
    mine, ident = many.tenant, sender.first("customers")["id"]
    theirs = mine + 5000
    before = many.sandbox.records("customers", tenant=theirs)
    assert sender.post("customers:update", {"name": "Mine"}, id=ident).status_code == 200
    assert many.sandbox.records("customers", tenant=theirs) == before
    many.tenant = theirs
    assert next(one for one in many.read_list(CUSTOMERS) if one["id"] == ident)["name"] != "Mine"
    assert other.reader is many


@pytest.mark.parametrize("entity", [one for one in CATALOG if one in DETAILED], ids=lambda one: one.name)
def test_a_record_answers_at_its_own_address(sender: Sender, entity: Entity) -> None:
    """As its list shows it; one that is unknown or deleted is not found."""
    for shown in sender.reader.read_list(entity, **filled(entity.params, {}))[:2]:
        ident = shown["leadCall"]["id"] if "leadCall.id" in entity.key else shown["id"]
        assert sender.reader.get(entity, f"{entity.path}/{ident}").json() == shown
    assert sender.reader.get(entity, f"{entity.path}/{NOWHERE}").status_code == 404
    sender.sandbox.delete(entity.name, ident, tenant=sender.reader.tenant)
    assert sender.reader.get(entity, f"{entity.path}/{ident}").status_code == 404


def test_writes_are_counted_and_logged(fresh: Sandbox, fresh_sender: Sender) -> None:
    """In order, with what was sent and the record's key; what is refused is not."""
    idents = [one["id"] for one in fresh.records("customers")[:2]]
    for ident in idents:
        fresh_sender.post("customers:update", {"name": "A", "odd": [None]}, id=ident)
    fresh_sender.post("customers:update", {"name": 1}, id=idents[0])
    assert [(write.title, write.tenant, write.key, write.body, write.status) for write in fresh.written] == [
        ("customers:update", 1, ident, {"name": "A", "odd": [None]}, 200) for ident in idents
    ]
    assert fresh.written[0].moment < fresh.written[1].moment
    assert httpx.get(fresh.stats_url).json()["writes"] == 2


def test_changes_beside_the_api_win_over_earlier_writes(fresh: Sandbox, fresh_sender: Sender) -> None:
    """And later writes win over them."""
    ident = fresh.records("customers")[0]["id"]
    fresh_sender.post("customers:update", {"name": "Written"}, id=ident)
    assert fresh.change("customers", ident, name="Changed")["name"] == "Changed"
    fresh_sender.post("customers:update", {"name": "Written again"}, id=ident)
    assert fresh.records("customers")[0]["name"] == "Written again"


def test_a_location_that_is_asked_for_has_a_wish_for_a_technician(sender: Sender) -> None:
    """Or null: ServiceTitan's documents have no 404 for a location that is there."""
    made = sender.post("locations:create", sender.body(BY_TITLE["locations:create"]))
    assert made.status_code == 200
    entity = BY_NAME["location_preferred_technician"]
    found = sender.reader.ask(entity, {"id": str(made.json()["id"])})
    assert found.status_code == 200
    assert isinstance(found.json(), int | None)
