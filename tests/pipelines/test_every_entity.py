"""What must be true of every entity of the catalog, on both stores: paging, landing, typing, rerun."""

import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from sources.servicetitan.catalog import CATALOG, Entity
from sources.servicetitan.registry import Column, columns, load
from tests.whole import Whole

EVERY_ENTITY = pytest.mark.parametrize("entity", CATALOG, ids=lambda entity: entity.name)


def outcome(report, entity: Entity):
    return next(one for one in report.outcomes if one.entity.name == entity.name)


@EVERY_ENTITY
def test_every_record_lands_once(whole: Whole, entity: Entity):
    """Raw holds each record that was served, exactly once, in the bytes' own meaning."""
    served = [json.dumps(record, sort_keys=True) for record in whole.sandbox.records(entity.name)]
    rows = whole.stores.warehouse.fetch(f"SELECT CAST(payload AS TEXT) FROM raw.{entity.raw_table}")
    landed = [json.dumps(json.loads(text), sort_keys=True) for (text,) in rows]
    assert served
    assert sorted(landed) == sorted(served if entity.is_scoped else set(served))
    assert outcome(whole.first, entity).status == "completed"


@EVERY_ENTITY
def test_it_was_read_in_pages(whole: Whole, entity: Entity):
    """Nothing is truncated: records that do not fit a page took several requests."""
    read = outcome(whole.first, entity)
    size = 11 if entity.export_path else 9
    if entity.paged and entity.records and read.tally.fetched > size and not entity.parent:
        assert read.meter.requests >= read.tally.fetched / size


@EVERY_ENTITY
def test_a_rerun_appends_nothing(whole: Whole, entity: Entity):
    """The second sync finds every record as it was."""
    assert outcome(whole.second, entity).tally.appended == 0
    assert outcome(whole.second, entity).status == "completed"


@EVERY_ENTITY
def test_master_has_one_row_for_each_key(whole: Whole, entity: Entity):
    """As many rows as raw has keys, and the newest version's hash in each."""
    (counts,) = whole.stores.warehouse.fetch(
        f"SELECT COUNT(*), COUNT(DISTINCT st_id), (SELECT COUNT(DISTINCT st_id) FROM raw.{entity.raw_table}) "
        f"FROM master.{entity.name}"
    )
    assert counts[0] == counts[1] == counts[2] > 0


@EVERY_ENTITY
def test_every_value_is_typed(whole: Whole, entity: Entity):
    """Each column holds what the payload says, in its type; and nothing was found bad."""
    own = columns(load()[entity.name])
    names = ", ".join(f'm."{column.name}"' for column in own)
    rows = whole.stores.warehouse.fetch(
        f"SELECT CAST(r.payload AS TEXT), m.bad_columns, {names} FROM master.{entity.name} AS m "
        f"JOIN raw.{entity.raw_table} AS r ON r.st_id = m.st_id AND r.payload_hash = m.payload_hash"
    )
    for payload, bad, *values in rows:
        assert bad is None
        record = json.loads(payload)
        for column, value in zip(own, values, strict=True):
            assert comparable(column, value) == comparable(column, expected(column, record)), column


def expected(column: Column, record: Any) -> Any:
    """The payload's value at the column's path."""
    for part in column.path:
        capital = part[:1].upper() + part[1:]  # as the newer way of asking for reports begins names
        record = record.get(part, record.get(capital)) if isinstance(record, dict) else None
    return record


def comparable(column: Column, value: Any) -> Any:
    """A value from the payload or from a table, in one form for each type."""
    if value is None or (column.type == "JSONB" and value == "null"):
        return None
    if column.type == "JSONB":
        return json.dumps(json.loads(value) if isinstance(value, str) else value, sort_keys=True)
    if column.type == "TEXT":
        return json.dumps(value) if isinstance(value, bool | dict | list) else str(value)
    if column.type.startswith("NUMERIC"):
        return round(Decimal(str(value)), 6)
    if column.type == "TIMESTAMPTZ":
        return value if isinstance(value, datetime) else moment(value)
    if column.type == "DATE":
        return value if isinstance(value, date) else date.fromisoformat(value[:10])
    return value


def moment(text: str) -> datetime:
    """ServiceTitan's text with the fraction cut to microseconds, as master cuts it; UTC where it names no zone."""
    parsed = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def test_models_are_planned_once_and_then_left_alone(whole: Whole):
    """With nothing new, the second refresh does nothing."""
    assert whole.models == ("planned", "unchanged")


def test_every_batch_is_written_down(whole: Whole):
    """`system.sync_batches` has two batches of each entity, with what they did."""
    for entity in CATALOG:
        first, second = whole.stores.operations.run("batches_of_entity", entity=entity.name)
        assert first["appended"] == outcome(whole.first, entity).tally.appended > 0
        assert (second["appended"], second["status"]) == (0, "completed")
        assert first["bytes"] > 0
        assert first["finished_at"] >= first["started_at"]
