"""Runs of reports, in both ways."""

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.server import Sandbox
from sources.servicetitan.catalog import BY_NAME
from tests.sandbox.reader import Reader

DEFINITIONS, SETS = BY_NAME["report_definitions"], BY_NAME["dynamic_value_sets"]
BASE = "/reporting/v2/tenant/1"
DATES = {"parameters": [{"name": "From", "value": "2020-01-01"}, {"name": "To", "value": "2030-01-01"}]}


def address(sandbox: Sandbox, nth: int) -> str:
    row = sandbox.report_rows()[nth]
    return f"{BASE}/report-category/{row['category']}/reports/{row['id']}/data"


@pytest.fixture
def strict() -> Iterator[Reader]:
    with Sandbox(customers=20) as sandbox:
        reader = Reader(sandbox)
        yield reader
        reader.close()


def test_the_older_way_has_pages(sandbox: Sandbox, reader: Reader) -> None:
    """Pages in the query string, at most 25,000 rows of them, 1,000 unless asked otherwise."""
    where, rows, page = address(sandbox, 0), [], 1
    answer: dict[str, Any] = {"hasMore": True}
    while answer["hasMore"]:
        answer = reader.client.post(where, json=DATES, params={"page": page, "pageSize": 7}).json()
        rows += answer["data"]
        page += 1
    assert page > 3
    assert reader.client.post(where, json=DATES).json()["pageSize"] == 1000
    assert reader.client.post(where, json=DATES, params={"pageSize": 99_999}).json()["pageSize"] == 25_000
    assert reader.client.post(where, json=DATES).json()["data"] == rows


def test_the_newer_way_gives_all_at_once(sandbox: Sandbox, reader: Reader) -> None:
    """Whatever page was asked for; names begin with capital letters."""
    where = address(sandbox, 0)
    answer = reader.client.post(f"{where}/query", json=DATES, params={"page": 3, "pageSize": 2})
    assert answer.status_code == 200
    assert answer.json()["Data"] == reader.client.post(where, json=DATES).json()["data"]
    assert not answer.json()["HasMore"]


def test_a_slow_report_is_fetched_with_a_token(sandbox: Sandbox, reader: Reader) -> None:
    """202 until it is ready; a canceled or unknown one is not found."""
    where = f"{address(sandbox, 1)}/query"
    token = reader.client.post(where, json=DATES).json()["token"]
    answers = [reader.client.get(f"{BASE}/data-queries/{token}") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 200, 200]
    assert answers[0].json() == {"status": "InProgress", "token": token}
    assert answers[1].json()["Data"]
    assert reader.client.delete(f"{BASE}/data-queries/{token}").status_code == 204
    assert reader.client.get(f"{BASE}/data-queries/{token}").status_code == 404


def test_a_report_runs_once_a_minute(strict: Reader) -> None:
    """The same one in both ways together; another one may run."""
    first, other = address(strict.sandbox, 0), address(strict.sandbox, 1)
    assert strict.client.post(first, json=DATES).status_code == 200
    again = strict.client.post(f"{first}/query", json=DATES)
    assert again.status_code == 429
    assert 0 < int(again.headers["retry-after"]) <= 60
    assert strict.client.post(other, json=DATES).status_code == 200


@pytest.mark.parametrize("way", ["", "/query"])
@pytest.mark.parametrize(
    "body",
    [{}, {"parameters": []}, {"parameters": [{"name": "From"}]}, {"parameters": DATES["parameters"][:1]}],
    ids=str,
)
def test_parameters_are_demanded(sandbox: Sandbox, reader: Reader, way: str, body: dict[str, Any]) -> None:
    """A required one that is missing gives 400."""
    assert reader.client.post(address(sandbox, 0) + way, json=body).status_code == 400


def test_a_tenant_may_lack_the_newer_way() -> None:
    """Then it is not found, and the older one works."""
    with Sandbox(customers=20, report_queries=False, report_interval=0) as sandbox:
        reader = Reader(sandbox)
        where = address(sandbox, 0)
        assert reader.client.post(f"{where}/query", json=DATES).status_code == 404
        assert reader.client.post(where, json=DATES).status_code == 200
        assert sandbox.records("report_data")[0]["page"] == 1
        reader.close()


def test_unknown_reports_are_not_found(sandbox: Sandbox, reader: Reader) -> None:
    """Neither in another category nor at all."""
    where = address(sandbox, 0)
    category = where.split("/")[5]
    assert reader.client.post(where.replace(category, "other"), json=DATES).status_code == 404
    assert reader.client.post(f"{BASE}/report-category/{category}/reports/1/data", json=DATES).status_code == 404


def test_a_definition_names_its_columns_and_sets(sandbox: Sandbox, reader: Reader) -> None:
    """The columns are those of the data, and each dynamic set can be read."""
    names = set()
    for definition in sandbox.records(DEFINITIONS.name):
        accepted = [one["acceptValues"] for one in definition["parameters"] if one["acceptValues"]]
        names |= {one["dynamicSetId"] for one in accepted if one["dynamicSetId"]}
    for name in names:
        answer = reader.get(SETS, f"dynamic-value-sets/{name}", page=2, pageSize=3).json()
        assert (len(answer["data"]), len(answer["fields"])) == (3, 2)
    assert len(names) == len(sandbox.records(SETS.name)) == 3
    assert reader.get(SETS, "dynamic-value-sets/nothing").status_code == 404
    columns = [field["name"] for field in sandbox.records(DEFINITIONS.name)[0]["fields"]]
    assert [one["Name"] for one in sandbox.records("report_data")[0]["Fields"]] == columns
