"""Drift: what landed records hold that the field registry does not say, told exactly and taken over."""

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import parse_one

from cli import drifting
from cli.discover import discover
from discovery.applying import divided, take_over
from discovery.drift import Change, Drift, applied, drift, look, noted, of_rows
from discovery.models import value as value_of
from discovery.shapes import CLOCKS, KINDS, Shape, shape
from macros.functions import FUNCTIONS
from pipelines.sync import Stores, land_all
from sandbox.server import Sandbox
from sources.servicetitan import registry
from sources.servicetitan.catalog import BY_NAME
from sources.servicetitan.reading import Outcome
from sources.servicetitan.registry import ENVELOPE, FOLDER, SEEN, Column, Field, can_be_column, columns, load
from store.operations import Operations
from store.settings import Settings
from store.warehouse import DuckDB
from tests.inserting import insert
from tests.whole import reach

ESTIMATES = BY_NAME["estimates"]


def field(path: str, kind: str, *enum: str, nullable: bool = False) -> Field:
    return Field("jobs", path, kind, "", nullable, enum, "both")


RECORD = [
    field("id", "integer"),
    field("total", "number", nullable=True),
    field("state", "string", "Open", "Done"),
    field("source", "object"),
    field("source.id", "integer"),
    field("extra", "object"),
    field("tags", "array"),
    field("tags[]", "integer"),
]


def seen(kinds: dict[str, dict[str, int]], records: int = 10, **values: set[str]) -> Shape:
    return Shape(records, kinds, values)


WHOLE = {"id": {"integer": 10}, "state": {"string": 10}, "source": {"object": 10}, "source.id": {"integer": 10}}


@pytest.mark.parametrize(
    ("kinds", "values", "before", "wanted"),
    [
        (WHOLE, {}, {}, []),
        (WHOLE | {"total": {"integer": 4, "number": 2, "null": 4}, "tags": {"array": 10}}, {}, {}, []),
        (WHOLE | {"crew": {"string": 3, "null": 2}}, {}, {}, [("crew", "added", "string", 5)]),
        (WHOLE | {"crew": {"string": 3}}, {}, {"crew": ({"string"}, False)}, []),
        (WHOLE | {"crew": {"object": 3}, "crew.size": {"integer": 3}}, {}, {}, [("crew", "added", "object", 3)]),
        (WHOLE | {"source.kind": {"string": 3}}, {}, {}, [("source.kind", "added", "string", 3)]),
        (WHOLE | {"extra": {"object": 3}, "extra.kind": {"string": 3}}, {}, {}, []),
        (WHOLE | {"total": {"string": 2, "number": 8}}, {}, {}, [("total", "retyped", "number -> string", 2)]),
        (WHOLE | {"id": {"number": 10}}, {}, {}, [("id", "retyped", "integer -> number", 10)]),
        (WHOLE, {"state": {"Open", "Held"}}, {}, [("state", "value", "Held", 1)]),
        (WHOLE | {"id": {"null": 1, "integer": 9}}, {}, {"id": ({"integer"}, True)}, [("id", "null", "", 1)]),
        (WHOLE | {"id": {"null": 1, "integer": 9}}, {}, {"id": ({"integer", "null"}, True)}, []),
        (WHOLE, {}, {"tags": ({"array"}, True), "id": ({"integer"}, True)}, [("tags", "vanished", "", 10)]),
        (WHOLE, {}, {"tags": ({"array"}, False)}, []),
        (WHOLE | {"source": {"null": 10}, "source.id": {}}, {}, {"source.id": ({"integer"}, True)}, []),
    ],
)
def test_each_difference_is_told_and_nothing_else(kinds, values, before, wanted):
    """By path: what is new, of another kind, beyond the list, without a value, or gone; once, not again at each look."""
    known = {path: (Counter(kinds), constant) for path, (kinds, constant) in before.items()}
    found = drift("jobs", seen(kinds, **values), RECORD, known)
    assert [(one.path, str(one.change), one.detail, one.records) for one in found] == wanted


@given(
    kinds=st.dictionaries(
        st.sampled_from([one.path for one in RECORD if "[]" not in one.path] + ["crew", "source.kind"]),
        st.dictionaries(st.sampled_from(sorted(set(KINDS.values()))), st.integers(1, 10), min_size=1),
    ),
    value=st.text(max_size=3),
)
def test_what_was_taken_over_is_no_drift(kinds: dict[str, dict[str, int]], value: str):
    """But for numbers in a text, which its column holds as they are: the registry has no wider type that a column keeps."""
    found = list(drift("jobs", seen(kinds, state={value}), RECORD, {}))
    wide = applied(RECORD, found)
    again = drift("jobs", seen(kinds, state={value}), wide, {})
    types = {one.path: one.type for one in wide}
    assert all(one.change is Change.RETYPED and types[one.path] == "string" for one in again)


@pytest.fixture
def stores(settings: Settings) -> Iterator[Stores]:
    found = Stores.open(settings)
    yield found
    found.close()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(seed=5, customers=12) as made:
        yield made


def synced(stores: Stores, sandbox: Sandbox) -> list[Drift]:
    report = land_all(stores, reach(sandbox), (ESTIMATES,))
    assert report.is_good
    return look(stores.operations, stores.warehouse, load(), report.outcomes)


GIVEN = {"loyaltyCode": "A7", "budgetCodeId": "P-1", "reviewStatus": "Escalated"}


def test_the_next_sync_tells_exactly_what_changed(stores: Stores, sandbox: Sandbox):
    """A field more, one less, one of another type, one more value; every record stays whole; told once."""
    assert synced(stores, sandbox) == []
    sandbox.reshape("estimates", GIVEN, dropped=["summary"])
    for position in range(5):
        sandbox.change("estimates", position, name=f"Estimate {position}")
    found = synced(stores, sandbox)
    assert [str(one) for one in found] == [
        "estimates.budgetCodeId: retyped integer -> string",
        "estimates.loyaltyCode: added string",
        "estimates.reviewStatus: value Escalated",
        "estimates.summary: vanished",
    ]
    assert {one.records for one in found if one.change is not Change.VALUE} == {5}
    kept = stores.operations.run("drift")
    assert {(row["path"], row["kind"], row["detail"]) for row in kept} == {
        (one.path, str(one.change), one.detail) for one in found
    }
    sandbox.change("estimates", 1, name="Again")
    assert [str(one) for one in synced(stores, sandbox)] == ["estimates.reviewStatus: value Escalated"]
    assert len(stores.operations.run("drift")) == 4


def test_a_shape_counts_every_record(stores: Stores, sandbox: Sandbox):
    """Of the batch, by path and kind; two levels deep; the same on both stores."""
    [outcome] = land_all(stores, reach(sandbox), (ESTIMATES,)).outcomes
    found = shape(stores.warehouse, outcome, ["reviewStatus"])
    records = sandbox.records("estimates")
    wanted: dict[str, dict[str, int]] = {}
    for record in records:
        inner = {
            f"{name}.{key}": value
            for name, part in record.items()
            if isinstance(part, dict)
            for key, value in part.items()
        }
        for path, value in (record | inner).items():
            kinds = wanted.setdefault(path, {})
            kinds[kind_of(value)] = kinds.get(kind_of(value), 0) + 1
    whole = {path: together(kinds) for path, kinds in found.kinds.items()}
    assert whole == {path: together(kinds) for path, kinds in wanted.items()}
    assert found.records == len(records)
    assert found.values["reviewStatus"] == {record["reviewStatus"] for record in records}


def kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {int: "number", float: "number", str: "string", dict: "object", list: "array", type(None): "null"}
    return names[type(value)]


def together(kinds: dict[str, int]) -> dict[str, int]:
    """Whole numbers among numbers, since a 0.0 is a whole one to PostgreSQL."""
    found: dict[str, int] = {}
    for kind, times in kinds.items():
        name = "number" if kind == "integer" else kind
        found[name] = found.get(name, 0) + times
    return found


def kinds_of(path: str, **kinds: int) -> Shape:
    """A batch of records that have this at one path, and an `id`."""
    return Shape(10, {"id": {"integer": 10}, **({path: kinds} if kinds else {})})


@pytest.mark.parametrize(
    ("batches", "gone"),
    [
        ([kinds_of("state", string=10), kinds_of("state")], 1),
        ([kinds_of("state", string=4), kinds_of("state", string=10), kinds_of("state")], 0),
        ([kinds_of("state"), kinds_of("state", string=10), kinds_of("state")], 0),
        ([kinds_of("state", string=10), kinds_of("state", string=10), kinds_of("state")], 1),
    ],
)
def test_only_what_every_record_had_can_vanish(stores: Stores, batches: list[Shape], gone: int):
    """Every one of all looks: an optional field that a small batch happens to have whole is optional still."""
    told = [one for batch in batches for one in noted(stores.operations, 7, "jobs", batch, RECORD)]
    assert [(one.path, one.change) for one in told] == [("state", Change.VANISHED)] * gone


class Dying:
    """Operations whose process ends before it writes a shape."""

    def __init__(self, operations: Operations) -> None:
        self.run, self.rest = operations.run, operations.run_all

    def run_all(self, query: str, values: list[dict[str, Any]]) -> Any:
        if query == "note_shape":
            raise KeyboardInterrupt
        return self.rest(query, values)


def test_a_crash_while_it_is_written_down_loses_no_drift(stores: Stores):
    """What differs is there before the shape that would hide it."""
    noted(stores.operations, 7, "jobs", seen(WHOLE), RECORD)
    batch = seen(WHOLE | {"crew": {"string": 3}, "total": {"string": 2}, "id": {"null": 1, "integer": 9}})
    with pytest.raises(KeyboardInterrupt):
        noted(Dying(stores.operations), 7, "jobs", batch, RECORD)  # type: ignore[arg-type]
    kept = {(row["path"], row["kind"]) for row in stores.operations.run("drift")}
    assert kept == {("crew", "added"), ("total", "retyped"), ("id", "null")}
    assert noted(stores.operations, 7, "jobs", batch, RECORD)
    assert not noted(stores.operations, 7, "jobs", batch, RECORD)


@pytest.mark.parametrize(
    ("good", "bad", "named", "is_taken"),
    [
        (1000, 1, (), 0),
        (1000, 1, ("jobs.total",), 1),
        (1000, 1, ("jobs.id",), 0),
        (95, 5, (), 1),
        (96, 4, (), 0),
    ],
)
def test_a_few_bad_records_cost_no_column_its_type(
    stores: Stores, good: int, bad: int, named: tuple[str, ...], is_taken: int
):
    """Below a share of all the values that were looked at the type stays, and it is said why, unless the path is named."""
    for batch in (Shape(good, {"total": {"number": good, "null": 5000}}), Shape(bad, {"total": {"string": bad}})):
        noted(stores.operations, 7, "jobs", batch, RECORD)
    noted(stores.operations, 7, "jobs", Shape(0, {"total": {"null": 3}}), RECORD)
    [found] = of_rows(stores.operations.run("drift"))
    assert (found.records, found.looked_at) == (bad, good + bad)
    taken, left = divided([found], {"jobs": RECORD}, frozenset(), named)
    assert (taken == [found], bool(left)) == (is_taken, not is_taken)
    assert all("jobs.total keeps its type" in reason and "--path 'jobs.total'" in reason for reason in left)


def test_what_goes_on_is_counted(stores: Stores):
    """A kind that is told once counts in every later batch: in the end it is more than a few bad records."""
    noted(stores.operations, 7, "jobs", Shape(100, {"total": {"number": 100}}), RECORD)
    told = [noted(stores.operations, 7, "jobs", Shape(1, {"total": {"string": 1}}), RECORD) for _ in range(6)]
    assert [len(found) for found in told] == [1, 0, 0, 0, 0, 0]
    assert [one.share for one in of_rows(stores.operations.run("drift"))] == [6 / 106]


def test_a_path_that_does_not_differ_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """With those that do, before anything is written."""
    monkeypatch.setenv("LAZI_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("DATABASE_URL", settings.database_url)
    done = CliRunner().invoke(discover, ["drift", "--apply", "--path", "jobs.totl"])
    assert (done.exit_code, "jobs.totl" in done.output) == (2, True)
    assert "5 %" in CliRunner().invoke(discover, ["drift", "--help"]).output


def test_a_process_that_lives_sees_what_another_one_took_over(
    stores: Stores, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its next look is by the registry's files as they are then; what was forgotten stays so."""
    folder = tmp_path / "registry"
    shutil.copytree(FOLDER, folder)
    monkeypatch.setattr(registry, "current", partial(registry.current, folder))
    sandbox.reshape("estimates", {"reviewStatus": "Escalated"})
    told = drifting.look(stores, land_all(stores, reach(sandbox), (ESTIMATES,)).outcomes)
    assert [str(one) for one in told] == ["estimates.reviewStatus: value Escalated"]
    take_over(load(), told, folder)
    stores.operations.run("forget_drift", entity="estimates", path="reviewStatus", kind="value", detail="Escalated")
    sandbox.change("estimates", 0, name="Again")
    assert drifting.look(stores, land_all(stores, reach(sandbox), (ESTIMATES,)).outcomes) == []
    assert stores.operations.run("drift") == []


@given(st.lists(st.text(max_size=5) | st.sampled_from(["", "B|C", "[", "\n#", "\\"]), max_size=4))
def test_any_value_is_read_back(values: list[str]):
    """Also an empty one, one with the sign that stands between two, and what a file would take for a comment."""
    values = list(dict.fromkeys(values))
    with TemporaryDirectory() as folder:
        registry.write(Path(folder) / "jobs.csv", [field("state", "string", *values)])
        assert load.__wrapped__(Path(folder))["jobs"][0].enum == tuple(values)


SEEN_NAMES = [
    "customerId",
    "CustomerID",
    "customer_id",
    "Name",
    "addressStreet",
    "2ndPhone",
    "Owner's name",
    "имя",
    "tenantId",
    "parentStId",
]


DOCUMENTED = {field.path for field in load()["customers"]}
"""What cannot be seen as new: a field of one of these paths is the documents' own."""


@given(
    names=st.lists(
        (st.sampled_from(SEEN_NAMES) | st.text(max_size=70)).filter(lambda name: name not in DOCUMENTED), unique=True
    ),
    more=st.text(max_size=5).filter(lambda name: name not in DOCUMENTED),
)
def test_what_is_seen_takes_no_name(names: list[str], more: str):
    """Of a documented column, of one of ours, or of one that was seen before; every name can be used without quotes."""
    record = load()["customers"]
    old, new = [*record, *map(seen_field, names)], [*record, *map(seen_field, [*names, more])]
    before, after = columns(old, ["parent_st_id"]), columns(new, ["parent_st_id"])
    assert before[: len(columns(record))] == columns(record)
    assert after[: len(before)] == before
    names = [column.name for column in after]
    assert len({*names, *ENVELOPE, "parent_st_id"}) == len(names) + len(ENVELOPE) + 1
    assert all(re.fullmatch("[a-z_][a-z0-9_]{0,62}", name) for name in names)


def seen_field(path: str) -> Field:
    return Field("customers", path, "string", "", nullable=True, enum=(), feed="seen")


NAMES = ["plain", "Owner's name", "2ndPhone", "a b", "a-b", "it''s", "имя", "123", "x' || (SELECT 1) || '", "a'--"]


@pytest.mark.parametrize("kind", ["TEXT", "JSONB"])
def test_a_value_is_found_by_whatever_name_a_column_can_have(stores: Stores, kind: str):
    """On both engines, in the record itself and in an object of it; other names get no column."""
    payload = dict.fromkeys(NAMES, "hit") | {"in it's": dict.fromkeys(NAMES, "hit")}
    warehouse = stores.warehouse
    with nullcontext(warehouse.root) if isinstance(warehouse, DuckDB) else warehouse.cursor() as cursor:
        for statement in FUNCTIONS[warehouse.dialect]:
            cursor.execute(statement)
    able = [name for name in NAMES if can_be_column(name)]
    assert {"Owner's name", "2ndPhone", "a'--"} <= {*able}
    for path in [*((name,) for name in able), *(("in it's", name) for name in able)]:
        query = parse_one(f"SELECT {value_of(Column('x', kind, path))} FROM t", read="postgres")
        text = json.dumps(payload).replace("'", "''")
        made = (
            f"WITH t AS (SELECT CAST('{text}' AS {'JSON' if warehouse.dialect == 'duckdb' else 'JSONB'}) AS payload) "
        )
        [(found,)] = warehouse.fetch(made + query.sql(warehouse.dialect))
        assert found in {"hit", '"hit"'}, path


def test_what_no_column_can_be_made_of_is_told_and_left():
    """Of a name that means something to a path, a macro or a seed."""
    for name in ("", 'a"b', "a\\b", "@x", "a[0]", "*", "{{x}}", "null", "NaN", "$x", "a\nb"):
        taken, [reason] = divided([Drift("jobs", name, Change.ADDED, "string", 1)], {"jobs": RECORD}, frozenset())
        assert (taken, reason.startswith(f"jobs.{name} gets no column")) == ([], True)
        assert columns([seen_field(name)]) == ()


LAND = """
INSERT INTO raw.{table} (
  tenant_id, st_id, payload, payload_hash, is_deleted, key_bucket, sync_batch_id, synced_at, _dlt_load_id
)
SELECT 7, g.n, {mark}, CAST(g.n AS TEXT), FALSE, 1, {mark}, {mark}, 'x'
FROM {rows}
"""
ROWS = {"duckdb": "RANGE({}) AS g (n)", "postgres": "GENERATE_SERIES(1, {}) AS g (n)"}


def land(stores: Stores, rows: int, **given: Any) -> Outcome:
    """So many estimates landed an hour ago in one batch, and one now in another: the latter's outcome."""
    now, dialect = datetime.now(UTC), stores.warehouse.dialect
    for batch, moment, number in (("old", now - timedelta(hours=1), rows), ("new", now, 1)):
        mark = "?" if dialect == "duckdb" else "%s"
        query = LAND.format(table=ESTIMATES.raw_table, mark=mark, rows=ROWS[dialect].format(number))
        insert(stores.warehouse, query, (json.dumps(given), batch, moment))
    return Outcome(ESTIMATES, 7, "new", now - CLOCKS / 2)


def test_a_look_at_few_records_reads_no_others(stores: Stores):
    """On PostgreSQL by the index on the moment of landing, whatever stands in the table."""
    outcome = land(stores, 20_000, state="Open", source={"id": 1, "it's": [1]})
    asked: list[tuple[str, Any]] = []

    def fetch(query: str, values: Any) -> Any:
        asked.append((query, values))
        return stores.warehouse.fetch(query, values)

    found = shape(SimpleNamespace(dialect=stores.warehouse.dialect, fetch=fetch), outcome, ["state"])  # type: ignore[arg-type]
    assert (found.records, found.values) == (1, {"state": {"Open"}})
    assert set(found.kinds) == {"state", "source", "source.id", "source.it's"}
    assert len(asked) == 3
    if stores.warehouse.dialect == "postgres":
        stores.warehouse.fetch(f"ANALYZE raw.{ESTIMATES.raw_table}; SELECT 1")
        for query, values in asked:
            plan = str(stores.warehouse.fetch(f"EXPLAIN {query}", values))
            assert "synced_at_idx" in plan
            assert "Seq Scan" not in plan


def test_what_is_taken_over_counts_more_than_the_documents(tmp_path):
    """It stands in a file of its own, which the documents' next reading leaves alone; twice is as once."""
    record = load()["estimates"]
    changes = [
        Drift("estimates", "loyaltyCode", Change.ADDED, "string", 5),
        Drift("estimates", "projectId", Change.RETYPED, "integer -> string", 5),
        Drift("estimates", "reviewStatus", Change.VALUE, "Escalated", 1),
        Drift("estimates", "summary", Change.VANISHED, "", 5),
    ]
    made = take_over({"estimates": record}, changes, tmp_path)
    again = take_over({"estimates": record}, changes, tmp_path)
    assert made == again
    text = (tmp_path / SEEN).read_text(encoding="utf-8")
    assert text.startswith("# generated by `lazi discover drift --apply`")
    assert len(text.splitlines()) == 2 + 3
    by_path = {one.path: one for one in load(tmp_path)["estimates"]}
    assert by_path["loyaltyCode"].type == by_path["projectId"].type == "string"
    assert "Escalated" in by_path["reviewStatus"].enum
    assert {one.path for one in made["estimates"]} == {one.path for one in record} | {"loyaltyCode"}
