"""Answers are what ServiceTitan's own documents say they are."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from sandbox.routes import Route, routes
from sandbox.server import Sandbox
from tests.sandbox.reader import WINDOW, Reader

FOLDER = Path(__file__).parents[3] / "shared" / "servicetitan" / "openapi"
PLACES = [place for place in routes() if place[2] != "service-agreements/custom-fields"]  # in no document

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="the official documents are not beside the repository")


@cache
def operations() -> dict[tuple[str, str, str], dict[str, Any]]:
    """Each document's GET answers by module, version and path, with the document's components beside the schema."""
    found = {}
    for file in FOLDER.glob("*.json"):
        document = json.loads(file.read_text())
        server = document["servers"][0]["url"].partition(".io/")[2].split("/")
        for path, operation in document["paths"].items():
            module, version = server[0], server[1] if len(server) > 1 else path.split("/")[1]
            content = operation.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
            if "application/json" in content:
                schema = {**content["application/json"]["schema"], "components": document["components"]}
                found[module, version, path.partition("/tenant/{tenant}/")[2]] = schema
    return found


def deliberate(error: ValidationError) -> bool:
    """Whether an error is a null where the documents promise a value."""
    return error.instance is None or bool(error.context and all(map(deliberate, error.context)))


def answer_of(sandbox: Sandbox, reader: Reader, route: Route) -> Any:
    entity = route.entity
    if route.is_export:
        return reader.get(entity, route.path).raise_for_status().json()
    wanted = {"pageSize": 200, **(WINDOW if "window" in entity.feed else {"modifiedOnOrAfter": "2000-01-01"})}
    if entity.parent:
        wanted["ids"] = ",".join(str(record["jobId"]) for record in sandbox.records(entity.name)[:50])
    if not entity.path:
        ids = ",".join(str(record["id"]) for record in sandbox.records(entity.name)[:50])
        return reader.get(entity, route.path, ids=ids).raise_for_status().json()
    return reader.page(entity, **wanted).raise_for_status().json()


@pytest.mark.parametrize("place", PLACES, ids="/".join)
def test_answers_satisfy_the_documents(sandbox: Sandbox, reader: Reader, place: tuple[str, str, str]) -> None:
    """No field is unknown, missing or of another type, except that some values are null."""
    answer = answer_of(sandbox, reader, routes()[place])
    assert answer if isinstance(answer, list) else answer["data"]
    errors = Draft202012Validator(operations()[place]).iter_errors(answer)
    wrong = [f"{error.json_path}: {error.message[:200]}" for error in errors if not deliberate(error)]
    assert not wrong, wrong[:5]
