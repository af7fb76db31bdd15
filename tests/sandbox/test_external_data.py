"""What applications keep beside records: shown to those alone that ask with the same GUID, and looked up by it."""

from typing import Any

import httpx
import pytest

from outbound.operations import BY_TITLE, CREATE, OPERATIONS
from outbound.registry import load
from sources.servicetitan.catalog import BY_NAME, Entity
from tests.sandbox.sender import Sender

OURS, THEIRS = "6f1d3c52-0f0b-4f4e-9a53-5d1c7e0a2b91", "0c0f7f6a-3d6f-4d40-8d0e-2c7a7f2f3a11"
CUSTOMERS = BY_NAME["customers"]
TAKING = [one for one in OPERATIONS if any(field.path == "externalData" for field in load()[one.title])]
MAKING = [one for one in TAKING if one.kind is CREATE and one.catalog and one.catalog.is_listable]


def sent(entries: dict[str, str | None], guid: str = OURS, **more: str) -> dict[str, Any]:
    """A body's part."""
    return {"applicationGuid": guid, "externalData": [{"key": k, "value": v} for k, v in entries.items()], **more}


def entries_of(sender: Sender, entity: Entity, ident: object, guid: str = OURS) -> dict[str, str]:
    """What the list shows for a record."""
    rows = sender.reader.read_list(entity, externalDataApplicationGuid=guid)
    return {one["key"]: one["value"] for row in rows if row["id"] == ident for one in row["externalData"]}


def patch(sender: Sender, ident: object, part: dict[str, Any]) -> httpx.Response:
    """An update of a customer with nothing but external data."""
    return sender.send(BY_TITLE["customers:update"], {"externalData": part}, {"id": str(ident)})


@pytest.mark.parametrize("operation", MAKING, ids=lambda one: one.title)
def test_what_is_made_with_a_mark_is_found_by_it(sender: Sender, operation) -> None:
    """It alone, with the mark; without the GUID it shows what it would show anyway."""
    entity = operation.catalog
    body = sender.body(operation) | {"externalData": sent({"ref": "r1", "more": "x"})}
    assert sender.send(operation, body, sender.places(operation)).status_code == operation.status
    asked = {"externalDataApplicationGuid": OURS.upper(), "externalDataKey": "ref", "externalDataValues": "r0,r1"}
    (found,) = sender.reader.read_list(entity, **asked)
    assert found["id"] == sender.last.key
    assert found["externalData"] == [{"key": "ref", "value": "r1"}, {"key": "more", "value": "x"}]
    assert sender.reader.read_list(entity, **asked | {"externalDataValues": "r2"}) == []
    assert sender.reader.read_list(entity, **asked | {"externalDataApplicationGuid": THEIRS}) == []


def test_an_update_replaces_or_merges(sender: Sender) -> None:
    """It replaces unless it says Merge; null takes a key away; other applications' entries stay."""
    ident = sender.records("customers")[0]["id"]
    assert patch(sender, ident, sent({"a": "1", "b": "2"})).status_code == 200
    patch(sender, ident, sent({"a": "theirs"}, THEIRS))
    patch(sender, ident, sent({"b": None, "c": "3"}, patchMode="Merge"))
    assert entries_of(sender, CUSTOMERS, ident) == {"a": "1", "c": "3"}
    patch(sender, ident, sent({"d": "4"}))
    assert entries_of(sender, CUSTOMERS, ident) == {"d": "4"}
    assert entries_of(sender, CUSTOMERS, ident, THEIRS) == {"a": "theirs"}


def test_a_lookup_shows_only_to_whom_it_belongs(sender: Sender) -> None:
    """Everybody else sees what was there before; with a GUID every record says what it has, or nothing."""
    before = sender.reader.read_list(CUSTOMERS)
    ident = before[0]["id"]
    patch(sender, ident, sent({"a": "1"}))
    after = {row["id"]: row for row in sender.reader.read_list(CUSTOMERS)}
    assert all(after[row["id"]]["externalData"] == row["externalData"] for row in before)
    rows = sender.reader.read_list(CUSTOMERS, externalDataApplicationGuid=OURS)
    assert [row["id"] for row in rows if row["externalData"]] == [ident]
    one = sender.reader.get(CUSTOMERS, f"customers/{ident}", externalDataApplicationGuid=OURS).json()
    assert one["externalData"] == [{"key": "a", "value": "1"}]


def test_a_lookup_wants_both_halves_and_at_most_fifty_values(sender: Sender) -> None:
    """Else 400."""
    for wrong in ({"externalDataKey": "a"}, {"externalDataValues": "1"}):
        answer = sender.reader.page(CUSTOMERS, externalDataApplicationGuid=OURS, **wrong)
        assert answer.status_code == 400
    many = ",".join(map(str, range(51)))
    asked = {"externalDataApplicationGuid": OURS, "externalDataKey": "a", "externalDataValues": many}
    assert "externalDataValues" in sender.reader.page(CUSTOMERS, **asked).json()["errors"]
