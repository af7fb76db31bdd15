"""What a body may and must hold, for every operation."""

import copy
import json
from collections.abc import Iterator
from decimal import Decimal
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbound.body import DEEPEST, KINDS, check, faults, fits, kind_of, required_example
from outbound.exceptions import BadBodyError
from outbound.operations import BY_TITLE, OPERATIONS, UPDATE, Operation
from outbound.registry import BodyField, Node, load, top_names, tree


def every(operations: list[Operation]) -> pytest.MarkDecorator:
    """The test holds for all of these."""
    return pytest.mark.parametrize("operation", operations, ids=lambda operation: operation.title)


WITH_BODY = [operation for operation in OPERATIONS if tree(operation.title)]
WITHOUT = [operation for operation in OPERATIONS if not tree(operation.title)]
UPLOADS = [operation for operation in OPERATIONS if operation.is_upload]
LISTS = [operation for operation in OPERATIONS if operation.is_list]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def field(kind: str, form: str = "", *enum: str) -> BodyField:
    return BodyField("x", kind, form, nullable=False, required=False, enum=enum)


def fullest(node: Node) -> Any:
    """A value with every documented field."""
    if node.children:
        return {name: fullest(child) for name, child in node.children.items()}
    if node.element:
        return [fullest(node.element)]
    return next(iter(node.field.enum), kind_of(node.field).example)


def objects(node: Node, value: Any, where: str) -> Iterator[tuple[str, dict]]:
    """The objects in a fullest body whose fields are documented, and where they are."""
    if node.children:
        yield where, value
        for name, child in node.children.items():
            yield from objects(child, value[name], f"{where}.{name}" if where else name)
    elif node.element:
        yield from objects(node.element, value[0], f"{where}[0]")


def record_of(body: Any) -> dict:
    """The object that holds the body's own fields."""
    return body[0] if isinstance(body, list) else body


@every(list(OPERATIONS))
def test_what_is_required_is_enough(operation: Operation):
    """The example holds it, and nothing is wrong with it."""
    assert faults(operation, required_example(operation)) == []


@every(WITH_BODY)
def test_everything_that_is_documented_is_taken(operation: Operation):
    """A body with every field, as JSON gives it back."""
    assert faults(operation, json.loads(json.dumps(fullest(tree(operation.title))))) == []


@every(WITH_BODY)
def test_what_is_missing_is_told_by_name(operation: Operation):
    """Each required field of the body's own."""
    example, parent = required_example(operation), "[]" if operation.is_list else ""
    for name in [field.name for field in load()[operation.title] if field.required and field.parent == parent]:
        body = copy.deepcopy(example)
        del record_of(body)[name]
        path = f"[0].{name}" if operation.is_list else name
        assert any(fault.startswith(f"`{path}` is missing; it must be ") for fault in faults(operation, body))


@every(WITH_BODY)
def test_an_unknown_field_is_told_at_every_depth(operation: Operation):
    """One fault, which names where it is."""
    root = tree(operation.title)
    body = fullest(root)
    for where, record in objects(root, body, ""):
        record["qqq0"] = 1
        [fault] = faults(operation, body)
        assert fault.startswith(f"`{where}.qqq0`" if where else "`qqq0`")
        assert "is not a field here; known are `" in fault
        del record["qqq0"]


@every(WITH_BODY)
def test_a_misspelt_field_names_the_nearest(operation: Operation):
    """A letter too many, and words with underscores instead of capitals."""
    for name in top_names(operation.title):
        body = required_example(operation)
        record_of(body)[f"{name}x"] = 1
        assert any(f"did you mean `{name}`" in fault or f" or `{name}`" in fault for fault in faults(operation, body))


@every([operation for operation in WITH_BODY if operation.kind is UPDATE])
def test_an_update_of_nothing_is_told(operation: Operation):
    """ServiceTitan would answer 200."""
    assert faults(operation, {})[0].startswith("There is nothing to change; known are `")


@every(WITHOUT)
def test_without_a_body_nothing_is_taken(operation: Operation):
    """None and an empty object are nothing."""
    assert faults(operation, None) == faults(operation, {}) == []
    for body in ({"a": 1}, [], [1], "", 0, False):
        [fault] = faults(operation, body)
        assert "takes no payload" in fault


@every([operation for operation in WITH_BODY if not operation.is_list])
def test_a_body_is_an_object(operation: Operation):
    """Nothing else will do, not even nothing."""
    for body in (None, [], "text", 1):
        [fault] = faults(operation, body)
        assert "it must be an object" in fault


@every(LISTS)
def test_a_list_body_is_a_list_with_something_in_it(operation: Operation):
    """And what is wrong is told with its place in the list."""
    assert faults(operation, []) == ["The payload is an empty list; there is nothing to send."]
    assert faults(operation, {}) == ["The payload is an object; it must be a list."]
    [item] = required_example(operation)
    assert faults(operation, [item] * 3) == []
    assert faults(operation, [item, 7]) == ["`[1]` is `7`; it must be an object."]


@every(UPLOADS)
def test_an_upload_is_a_name_a_type_and_base64(operation: Operation):
    """Nothing else, and the type cannot smuggle a header in."""
    good = {"file_name": "Müller, roof.jpg", "content_type": "image/jpeg", "content": "/9j/4AA="}
    assert faults(operation, good) == []
    assert faults(operation, good | {"content_type": "text/plain; charset=utf-8"}) == []
    for bad in (
        {"content": "/9j/4AA"},
        {"content": "ü"},
        {"content": 1},
        {"file_name": ""},
        {"file_name": "../roof.jpg"},
        {"content_type": "image"},
        {"content_type": "image/jpeg\r\nX-Evil: 1"},
        {"file": "x"},
    ):
        [fault] = faults(operation, good | bad)
        assert fault.startswith(f"`{next(iter(bad))}` is ")
    assert len(faults(operation, {})) == 3


def test_every_type_in_the_registry_is_known():
    """And each kind's example is of its kind."""
    assert {found.type for record in load().values() for found in record} <= {kind for kind, _ in KINDS}
    assert all(kind.fits(kind.example) for kind in KINDS.values())


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (field("integer"), [0, -(2**63), 2**63 - 1], [True, 1.0, Decimal(1), "1", 2**63, None, [], 10**5000]),
        (field("integer", "int64"), [2**40], [2**64]),
        (field("integer", "int32"), [2**31 - 1, -(2**31)], [2**31]),
        (
            field("number", "decimal"),
            [0, -1, 1.5, Decimal("12.30"), 10**30],
            [True, "1.5", nan, inf, -inf, Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), 10**400, None, {}],
        ),
        (field("string"), ["", "text", "12.30"], [1, 1.5, True, None, [], {}]),
        (field("boolean"), [True, False], [0, 1, "true", None]),
        (field("object"), [{}, {"a": 1}], [[], "x", None]),
        (field("array"), [[], [1]], [{}, "x", None]),
        (field("any"), [None, 1, "x", [], {}], []),
        (
            field("string", "date-time"),
            [
                "2026-01-02T03:04:05Z",
                "2026-01-02T03:04:05.8446003Z",
                "2026-01-02T03:04:05+02:00",
                "2026-01-02t03:04:05z",
                "2026-01-02 03:04",
                "2028-02-29T00:00:00",
            ],
            [
                "2026-01-02",
                "yesterday",
                "2026-02-29T00:00:00Z",
                "2026-01-02T25:00:00Z",
                "",
                1767322800,
                None,
                "\u0662026-01-02T00:00Z",
            ],
        ),
        (
            field("string", "date"),
            ["2026-01-02", "2026-01-02T00:00:00", "2026-01-02T00:00:00.0000000Z"],
            ["2026-01-02T03:00:00Z", "02.01.2026", "2026-13-01", "20260102", 20260102],
        ),
        (
            field("string", "guid"),
            ["3f2504e0-4f89-41d3-9a0c-0305e82c3301", "{3F2504E0-4F89-41D3-9A0C-0305E82C3301}", "0" * 32],
            ["", "3f2504e0", "g" * 32, "0" * 31 + "_", 7],
        ),
        (field("string", "", "High", "Low"), ["High", "low", "LOW"], ["", "Medium", "High ", 1, None]),
        (field("integer", "", "1", "2"), [1, 2], [3, "1", True, 1.0]),
    ],
    ids=lambda value: f"{value.type} {value.format} {' '.join(value.enum)}" if isinstance(value, BodyField) else "",
)
def test_a_type_takes_what_is_of_it(kind: BodyField, good: list, bad: list):
    """And nothing that is only like it."""
    assert [value for value in good if not fits(kind, value)] == []
    assert [value for value in bad if fits(kind, value)] == []


@pytest.mark.parametrize(
    ("title", "body", "expected"),
    [
        ("customers:update", {"adress": {}}, "`adress` is not a field here; did you mean `address`?"),
        ("customers:update", {"tag_type_ids": [1]}, "`tag_type_ids` is not a field here; did you mean `tagTypeIds`?"),
        ("customers:update", {"NAME": "x"}, "`NAME` is not a field here; did you mean `name`?"),
        ("customers:update", {"type": "Residental"}, '`type` is `"Residental"`; it must be one of `Residential`, '),
        ("customers:update", {"tagTypeIds": [1, "2"]}, '`tagTypeIds[1]` is `"2"`; it must be a whole number of '),
        ("customers:update", {"address": []}, "`address` is a list of 0; it must be an object"),
        (
            "jobs:hold",
            {"reasonId": None, "memo": "x"},
            "`reasonId` is `null`; it must be a whole number of at most 64 bits.",
        ),
        ("jobs:hold", {"reasonId": {}, "memo": "x"}, "`reasonId` is an object; it must be a whole number of "),
        ("jobs:complete", {"completedOn": "now"}, '`completedOn` is `"now"`; it must be a moment such as `2026-'),
        ("jobs:hold", {"reasonId": 1e400, "memo": "x"}, "`reasonId` is `inf`; it must be a whole number of "),
        ("jobs:hold", {"reasonId": 10**5000, "memo": "x"}, "`reasonId` is a whole number of 16610 bits; it must be "),
        ("bookings:update-booking-contact", {"memo": None}, "`memo` is `null`; it must be text, or be left out."),
    ],
)
def test_a_fault_says_what_where_and_what_is_allowed(title: str, body: Any, expected: str):
    """In one sentence."""
    [fault] = faults(BY_TITLE[title], body)
    assert fault.startswith(expected)


def test_null_is_taken_only_where_it_is_documented():
    """For every field of every body's own."""
    for operation in WITH_BODY:
        for child in [child for child in tree(operation.title).children.values() if child.field.type != "any"]:
            found = faults(operation, required_example(operation) | {child.field.name: None})
            assert len(found) == (not child.field.nullable), (operation.title, child.field)
            assert all(("be left out" in fault) == (not child.field.required) for fault in found)


def test_what_has_no_documented_fields_takes_all():
    """Report parameters' values, and objects of which the documents name no field."""
    assert faults(BY_TITLE["journal_entries:update"], {"customFields": {"anything": [{"at": {"all": None}}]}}) == []
    parameters = {"parameters": [{"name": "From", "value": value} for value in (None, 1, "x", [1, {}], {"a": nan})]}
    assert faults(BY_TITLE["report_category:start-get-data"], parameters) == []


def test_at_most_twenty_faults_are_listed():
    """And how many more there are; a body of a million mistakes is not put into words."""
    body = {"name": "x"} | {f"{'field' * 20}{number}": number for number in range(50_000)}
    found = faults(BY_TITLE["customers:update"], body)
    assert len(found) == 21
    assert found[-1] == "And 49980 more."


@pytest.mark.parametrize("wrap", [lambda inner: {"customFields": inner}, lambda inner: [inner]], ids=["object", "list"])
def test_what_is_too_deep_is_a_fault(wrap):
    """In any part of the body, documented or not, and however deep; the deepest that is taken is taken."""
    operation = BY_TITLE["journal_entries:update"]
    inner: Any = 1
    for _ in range(DEEPEST - 1):
        inner = wrap(inner)
    assert faults(operation, {"customFields": {"a": inner}})[0].startswith("The payload is more than 40 levels deep")
    assert not any("levels deep" in fault for fault in faults(operation, {"x": inner}))
    for _ in range(100_000):
        inner = wrap(inner)
    assert faults(operation, inner) == ["The payload is more than 40 levels deep."]
    while isinstance(inner, dict | list):  # freed one by one
        inner = inner["customFields"] if isinstance(inner, dict) else inner[0]


def test_a_message_is_short_and_can_be_written():
    """Whatever the names and the values are: long, of several lines, of half a character."""
    for text in ("x" * 10**6, "a\nb\x00", "\ud800" * 500, "`" * 200):
        found = faults(BY_TITLE["jobs:hold"], {text: 1, "reasonId": text, "memo": "x"})
        assert len(found) == 2
        assert all(len(fault.encode()) < 400 and fault.isprintable() for fault in found)


def test_a_bad_body_is_raised_with_all_its_faults():
    """And with the operation's title; a good one is not."""
    with pytest.raises(BadBodyError, match=r"`jobs:hold`.*`reasonId` is missing.*`memo` is missing") as raised:
        check(BY_TITLE["jobs:hold"], {})
    assert len(raised.value.faults) == 2
    check(BY_TITLE["jobs:hold"], {"reasonId": 1, "memo": "x"})


@given(st.sampled_from(OPERATIONS), JSON)
def test_any_json_gives_faults_and_no_other_error(operation: Operation, body: Any):
    """Each a sentence."""
    try:
        check(operation, body)
    except BadBodyError as error:
        assert all(fault.endswith((".", "?")) for fault in error.faults)  # noqa: PT017  the one error that may come


@given(st.sampled_from(WITH_BODY), st.data())
def test_any_value_in_any_place_gives_faults_and_no_other_error(operation: Operation, data: st.DataObject):
    """A documented body with one value of it changed for any other."""
    root = tree(operation.title)
    body = fullest(root)
    record = data.draw(st.sampled_from([record for _, record in objects(root, body, "")] or [{"": 1}]))
    record[data.draw(st.sampled_from(sorted(record)))] = data.draw(JSON)
    assert len(faults(operation, body)) <= 21
