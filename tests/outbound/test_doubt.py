"""Changes whose fate no answer told, or that were tried before: what is known of them is true of ServiceTitan."""

import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from outbound.answers import parts
from outbound.body import required_example
from outbound.marks import marked
from outbound.operations import BY_TITLE
from outbound.queue import Mutation, Queue, Settlement
from outbound.request import filled
from outbound.runner import Runner
from outbound.state import COMPLETED, CONFLICT, FAILED, PENDING, PROCESSING, UNKNOWN
from sources.servicetitan.client import Meter
from sources.servicetitan.exceptions import UnreachableError
from sources.servicetitan.writing import NotSentError, WriteRefusedError, judged, permitted, write
from store.exceptions import SettingsError, StoreUnreachableError
from tests.outbound.desk import HURRIED, Desk
from tests.outbound.test_attempt import ALWAYS, customer, new_customer

LIKE_ANOTHER = {
    "campaign_costs:create": ("campaignId", "year", "month", "dailyCost"),
    "arrival_windows:create": ("start", "duration", "businessUnitIds"),
    "campaign_categories:create": ("name",),
    "teams:create": ("name", "active"),
    "tag_types:create": ("name", "color", "code"),
}
"""Operations whose bodies can carry no mark, and fields of a record that is there already."""


def body_like(office: Desk, title: str) -> dict[str, Any]:
    """A body that wants what is there already."""
    operation = BY_TITLE[title]
    record = next(one for one in office.sandbox.records(operation.entity) if one.get("active", True))
    return {name: record[name] for name in LIKE_ANOTHER[title] if name in record}


@pytest.mark.parametrize("title", LIKE_ANOTHER)
def test_what_was_never_made_is_not_taken_for_what_was_there(office: Desk, title: str):
    """A record that looks the same and stood there before is somebody else's."""
    mutation = office.ask(title, None, body_like(office, title))
    office.sandbox.switch_faults({"write_failed_before": ALWAYS})
    mutation = office.work(mutation)
    assert (mutation.state, mutation.new_id) == (UNKNOWN, None)


@pytest.mark.parametrize("title", LIKE_ANOTHER)
def test_what_was_made_is_told_from_what_was_there(office: Desk, title: str):
    """Of two that look the same, the new one is ours."""
    before = {str(one["id"]) for one in office.sandbox.records(BY_TITLE[title].entity)}
    mutation = office.ask(title, None, body_like(office, title))
    office.sandbox.switch_faults({"write_cut_after": ALWAYS})
    mutation = office.work(mutation)
    assert mutation.state is COMPLETED, mutation.error
    assert mutation.new_id
    assert mutation.new_id not in before
    assert len(office.sent(title)) == 1


def test_a_record_that_shows_little_of_what_was_wanted_is_not_taken_for_it(office: Desk):
    """A lead has the summary of a form and neither its name nor its address: another one may have the same summary."""
    form = {"name": "Ada", "summary": "Website lead"}
    mutation = office.ask("leads:submit-lead-form", None, form)
    [claimed] = Queue(office.operations, lease=timedelta(seconds=-1)).claim("dead", 1)
    assert Queue(office.operations, lease=timedelta(seconds=-1)).mark_sent(claimed, {"keys": []}, [])
    office.sandbox.create("leads", summary="Website lead")
    assert office.work(mutation).state is UNKNOWN


LOOK_ALIKES = (
    ({"color": "#000000", "name": "Twin"}, {"name": "Twin", "color": "#000000"}),
    ({"name": "Twin", "color": "#000000", "code": "T"}, {"name": "Twin", "color": "#000000"}),
)


@pytest.mark.parametrize(("made", "lost"), LOOK_ALIKES, ids=["another order", "more fields"])
def test_what_another_mutation_made_is_not_taken_for_ones_own(office: Desk, made: Any, lost: Any):
    """However its payload is written, what it made shows all that this one wanted."""
    mutation, queue = office.ask("tag_types:create", None, lost), Queue(office.operations)
    [claimed] = queue.claim("slow", 1)
    assert queue.mark_sent(claimed, {"keys": []}, [])
    other = office.push("tag_types:create", None, made)
    assert other.state is COMPLETED, other.error
    brief = Queue(office.operations, lease=timedelta(seconds=-1))
    assert brief.mark_sent(claimed, {"keys": []}, [])
    mutation = office.work(mutation)
    assert (mutation.state, mutation.new_id) == (UNKNOWN, None)


def test_what_was_never_sent_is_not_looked_for(office: Desk, monkeypatch: Any):
    """A 429 says that nothing was done: what looks like it was made by somebody else."""
    mutation, name = office.ask("campaign_categories:create", None, {"name": "Radio"}), "outbound.attempt.write"
    with monkeypatch.context() as patch:
        patch.setattr(name, Away(None, 1, error=NotSentError("too many", 0.3)))
        [claimed] = office.queue.claim("runner", 1)
        office.runner().work(claimed)
        mutation = office.queue.get(mutation.mutation_id)
    assert mutation.state is PENDING
    office.sandbox.create("campaign_categories", name="Radio")
    time.sleep(0.4)
    mutation = office.work(mutation)
    assert mutation.state is COMPLETED, mutation.error
    assert len(office.sent("campaign_categories:create")) == 1


# what was tried before


def test_what_an_earlier_attempt_took_away_is_done(office: Desk):
    """Its answer was lost, and the next attempt hears that nothing is there."""
    estimate = next(one for one in office.sandbox.records("estimates") if one["items"])
    item = estimate["items"][0]["id"]
    mutation = office.ask("estimates:delete-item", estimate["id"], path_params={"itemId": item})
    office.sandbox.switch_faults({"write_failed_after": ALWAYS})
    mutation = office.work(mutation)
    assert mutation.state is COMPLETED, mutation.error
    assert len(office.sent("estimates:delete-item")) == 1


def test_an_action_whose_answers_were_all_lost_is_unknown(office: Desk):
    """It was done, and nothing shows it: `failed` would be a lie."""
    event = office.sandbox.records("recurring_service_events")[0]
    job = office.sandbox.records("jobs")[0]
    mutation = office.ask("recurring_service_events:mark-complete", event["id"], {"jobId": job["id"]})
    office.sandbox.switch_faults({"write_failed_after": ALWAYS})
    mutation = office.work(mutation, patience=replace(HURRIED, attempts=2))
    assert mutation.state is UNKNOWN, mutation.error
    assert len(office.sent("recurring_service_events:mark-complete")) == 2


def sent_by_hand(office: Desk, mutation: Mutation) -> None:
    """What a runner sends, without its knowing."""
    operation = BY_TITLE[mutation.title]
    path = f"{operation.base}{mutation.tenant_id}/{filled(operation.path, mutation.places)}"
    body = parts(operation, marked(operation, mutation.payload, mutation.ref))
    write(office.client, operation.method, path, Meter(), permitted(office.client), **body)


@pytest.mark.parametrize(
    ("title", "payload"),
    [("customers:create", new_customer()), ("campaign_categories:create", {"name": "Radio"})],
    ids=["marked", "by content"],
)
def test_a_person_who_is_wrong_makes_nothing_twice(office: Desk, title: str, payload: Any):
    """Resolved as not done, it is looked for before it is sent again."""
    mutation = office.ask(title, None, payload)
    queue = Queue(office.operations)
    [claimed] = queue.claim("slow", 1)
    assert queue.mark_sent(claimed, {"keys": []}, [])
    sent_by_hand(office, claimed)
    assert queue.settle(claimed, Settlement("in doubt", "Nobody knows."))
    mutation = office.work(office.queue.decide(queue.get(mutation.mutation_id), "resolve not_done", "Bob"))
    assert mutation.state is COMPLETED, mutation.error
    assert mutation.new_id
    assert len(office.sent(title)) == 1


# what does not pass by itself


def test_a_record_that_may_not_be_read_fails(office: Desk):
    """Nothing is sent, and its lane goes on."""
    record = customer(office)
    mutation = office.ask("customers:update", record["id"], {"name": "Unseen"})
    office.sandbox.hide("customers")
    mutation = office.work(mutation)
    assert mutation.state is FAILED
    assert "cannot be read" in str(mutation.error)
    assert office.sent("customers:update") == []


def test_what_was_sent_and_may_not_be_read_is_unknown(office: Desk):
    """It does not stay in `processing`."""
    mutation = office.ask("customers:update", customer(office)["id"], {"name": "Unseen"})
    brief = Queue(office.operations, lease=timedelta(seconds=-1))
    [claimed] = brief.claim("dead", 1)
    assert brief.mark_sent(claimed, {}, [])
    office.sandbox.hide("customers")
    assert office.work(mutation).state is UNKNOWN


@pytest.mark.parametrize(("is_sent", "state"), [(False, FAILED), (True, UNKNOWN)], ids=["unsent", "sent"])
def test_what_kills_its_runners_is_given_up(office: Desk, state: Any, *, is_sent: bool):
    """After eight in a row; what other runners did in between does not count."""
    mutation = office.ask("customers:update", customer(office)["id"], {"name": "Poison"})
    brief = Queue(office.operations, lease=timedelta(seconds=-1))
    [claimed] = brief.claim("dead", 1)
    if is_sent:
        assert brief.mark_sent(claimed, {}, [])
    for _ in range(7):
        assert len(brief.take_over("dead", 1)) == 1
    mutation = office.work(mutation)
    assert mutation.state is state
    assert "8 runners" in str(mutation.error)
    assert office.sent("customers:update") == []


# a store that is away for a moment


class Away:
    """Raises a number of times instead of doing, or after having done it."""

    def __init__(self, work: Any, times: int, *, is_after: bool = False, error: Exception | None = None) -> None:
        self.work, self.times, self.is_after, self.met = work, times, is_after, 0
        self.error = error or StoreUnreachableError("away")

    def __call__(self, *args: Any, **more: Any) -> Any:
        if self.times <= 0:
            return self.work(*args, **more)
        self.times, self.met = self.times - 1, self.met + 1
        if self.is_after:
            self.work(*args, **more)
        raise self.error


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_an_end_is_written_down_over_a_store_that_is_away(office: Desk, monkeypatch: Any, *, is_after: bool):
    """What ServiceTitan answered is not forgotten: a create is completed, and made once."""
    mutation = office.ask("leads:submit-lead-form", None, {"name": "Ada", "summary": "Leak"})
    away = Away(office.queue.settle, 2, is_after=is_after)
    monkeypatch.setattr(office.queue, "settle", away)
    mutation = office.work(mutation)
    assert mutation.state is COMPLETED, mutation.error
    assert away.met == 2
    assert len(office.sent("leads:submit-lead-form")) == 1


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_a_store_that_is_away_when_it_would_be_sent_leaves_no_doubt(office: Desk, monkeypatch: Any, *, is_after: bool):
    """Nothing went out, whether or not the commit of `sent_at` got through: it is sent later, once."""
    mutation = office.ask("leads:submit-lead-form", None, {"name": "Ada", "summary": "Leak"})
    monkeypatch.setattr(office.queue, "mark_sent", Away(office.queue.mark_sent, 1, is_after=is_after))
    mutation = office.work(mutation)
    assert mutation.state is COMPLETED, mutation.error
    assert len(office.sent("leads:submit-lead-form")) == 1


def test_a_budget_that_is_away_leaves_no_doubt(office: Desk, monkeypatch: Any):
    """It is asked before anything is noted as sent."""
    mutation = office.ask("leads:submit-lead-form", None, {"name": "Ada", "summary": "Leak"})
    monkeypatch.setattr(office.client.budget, "take", Away(office.client.budget.take, 1))
    mutation = office.work(mutation)
    assert mutation.state is COMPLETED, mutation.error
    assert [step.did for step in mutation.history].count("send") == 1


def test_a_good_answer_is_kept_when_it_cannot_be_read_back(office: Desk, monkeypatch: Any):
    """The budget is away behind a 200: it is done, and not unknown."""
    invoice = office.sandbox.records("invoices")[0]
    body = required_example(BY_TITLE["invoices:update-invoice-items"])
    mutation = office.ask("invoices:update-invoice-items", invoice["id"], body)
    real, met = office.client.budget.take, []

    def take() -> float:
        if office.sent("invoices:update-invoice-items") and not met:
            met.append(1)
            raise StoreUnreachableError("away")
        return real()

    monkeypatch.setattr(office.client.budget, "take", take)
    mutation = office.work(mutation)
    assert met
    assert (mutation.state, mutation.answer_status) == (COMPLETED, 200), mutation.error


@pytest.mark.parametrize(("longest", "state"), [(timedelta(days=1), PROCESSING), (timedelta(0), UNKNOWN)], ids=str)
def test_what_cannot_be_asked_for_now_is_looked_at_later(office: Desk, monkeypatch: Any, longest: Any, state: Any):
    """While ServiceTitan is away nobody knows what became of it; after a day a person has to look."""
    record = customer(office)
    mutation = office.ask("customers:update", record["id"], {"name": "x"})
    brief = Queue(office.operations, lease=timedelta(seconds=-1))
    [claimed] = brief.claim("dead", 1)
    assert brief.mark_sent(claimed, record, [])
    with monkeypatch.context() as patch:
        patch.setattr("outbound.attempt.LONGEST_DOUBT", longest)
        patch.setattr("outbound.live.Live.record", Away(None, 1, error=UnreachableError("away")))
        [taken] = office.queue.take_over("runner", 1)
        office.runner().work(taken)
    mutation = office.queue.get(mutation.mutation_id)
    assert mutation.state is state
    if state is PROCESSING:
        assert [step.did for step in mutation.history][-1] == "look later"
        assert office.work(mutation).state is COMPLETED


def test_a_note_is_found_on_a_later_page(office: Desk, monkeypatch: Any):
    """However many there are, one whose answer was lost is not made again."""
    key = customer(office)["id"]
    for number in range(3):
        office.push("customer_notes:create-note", key, {"text": f"note {number}"})
    mutation = office.ask("customer_notes:create-note", key, {"text": "last"})
    monkeypatch.setattr("outbound.live.PAGE", 1)
    office.sandbox.switch_faults({"write_cut_after": ALWAYS})
    mutation = office.work(mutation)
    assert mutation.state is COMPLETED, mutation.error
    assert [body["text"] for body in office.sent("customer_notes:create-note")].count(f"last [ref:{mutation.ref}]") == 1


@pytest.mark.parametrize(
    ("title", "error"),
    [
        ("The service is suspended for maintenance. Please try again later.", NotSentError),
        ("The customer has an active Maintenance Plan.", WriteRefusedError),
    ],
)
def test_only_a_suspended_service_is_tried_again(title: str, error: type[Exception]):
    """A conflict that names a Maintenance Plan would be one for ever."""
    with pytest.raises(error):
        judged(httpx.Response(409, json={"title": title}, request=httpx.Request("PATCH", "http://127.0.0.1")))


def test_a_tenant_without_credentials_keeps_nothing_in_processing(office: Desk):
    """What was sent for it and cannot be looked at becomes unknown."""
    mutation = office.ask("customers:update", customer(office)["id"], {"name": "x"})
    brief = Queue(office.operations, lease=timedelta(seconds=-1))
    [claimed] = brief.claim("dead", 1)
    assert brief.mark_sent(claimed, {}, [])

    def nobody(_: int) -> Any:
        raise SettingsError("no credentials")

    for _ in range(9):
        for taken in brief.take_over("lost", 1):
            Runner(brief, nobody, HURRIED).work(taken)
    assert office.queue.get(mutation.mutation_id).state is UNKNOWN


# leases


def test_all_waiting_is_done_before_it_is_noted_as_sent(office: Desk, monkeypatch: Any):
    """A place in the budget can be minutes away: by then another runner may have it."""
    mutation, noted, take = office.ask("customers:create", None, new_customer()), [], office.client.budget.take

    def taken() -> float:
        noted.append(office.queue.get(mutation.mutation_id).sent_at)
        return take()

    monkeypatch.setattr(office.client.budget, "take", taken)
    assert office.work(mutation).state is COMPLETED
    assert noted[0] is None


def test_what_comes_too_late_is_not_sent(office: Desk):
    """A runner that was held up behind its mark sends nothing: another one may have sent it already."""
    mutation = office.ask("customers:create", None, new_customer())
    brief = Queue(office.operations, lease=timedelta(seconds=-1))
    runner = Runner(brief, lambda _: office.client, HURRIED)
    [claimed] = brief.claim("slow", 1)
    runner.work(claimed)
    assert office.sent("customers:create") == []
    assert office.queue.get(mutation.mutation_id).state is PENDING
    assert office.work(mutation).state is COMPLETED
    assert len(office.sent("customers:create")) == 1


# whose change it is


def test_two_changes_of_one_field_follow_each_other(office: Desk):
    """The second was asked for before the first was done: what the first made is no conflict."""
    record = customer(office)
    first, second = (office.ask("customers:update", record["id"], {"name": name}, base=record) for name in "ab")
    office.runner().once()
    states = [office.queue.get(one.mutation_id).state for one in (first, second)]
    assert states == [COMPLETED, COMPLETED]
    assert customer(office)["name"] == "b"


def test_a_retry_does_not_go_over_a_newer_change_of_ours(office: Desk):
    """It failed, a newer one was done: the older wish is a conflict."""
    record = customer(office)
    older = office.ask("customers:update", record["id"], {"name": "older"}, base=record)
    queue = Queue(office.operations)
    [claimed] = queue.claim("a", 1)
    assert queue.settle(claimed, Settlement("refused", "No."))
    assert office.push("customers:update", record["id"], {"name": "newer"}, base=record).state is COMPLETED
    older = office.work(office.queue.decide(queue.get(older.mutation_id), "retry", "Bob"))
    assert older.state is CONFLICT
    assert customer(office)["name"] == "newer"


def test_a_base_that_lacks_our_own_last_change_is_no_conflict(office: Desk):
    """It was completed before the second was asked for, and is not in the copy yet."""
    record = customer(office)
    assert office.push("customers:update", record["id"], {"name": "a"}, base=record).state is COMPLETED
    second = office.push("customers:update", record["id"], {"name": "b"}, base=record)
    assert second.state is COMPLETED, second.error


def test_a_put_that_leaves_out_what_is_there_is_sent(office: Desk):
    """It empties that, although all that it names is as wanted already."""
    contact = office.sandbox.records("contacts")[0]
    contact = office.sandbox.change("contacts", contact["id"], title="Mr", name="Ada")
    body = {"name": "Ada", "isArchived": contact["isArchived"]}
    assert office.push("contacts:replace", contact["id"], body).state is COMPLETED
    assert office.sent("contacts:replace") == [body]


def test_somebody_elses_change_between_two_of_ours_is_a_conflict(office: Desk):
    """With what ours had made as the base."""
    record = customer(office)
    office.push("customers:update", record["id"], {"name": "a"}, base=record)
    second = office.ask("customers:update", record["id"], {"name": "b"}, base=record)
    office.sandbox.change("customers", record["id"], name="theirs")
    assert office.work(second).state is CONFLICT


def test_mine_goes_over_what_a_person_saw_and_nothing_newer(office: Desk):
    """What changed there after somebody said `mine` is another conflict."""
    record = customer(office)
    mutation = office.ask("customers:update", record["id"], {"name": "Mine"})
    office.sandbox.change("customers", record["id"], name="Theirs")
    mutation = office.queue.decide(office.work(mutation), "resolve mine", "Bob")
    office.sandbox.change("customers", record["id"], name="Newer")
    mutation = office.work(mutation)
    assert mutation.state is CONFLICT
    assert mutation.conflict == {"name": {"base": "Theirs", "theirs": "Newer", "mine": "Mine"}}
    assert office.work(office.queue.decide(mutation, "resolve mine", "Bob")).state is COMPLETED
    assert customer(office)["name"] == "Mine"


def test_what_a_put_would_empty_over_somebodys_head_is_a_conflict(office: Desk):
    """The title changed there, and the body leaves it out."""
    contact = office.sandbox.records("contacts")[0]
    mutation = office.ask("contacts:replace", contact["id"], {"name": "Ada", "isArchived": contact["isArchived"]})
    office.sandbox.change("contacts", contact["id"], title="Owner")
    mutation = office.work(mutation)
    assert mutation.state is CONFLICT
    assert mutation.conflict == {"title": {"base": contact["title"], "theirs": "Owner", "mine": None}}


def test_a_code_that_looks_like_a_number_is_changed(office: Desk):
    """`10.10` and `10.1` are two codes."""
    service = office.sandbox.records("pricebook_services")[0]
    office.sandbox.change("pricebook_services", service["id"], code="10.10")
    mutation = office.push("pricebook_services:update", service["id"], {"code": "10.1"})
    assert mutation.state is COMPLETED, mutation.error
    assert office.sent("pricebook_services:update") == [{"code": "10.1"}]


# ids


def test_a_guid_is_known_in_any_case(office: Desk):
    """And the copy gets its key as ServiceTitan writes it."""
    entry = office.sandbox.records("journal_entries")[0]
    mutation = office.push("journal_entries:delete-journal-entry", str(entry["id"]).upper())
    assert mutation.state is COMPLETED, mutation.error
    assert len(office.sent("journal_entries:delete-journal-entry")) == 1
    assert mutation.landing is not None
    assert mutation.landing[0][2].casefold() == str(entry["id"]).casefold()
    assert not mutation.landing[0][2].isupper()


@pytest.mark.parametrize("title", ["zones:update-zone", "zones:delete-zone"])
def test_an_id_that_nobody_knows_fails(office: Desk, title: str):
    """Neither the copy nor ServiceTitan has it: it is mistyped, and not gone."""
    mutation = office.push(title, 999_999_999, {"name": "x"} if "update" in title else None)
    assert mutation.state is FAILED
    assert "Check the id" in str(mutation.error)


def test_a_call_can_be_updated(office: Desk):
    """Although it cannot be read in the shape of the copy, so that nothing can be compared."""
    call = office.sandbox.records("calls_v2")[0]
    owner = customer(office)
    address = {name: "" if value is None else value for name, value in owner["address"].items()}
    place = {"id": owner["id"], "name": owner["name"], "address": address, "contacts": []}
    location = {"id": office.sandbox.records("locations")[0]["id"], "name": "Home", "address": address, "contacts": []}
    body = {"excuseMemo": "wrong number", "callType": "Excused", "customer": place, "location": location}
    mutation = office.push("calls:update", call["id"], required_example(BY_TITLE["calls:update"]) | body)
    assert mutation.state is COMPLETED, mutation.error
    assert len(office.sent("calls:update")) == 1


def test_an_invoices_task_is_known_by_its_own_id(office: Desk):
    """It is landed as a task of its invoice."""
    invoice = office.sandbox.records("invoices")[0]
    mutation = office.push("invoices:create-invoice-task", invoice["id"], {"templateId": "a"})
    assert mutation.state is COMPLETED, mutation.error
    assert mutation.new_id
    assert mutation.landing is not None
    assert [row[:2] for row in mutation.landing] == [["invoice_tasks", str(invoice["id"])]]
