"""What somebody asks for, checked before anything is queued."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbound.body import required_example
from outbound.exceptions import BadBodyError, BadMutationError, NotOfferedError
from outbound.operations import ALIASES, BY_TITLE, CREATE, NOT_OFFERED, OPERATIONS, POST, Operation
from outbound.request import LONGEST_NAME, Asked, Prepared, prepared, request_hash, wanted

CURRENT = [operation for operation in OPERATIONS if not operation.is_withdrawn]
WITHDRAWN = [operation for operation in OPERATIONS if operation.is_withdrawn]
ABOUT_A_RECORD = [operation for operation in OPERATIONS if operation.record]
ABOUT_NONE = [operation for operation in OPERATIONS if not operation.record]
RECORD = 17


def makes_only(operation: Operation) -> bool:
    """Whether nothing is changed by it that is there already."""
    return operation.kind is CREATE or (operation.method == POST and not operation.is_harmless_twice)


INJECTIONS = ("", " ", "1/2", "../1", "..", ".", "1?x=1", "1#x", "1%2f2", "{id}", "1 2", "1\n", "1;2", "١٢", "a" * 101)


def every(operations: list[Operation]) -> pytest.MarkDecorator:
    """The test holds for all of these."""
    return pytest.mark.parametrize("operation", operations, ids=lambda operation: operation.title)


def asked(title: str, **changes: Any) -> Asked:
    """The smallest request for an operation."""
    operation, (entity, name) = BY_TITLE[title], title.split(":")
    others = [name for name in operation.placeholders if name != operation.record]
    smallest = {
        "entity_id": RECORD if operation.record else None,
        "path_params": {name: f"p{number}" for number, name in enumerate(others)},
        "payload": required_example(operation),
    }
    return Asked(entity_type=entity, operation=name, **smallest | changes)


def ready(title: str, **changes: Any) -> Prepared:
    """What it comes to."""
    return prepared(asked(title, **changes), with_withdrawn=True)


@every(list(OPERATIONS))
def test_the_path_of_every_operation_is_filled(operation: Operation):
    """No placeholder is left, and each value stands in its own place."""
    found = ready(operation.title)
    assert found.operation is operation
    assert "{" not in found.path
    assert found.path.count("/") == operation.path.count("/")
    assert list(found.places) == list(operation.placeholders)
    assert found.record_id == (str(RECORD) if operation.record else None)


@every(ABOUT_A_RECORD)
def test_a_missing_record_is_told(operation: Operation):
    """By the name of the field that lacks."""
    with pytest.raises(BadMutationError, match="`entity_id` must name it") as caught:
        ready(operation.title, entity_id=None)
    assert caught.value.parameter == "entity_id"


@every(ABOUT_NONE)
def test_a_record_is_refused_where_none_is_meant(operation: Operation):
    """It would be dropped in silence otherwise."""
    with pytest.raises(BadMutationError, match="takes no `entity_id`"):
        ready(operation.title, entity_id=RECORD)


@every([operation for operation in OPERATIONS if len(operation.placeholders) > bool(operation.record)])
def test_every_further_parameter_is_needed(operation: Operation):
    """Each that lacks is named."""
    with pytest.raises(BadMutationError) as caught:
        ready(operation.title, path_params={})
    for name in operation.placeholders:
        assert (f"`{name}`" in str(caught.value)) is (name != operation.record)


def test_an_unknown_parameter_is_told_with_the_nearest():
    """And with those that there are."""
    with pytest.raises(BadMutationError, match=r"has `contactid`.*Did you mean `contactId`\? Known: `contactId`"):
        ready("customers:delete-contact", path_params={"contactid": 1})
    with pytest.raises(BadMutationError, match="Known: none"):
        ready("customers:update", path_params={"id": 5})


@pytest.mark.parametrize("value", INJECTIONS, ids=repr)
def test_a_value_that_would_lead_elsewhere_is_refused(value: str):
    """Of the record, of a parameter, and of a record in the body; `..` would take the segment before it away."""
    for refused in (
        asked("customers:update", entity_id=value),
        asked("customers:delete-contact", path_params={"contactId": value}),
        Asked(entity_type="appointments", operation="unassign", entity_id=value, payload={"technicianIds": [1]}),
    ):
        with pytest.raises(BadMutationError):
            prepared(refused)


@pytest.mark.parametrize("value", [1, 2**63 - 1, "1", "a.b-c_d:e~f@g", "a" * 100, "..a", "1.."], ids=repr)
def test_an_id_as_servicetitan_has_them_is_taken(value: int | str):
    """Numbers, and names with signs that mean nothing in a path."""
    assert ready("customers:update", entity_id=value).path == f"customers/{value}"


@given(st.text(max_size=5))
def test_no_id_changes_the_path(value: str):
    """Whatever is taken stands in one segment of its own."""
    try:
        path = ready("customer_notes:create-note", entity_id=value).path
    except BadMutationError:
        return
    assert path.split("/") == ["customers", value, "notes"]


def test_a_record_and_what_is_below_it_share_a_lane():
    """Its notes, its contacts and its tags are changed one after another with itself; other records are not."""
    below = (
        "customer_notes:create-note",
        "customers:create-contact",
        "customers:delete-contact",
        "customers:create-tag",
    )
    lane = ready("customers:update").lane
    assert lane == "crm/v2/tenant/customers/17"
    assert {ready(title).lane for title in below} == {lane}
    assert ready("customers:update", entity_id=18).lane != lane
    assert ready("locations:update").lane != lane


@every(ABOUT_A_RECORD)
def test_every_change_of_a_record_has_its_lane(operation: Operation):
    """The same for a number and for its text, another for another record."""
    lane = ready(operation.title).lane
    assert lane
    assert lane.endswith(f"/{RECORD}")
    assert ready(operation.title, entity_id=str(RECORD)).lane == lane
    assert ready(operation.title, entity_id=RECORD + 1).lane != lane


@every(ABOUT_A_RECORD)
def test_a_records_lane_is_below_that_of_its_list(operation: Operation):
    """So that what changes the whole list waits for it."""
    found = ready(operation.title)
    assert found.lane == f"{found.lane_above}/{RECORD}"


@every([operation for operation in ABOUT_NONE if makes_only(operation)])
def test_what_only_makes_something_waits_for_nothing(operation: Operation):
    """It has no lane."""
    found = ready(operation.title)
    assert (found.lane, found.lane_above) == (None, None)


@every([operation for operation in ABOUT_NONE if not makes_only(operation)])
def test_what_names_its_records_in_the_body_has_a_lane(operation: Operation):
    """The list's, unless the body names the one record as the original does: an older value never overwrites a newer one."""
    found = ready(operation.title)
    assert found.lane
    assert found.lane_above is None or found.lane.startswith(f"{found.lane_above}/")


def test_a_list_is_above_its_records():
    """Custom fields, tags and states of many records wait for changes of one, and they for them."""
    for whole, one in (
        ("payments:update-status", "payments:update"),
        ("payment_custom_fields:update-custom-fields", "payments:update"),
        ("customers:add-tags", "customers:update"),
        ("projects:detach-job", "projects:update"),
    ):
        assert ready(whole).lane == ready(one).lane_above
    [assigned, same] = [
        ready("appointment_assignments:assign-technicians", payload={"jobAppointmentId": 17, "technicianIds": [1]}),
        ready("appointments:reschedule"),
    ]
    assert (assigned.lane, assigned.lane_above) == (same.lane, same.lane_above)


def test_one_providers_bookings_are_not_anothers():
    """What names no record belongs to the lane all the same."""
    lanes = {ready("bookings:update", path_params={"booking_provider": each}).lane for each in ("a", "b")}
    assert len(lanes) == 2


@every(WITHDRAWN)
def test_a_withdrawn_operation_is_off_unless_enabled(operation: Operation):
    """It is said how it is enabled."""
    with pytest.raises(NotOfferedError, match="LAZI_WITHDRAWN_OPERATIONS=on"):
        prepared(asked(operation.title))
    assert prepared(asked(operation.title), with_withdrawn=True).operation is operation


@every(CURRENT)
def test_an_unknown_field_is_refused_in_every_body(operation: Operation):
    """ServiceTitan would drop it and say nothing."""
    body = required_example(operation)
    if isinstance(body, list):
        body[0]["nonsense"] = 1
    else:
        body = {**(body or {}), "nonsense": 1}
    with pytest.raises(BadBodyError):
        ready(operation.title, payload=body)


@pytest.mark.parametrize("alias", ALIASES, ids=lambda alias: f"{alias.entity}:{alias.name}")
def test_an_alias_asks_for_its_operation(alias):
    """With the record in the path or in the body."""
    operation = BY_TITLE[":".join(alias.means)]
    record, body = RECORD if operation.record or alias.record_field else None, required_example(operation)
    if alias.record_field:
        del body[alias.record_field]
    found = prepared(Asked(entity_type=alias.entity, operation=alias.name, entity_id=record, payload=body))
    assert found.operation is operation
    assert found.record_id == (str(record) if record else None)
    assert not alias.record_field or found.body[alias.record_field] == RECORD


def test_an_appointment_is_assigned_by_its_id():
    """As the original had it: `entity_id` becomes ServiceTitan's `jobAppointmentId`, and the appointment has a lane."""
    found = prepared(
        Asked(entity_type="appointments", operation="assign", entity_id="17", payload={"technicianIds": [1, 2]})
    )
    assert found.operation.title == "appointment_assignments:assign-technicians"
    assert found.body == {"jobAppointmentId": 17, "technicianIds": [1, 2]}
    assert found.lane
    assert found.lane.endswith("/17")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"entity_id": None}, "`entity_id` must name it"),
        ({"payload": {"jobAppointmentId": 18, "technicianIds": [1]}}, "Name one record"),
        ({"payload": [1]}, "must be an object"),
    ],
    ids=["no record", "two records", "no object"],
)
def test_an_assignment_that_does_not_say_which_appointment_is_refused(changes: dict[str, Any], text: str):
    """Neither none nor two."""
    request = {"entity_id": 17, "payload": {"technicianIds": [1]}} | changes
    with pytest.raises((BadMutationError, BadBodyError), match=text):
        prepared(Asked(entity_type="appointments", operation="assign", **request))


@pytest.mark.parametrize("refusal", NOT_OFFERED, ids=lambda refusal: f"{refusal.entity}:{refusal.name}")
def test_what_is_not_offered_names_the_nearest(refusal):
    """Before the body is looked at."""
    with pytest.raises(NotOfferedError, match=f"Nearest: `{refusal.nearest[0]}`"):
        prepared(Asked(entity_type=refusal.entity, operation=refusal.name, entity_id=RECORD, payload="nonsense"))


def test_the_hash_is_of_all_that_is_asked_but_the_key():
    """The same request under another key is the same request; with anything else it is another one."""
    one = asked("customers:update", payload={"name": "x"}, idempotency_key="a")
    assert request_hash(one) == request_hash(msgspec.structs.replace(one, idempotency_key="b"))
    for change in (
        {"entity_type": "locations"},
        {"operation": "create"},
        {"entity_id": 18},
        {"path_params": {"a": 1}},
        {"payload": {"name": "y"}},
        {"initiated_by": "anna"},
        {"based_on_payload_hash": "h"},
    ):
        assert request_hash(msgspec.structs.replace(one, **change)) != request_hash(one), change


@given(st.permutations(["name", "type", "doNotMail"]))
def test_the_hash_does_not_hang_on_the_order_of_fields(names: list[str]):
    """JSON objects have none."""
    payload = dict.fromkeys(names, "x")
    assert request_hash(asked("customers:update", payload=payload)) == request_hash(
        asked("customers:update", payload=dict.fromkeys(["name", "type", "doNotMail"], "x"))
    )


def queued(request: Asked, **changes: Any) -> Any:
    """A request as the queue takes it."""
    values = {"tenant_id": 3, "key_id": "k", "name": "n8n", "base": None, "base_hash": None, "is_held": False}
    return wanted(request, prepared(request), **values | changes)


def test_the_queue_gets_servicetitans_names_and_the_tenants_lane():
    """Who initiates it is the key, unless the request names somebody."""
    found = queued(asked("customers:update", payload={"name": "x"}))
    assert (found.entity, found.operation, found.lane) == ("customers", "update", "3/crm/v2/tenant/customers/17")
    assert found.initiated_by == "n8n"
    assert queued(asked("customers:update", initiated_by=" anna ")).initiated_by == "anna"
    assert queued(asked("customers:create")).lane is None


@pytest.mark.parametrize("field", ["initiated_by", "idempotency_key"])
@pytest.mark.parametrize("value", [" ", "a\nb", "a\0", "x" * (LONGEST_NAME + 1)], ids=repr)
def test_a_name_that_cannot_be_shown_is_refused(field: str, value: str):
    """Too long, blank, or with signs that are not printed."""
    with pytest.raises(BadMutationError, match="printable"):
        queued(asked("customers:update", **{field: value}))
