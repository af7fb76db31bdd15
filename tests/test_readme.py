"""The README is true: what it names exists."""

import re
from pathlib import Path

import pytest

from bench.__main__ import BENCHES
from pipelines.names import PIPELINES
from sources.servicetitan.catalog import CATALOG

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINKS = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", README)


def test_benches_exist():
    """Every bench that is named."""
    assert set(re.findall(r"python -m bench ([a-z]+)", README)) <= {*BENCHES}


def test_the_first_screen_has_both_commands():
    """What a stranger sees first."""
    head = README.splitlines()[:24]
    assert any(line.startswith("make demo") for line in head)
    assert any(line.startswith("make test") for line in head)


@pytest.mark.parametrize(("path", "heading"), LINKS, ids=["#".join(link) for link in LINKS])
def test_links_lead_somewhere(path: str, heading: str):
    """To a file of the repository, and to a heading in it."""
    text = (ROOT / path).read_bytes().decode(errors="replace") if path else README
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    assert not heading or heading in {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("folder", re.findall(r"^\| `([^`]+)` \|", README.split("## Folders")[1], re.MULTILINE))
def test_folders_exist(folder: str):
    """Each folder and file of the table."""
    for name in folder.split():
        assert (ROOT / name).exists(), name


def test_numbers_and_names_are_those_of_the_catalog():
    """How many entities there are, and the pipelines."""
    assert f"the {len(CATALOG)} things" in README
    named = set(re.findall(r"servicetitan_p\d", README))
    assert named <= set(PIPELINES)
