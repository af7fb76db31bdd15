"""Answers are what ServiceTitan's own documents say they are."""

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from sandbox.routes import QUERY_TOKEN, REPORT_QUERY, Route, routes
from sandbox.server import Sandbox
from sandbox.templates import blank
from sources.servicetitan.catalog import Feed
from tests.sandbox.reader import Reader, fillings, records_in

FOLDER = Path(__file__).parents[3] / "shared" / "servicetitan" / "openapi"
IN_NO_DOCUMENT = {"service-agreements/custom-fields", "jobs/{id}/attachments", REPORT_QUERY, QUERY_TOKEN}
PLACES = [place for place in routes() if place[2] not in IN_NO_DOCUMENT]

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="the official documents are not beside the repository")


@cache
def operations() -> dict[tuple[str, str, str, str], dict[str, Any]]:
    """Each document's answers by module, version, path and method, with the document's components beside the schema."""
    found = {}
    for file in FOLDER.glob("*.json"):
        document = json.loads(file.read_text())
        server = document["servers"][0]["url"].partition(".io/")[2].split("/")
        for path, every in document["paths"].items():
            module, version = server[0], server[1] if len(server) > 1 else path.split("/")[1]
            where = blank(path.partition("/tenant/{tenant}/")[2])
            for method in every.keys() & {"get", "post"}:
                content = every[method].get("responses", {}).get("200", {}).get("content", {})
                if "application/json" in content:
                    schema = {**content["application/json"]["schema"], "components": document["components"]}
                    found[module, version, where, method.upper()] = schema
    return found


def deliberate(error: ValidationError) -> bool:
    """Whether an error is a null where the documents promise a value."""
    return error.instance is None or bool(error.context and all(map(deliberate, error.context)))


def children_of(sandbox: Sandbox, reader: Reader, route: Route) -> list[Any]:
    """What is answered for each of the first parents at an address with placeholders."""
    entity = route.entity
    if entity.export_path:
        field = "membershipId" if entity.module == "memberships" else f"{entity.path.partition('s/')[0]}Id"
        every = [{"id": str(record[field])} for record in sandbox.records(entity.name)]
    else:
        now = datetime.now(UTC)  # the business is older than today, and goes on to be
        since = now - timedelta(days=entity.window.days or 14)
        dates = {"from": f"{since:%Y-%m-%dT%H:%M:%S.000Z}", "to": f"{now:%Y-%m-%dT%H:%M:%S.000Z}"}
        parents = reader.parents(entity) if entity.parent else [("", {})]
        every = [given | dates for scope, record in parents for given in fillings(entity, scope, record)]
    paged = {"page": entity.first_page, "pageSize": 200} if entity.paged else {}
    answers = [reader.ask(entity, values, **paged) for values in every[:60]]
    return [answer.json() for answer in answers if answer.status_code == 200]


def report(sandbox: Sandbox, reader: Reader, route: Route) -> list[Any]:
    """A report in the older way, which is the documented one."""
    (row, *_) = sandbox.report_rows()
    dates = [{"name": name, "value": "2026-01-01"} for name in row["parameters"]]
    where = f"report-category/{row['category']}/reports/{row['id']}/data"
    answer = reader.client.post(f"{route.entity.base}{reader.tenant}/{where}", json={"parameters": dates})
    return [answer.raise_for_status().json()]


def answers_of(sandbox: Sandbox, reader: Reader, route: Route) -> list[Any]:
    """Answers of an address, some of them with content."""
    entity = route.entity
    if route.is_export:
        return [reader.get(entity, route.path).raise_for_status().json()]
    if entity.feed is Feed.REPORT:
        return report(sandbox, reader, route)
    if not entity.path:
        ids = ",".join(str(record["id"]) for record in sandbox.records(entity.name)[:50])
        return [reader.get(entity, route.path, ids=ids).raise_for_status().json()]
    if entity.is_batched:
        ids = ",".join(str(record["jobId"]) for record in sandbox.records(entity.name)[:50])
        return [reader.page(entity, ids=ids).raise_for_status().json()]
    if "{" in f"{entity.path}{entity.params}" or not entity.records:
        return children_of(sandbox, reader, route)
    return [reader.page(entity, pageSize=200, modifiedOnOrAfter="2000-01-01").raise_for_status().json()]


@pytest.mark.parametrize("place", PLACES, ids="/".join)
def test_answers_satisfy_the_documents(sandbox: Sandbox, reader: Reader, place: tuple[str, str, str]) -> None:
    """No field is unknown, missing or of another type, except that some values are null."""
    module, version, path = place
    route = routes()[place]
    validator = Draft202012Validator(operations()[module, version, blank(path), route.methods[0]])
    answers = answers_of(sandbox, reader, route)
    assert any(answers)
    assert route.is_export or "{" in path or any(records_in(route.entity, answer) for answer in answers)
    errors = [error for answer in answers for error in validator.iter_errors(answer)]
    wrong = [f"{error.json_path}: {error.message[:200]}" for error in errors if not deliberate(error)]
    assert not wrong, wrong[:5]
