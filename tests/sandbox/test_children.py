"""What is read for parents: whose it is, where it ends, and what becomes of it."""

from typing import Any

import pytest

from sandbox.family import is_child
from sandbox.live import Live
from sandbox.server import Sandbox
from sandbox.sizes import PER_PARENT
from sources.servicetitan.catalog import BY_NAME, CATALOG, Entity, Feed
from tests.sandbox.reader import Reader

OF_ONE = [row for row in CATALOG if is_child(row) and row.path.endswith("}") is False and row.path.count("{") == 1]
NOTES, LINES, SESSIONS = (BY_NAME[name] for name in ("customer_notes", "journal_entry_details", "scheduler_sessions"))


@pytest.mark.parametrize("entity", OF_ONE, ids=lambda entity: entity.name)
@pytest.mark.parametrize("ident", ["1", "nobody", "910a2dec-8902-45cc-8cc1-00000000ffff"])
def test_an_unknown_parent_is_not_found(reader: Reader, entity: Entity, ident: str) -> None:
    """A problem, not an empty list."""
    answer = reader.get(entity, entity.path.replace("{id}", ident), **{"from": "2026-01-01", "to": "2026-01-02"})
    if entity.feed is Feed.WINDOW:
        dates = {"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}
        answer = reader.ask(entity, {"id": ident, **dates})
    assert answer.status_code == answer.json()["status"] == 404


def test_a_deleted_parent_is_not_found(fresh: Sandbox, fresh_reader: Reader) -> None:
    """Nor is what belonged to it a part of a complete read any more."""
    jobs = BY_NAME["job_booked_log"]
    ident = fresh.records(jobs.name)[0]["jobId"]
    fresh.delete("jobs", ident)
    assert fresh_reader.ask(jobs, {"id": str(ident)}).status_code == 404
    assert ident not in {record["jobId"] for record in fresh.records(jobs.name)}


def notes_of(reader: Reader, customer: int) -> list[dict[str, Any]]:
    return reader.read_all(NOTES, {"id": str(customer)})


def test_children_are_made_changed_and_deleted(fresh: Sandbox, fresh_reader: Reader) -> None:
    """Under the parent that is named; only its list shows it."""
    customers = [record["id"] for record in fresh.records("customers")]
    before = {ident: notes_of(fresh_reader, ident) for ident in customers}
    made = fresh.create("customer_notes", under=customers[3], text="Call back")
    assert notes_of(fresh_reader, customers[3]) == [*before[customers[3]], made]
    changed = fresh.change("customer_notes", made["id"], text="Called")
    assert changed["modifiedOn"] > made["modifiedOn"]
    assert changed in notes_of(fresh_reader, customers[3])
    fresh.delete("customer_notes", made["id"])
    assert {ident: notes_of(fresh_reader, ident) for ident in customers} == before


@pytest.mark.parametrize("name", ["job_notes", "project_notes", "membership_status_changes"])
def test_a_sublist_of_what_is_exported_says_less(sandbox: Sandbox, reader: Reader, name: str) -> None:
    """The parent's id stands in the export alone."""
    entity = BY_NAME[name]
    exported = sandbox.records(name)[0]
    (owner,) = {"jobId", "projectId", "membershipId"} & exported.keys()
    listed = reader.read_all(entity, {"id": str(exported[owner])})
    assert listed
    assert all(owner not in record for record in listed)


@pytest.mark.parametrize(
    "name", ["customer_notes", "job_booked_log", "estimate_status_changes", "bank_deposit_transactions"]
)
def test_children_are_younger_than_their_parents(reader: Reader, name: str) -> None:
    """And some parents have none."""
    entity = BY_NAME[name]
    parents = {str(record["id"]): record for _, record in reader.parents(entity)}
    children = reader.read_children(entity)
    assert all(record["createdOn"] > parents[scope]["createdOn"] for scope, record in children)
    assert {scope for scope, _ in children} < parents.keys()


def test_an_entry_is_balanced_and_may_say_a_thing_twice(reader: Reader) -> None:
    """Debits are credits; two lines of an entry can be alike to the byte."""
    by_entry: dict[str, list[dict[str, Any]]] = {}
    for scope, line in reader.read_children(LINES):
        by_entry.setdefault(scope, []).append(line)
    assert all(sum(line["debit"] - line["credit"] for line in lines) == 0 for lines in by_entry.values())
    assert any(lines[-1] == lines[-2] for lines in by_entry.values())


def test_sessions_can_be_asked_for_since_a_moment(reader: Reader) -> None:
    """In pages, from `modifiedOnOrAfter`."""
    everything = reader.read_all(SESSIONS, {"id": "schedulers-1"}, size=3)
    moment = sorted(record["modifiedOn"] for record in everything)[5]
    answer = reader.ask(SESSIONS, {"id": "schedulers-1"}, pageSize=500, modifiedOnOrAfter=moment).json()
    assert answer["data"] == [record for record in everything if record["modifiedOn"] >= moment]


def test_tracking_wants_a_technician_of_the_appointment(sandbox: Sandbox, reader: Reader) -> None:
    """Both ids are demanded, and a pair that does not belong together is not found."""
    entity = BY_NAME["technician_tracking"]
    first, other = sandbox.records("appointment_assignments")[:2]
    pair = {"technicianId": first["technicianId"], "appointmentId": first["appointmentId"]}
    assert "technicianTrackingUrl" in reader.get(entity, entity.path, **pair).json()
    wrong = pair | {"technicianId": other["technicianId"] + 1}
    assert reader.get(entity, entity.path, **wrong).status_code == 404
    assert reader.get(entity, entity.path, technicianId=1).status_code == 400


def test_a_wish_for_a_technician_is_a_bare_value(reader: Reader) -> None:
    """A number or null, without an object around it."""
    entity = BY_NAME["location_preferred_technician"]
    places = [str(record["id"]) for _, record in reader.parents(entity)]
    values = [reader.ask(entity, {"id": ident}).json() for ident in places]
    assert {type(value) for value in values} == {int, type(None)}


@pytest.mark.parametrize("name", ["location_preferred_technician", "job_history", "job_equipment"])
def test_what_is_new_has_what_each_record_has_one_of(fresh: Sandbox, fresh_reader: Reader, name: str) -> None:
    """ServiceTitan answers for a record just made as for any other; its documents have no 404 for one that is there."""
    entity, (parent, _) = BY_NAME[name], PER_PARENT[name]
    idents = [record["id"] for record in fresh.records(parent)]
    made = fresh.create(parent)["id"]
    assert made not in idents
    for ident in (*idents, made):
        answer = fresh_reader.get(entity, entity.path.replace("{id}", str(ident)))
        assert answer.status_code == 200, ident


def test_life_takes_no_entity_away(fresh: Sandbox, fresh_reader: Reader) -> None:
    """Of the locations that customers bring along while the sandbox runs, every one has a wish for a technician, or null."""
    entity, before = BY_NAME["location_preferred_technician"], len(fresh.records("locations"))
    life = Live(fresh)
    for _ in range(10 * 25):
        life.step()
    places = fresh.records("locations")
    assert len(places) == before + 25
    assert {fresh_reader.ask(entity, {"id": str(place["id"])}).status_code for place in places} == {200}
