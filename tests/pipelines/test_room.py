"""How much memory models have on a lake."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipelines.modelling import Models
from pipelines.sqlmesh_doors import open_attached
from store import lake
from store.settings import Settings

NARROW = 300_000_000
TOO_LITTLE = "audit.log: Out of Memory Error: failed to allocate data of size 16.0 KiB (1.8 GiB/1.8 GiB used)"


def tried(monkeypatch: pytest.MonkeyPatch, engine: str, errors: list[str]) -> list[int]:
    """The memory that models had at each try, where the first ones fail with these."""
    models, seen = (
        Models(Settings("postgresql://h/x", Path("/nowhere"), 3001, "warning", warehouse=engine)),
        list[int](),
    )

    def evaluate(*_: Any, **__: Any) -> None:
        seen.append(lake.Room.bytes)
        if len(errors) >= len(seen):
            raise ValueError(errors[len(seen) - 1])

    monkeypatch.setattr(lake.Room, "bytes", NARROW)
    monkeypatch.setattr(models, "evaluate", evaluate)
    try:
        models.build("text", {"jobs": 1}, {"jobs": 1}, questions=False)
    except ValueError as error:
        seen.append(-len(str(error)))
    return seen


def test_models_that_need_more_memory_get_what_there_is(monkeypatch: pytest.MonkeyPatch):
    """In the same run, once; what fails then, or for another reason, or elsewhere, fails."""
    everything, failed = lake.memory_of_machine(), -len(TOO_LITTLE)
    assert everything > NARROW
    assert tried(monkeypatch, "ducklake", [TOO_LITTLE]) == [NARROW, everything]
    assert tried(monkeypatch, "ducklake", [TOO_LITTLE, TOO_LITTLE]) == [NARROW, everything, failed]
    assert tried(monkeypatch, "ducklake", ["another"]) == [NARROW, -len("another")]
    assert tried(monkeypatch, "postgres", [TOO_LITTLE]) == [NARROW, failed]


def test_models_open_the_lake_with_the_memory_that_they_have(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """And with more from the next time on, once it was too little."""
    monkeypatch.setattr(lake.Room, "bytes", NARROW)
    on_a_lake = Settings(postgres_url, tmp_path / "data", 3001, "warning", warehouse="ducklake")
    held = "SELECT CAST(parse_formatted_bytes(current_setting('memory_limit')) AS BIGINT)"
    found = []
    for _ in range(2):
        with closing(open_attached(on_a_lake)) as opened:
            found += opened.execute(held).fetchall()
        assert lake.more_room() == (len(found) == 1)
    assert found[0][0] == pytest.approx(NARROW, rel=0.01)
    assert found[1][0] == pytest.approx(lake.memory_of_machine(), rel=0.01)
