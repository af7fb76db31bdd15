"""What holds for every entity of the catalog: a new row is tested by existing."""

import re
from datetime import timedelta
from typing import Any

import pytest

from sandbox.clock import moment
from sandbox.periods import is_made_for_dates
from sandbox.server import Sandbox
from sandbox.sizes import FIXED, PER_CUSTOMER, PER_PARENT
from sandbox.stories import STORIES
from sandbox.table import values
from sandbox.writing import told_names
from sources.servicetitan import registry
from sources.servicetitan.catalog import BY_NAME, CATALOG, SCOPE, Entity, Feed
from tests.sandbox.reader import WINDOW, Reader

EVERY = pytest.mark.parametrize("entity", CATALOG, ids=lambda entity: entity.name)
EXPORTED = pytest.mark.parametrize(
    "entity", [row for row in CATALOG if row.export_path], ids=lambda entity: entity.name
)
STAMPED = [
    row for row in CATALOG if row.cursor and row.cursor in {field.path for field in registry.load().get(row.name, ())}
]
DOCUMENTED = [row for row in CATALOG if row.name in registry.load() and row.feed is not Feed.REPORT]
"""A report's newer answer departs from the documents; the other rows are in none."""
TABLED = [
    row
    for row in CATALOG
    if row.feed is not Feed.REPORT and not is_made_for_dates(row) and row.name != "dynamic_value_sets"
]
"""Rows of records that exist, and are not made when asked for."""
ACCEPTED = 202
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z")


def children(sandbox: Sandbox, reader: Reader, entity: Entity) -> list[dict[str, Any]]:
    """What belongs to all parents, fifty at a time."""
    parents = [str(record["id"]) for record in sandbox.records(entity.parent)]
    parts = [parents[start : start + 50] for start in range(0, len(parents), 50)]
    return [record for part in parts for record in reader.read_list(entity, ids=",".join(part))]


def reports(sandbox: Sandbox, reader: Reader, entity: Entity) -> list[dict[str, Any]]:
    """The configured reports in the newer way, however long they take."""
    found = []
    base = f"{entity.base}{reader.tenant}/"
    for row in sandbox.report_rows():
        today = moment(sandbox.clock.now()).date()
        dates = {"@today-30": (today - timedelta(days=30)).isoformat(), "@today": today.isoformat()}
        body = {"parameters": [{"name": name, "value": dates[value]} for name, value in row["parameters"].items()]}
        address = f"{base}report-category/{row['category']}/reports/{row['id']}/data/query"
        answer = reader.client.post(address, json=body)
        while answer.status_code == ACCEPTED:
            answer = reader.client.get(f"{base}data-queries/{answer.json()['token']}")
        found.append(answer.raise_for_status().json())
    return found


def whole(sandbox: Sandbox, reader: Reader, entity: Entity) -> list[dict[str, Any]]:
    """A complete read of an entity's main feed."""
    if entity.export_path:
        return reader.read_export(entity)[0]
    if entity.feed is Feed.REPORT:
        return reports(sandbox, reader, entity)
    if is_made_for_dates(entity):
        return reader.read_windows(entity, moment(sandbox.clock.now()))
    if entity.is_batched:
        return children(sandbox, reader, entity)
    if entity.parent:
        return [record for _, record in reader.read_children(entity)]
    if not entity.records or not entity.paged:
        return reader.read_all(entity, {})
    return reader.read_list(entity, size=7, **(WINDOW if entity.feed is Feed.WINDOW else {}))


def by_text(records: list[dict[str, Any]]) -> list[str]:
    """Records in an order of their own, to compare what feeds order differently."""
    return sorted(map(repr, records))


@EVERY
def test_a_complete_read_gives_all_records(sandbox: Sandbox, reader: Reader, entity: Entity) -> None:
    """Every entity has records, and its main feed gives each exactly once."""
    found = whole(sandbox, reader, entity)
    assert found
    assert by_text(found) == by_text(sandbox.records(entity.name))


@EVERY
def test_keys_are_whole_and_unique(sandbox: Sandbox, entity: Entity) -> None:
    """No two records share a key, and no part of a key is null or zero."""
    own = tuple(path for path in entity.key if path != SCOPE)
    keys = [values(record, own) for record in sandbox.records(entity.name) if entity.feed is not Feed.REPORT]
    assert all(part not in {None, 0} for key in keys for part in key if not isinstance(part, list))
    assert own != entity.key or not own or len(set(map(str, keys))) == len(keys)


SCOPED = [row for row in CATALOG if row.feed is Feed.CHILD and SCOPE in row.key and row.key != (SCOPE,) and row.records]


@pytest.mark.parametrize("entity", SCOPED, ids=lambda entity: entity.name)
def test_keys_are_unique_for_each_parent(reader: Reader, entity: Entity) -> None:
    """What is numbered within its parent is met once there."""
    own = tuple(path for path in entity.key if path != SCOPE)
    keys = [(scope, values(record, own)) for scope, record in reader.read_children(entity)]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("entity", STAMPED, ids=lambda entity: entity.name)
def test_modification_times_are_stamps(sandbox: Sandbox, entity: Entity) -> None:
    """A cursor is never null, has seven digits behind the second and does not lie before the creation."""
    known = {field.path for field in registry.load().get(entity.name, ())}
    created = entity.cursor.replace("modifiedOn", "createdOn")
    for record in sandbox.records(entity.name):
        (modified,) = values(record, (entity.cursor,))
        assert STAMP.fullmatch(modified)
        assert created not in known or values(record, (created,))[0] <= modified


@pytest.mark.parametrize("entity", DOCUMENTED, ids=lambda entity: entity.name)
def test_the_registry_knows_every_field(sandbox: Sandbox, entity: Entity) -> None:
    """A record's top-level fields are exactly the registered ones of its feed."""
    feed = "export" if entity.export_path else "list"
    known = {field.path for field in registry.load()[entity.name] if field.feed in {feed, "both"}}
    top = {path for path in known if "." not in path and "[]" not in path}
    assert all(record.keys() == top for record in sandbox.records(entity.name))


@EXPORTED
def test_an_export_continues_where_it_ended(reader: Reader, entity: Entity) -> None:
    """Behind the last token there is nothing."""
    found, last = reader.read_export(entity)
    assert found
    assert reader.read_export(entity, last) == ([], last)


@pytest.mark.parametrize("entity", [row for row in STAMPED if row.export_path], ids=lambda entity: entity.name)
def test_an_export_starts_at_a_day(reader: Reader, entity: Entity) -> None:
    """From a day there is what was modified since, in the order of modification."""
    found, _ = reader.read_export(entity)
    moments = [values(record, (entity.cursor,))[0] for record in found]
    assert moments == sorted(moments)
    day = moments[len(moments) // 2][:10]
    assert [record for record in found if values(record, (entity.cursor,))[0] >= day] == reader.read_export(
        entity, day
    )[0]


@pytest.mark.parametrize("name", sorted(PER_CUSTOMER.keys() | PER_PARENT.keys()))
def test_another_tenant_has_other_data(sandbox: Sandbox, name: str) -> None:
    """Tenants number their records alike and fill them differently."""
    ours, theirs = sandbox.records(name, tenant=1), sandbox.records(name, tenant=2)
    assert ours != theirs


@pytest.mark.parametrize("entity", TABLED, ids=lambda entity: entity.name)
def test_a_change_moves_a_record_to_the_end(entity: Entity) -> None:
    """A changed record is the newest of its feed, and nothing else about the feed changes."""
    sandbox = Sandbox(customers=20)
    before = sandbox.records(entity.name)
    changed = sandbox.change(entity.name, len(before) - 1)
    after = sandbox.records(entity.name)
    assert len(after) == len(before)
    assert sum(record not in before for record in after) <= 1
    if "modifiedOn" in changed:
        assert changed["modifiedOn"] == max(record["modifiedOn"] for record in after)


def test_tables_name_entities_of_the_catalog() -> None:
    """Sizes and stories are told of entities that exist, in fields that exist."""
    assert (FIXED.keys() | PER_CUSTOMER.keys() | PER_PARENT.keys() | STORIES.keys()) <= BY_NAME.keys()
    for name in STORIES:
        assert told_names(name) <= {field.path for field in registry.load()[name]}
