"""Whoever sees an alarm finds what to do about it."""

import ast
import inspect
import re
from contextlib import closing
from pathlib import Path

import pytest

from alarms import checks
from alarms.limits import LIMITS, Unit, value
from cli.status import condition
from store.operations import open_operations
from store.settings import Settings
from tests.docs.fence import DOCS, QUERY, RUN, fences

PAGE = (DOCS / "alarms.md").read_text(encoding="utf-8")
SECTIONS = dict(part.partition("\n")[::2] for part in PAGE.split("\n## ")[1:])


def kinds() -> set[str]:
    """Every name that a check gives to what it finds."""
    calls = [node for node in ast.walk(ast.parse(inspect.getsource(checks))) if isinstance(node, ast.Call)]
    findings = [call.args[0] for call in calls if getattr(call.func, "id", "") == "Finding"]
    constants = {first.value for first in findings if isinstance(first, ast.Constant)}
    return constants | {str(state) for state in checks.MEANS}


def test_the_kinds_are_found():
    """Those that have a limit, and the one that needs none."""
    assert kinds() == {limit.name for limit in LIMITS if not limit.name.endswith("_critical")} | {"token"}


@pytest.mark.parametrize("kind", sorted(kinds()))
def test_every_kind_has_its_section(kind: str):
    """Under its own name, with what it means and at least one command."""
    section = SECTIONS[kind]
    assert re.search(r"^\*.+\.\*$", section, re.MULTILINE)
    assert {fence.language for fence in fences(kind, section)} & {RUN, QUERY}


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
def test_limits_are_told_as_they_are(limit):
    """Each with its usual value, in a form that `LAZI_ALARMS` takes."""
    found = re.search(rf"^\| `{limit.name}` \| `([^`]+)` \|", PAGE, re.MULTILINE)
    assert found
    assert value(limit, found[1]) == limit.usual
    assert limit.unit in Unit


def test_status_leads_to_the_page(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """When something is wrong, under the name that it shows; not when all is well."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with closing(open_operations(settings)) as operations:
        assert "docs/alarms.md" not in condition(operations, settings)
        monkeypatch.setenv("LAZI_ALARMS", "disk=1000000TB")
        told = condition(operations, settings)
    alarm = re.search(r"^\w+: (\w+)", told)
    assert alarm
    assert alarm[1] in SECTIONS
    assert "docs/alarms.md" in told
    assert (Path(__file__).parents[2] / "docs" / "alarms.md").exists()
