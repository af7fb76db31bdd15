"""What the log of changes says of versions that landed before a prune never changes: what is left of them has holes."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.modelling import evaluate_models, touched
from pipelines.sync import Stores
from sources.servicetitan.catalog import BY_NAME
from sources.servicetitan.reading import raw_table
from store.pruning import prune
from store.settings import Settings
from tests.inserting import insert
from tests.pipelines.test_history import planned

TABLE = raw_table(BY_NAME["zones"])
NOW = datetime.now(UTC).replace(microsecond=0)
BASED, MOVED = 1, 2  # a record on a version of which a change is based, and one whose shown version landed early


@pytest.fixture
def stores(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stores]:
    monkeypatch.setenv("LAZI_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("DATABASE_URL", settings.database_url or "embedded")
    with closing(Stores.open(settings)) as opened:
        yield opened


def land(stores: Stores, key: int, name: str, landed: float, modified: float | None) -> None:
    """A version; its hash is its name, and its moments are days before or after now."""
    mark = "?" if stores.warehouse.dialect == "duckdb" else "%s"
    when = None if modified is None else NOW + timedelta(days=modified)
    row = (1, key, f'{{"name": "{name}"}}', when, name, False, key, "b", NOW + timedelta(days=landed), "l", None)
    insert(stores.warehouse, f"INSERT INTO raw.{TABLE.name} VALUES ({', '.join([mark] * len(row))})", row)


def log_of(stores: Stores) -> dict[str, tuple[Any, ...]]:
    """The log by hash: what it was compared with, what it was, and when the row was written."""
    query = "SELECT payload_hash, previous_hash, operation, CAST(changes AS TEXT), modeled_at FROM audit.log"
    return {name: tuple(rest) for name, *rest in stores.warehouse.fetch(query)}


@pytest.mark.slow
def test_a_prune_changes_nothing_that_the_log_says(stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Neither the next version that lands does, nor a late one in a hole; one right before a version that is left does."""
    land(stores, BASED, "v0", -40.0, None)
    for number in range(1, 11):
        land(stores, BASED, f"v{number}", number - 40.0, number - 40.0)
    for name, landed, modified in (("s", -40, -1), ("p", -39, -39), ("x", -38, -36), ("a", -37, -37), ("b", -36, -35)):
        land(stores, MOVED, name, landed, modified)
    context = planned(tmp_path / "project")

    def refresh() -> dict[str, tuple[Any, ...]]:
        evaluate_models(context.scheduler(environment="prod"), touched(context, ["zones"]), ["zones"])
        return log_of(stores)

    before = log_of(stores)
    assert [before[name][0] for name in ("v0", "v1", "v9", "p", "a", "x", "b", "s")] == [
        *(None, "v0", "v8"),
        *(None, "p", "a", "x", "b"),
    ]
    run = stores.operations.run
    monkeypatch.setattr(
        stores.operations,
        "run",
        lambda query, **v: [{"base_hash": "v3"}] if query == "mutation_bases" else run(query, **v),
    )
    assert [one.versions for one in prune(stores.warehouse, stores.operations, [TABLE], NOW, dry=False)] == [10]
    rows = stores.warehouse.fetch(f"SELECT payload_hash FROM raw.{TABLE.name}")
    assert {name for (name,) in rows} == {"v3", "v9", "v10", "s", "a", "b"}

    land(stores, BASED, "v11", 0.1, 0.1)
    land(stores, MOVED, "c", 0.1, 0.1)
    after = refresh()
    assert {name: after[name] for name in before} == before
    assert [after[name][:2] for name in ("v11", "c")] == [("v10", "update"), ("s", "update")]

    land(stores, BASED, "in a hole", 0.2, -34.5)
    land(stores, BASED, "between", 0.2, -30.5)
    later = refresh()
    assert {name: later[name] for name in before if name != "v10"} == {
        name: row for name, row in before.items() if name != "v10"
    }
    assert [later[name][0] for name in ("in a hole", "between", "v10", "v11")] == ["v3", "v9", "between", "v10"]
    assert refresh() == later
    context.close()


def test_a_prune_is_noted_before_anything_goes(stores: Stores, monkeypatch: pytest.MonkeyPatch):
    """So that one that is cut off is known to the log as well."""
    for number in range(3):
        land(stores, BASED, f"v{number}", number - 9.0, number - 9.0)

    def cut_off(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("store.pruning.taken_away", cut_off)
    with pytest.raises(KeyboardInterrupt):
        list(prune(stores.warehouse, stores.operations, [TABLE], NOW, dry=False))
    assert stores.warehouse.fetch("SELECT entity FROM raw._lazi_pruned") == [("zones",)]
