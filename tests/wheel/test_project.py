"""Where the SQLMesh project is looked for, and what an installation refuses."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.discover import discover
from cli.project import project
from pipelines import warming
from pipelines.modelling import PROJECT, fingerprint
from sandbox.server import Sandbox
from store import project as place
from store.project import CheckoutNeededError, installed
from store.settings import Settings
from tests.wheel.contents import ROOT

CHANGES = (
    ["models"],
    ["openapi", str(ROOT)],
    ["drift", "--apply"],
    ["--entity", "jobs", "--apply"],
)


@pytest.mark.parametrize(
    "code",
    ["lib/python3.11/site-packages", "lib/python3/dist-packages", "Lib/site-packages", "."],
    ids=["venv", "Debian", "Windows", "pip --target"],
)
def test_the_nearest_share_is_the_installations_own(code: str, tmp_path: Path):
    """Wherever pip puts packages and data, one stands at or above the other; an outer installation's is farther away."""
    (tmp_path / "share" / "st-lazi").mkdir(parents=True)
    inner = tmp_path / "venv"
    own = inner / "share" / "st-lazi"
    own.mkdir(parents=True)
    (inner / code).mkdir(parents=True, exist_ok=True)
    assert installed(inner / code) == own


def test_a_checkout_is_its_own_project():
    """The tests run in one."""
    assert installed(ROOT) is None
    assert PROJECT == ROOT
    assert CliRunner().invoke(project).output == f"{ROOT}\n"


@pytest.mark.parametrize("arguments", CHANGES, ids=" ".join)
def test_an_installation_keeps_its_models(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What would write there says so, and where it can be done, before it asks ServiceTitan or a store for anything."""
    monkeypatch.setattr(place, "INSTALLED", tmp_path)
    with pytest.raises(CheckoutNeededError, match=r"next `pip install` writes over .* in a checkout") as error:
        CliRunner().invoke(discover, arguments, catch_exceptions=False)
    assert f"`lazi discover {arguments[0]}" in str(error.value) or "`lazi discover --apply`" in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_samples_are_written_below_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`lazi discover` writes nothing among the installed files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(place, "INSTALLED", tmp_path / "installed")
    with Sandbox(customers=3) as sandbox:
        for name, value in sandbox.environment().items():
            monkeypatch.setenv(name, value)
        done = CliRunner().invoke(discover, ["--entity", "zones", "--records", "5"], catch_exceptions=False)
    assert "files in discovery/output" in done.stderr
    assert (tmp_path / "discovery" / "output" / "samples" / "zones.json").is_file()


def test_what_macros_read_beside_the_project_is_part_of_its_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A plan is due when it changed, in an installation too, where it stands elsewhere."""
    settings = Settings("", tmp_path, 3001, "warning")
    before = fingerprint(settings)
    (tmp_path / "texts.py").write_text("SORTED_CHARACTERS = 1\n")
    monkeypatch.setattr("pipelines.modelling.OUTSIDE", tmp_path / "texts.py")
    assert fingerprint(settings) != before


def test_each_engine_is_due_a_plan_of_its_own(tmp_path: Path):
    """Models that one warehouse has are not taken for built in another, whoever turns the setting."""
    found = {
        fingerprint(Settings(url, tmp_path, 3001, "warning", warehouse=engine))
        for url, engine in (("", "duckdb"), ("postgresql://u@h/d", "postgres"), ("postgresql://u@h/d", "ducklake"))
    }
    assert len(found) == 3


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In a line, before any work, and that it may be left."""
    (tmp_path / ".cache").write_text("in the way")
    monkeypatch.setattr(warming, "PROJECT", tmp_path)
    with pytest.raises(SystemExit, match=r"\.cache` cannot be written: .*or leave it"):
        warming.main()
