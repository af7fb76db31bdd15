"""Lists: pages, filters and what some of them insist on."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.demands import DEMANDS
from sandbox.frames import FRAMES, array
from sandbox.server import Sandbox
from sources.servicetitan.catalog import BY_NAME, CATALOG
from tests.sandbox.reader import Reader

CUSTOMERS, JOBS, CALLS = (BY_NAME[name] for name in ("customers", "jobs", "calls"))
ONCE = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@ONCE
@given(size=st.integers(1, 200), descending=st.booleans())
def test_pages_of_any_size_make_the_whole(reader: Reader, size: int, descending: bool) -> None:  # noqa: FBT001  a parameter of the test
    """Pages neither repeat nor skip a record, and the total is the same on each."""
    sort = f"{'-' if descending else '+'}Id"
    found = reader.read_list(CUSTOMERS, size=size, sort=sort)
    idents = [record["id"] for record in found]
    assert idents == sorted(idents, reverse=descending)
    assert len(set(idents)) == len(idents) == reader.page(CUSTOMERS, pageSize=1).json()["totalCount"]


@ONCE
@given(place=st.integers(0, 59), other=st.integers(0, 59))
def test_a_window_of_modification_is_exact(reader: Reader, place: int, other: int) -> None:
    """`modifiedOnOrAfter` includes its moment and `modifiedBefore` does not, to seven digits."""
    everything = reader.read_list(CUSTOMERS)
    start, end = sorted((everything[place]["modifiedOn"], everything[other]["modifiedOn"]))
    found = reader.read_list(CUSTOMERS, modifiedOnOrAfter=start, modifiedBefore=end)
    assert found == [record for record in everything if start <= record["modifiedOn"] < end]


def test_inactive_records_show_when_asked_for(reader: Reader) -> None:
    """Lists are active-only by default; Any gives both, False the rest."""
    default, any_, only = (
        {record["id"] for record in reader.get(CUSTOMERS, "customers", pageSize=5000, **query).json()["data"]}
        for query in ({}, {"active": "Any"}, {"active": "False"})
    )
    assert only
    assert default.isdisjoint(only)
    assert default | only == any_


@pytest.mark.parametrize("name", ["invoices", "non_job_appointments", "forms"])
def test_each_active_filter_has_its_own_words(reader: Reader, name: str) -> None:
    """`activeState` and `activeOnly` do what `active` does elsewhere."""
    entity = BY_NAME[name]
    everything = reader.read_list(entity)
    default = reader.get(entity, entity.path, pageSize=5000).json()["data"]
    assert [record for record in everything if record["active"]] == default


def test_deleted_jobs_are_absent_from_the_list(reader: Reader) -> None:
    """The export alone shows deletion where the list has no active field."""
    listed = {record["id"] for record in reader.read_list(JOBS)}
    exported = {record["id"]: record["active"] for record in reader.read_export(JOBS)[0]}
    assert {ident for ident, active in exported.items() if active} == listed
    assert listed < exported.keys()


def test_ids_give_these_records_only(reader: Reader) -> None:
    """Up to fifty ids; unknown ones give nothing."""
    idents = [record["id"] for record in reader.read_list(JOBS)][:5]
    found = reader.read_list(JOBS, ids=",".join(map(str, [*idents, 1])))
    assert [record["id"] for record in found] == idents
    assert reader.page(JOBS, ids=",".join(map(str, range(51)))).status_code == 400


@pytest.mark.parametrize("sort", ["-ModifiedOn", "+ModifiedOn", "-CreatedOn"])
def test_lists_sort(reader: Reader, sort: str) -> None:
    """By modification or creation, either way."""
    field = "modifiedOn" if "Modified" in sort else "createdOn"
    moments = [record[field] for record in reader.read_list(CUSTOMERS, sort=sort)]
    assert moments == sorted(moments, reverse=sort[0] == "-")


def test_unknown_parameters_are_ignored(reader: Reader) -> None:
    """A misspelt filter is a silent full read."""
    assert reader.read_list(JOBS, modifedOnOrAfter="2100-01-01") == reader.read_list(JOBS)


def test_page_sizes_are_cut(reader: Reader) -> None:
    """The default is 50, the most 5,000, or less where documented."""
    assert reader.get(CUSTOMERS, "customers").json()["pageSize"] == 50
    assert reader.page(CUSTOMERS, pageSize=9999).json()["pageSize"] == 5000
    assert reader.page(BY_NAME["journal_entries"], pageSize=9999).json()["pageSize"] == 500


def test_the_total_comes_on_request(reader: Reader) -> None:
    """`totalCount` is null unless asked for."""
    assert reader.get(CUSTOMERS, "customers").json()["totalCount"] is None
    assert reader.get(CUSTOMERS, "customers", includeTotal="true").json()["totalCount"] > 0


@pytest.mark.parametrize(
    "query",
    [
        {"page": "x"},
        {"page": "-1"},
        {"pageSize": "0"},
        {"active": "maybe"},
        {"modifiedOnOrAfter": "yesterday"},
        {"includeTotal": "perhaps"},
    ],
    ids=str,
)
def test_nonsense_is_refused_by_name(reader: Reader, query: dict[str, Any]) -> None:
    """A bad value gives 400 and tells the parameter."""
    answer = reader.get(CUSTOMERS, "customers", **query)
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == list(query)


@pytest.mark.parametrize(
    "place", [key for key, demand in DEMANDS.items() if demand.all_of or demand.any_of], ids="/".join
)
def test_demands_are_insisted_on(reader: Reader, place: tuple[str, str]) -> None:
    """Lists that want certain parameters answer 400 without them."""
    module, path = place
    demand = DEMANDS[place]
    address = f"/{module}/v2/tenant/1/{path}"
    assert reader.client.get(address).status_code == 400
    every = {"page": "1", "pageSize": "5", "modifiedOnOrAfter": "2000-01-01", "ids": "1"}
    given_ = {name: every.get(name, "true") for name in (*demand.all_of, *demand.any_of[:1])}
    assert reader.client.get(address, params=given_).status_code == 200


@pytest.mark.parametrize("name", ["job_cancel_reasons_by_job", "job_hold_reasons_by_job", "attributed_leads"])
def test_parents_and_windows_are_insisted_on(reader: Reader, name: str) -> None:
    """Children want their parents' ids, windows their bounds."""
    entity = BY_NAME[name]
    assert reader.get(entity, entity.path).status_code == 400


def test_a_window_bounds_what_happened(sandbox: Sandbox, reader: Reader) -> None:
    """`fromUtc` and `toUtc` bound the event's own moment."""
    entity = BY_NAME["attributed_leads"]
    moments = sorted(lead["dateTime"] for lead in sandbox.records(entity.name))
    found = reader.read_list(entity, fromUtc=moments[3], toUtc=moments[9])
    assert sorted(lead["dateTime"] for lead in found) == moments[3:9]


def test_custom_fields_have_no_page_0(reader: Reader) -> None:
    """Page 0 is refused there, and read as page 1 elsewhere."""
    fields = BY_NAME["job_custom_fields"]
    assert reader.get(fields, fields.path, page=0).status_code == 400
    assert reader.get(CUSTOMERS, "customers", page=0).json()["page"] == 1


def test_intacct_mappings_start_at_page_0(reader: Reader) -> None:
    """Their first page is page 0, and there is no second one."""
    entity = BY_NAME["business_unit_intacct_mappings"]
    assert reader.page(entity, page=0).json()["data"]
    assert not reader.page(entity, page=1).json()["data"]


@pytest.mark.parametrize(
    "place", sorted(place for place, frame in FRAMES.items() if frame is array and "{" not in place[1]), ids="/".join
)
def test_bare_lists_have_no_envelope(reader: Reader, place: tuple[str, str]) -> None:
    """Two lists answer an array."""
    (entity,) = [row for row in CATALOG if (row.module, row.path) == place]
    assert isinstance(reader.get(entity, entity.path).json(), list)


def test_a_call_hides_its_id(reader: Reader) -> None:
    """The outer id is 0; the key stands within."""
    calls = reader.read_list(CALLS)
    assert {call["id"] for call in calls} == {0}
    assert reader.read_list(CALLS, ids=str(calls[0]["leadCall"]["id"])) == calls[:1]
