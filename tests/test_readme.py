"""The README is true: what it names exists."""

import re
from pathlib import Path

import pytest

from bench.__main__ import BENCHES
from cli.main import COMMANDS
from pipelines.names import PIPELINES
from sources.servicetitan.catalog import CATALOG

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_commands_and_targets_exist():
    """Every `lazi` command and make target that is named."""
    assert set(re.findall(r"\blazi ([a-z]+)", README)) <= {*COMMANDS}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)", README, re.MULTILINE))
    for target in {first or second for first, second in named}:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_benches_exist():
    """Every bench that is named."""
    assert set(re.findall(r"python -m bench ([a-z]+)", README)) <= {*BENCHES}


def test_the_first_screen_has_both_commands():
    """What a stranger sees first."""
    head = README.splitlines()[:20]
    assert any(line.startswith("make demo") for line in head)
    assert any(line.startswith("make test") for line in head)


@pytest.mark.parametrize("folder", re.findall(r"^\| `([^`]+)` \|", README.split("## Folders")[1], re.MULTILINE))
def test_folders_exist(folder: str):
    """Each folder and file of the table."""
    for name in folder.split():
        assert (ROOT / name).exists(), name


def test_tables_exist():
    """Models that the README names stand in `models/`."""
    for schema, name in re.findall(r"`(master|crm|audit)\.([a-z_0-9]+)`", README):
        assert (ROOT / "models" / schema / f"{name}.sql").exists()


def test_numbers_and_names_are_those_of_the_catalog():
    """How many entities there are, and the pipelines."""
    assert f"the {len(CATALOG)} things" in README
    assert {"servicetitan_p1", "servicetitan_p4"} <= set(PIPELINES)
