"""What can be done to records beside the API: modifications that go back, merges, records that go and come back."""

import pytest

from sandbox.server import Sandbox
from sources.servicetitan.catalog import BY_NAME
from tests.sandbox.reader import Reader

JOBS, ZONES = BY_NAME["jobs"], BY_NAME["zones"]
BEFORE = "2001-02-03T04:05:06.0000000Z"


def test_a_modification_can_go_back(fresh: Sandbox, fresh_reader: Reader) -> None:
    """The record says so, and a reader who goes on from a token does not meet it."""
    found, last = fresh_reader.read_export(JOBS)
    changed = fresh.change("jobs", found[-1]["id"], summary="earlier", modifiedOn=BEFORE)
    assert (changed["summary"], changed["modifiedOn"]) == ("earlier", BEFORE)
    assert fresh_reader.read_export(JOBS, last)[0] == []
    assert fresh_reader.read_export(JOBS)[0][0]["id"] == changed["id"]


def test_a_merged_customer_is_inactive_and_names_the_other(fresh: Sandbox) -> None:
    """It is not deleted: lists show it when asked for inactive records."""
    merged = fresh.merge_customers(0, 1)
    assert merged["active"] is False
    assert merged["mergedToId"] == fresh.records("customers")[1]["id"]


@pytest.mark.parametrize("entity", [JOBS, ZONES], ids=lambda entity: entity.name)
def test_a_purged_record_is_nowhere_and_comes_back_as_it_was(fresh: Sandbox, fresh_reader: Reader, entity) -> None:
    """Neither a list nor an export shows it."""
    before = fresh.records(entity.name)
    fresh.purge(entity.name, before[1]["id"])
    assert [r["id"] for r in fresh.records(entity.name)] == [r["id"] for r in before if r != before[1]]
    if entity.export_path:
        assert before[1]["id"] not in {record["id"] for record in fresh_reader.read_export(entity)[0]}
    fresh.restore(entity.name, before[1]["id"])
    assert fresh.records(entity.name) == before


def test_a_deleted_record_comes_back_as_the_newest(fresh: Sandbox, fresh_reader: Reader) -> None:
    """Active again."""
    _, last = fresh_reader.read_export(JOBS)
    fresh.delete("jobs", 0)
    fresh.restore("jobs", 0)
    (news,) = fresh_reader.read_export(JOBS, last)[0]
    assert news["active"] is True
