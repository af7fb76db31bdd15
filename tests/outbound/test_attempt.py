"""One change at a time: what reaches ServiceTitan, and what is known of it afterwards."""

from datetime import timedelta
from typing import Any

import pytest

from outbound.marks import APPLICATION_GUID, Mark, mark_of
from outbound.operations import BY_TITLE
from outbound.queue import Queue
from outbound.state import CANCELLED, COMPLETED, CONFLICT, FAILED, PENDING, UNKNOWN
from sandbox.server import Sandbox
from tests.outbound.desk import Desk

ALWAYS = 1.0


def customer(office: Desk, place: int = 0) -> dict[str, Any]:
    """A customer."""
    return [one for one in office.sandbox.records("customers") if one["active"]][place]


def test_an_update_reaches_servicetitan_and_is_read_back(office: Desk):
    """Its fields, and the record afterwards stands with the mutation, for the copy."""
    record = customer(office)
    mutation = office.push("customers:update", record["id"], {"name": "Ada Byron"})
    assert mutation.state is COMPLETED, mutation.error
    assert customer(office)["name"] == "Ada Byron"
    assert mutation.after is not None
    assert mutation.after["name"] == "Ada Byron"
    assert mutation.landing is not None
    assert [(entity, gone) for entity, _, _, gone, _ in mutation.landing] == [("customers", False)]
    assert office.sent("customers:update") == [{"name": "Ada Byron"}]


# conflicts


def test_the_same_field_changed_there_is_a_conflict(office: Desk):
    """With base, theirs and mine; nothing is sent."""
    record = customer(office, 1)
    mutation = office.ask("customers:update", record["id"], {"name": "Mine"})
    office.sandbox.change("customers", record["id"], name="Theirs")
    mutation = office.work(mutation)
    assert mutation.state is CONFLICT
    assert mutation.conflict == {"name": {"base": record["name"], "theirs": "Theirs", "mine": "Mine"}}
    assert office.sent("customers:update") == []


def test_another_field_changed_there_is_merged(office: Desk):
    """Ours is sent, theirs stays, and the mutation says so."""
    record = customer(office, 2)
    mutation = office.ask("customers:update", record["id"], {"name": "Mine"})
    office.sandbox.change(
        "customers", record["id"], type="Commercial" if record["type"] != "Commercial" else "Residential"
    )
    mutation = office.work(mutation)
    assert mutation.state is COMPLETED
    assert mutation.merged == ["type"]
    after = office.listed("customers", record["id"])
    assert after is not None
    assert (after["name"], after["type"] != record["type"]) == ("Mine", True)


def test_a_moved_modified_on_alone_is_no_conflict(office: Desk):
    """ServiceTitan moves it for reasons of its own."""
    record = customer(office, 3)
    mutation = office.ask("customers:update", record["id"], {"name": "Mine"})
    office.sandbox.change("customers", record["id"])
    mutation = office.work(mutation)
    assert (mutation.state, mutation.merged) == (COMPLETED, None)


def test_a_record_deleted_there_is_a_conflict(office: Desk):
    """And nothing is sent."""
    zone = office.sandbox.records("zones")[0]
    mutation = office.ask("zones:update-zone", zone["id"], {"name": "North"})
    office.sandbox.delete("zones", zone["id"])
    mutation = office.work(mutation)
    assert mutation.state is CONFLICT
    assert mutation.error is not None
    assert "deleted" in mutation.error
    assert office.sent("zones:update-zone") == []


def test_mine_goes_over_theirs_when_a_person_says_so(office: Desk):
    """Resolved as mine it is sent; as theirs it is given up."""
    record = customer(office, 4)
    for word, state, name in (("resolve mine", COMPLETED, "Mine"), ("resolve theirs", CANCELLED, "Theirs")):
        office.sandbox.change("customers", record["id"], name="Before")
        mutation = office.ask("customers:update", record["id"], {"name": "Mine"})
        office.sandbox.change("customers", record["id"], name="Theirs")
        mutation = office.queue.decide(office.work(mutation), word, "Bob")
        assert office.work(mutation).state is state
        found = office.listed("customers", record["id"])
        assert found is not None
        assert found["name"] == name


# answers that do not come


@pytest.mark.parametrize("fault", ["write_failed_after", "write_cut_after"])
def test_an_update_whose_answer_is_lost_is_completed_without_a_second_request(office: Desk, fault: str):
    """The record tells that it was done."""
    record = customer(office, 5)
    mutation = office.ask("customers:update", record["id"], {"name": f"After {fault}"})
    office.sandbox.switch_faults({fault: ALWAYS})
    mutation = office.work(mutation)
    assert mutation.state is COMPLETED, mutation.error
    assert len(office.sent("customers:update")) == 1


def test_an_update_that_failed_before_is_sent_again(office: Desk):
    """The record tells that it was not done."""
    record = customer(office, 6)
    mutation = office.ask("customers:update", record["id"], {"name": "Second try"})
    office.sandbox.switch_faults({"write_failed_before": ALWAYS})
    mutation = office.work(mutation)
    assert mutation.state is COMPLETED, mutation.error
    assert mutation.attempts > 1


@pytest.mark.parametrize("fault", ["write_failed_after", "write_cut_after"])
@pytest.mark.parametrize(
    ("title", "parent", "payload"),
    [
        ("customers:create", "", "customer"),
        ("customer_notes:create-note", "customers", {"text": "Call before noon", "pinToTop": True}),
        ("campaign_categories:create", "", {"name": "Radio"}),
    ],
    ids=[Mark.EXTERNAL_DATA, Mark.TEXT, Mark.CONTENT],
)
def test_a_create_whose_answer_is_lost_is_found_again(office: Desk, fault: str, title: str, parent: str, payload: Any):
    """By its mark, and is made once."""
    payload = new_customer() if payload == "customer" else {**payload}
    if "name" in payload:
        payload["name"] += f" {fault}"
    record = office.sandbox.records(parent)[0]["id"] if parent else None
    mutation = office.ask(title, record, payload)
    office.sandbox.switch_faults({fault: ALWAYS})
    mutation = office.work(mutation)
    assert mutation.state is COMPLETED, mutation.error
    assert mutation.new_id
    assert len(office.sent(title)) == 1


def test_a_create_that_may_have_been_made_is_not_sent_again(office: Desk):
    """No mark is found: a person has to look."""
    mutation = office.ask("customers:create", None, new_customer())
    office.sandbox.switch_faults({"write_failed_before": ALWAYS})
    mutation = office.work(mutation)
    assert mutation.state is UNKNOWN
    office.sandbox.switch_faults(())
    again = office.work(office.queue.decide(mutation, "resolve not_done", "Bob"))
    assert (again.state, len(office.sent("customers:create"))) == (COMPLETED, 1)


def test_an_answer_slower_than_we_wait_is_looked_for(settings: Any, town: Sandbox):
    """The update stands in the record although nobody heard of it."""
    from tests.outbound.desk import desk  # noqa: PLC0415  with another patience

    town.switch_faults(())
    with desk(settings, town, timeout=0.5) as office:
        record = customer(office, 7)
        mutation = office.ask("customers:update", record["id"], {"name": "Slow"})
        town.faults.measure("write_slow_after", 1.0)
        town.switch_faults({"write_slow_after": ALWAYS})
        assert office.work(mutation).state is COMPLETED
        town.switch_faults(())


def new_customer() -> dict[str, Any]:
    """The body of a new customer."""
    street = {"street": "1 Main St", "city": "Ames", "state": "IA", "zip": "50010", "country": "USA"}
    return {"name": "New", "type": "Residential", "locations": [{"name": "Home", "address": street}], "address": street}


# what ServiceTitan does with it


def test_what_is_refused_fails_with_servicetitans_words(office: Desk):
    """And keeps its status and answer."""
    mutation = office.ask(
        "appointments:reschedule",
        office.sandbox.records("appointments")[0]["id"],
        {
            "start": "2026-12-01T09:00:00Z",
            "end": "2026-12-01T11:00:00Z",
            "arrivalWindowStart": "2026-12-01T09:00:00Z",
            "arrivalWindowEnd": "2026-12-01T10:00:00Z",
        },
    )
    assert office.work(mutation).state is COMPLETED
    bad = office.push("jobs:create", None, job(office) | {"customerId": 999_999_999_999})
    assert bad.state is FAILED
    assert bad.answer_status in {404, 409}
    assert bad.error


def job(office: Desk) -> dict[str, Any]:
    """The body of a new job."""
    known = office.sandbox.records("jobs")[0]
    return {
        "customerId": known["customerId"],
        "locationId": known["locationId"],
        "businessUnitId": known["businessUnitId"],
        "jobTypeId": known["jobTypeId"],
        "priority": "Normal",
        "campaignId": office.sandbox.records("campaigns")[0]["id"],
        "appointments": [
            {
                "start": "2026-12-01T09:00:00Z",
                "end": "2026-12-01T11:00:00Z",
                "arrivalWindowStart": "2026-12-01T09:00:00Z",
                "arrivalWindowEnd": "2026-12-01T10:00:00Z",
                "technicianIds": [],
            }
        ],
    }


def test_an_action_is_completed_when_the_record_shows_its_outcome(office: Desk):
    """A job is cancelled once; a second time nothing is left to do."""
    record = next(one for one in office.sandbox.records("jobs") if one["jobStatus"] != "Canceled")
    reason = office.sandbox.records("job_cancel_reasons")[0]["id"]
    first = office.push("jobs:cancel", record["id"], {"reasonId": reason, "memo": "moved away"})
    assert first.state is COMPLETED, first.error
    second = office.push("jobs:cancel", record["id"], {"reasonId": reason, "memo": "moved away"})
    assert (second.state, len(office.sent("jobs:cancel"))) == (COMPLETED, 1)


def test_a_removal_is_done_when_the_record_is_gone(office: Desk):
    """Also when it was gone before."""
    team = office.sandbox.records("teams")[0]
    first, second = (office.push("teams:delete", team["id"], base=team) for _ in range(2))
    assert (first.state, second.state) == (COMPLETED, COMPLETED)
    assert first.landing is not None
    assert first.landing[0][:4] == ["teams", None, str(team["id"]), True]


def test_marks_are_sent_and_the_users_own_text_stays(office: Desk):
    """External data under our name, a reference at the end of a note."""
    office.push("customers:create", None, new_customer())
    [body] = office.sent("customers:create")
    assert body["externalData"]["applicationGuid"] == APPLICATION_GUID
    note = office.push("customer_notes:create-note", customer(office)["id"], {"text": "Has a dog"})
    [body] = office.sent("customer_notes:create-note")
    assert body["text"] == f"Has a dog [ref:{note.ref}]"


@pytest.mark.parametrize("title", [title for title in BY_TITLE if mark_of(BY_TITLE[title]) is Mark.EXTERNAL_DATA])
def test_who_carries_external_data_can_be_listed(title: str):
    """Otherwise the mark could not be looked for."""
    entity = BY_TITLE[title].catalog
    assert entity is not None
    assert entity.is_listable


# what the original did wrong


def test_the_third_failure_is_stored(office: Desk):
    """The original's table had no room for it."""
    record = customer(office, 8)
    mutation = office.ask("customers:update", record["id"], {"name": "Never"})
    office.sandbox.switch_faults({"write_failed_before": ALWAYS})
    done = office.work(mutation)
    failures = [step for step in done.history if step.did in {"later", "refused"}]
    assert len(failures) >= 3


def test_the_same_value_can_be_set_twice(office: Desk):
    """The original's key was a hash of the content, and swallowed the second "set the price back"."""
    record = customer(office, 9)
    for name in ("Sale", record["name"], "Sale", record["name"]):
        assert office.push("customers:update", record["id"], {"name": name}).state is COMPLETED
    assert [body["name"] for body in office.sent("customers:update")] == ["Sale", record["name"]] * 2


def test_what_a_dead_runner_held_is_worked_on(office: Desk):
    """The original's rows stayed in `processing` for ever."""
    record = customer(office, 10)
    mutation = office.ask("customers:update", record["id"], {"name": "Taken over"})
    brief = Queue(office.operations, lease=timedelta(seconds=-1))
    [claimed] = brief.claim("dead", 1)
    assert office.work(mutation).state is COMPLETED
    assert not office.queue.mark_sent(claimed, None, [])


def test_a_create_goes_out_once(office: Desk):
    """The original's went out up to three times: one whose runner died after sending is looked for, not sent again."""
    mutation = office.ask("customers:create", None, new_customer() | {"name": "Only one"})
    brief = Queue(office.operations, lease=timedelta(seconds=-1))
    [claimed] = brief.claim("dead", 1)
    assert brief.mark_sent(claimed, None, [])
    assert office.work(mutation).state is UNKNOWN
    assert office.sent("customers:create") == []


def test_an_alias_of_the_original_leads_to_servicetitans_operation(office: Desk):
    """`estimates:approve` sells."""
    estimate = next(one for one in office.sandbox.records("estimates") if one["status"]["name"] == "Open")
    seller = office.sandbox.records("technicians")[0]["id"]
    mutation = office.push("estimates:approve", estimate["id"], {"soldBy": seller})
    assert (mutation.operation, mutation.state) == ("sell", COMPLETED), mutation.error
    assert mutation.not_applied is None


def test_nothing_stays_pending(office: Desk):
    """Whatever was asked, once() leaves nothing due."""
    for place in range(5):
        office.ask("customers:update", customer(office, place)["id"], {"name": f"N{place}"})
    office.runner().once()
    assert PENDING not in office.queue.counts()


def test_a_good_answer_that_is_cut_short_still_tells_what_was_made(office: Desk):
    """It is done, and the mark tells the id."""
    mutation = office.ask("customers:create", None, new_customer())
    office.sandbox.switch_faults({"cut_json": ALWAYS})
    mutation = office.work(mutation)
    assert mutation.state is COMPLETED, mutation.error
    assert office.listed("customers", mutation.new_id) is not None
    assert len(office.sent("customers:create")) == 1


def test_a_list_that_ignores_the_filter_by_external_data_finds_only_what_carries_the_mark(office: Desk):
    """As the one of job types does: what else it shows is not what was made."""
    mutation = office.ask("job_types:create", None, {"name": "Drain"})
    office.sandbox.switch_faults({"write_failed_before": ALWAYS})
    attempt = office.work(mutation)
    assert attempt.state is UNKNOWN
    office.sandbox.switch_faults(())
    attempt = office.work(office.queue.decide(attempt, "resolve not_done", "Bob"))
    assert attempt.state is COMPLETED, attempt.error
