"""Loading the project in a process that lives."""

from pathlib import Path

import pytest

from pipelines.modelling import PROJECT, load_project
from pipelines.warming import warm
from store.settings import Settings
from tests.models.conftest import copy_project


def test_changed_macros_are_loaded_again(tmp_path: Path):
    """Macros that import one another, whose lines have moved since the process loaded them first."""
    settings, folder = Settings("", tmp_path / "data", 3001, "warning"), tmp_path / "project"
    folder.mkdir()
    copy_project(folder)
    load_project(settings, folder).close()
    path = folder / "macros" / "newest.py"
    before, mark, behind = path.read_text(encoding="utf-8").partition("FIRST_DAY = ")
    path.write_text(f"{before}ONE = 1\nTWO = 2\n\n\n{mark}{behind}", encoding="utf-8")
    context = load_project(settings, folder)
    assert context.get_model("crm.customer_facts")
    context.close()


@pytest.mark.slow
def test_the_set_up_leaves_a_cache_that_any_embedded_store_finds(tmp_path: Path):
    """Another data folder's first load renders no query anew, which is most of its work."""
    rendered = PROJECT / ".cache" / "optimized_query"
    assert warm() > len(list((PROJECT / "models").rglob("*.sql")))  # raw's tables are models too
    kept = {path.name for path in rendered.iterdir()}
    load_project(Settings("", tmp_path, 3001, "warning")).close()
    assert {path.name for path in (tmp_path / "sqlmesh" / rendered.name).iterdir()} == kept != set()
