"""Odd rows: what can be taken over lands with a remark, the rest is told and kept, and nothing ends the takeover."""

import json
import uuid
from urllib.parse import urlsplit, urlunsplit

import pytest

from pipelines.legacy import record
from pipelines.legacy.exceptions import LegacyError
from store.settings import Settings
from tests.conftest import MakeDatabase
from tests.legacy.conftest import Takeover
from tests.legacy.original import Original

ODD = """
CREATE TABLE raw.st_zones (row_id SERIAL, tenant_id TEXT, st_id TEXT, raw_data TEXT, fetched_at TEXT, deleted_at TIMESTAMP);
INSERT INTO raw.st_zones (tenant_id, st_id, raw_data, fetched_at, deleted_at) VALUES
  ('7', '1', '{"id":1,"name":"good"}', '2024-01-01 10:00:00', NULL),
  ('7', '1', '{"id":1,"name":"good"}', '2024-01-01 10:00:00', NULL),
  ('7', '2', NULL, '2024-01-01', NULL),
  ('7', '3', 'not json', '2024-01-01', NULL),
  ('7', '4', '[{"id":4}]', '2024-01-01', NULL),
  ('7', '5', '{"id":5,"name":"a\\u0000b"}', '2024-01-01', NULL),
  (NULL, '6', '{"id":6}', '2024-01-01', NULL),
  ('acme', '7', '{"id":7}', '2024-01-01', NULL),
  ('7', '8', '{"name":"no id"}', '2024-01-01', NULL),
  ('7', NULL, '{"name":"none at all"}', '2024-01-01', NULL),
  ('7', '9', '{"id":"ten"}', '2024-01-01', NULL),
  ('7', '10', '{"id":10,"name":"when?"}', NULL, NULL),
  ('7', '11', '{"id":11,"name":"then"}', 'then', NULL),
  ('7', '12', '{"id":12,"name":"later"}', '2099-01-01', NULL),
  ('7', '13', '{"id":13,"name":"gone"}', '2024-01-01', '2024-02-01'),
  ('7', '14', '"{\\"id\\":14}"', '2024-01-01', NULL),
  ('7', '15', '{"id":15,"modifiedOn":"whenever","name":"dated"}', '2024-01-01', NULL)
"""


def test_odd_rows_are_told_one_by_one(takeover: Takeover) -> None:
    """Each oddity is counted under its reason with an example; good rows beside them land."""
    takeover.original.run(ODD)
    tally = takeover.table("zones").tally
    assert {reason: (odd.rows, odd.examples) for reason, odd in tally.rejected.items()} == {
        record.NO_PAYLOAD: (1, ["2"]),
        record.NOT_JSON: (1, ["3"]),
        record.NOT_OBJECT.format("an array"): (1, ["4"]),
        record.BAD_TENANT: (1, ["7"]),
    }
    assert {text: (odd.rows, odd.examples) for text, odd in tally.remarks.items()} == {
        record.REPAIRED: (1, ["5"]),
        record.ROWS_KEY: (2, ["8", "9"]),
        record.NO_KEY: (1, ["row 10"]),
        record.NO_DATE: (1, ["10"]),
        record.BAD_DATE: (1, ["11"]),
        record.FUTURE: (1, ["12"]),
        record.NESTED: (1, ["14"]),
    }
    rows = takeover.fetch("SELECT st_id, is_deleted, tenant_id FROM raw.st_zones WHERE st_id > 0")
    assert {(key, gone) for key, gone, _ in rows} >= {(key, False) for key in (1, 5, 6, 8, 9, 10, 11, 12, 14)} | {
        (13, True)
    }
    assert {tenant for _, _, tenant in rows} == {7}
    assert tally.rows == 17 == tally.versions + tally.repeats + tally.refused


def test_what_is_rejected_is_kept_whole_and_once(takeover: Takeover) -> None:
    """A rejected row stands in our store with its reason and payload, however often it was met."""
    takeover.original.run(ODD)
    first = takeover.run()
    kept = takeover.operations("legacy_rejects", source=first.source)
    takeover.run()
    assert takeover.operations("legacy_rejects", source=first.source) == kept
    assert [(row["record_id"], row["payload"]) for row in sorted(kept, key=lambda row: row["record_id"])] == [
        ("2", None),
        ("3", "not json"),
        ("4", '[{"id":4}]'),
        ("7", '{"id":7}'),
    ]
    assert all(json.loads(row["dates"])["synced"] == "2024-01-01" for row in kept)


def test_undated_rows_have_the_same_place_in_every_run(takeover: Takeover) -> None:
    """Rows without a usable date stand at the first takeover's beginning in each run, so that none lands twice."""
    takeover.original.run(ODD)
    first, again = takeover.table("zones"), takeover.table("zones")
    assert (again.landed_now, again.tally) == (0, first.tally)


def test_a_payload_that_an_engine_does_not_take_stops_no_other(takeover: Takeover) -> None:
    """The original's `json` keeps numbers beyond every engine's; such a row is rejected, the rows of its batch land."""
    takeover.original.table("zones", "JSON")
    for key in range(1, 6):
        number = "1" + "0" * 200_000 if key == 3 else str(key)
        takeover.original.add("zones", key, f'{{"id":{key},"x":{number}}}', "2024-01-01")
    tally = takeover.table("zones").tally
    landed = {key for (key,) in takeover.fetch("SELECT st_id FROM raw.st_zones")}
    assert landed >= {1, 2, 4, 5}
    assert (3 in landed) == (not tally.rejected)
    assert tally.versions + tally.refused == 5
    again = takeover.table("zones")
    assert (again.landed_now, again.tally) == (0, tally)


def test_rows_without_a_tenant_need_one(takeover: Takeover) -> None:
    """A table that names no tenant is refused before anything is written, and taken over with one."""
    takeover.original.run("CREATE TABLE raw.st_zones (st_id BIGINT, payload JSONB, synced_at TIMESTAMPTZ)")
    takeover.original.run("INSERT INTO raw.st_zones VALUES (1, '{\"id\": 1}', '2024-01-01')")
    with pytest.raises(LegacyError, match=r"`raw.st_zones` does not say which tenant .*`--tenant 1234567`"):
        takeover.run(tenant_id=None)
    assert takeover.table("zones", tenant_id=5).landed_now == 1
    assert takeover.fetch("SELECT tenant_id FROM raw.st_zones") == [(5,)]


def test_a_table_whose_payload_cannot_be_told_is_refused_by_name(takeover: Takeover) -> None:
    """Nothing is guessed: the table is named with its columns, the others are taken over, and the takeover is not good."""
    takeover.original.run("CREATE TABLE raw.st_teams (id BIGINT, tenant_id BIGINT, one JSONB, two JSONB)")
    takeover.original.table("zones")
    takeover.original.add("zones", 1, {"id": 1}, "2024-01-01")
    report = takeover.run()
    found = {one.table: one for one in report.tables}
    assert found["raw.st_teams"].status == "refused"
    assert "`one` jsonb" in found["raw.st_teams"].reason
    assert found["raw.st_zones"].landed_now == 1
    assert not report.is_good


def test_a_table_that_may_not_be_read_fails_alone(takeover: Takeover) -> None:
    """A right that is missing is said of its table; the others are taken over."""
    takeover.original.table("teams")
    takeover.original.table("zones")
    takeover.original.add("zones", 1, {"id": 1}, "2024-01-01")
    role = f"reader_{uuid.uuid4().hex[:8]}"
    takeover.original.run(
        f"CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA raw TO {role}; GRANT SELECT ON raw.st_zones TO {role}"
    )
    takeover.original.url = takeover.original.url.replace("//postgres:@", f"//{role}@")
    report = takeover.run()
    found = {one.table: one for one in report.tables}
    assert (found["raw.st_teams"].status, found["raw.st_zones"].landed_now) == ("failed", 1)
    assert "permission denied" in found["raw.st_teams"].reason
    assert "permission denied" in report.mutations.error
    assert not report.is_good


def test_two_tenants_in_one_table_stay_apart(takeover: Takeover) -> None:
    """The same key of two tenants is two records."""
    takeover.original.table("zones")
    for tenant in (7, 8):
        takeover.original.add("zones", 1, {"id": 1, "name": "same"}, "2024-01-01", tenant=tenant)
    found = takeover.table("zones")
    assert (found.tally.records, found.tally.equal, found.only_here) == (2, 2, 0)
    assert sorted(takeover.fetch("SELECT tenant_id, st_id FROM raw.st_zones")) == [(7, 1), (8, 1)]


def test_a_table_without_keys_or_order_lands_all_the_same(takeover: Takeover) -> None:
    """Where only the payload is there, its own id is the key; another run finds the versions there."""
    takeover.original.run("CREATE TABLE raw.st_zones (full_data JSONB)")
    takeover.original.run("INSERT INTO raw.st_zones VALUES ('{\"id\": 1}'), ('{\"id\": 2}')")
    first, again = takeover.table("zones"), takeover.table("zones")
    assert (first.landed_now, again.landed_now, again.tally.versions) == (2, 0, 2)


def test_a_database_of_no_known_encoding_is_read_byte_by_byte(make_database: MakeDatabase, settings: Settings) -> None:
    """Its text may be UTF-8, and is taken as that; what is none is replaced in the one record that has it."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    make_database.run(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    make_database.names.append(name)
    original = Original(urlunsplit(urlsplit(make_database.server)._replace(path=f"/{name}")))
    original.table("zones", "TEXT")
    original.run(
        "SET client_encoding = 'SQL_ASCII'; INSERT INTO raw.st_zones (tenant_id, st_id, payload, synced_at) VALUES "
        """(7, 1, '{"id":1,"name":"' || E'\\303\\251' || '"}', now()), (7, 2, '{"id":2,"name":"' || E'\\351' || '"}', now())"""
    )
    original.run(
        "INSERT INTO outbound.mutations (tenant_id, entity_type, operation, entity_id, payload, status) VALUES "
        """(7, 'customers', 'update', 5, ('{"name": "' || E'\\303\\251' || '"}')::jsonb, 'pending')"""
    )
    takeover = Takeover(original, settings)
    tally = takeover.table("zones").tally
    assert {text: odd.examples for text, odd in tally.remarks.items()} == {record.REPAIRED: ["2"]}
    rows = takeover.fetch("SELECT st_id, CAST(payload AS TEXT) FROM raw.st_zones ORDER BY st_id")
    assert [json.loads(payload)["name"] for _, payload in rows] == ["\u00e9", "\ufffd"]
    [row] = takeover.operations("mutation", mutation_id=1, tenant_id=None)
    assert json.loads(row["payload"]) == {"name": "\u00e9"}
