"""What mutations changed, in raw: named by the mutation, once, in the shape of the feed that will bring it again."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from outbound.body import required_example
from outbound.operations import BY_TITLE
from pipelines.pushed import Pushed, overlaid
from pipelines.sync import Stores, land_all
from sandbox.server import Sandbox
from sources.servicetitan.catalog import BY_NAME
from store.settings import Settings
from tests.outbound.desk import Desk, desk
from tests.whole import reach

ENTITIES = ("customers", "teams", "zones")


@dataclass
class Copy:
    """A desk beside a copy of some entities."""

    office: Desk
    stores: Stores
    pushed: Pushed

    def sync(self) -> dict[str, int]:
        """Read again; the rows that were appended, by entity."""
        report = land_all(self.stores, reach(self.office.sandbox), [BY_NAME[name] for name in ENTITIES])
        assert report.is_good
        return {one.entity.name: one.tally.appended for one in report.outcomes}

    def versions(self, entity: str, key: object) -> list[tuple[str, dict[str, Any], bool]]:
        """A record's versions as they landed: what landed each, the record, whether it is gone."""
        rows = self.stores.warehouse.fetch(
            f"SELECT sync_batch_id, CAST(payload AS TEXT), is_deleted FROM raw.st_{entity} WHERE st_id = {key} ORDER BY synced_at"
        )
        return [(batch, json.loads(payload), gone) for batch, payload, gone in rows]


@pytest.fixture
def copy(settings: Settings) -> Iterator[Copy]:
    """A small ServiceTitan and its copy."""
    with Sandbox(seed=4, customers=12) as sandbox, desk(settings, sandbox) as office:
        stores = Stores.open(settings)
        made = Copy(office, stores, Pushed(office.queue, office.operations, stores.warehouse))
        made.sync()
        yield made
        stores.close()


def test_a_changed_record_lands_once_and_names_its_mutation(copy: Copy):
    """With all fields of the export and the new values; landing again, and reading again, add nothing but the same."""
    record = copy.office.sandbox.records("customers")[0]
    mutation = copy.office.push("customers:update", record["id"], {"name": "Ada"})
    assert copy.pushed.land() == 1
    assert copy.pushed.land() == 0
    before, after = copy.versions("customers", record["id"])
    assert after[0] == f"mutation:{mutation.mutation_id}:Ann"
    assert after[1] == copy.office.listed("customers", record["id"])
    assert before[1].keys() == after[1].keys()
    assert copy.office.queue.get(mutation.mutation_id).landed_at
    assert copy.sync()["customers"] <= 1
    assert copy.versions("customers", record["id"])[-1][1] == after[1]


def test_a_removed_record_is_marked_as_gone(copy: Copy):
    """By a new version of the same payload."""
    team = copy.office.sandbox.records("teams")[0]
    copy.office.push("teams:delete", team["id"])
    copy.pushed.land()
    before, after = copy.versions("teams", team["id"])
    assert (before[2], after[2]) == (False, True)
    assert after[1] == before[1]


def test_a_made_record_lands(copy: Copy):
    """Under the id that ServiceTitan gave it."""
    mutation = copy.office.push(
        "zones:create", None, required_example(BY_TITLE["zones:create-zone"]) | {"name": "South"}
    )
    assert mutation.new_id, mutation.error
    copy.pushed.land()
    [(_, record, _)] = copy.versions("zones", mutation.new_id)
    assert record["name"] == "South"


def test_several_changes_of_one_record_land_in_order(copy: Copy):
    """Each as a version of its own mutation where they landed one by one, and the newest wins."""
    key = copy.office.sandbox.records("customers")[1]["id"]
    for name in ("One", "Two", "Three"):
        copy.office.push("customers:update", key, {"name": name})
    copy.pushed.land()
    assert [record["name"] for _, record, _ in copy.versions("customers", key)][1:] == ["One", "Two", "Three"]


def test_a_list_lends_an_export_its_values_alone():
    """Fields that only the export shows stay, fields that only the list shows do not come in, digits are kept."""
    export = b'{"id":1,"total":12.50,"active":true,"big":12345678901234567890}'
    assert overlaid(export, b'{"id":1,"total":13.00,"extra":[1]}') == (
        b'{"id":1,"total":13.00,"active":true,"big":12345678901234567890}'
    )
