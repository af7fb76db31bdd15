"""SQLMesh's unit tests of the models: rows in, rows out, as they stand in the YAML files of this folder."""

from pathlib import Path
from typing import Any

import yaml

from pipelines.modelling import PROJECT, load_project
from store.settings import Settings

FOLDER = Path(__file__).parent


def test_the_models_give_what_their_unit_tests_say(tmp_path: Path):
    """Each test of each file runs, and none fails."""
    paths = list(FOLDER.glob("test_*.yaml"))
    written = sum(len(yaml.safe_load(path.read_text(encoding="utf-8"))) for path in paths)
    context: Any = load_project(Settings("", tmp_path / "data", 3001, "warning"), PROJECT)
    try:
        result = context.test(tests=[str(path) for path in paths])
    finally:
        context.close()
    assert [(str(test), said) for test, said in [*result.failures, *result.errors]] == []
    assert result.testsRun == written > 0
