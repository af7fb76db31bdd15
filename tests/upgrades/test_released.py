"""Stores of every release, kept as they were, come forward to this version; and what was released is never edited."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from store.settings import Settings
from tests.upgrades.freeze import CHANGELOG, DIGESTS, POSTGRES, SQLITE, digests, releases
from tests.upgrades.tables import looking
from tests.upgrades.test_migrations import fresh, kept, settled

NAMES = [path.name for path in releases()]


@pytest.mark.parametrize("release", releases(), ids=lambda path: path.name)
def test_a_store_of_a_release_comes_forward_and_keeps_its_rows(
    release: Path, settings: Settings, request: pytest.FixtureRequest, tmp_path: Any
):
    """Its tables become those of a new store, with every row that there was."""
    text = (release / (SQLITE if settings.is_embedded else POSTGRES)).read_text(encoding="utf-8")
    with looking(settings) as tables:
        tables.execute(text)
    with looking(settings) as tables:  # PostgreSQL's dump leaves its session without a search path
        before = tables.content()
        assert all(before.values())
    settled(settings)
    with looking(settings) as tables:
        assert tables.schema() == fresh(settings, request, tmp_path)
        kept(before, tables.content(), len(json.loads((release / DIGESTS).read_text())))


@pytest.mark.parametrize("release", releases(), ids=lambda path: path.name)
def test_a_released_migration_is_never_edited(release: Path):
    """A store that had it would not be what a new one is. A mistake in one is mended by the next one."""
    released, here = json.loads((release / DIGESTS).read_text()), digests()
    assert {name: here.get(name) for name in released} == released


def test_the_first_release_is_kept():
    """From which the tests above begin."""
    assert NAMES[0] == "0.1.0"


@pytest.mark.parametrize("name", NAMES)
def test_the_changelog_says_of_each_release_what_an_operator_does(name: str):
    """A section `Upgrading` below its heading, which names the backup or says that there is nothing to do."""
    text = CHANGELOG.read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(name)}, .*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, name
    section = re.search(r"^### Upgrading\n+(.+?)(?=^#|\Z)", found[0], re.MULTILINE | re.DOTALL)
    assert section, name
    assert re.search(r"lazi upgrade|nothing to do|first release", section[1])
