"""What is sent to ServiceTitan and shown to nobody."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from outbound.exceptions import BadMutationError
from outbound.operations import BY_TITLE
from outbound.preview import Preview
from outbound.queue import NAMES, Mutation
from outbound.registry import BodyField, load
from outbound.secrets import (
    FORMAT,
    NAME,
    NOT_SHOWN,
    check_shown,
    has_secrets,
    names,
    redacted,
    redacted_mutation,
    redacted_preview,
    scrubbed,
)
from outbound.state import State

TITLE = "technicians:create"
PAYLOAD = {"name": "Ann", "login": "ann", "password": "Hush-1", "home": {"street": "1 St"}, "roleId": 7}
SHOWN = PAYLOAD | {"password": NOT_SHOWN}


def test_the_secrets_of_all_operations_are_these():
    """A new one in ServiceTitan's documents is looked at by a person."""
    found = {title: sorted(names(title)) for title in BY_TITLE if names(title)}
    assert found == {"technicians:create": ["password"], "employees:create": ["password"]}
    assert names("gone:gone") == frozenset()


@pytest.mark.parametrize(
    "field", sorted({(field.name, field.format) for fields in load().values() for field in fields})
)
def test_no_other_field_reads_like_a_secret(field: tuple[str, str]):
    """Names such as `pinToTop`, `businessName` or `licenseType` are none."""
    name, form = field
    assert bool(NAME.search(name)) == (form == FORMAT) == (name == "password")


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [
        ("Password", True),
        ("newPassword", True),
        ("pin", True),
        ("mobilePin", True),
        ("ssn", True),
        ("employeeSsn", True),
        ("socialSecurityNumber", True),
        ("cardNumber", True),
        ("cvv", True),
        ("clientSecret", True),
        ("pinToTop", False),
        ("shippingCompany", False),
        ("businessName", False),
        ("className", False),
        ("spin", False),
    ],
)
def test_a_field_is_a_secret_by_its_name(name: str, is_secret: bool):  # noqa: FBT001
    """Whole words alone where they are short."""
    assert bool(NAME.search(name)) is is_secret


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        (PAYLOAD, SHOWN),
        ([PAYLOAD, {"name": "Ben"}], [SHOWN, {"name": "Ben"}]),
        (SHOWN, SHOWN),
        ({"password": None}, {"password": None}),
        ({"password": ""}, {"password": NOT_SHOWN}),
        ({"password": 0}, {"password": NOT_SHOWN}),
        ({"inside": [{"password": "x"}]}, {"inside": [{"password": NOT_SHOWN}]}),
        (
            {"password": {"base": None, "theirs": "a", "mine": ["b"]}},
            {"password": {"base": None, "theirs": NOT_SHOWN, "mine": [NOT_SHOWN]}},
        ),
        (
            {"deleted": {"base": None, "theirs": None, "mine": PAYLOAD}},
            {"deleted": {"base": None, "theirs": None, "mine": SHOWN}},
        ),
        (None, None),
        ("password", "password"),
    ],
)
def test_a_secret_is_shown_nowhere(payload: Any, shown: Any):
    """In an object, a list or a conflict; what it was made of stays as it was, and a second time changes nothing."""
    before = repr(payload)
    assert redacted(TITLE, payload) == shown
    assert redacted(TITLE, shown) == shown
    assert repr(payload) == before


def test_what_has_no_secret_is_the_same():
    """Nothing is copied; a field is a secret of the operations that the registry names alone."""
    payload = {"password": "x"}
    assert redacted("customers:update", payload) is payload
    assert not has_secrets("customers:update", payload)


@pytest.mark.parametrize(
    ("payload", "has_any"),
    [(PAYLOAD, True), (SHOWN, True), ([{}, PAYLOAD], True), ({"password": None}, False), ({}, False), (None, False)],
)
def test_a_payload_has_secrets_also_when_they_are_gone(payload: Any, has_any: bool):  # noqa: FBT001
    """So that a redacted one is known."""
    assert has_secrets(TITLE, payload) is has_any


def test_what_is_shown_is_not_sent():
    """A payload that was copied from an answer would set the words as the password."""
    check_shown(TITLE, PAYLOAD)
    check_shown(TITLE, PAYLOAD | {"name": NOT_SHOWN})
    check_shown("customers:update", SHOWN)
    for payload in (SHOWN, [PAYLOAD, SHOWN]):
        with pytest.raises(BadMutationError, match="`password`") as caught:
            check_shown(TITLE, payload)
        assert caught.value.parameter == "payload"
        assert PAYLOAD["password"] not in str(caught.value)


def test_a_mutation_is_shown_without_secrets():
    """Wherever in it they stand."""
    conflict = {"deleted": {"base": None, "theirs": None, "mine": PAYLOAD}}
    wrong = {"password": {"wanted": "Hush-1", "found": "Hush-2"}}
    values = dict.fromkeys(NAMES) | {"entity": "technicians", "operation": "create", "state": State.CONFLICT}
    values |= {"payload": PAYLOAD, "conflict": conflict, "not_applied": wrong, "created_at": datetime.now(UTC)}
    values |= dict.fromkeys(("base", "before", "after"), PAYLOAD) | {"history": []}
    mutation = Mutation(**values)
    assert "Hush" not in repr(redacted_mutation(mutation))
    assert mutation.payload is PAYLOAD
    other = replace(mutation, entity="customers", operation="update")
    assert redacted_mutation(other) is other


def test_a_preview_is_shown_without_secrets():
    """What would be sent, what is there and what differs."""
    each = {"password": {"old": "Hush-1", "new": "Hush-2"}}
    shown = Preview("POST", "path", PAYLOAD, live=PAYLOAD, changes=each, conflicts=each)
    assert "Hush" not in repr(redacted_preview(TITLE, shown))
    assert redacted_preview(TITLE, shown).body == SHOWN


def test_a_secret_is_known_by_its_format_too(monkeypatch: pytest.MonkeyPatch):
    """Whatever it is called."""
    field = BodyField("login.word", "string", FORMAT, nullable=True, required=False, enum=())
    monkeypatch.setattr("outbound.secrets.load", lambda: {"a:b": (field,)})
    assert names("a:b") == {"word"}


def test_a_secret_that_servicetitan_quotes_is_taken_out():
    """Its answer is kept and shown."""
    text = scrubbed("technicians:create", {"name": "Ada", "password": "Hunter22"}, "'Hunter22' is too short, Ada")
    assert text == "'(not shown)' is too short, Ada"
    quoted = scrubbed("technicians:create", {"password": 'a"b\\c'}, '{"password":"a\\"b\\\\c"}')
    assert quoted == '{"password":"(not shown)"}'
