"""The form of a customer: what it shows, and what becomes of what is typed into it. Pure."""

import json
from typing import Any

import pytest

from api.digits import Number, decoded, exact
from api.pages.comparison import compared
from api.pages.customer_change import wanted
from api.pages.customer_form import Filled, groups, label, texts
from api.render import ENCODER
from outbound.body import faults as faults_of_body
from outbound.operations import BY_TITLE

TEXT = b"""{"id": 1, "name": "Ann", "type": "Residential", "active": true, "doNotMail": false, "doNotService": null,
"address": {"street": "1 Elm St", "unit": null, "city": "Troy", "state": "MI", "zip": "01234", "country": "USA",
"latitude": 38.30, "longitude": -99.620942}, "creditLimit": 1457.03, "paymentTermId": 5, "tagTypeIds": [3, 1],
"customFields": [{"typeId": 9, "name": "Gate code", "value": "12"}, {"typeId": 10, "name": "Dog", "value": null}]}"""
BASE = decoded(TEXT)
CHOICES = {"tagTypeIds": [("1", "VIP"), ("2", "Slow"), ("3", "Dog")], "paymentTermId": [("5", "Net 30"), ("6", "Cash")]}


def shown(base: Any = BASE) -> dict[str, list[str]]:
    """What a browser sends of the form as it was shown."""
    fields = [field for group in groups(base, Filled(CHOICES, {})) for field in group.fields]
    return {field.path: (["", *field.values] if field.kind == "several" else [field.value]) for field in fields}


def change(**typed: str | list[str]) -> dict[str, Any]:
    """The payload when these fields are typed over."""
    over = {name.replace("__", "."): [text] if isinstance(text, str) else text for name, text in typed.items()}
    found = wanted(BASE, shown() | over)
    assert found.faults == {}
    payload: dict[str, Any] = json.loads(ENCODER.encode(exact(found.payload)))
    assert payload == {} or faults_of_body(BY_TITLE["customers:update"], payload) == []
    return payload


def test_a_form_that_nobody_touched_changes_nothing():
    """Whatever the record lacks: nulls, missing fields, an address that is none."""
    for base in (
        BASE,
        {"id": 1},
        dict.fromkeys(BASE),
        {**BASE, "name": [], "creditLimit": Number("1E+2")},
        {**BASE, "address": {}, "tagTypeIds": [], "name": "two\nlines"},
    ):
        assert wanted(base, shown(base)).payload == {}
    assert wanted(BASE, {}).payload == {}


def test_only_what_differs_is_part_of_the_change():
    """A field as ServiceTitan takes it: text, a truth, a number with the digits that were typed."""
    assert change(name="Ann Lee") == {"name": "Ann Lee"}
    assert change(doNotMail="true", active="false") == {"active": False, "doNotMail": True}
    assert change(paymentTermId="6") == {"paymentTermId": 6}
    assert ENCODER.encode(exact(wanted(BASE, {"creditLimit": ["12.50"]}).payload)) == b'{"creditLimit":12.50}'
    assert change(creditLimit="1457.030", name=" Ann ") == {}
    assert change(creditLimit="007.5") == {"creditLimit": 7.5}


def test_an_object_is_sent_whole():
    """ServiceTitan takes an address with all its parts; what was not typed stays as it is, to the last digit."""
    payload = exact(wanted(BASE, shown() | {"address.street": ["2 Elm St"]}).payload)
    assert json.loads(ENCODER.encode(payload)) == {
        "address": {
            "street": "2 Elm St",
            "unit": "",
            "city": "Troy",
            "state": "MI",
            "zip": "01234",
            "country": "USA",
            "latitude": 38.3,
            "longitude": -99.620942,
        }
    }
    assert b'"latitude":38.30' in ENCODER.encode(payload)


def test_what_an_object_must_have_is_asked_for():
    """A record may lack what a change of it needs."""
    base = {**BASE, "address": {**BASE["address"], "latitude": None}}
    assert list(wanted(base, shown(base) | {"address.zip": ["1"]}).faults) == ["address.latitude"]
    assert wanted(base, shown(base) | {"address.zip": ["1"], "address.latitude": ["1.5"]}).faults == {}


def test_a_list_keeps_its_order_and_what_it_had():
    """Tags that were there stay where they were, new ones follow; all may be taken away."""
    assert change(tagTypeIds=["", "1", "2", "3"]) == {"tagTypeIds": [3, 1, 2]}
    assert change(tagTypeIds=["", "3"]) == {"tagTypeIds": [3]}
    assert change(tagTypeIds=[""]) == {"tagTypeIds": []}
    assert change(tagTypeIds=["", "1", "3"]) == {}


def test_custom_fields_are_sent_together():
    """Each with its type, as ServiceTitan names it."""
    assert change(customFields__0="34") == {"customFields": [{"typeId": 9, "value": "34"}, {"typeId": 10, "value": ""}]}


def test_a_text_of_several_lines_has_room_for_them():
    """Also in a custom field: a field of one line would lose them, and what nobody touched would be changed."""
    base = {**BASE, "name": "Ann\rLee", "customFields": [{"typeId": 9, "name": "Gate", "value": "left\r\nthen up"}]}
    fields = {field.path: field for group in groups(base, Filled(CHOICES, {})) for field in group.fields}
    assert [fields[path].kind for path in ("name", "customFields.0")] == ["long", "long"]
    assert fields["customFields.0"].value == "left\nthen up"
    assert wanted(base, shown(base)).payload == {}


@pytest.mark.parametrize(
    ("path", "text", "told"),
    [
        ("creditLimit", "much", "`much` is not a number."),
        ("creditLimit", "1e5", "`1e5` is not a number."),
        ("creditLimit", "", "lets nobody empty this"),
        ("paymentTermId", "1.5", "`1.5` is not a whole number."),
        ("address.latitude", "north", "`north` is not a number."),
        ("active", "perhaps", "`perhaps` is not yes or no."),
        ("tagTypeIds", "x", "`x` is not a whole number."),
        ("name", "a\0b", "has a NUL"),
        ("customFields.1", "a\0b", "has a NUL"),
    ],
)
def test_what_is_no_value_of_its_field_is_told(path: str, text: str, told: str):
    """And stays in the form beside what is wrong with it."""
    typed = shown() | {path: [text]}
    found = wanted(BASE, typed)
    assert told in found.faults[path]
    fields = {
        field.path: field for group in groups(BASE, Filled(CHOICES, typed, found.faults)) for field in group.fields
    }
    assert text in fields[path].values or text == ""
    assert fields[path].fault == found.faults[path]


def test_a_value_that_is_no_choice_stays_one():
    """A tag that the copy no longer has, or a type that the documents do not name."""
    base = {**BASE, "type": "Farm", "tagTypeIds": [8]}
    fields = {field.path: field for group in groups(base, Filled(CHOICES, {})) for field in group.fields}
    assert fields["type"].choices[0] == ("Farm", "Farm")
    assert fields["tagTypeIds"].choices[0] == ("8", "8")
    assert fields["doNotService"].choices[0] == ("", "(none)")


def test_what_is_for_programs_is_not_in_the_form():
    """External data belongs to whoever has its GUID."""
    assert not any(
        field.path.startswith("externalData") for group in groups(BASE, Filled(CHOICES, {})) for field in group.fields
    )


def test_fields_have_names_that_people_read():
    """Without the `Id` that stands for the record behind it."""
    assert [label(name) for name in ("paymentTermId", "tagTypeIds", "doNotMail", "zip")] == [
        "Payment term",
        "Tag types",
        "Do not mail",
        "Zip",
    ]


def test_a_change_stands_beside_what_is_there():
    """Only the parts that differ; keys of records by their names; what changed there by its own value."""
    payload = wanted(BASE, shown() | {"address.street": ["2 Elm St"], "tagTypeIds": ["", "3", "2"]}).payload
    live = {**BASE, "address": {**BASE["address"], "street": "3 Elm St", "zip": "9"}}
    rows = compared(BASE, payload, live, {"address": {}}, CHOICES)
    assert [(row.label, row.was, row.now, row.will_be, row.is_conflict) for row in rows] == [
        ("Address: street", "1 Elm St", "3 Elm St", "2 Elm St", True),
        ("Address: zip", "01234", "9", "01234", True),
        ("Tag types", "Dog, VIP", "Dog, VIP", "Dog, Slow", False),
    ]
    assert [row.now for row in compared(BASE, payload, None, {}, CHOICES)] == [None, None]


def test_texts_are_as_forms_send_them():
    """Lines end as browsers end them."""
    assert texts("a\r\nb\rc") == ["a\nb\nc"]
    assert texts(None) == [""]
    assert texts([1, 2]) == ["1", "2"]
