"""Writes: every operation of the table is taken as ServiceTitan takes it, and the next read shows what it did."""

import json
from typing import Any

import pytest

from outbound.difference import not_taken
from outbound.operations import CREATE, OPERATIONS, REMOVE, UPDATE, Operation
from outbound.registry import answers, load
from sandbox.overlay import Json
from sandbox.routes import find
from sources.servicetitan.catalog import Entity
from tests.sandbox.sender import Sender

PROBLEM = {"type", "title", "status", "traceId", "errors", "data"}


def is_read(operation: Operation) -> bool:
    """Whether the address is a report's, which the sandbox runs or cancels."""
    _, module, version, _ = operation.base.split("/", 3)
    found = find(module, version, operation.path)
    return found is not None and operation.method in found[0].methods


CURRENT = [one for one in OPERATIONS if not one.is_withdrawn and not is_read(one)]
EVERY = pytest.mark.parametrize("operation", CURRENT, ids=lambda one: one.title)
REQUIRING = [one for one in CURRENT if any(field.required and "." not in field.path for field in load()[one.title])]
WITH_FIELDS = [one for one in CURRENT if load()[one.title] and not one.is_upload and not one.is_list]


def listed(sender: Sender, entity: Entity) -> dict[str, Json]:
    """The records of a list, by id."""
    return {str(key(entity, record)): record for record in sender.reader.read_list(entity)}


def exported(sender: Sender, entity: Entity) -> dict[str, Json]:
    """The records of an export, by id."""
    return {str(key(entity, record)): record for record in sender.reader.read_export(entity)[0]}


def key(entity: Entity, record: Json) -> Any:
    return record["leadCall"]["id"] if entity.key == ("leadCall.id",) else record["id"]


def has_shape(answer: str, text: str) -> bool:
    """Whether the text of an answer is what the documents promise."""
    if answer == "empty":
        return not text
    document = json.loads(text)
    match answer:
        case "id":
            return isinstance(document, dict) and document.keys() == {"id"} and document["id"] is not None
        case "integer":
            return isinstance(document, int)
        case "record":
            return isinstance(document, dict) and bool(document)
    return document is not None


@EVERY
def test_each_operation_is_taken_and_seen(sender: Sender, operation: Operation) -> None:
    """With its status and kind of answer; a record that is made, changed or taken away is so in the next reads."""
    places, body = sender.places(operation), sender.body(operation)
    entity = operation.catalog if operation.kind in {CREATE, UPDATE, REMOVE} else None
    before = listed(sender, entity) if entity and entity.is_listable and entity.key != ("^",) else {}
    answer = sender.send(operation, body, places)
    assert answer.status_code == operation.status, answer.text
    assert has_shape(answers()[operation.title], answer.text)
    write = sender.last
    assert (write.title, write.status) == (operation.title, operation.status)
    assert operation.is_upload or write.body == (body or {})
    if not before or entity is None:
        return
    feeds = [listed(sender, entity), *([exported(sender, entity)] if entity.export_path else [])]
    ident = str(write.key)
    assert operation.kind is not CREATE or ident not in before
    assert operation.kind is not CREATE or ident in answer.text or not answer.text
    if operation.kind is REMOVE:
        assert ident in before
        assert ident not in feeds[0]
        assert all(feed[ident].get("active", False) is False for feed in feeds[1:])
        return
    for feed in feeds:
        assert shows(feed[ident], body)
        assert operation.kind is not CREATE or feed[ident].get("active", True) is body.get("active", True)
        stamps = [record.get("modifiedOn", "") for record in feed.values()]
        assert feed[ident].get("modifiedOn", "") == max(stamps)


def shows(record: Json, body: Json) -> bool:
    """Whether a record has all values of a body for which it has a field of that kind."""
    wrong = not_taken(record, body)
    kinds = {name: (type(body[name]), type(found["found"])) for name, found in wrong.items() if name != "id"}
    return all({dict, list} & set(kind) for kind in kinds.values())


@pytest.mark.parametrize("operation", REQUIRING, ids=lambda one: one.title)
def test_a_missing_field_is_named(sender: Sender, operation: Operation) -> None:
    """With 400, and nothing is done."""
    body = sender.body(operation)
    required = next(field for field in load()[operation.title] if field.required and "." not in field.path)
    if operation.is_upload:
        body = None
    else:
        body.pop(required.name)
    answer = sender.send(operation, body, sender.places(operation))
    assert (answer.status_code, answer.json().keys()) == (400, PROBLEM)
    assert answer.json()["errors"][required.name if not operation.is_upload else "file"]
    assert not [write for write in sender.sandbox.written if write.tenant == sender.reader.tenant]


@pytest.mark.parametrize("operation", WITH_FIELDS, ids=lambda one: one.title)
def test_an_unknown_field_is_dropped_in_silence(sender: Sender, operation: Operation) -> None:
    """The answer is that of success, and no record shows it."""
    body = sender.body(operation) | {"unheardOf": 1}
    answer = sender.send(operation, body, sender.places(operation))
    assert answer.status_code == operation.status
    assert "unheardOf" not in answer.text
    assert sender.last.body["unheardOf"] == 1
