"""The wheel holds all that the code needs, and nothing else."""

import re
from importlib.metadata import version
from pathlib import PurePosixPath

import pytest
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager

from tests.wheel.contents import PROJECT, ROOT, SHARED, in_tree, in_wheel, packages, pyproject

SECRET = re.compile(r"(^|/)(\.env|secrets\.toml|.*\.(duckdb|sqlite|pem|key|log))$")


@pytest.mark.parametrize("package", packages())
def test_a_package_is_whole(package: str):
    """Each of its files in git, code and data (queries, migrations, registries, templates, static files), at its own path."""
    wanted = {name for name in in_tree() if name.startswith(f"{package}/")}
    found = {name for name in in_wheel() if name.startswith(f"{package}/")}
    assert found == wanted
    assert f"{package}/py.typed" in found


@pytest.mark.parametrize("part", SHARED)
def test_the_sqlmesh_project_is_whole(part: str):
    """Each of its files in git, in the one folder where `store.project` looks."""
    wanted = {f"{PROJECT}/{name}" for name in in_tree() if name == part or name.startswith(f"{part}/")}
    assert wanted
    assert {name for name in in_wheel() if PurePosixPath(name).is_relative_to(f"{PROJECT}/{part}")} == wanted


def test_every_kind_of_data_is_there():
    """What the code reads by its path; one that moves out of the packages is missed here."""
    kinds = {(PurePosixPath(name).parts[0], PurePosixPath(name).suffix) for name in in_wheel()}
    assert {("store", ".sql"), ("sources", ".csv"), ("outbound", ".csv"), ("api", ".html"), ("api", ".css")} <= kinds
    assert {("api", ".js"), ("api", ".svg"), ("cli", ".txt"), ("share", ".sql"), ("share", ".yaml")} <= kinds


def test_no_name_is_anybody_elses():
    """Packages that are ours, and `share/st-lazi`; no `models`, `macros` or `config.py` beside other people's packages."""
    assert {name.partition("/")[0] for name in in_wheel()} == {*packages(), "share"}
    assert all(name.startswith(f"{PROJECT}/") for name in in_wheel() if name.startswith("share/"))


def test_nothing_is_carried_along():
    """No tests, benches, caches or files of an installation, and no secrets."""
    for name, source in in_wheel().items():
        assert not SECRET.search(name), name
        assert "__pycache__" not in name
        assert str(source.relative_to(ROOT)) in in_tree()


def test_what_init_starts_with_is_there():
    """The examples of settings, and dlt's settings."""
    assert {f"{PROJECT}/{name}" for name in (".env.example", ".dlt/config.toml", ".dlt/secrets.toml.example")} <= {
        *in_wheel()
    }


def test_metadata_say_what_it_is():
    """Licence and its file, types, the readme, and a version that stands in one place and `lazi --version` shows."""
    core = ProjectMetadata(str(ROOT), PluginManager()).core
    assert (core.license_expression, core.license_files) == ("Apache-2.0", ["LICENSE"])
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Typing :: Typed" in core.classifiers
    assert core.readme_content_type == "text/markdown"
    assert core.urls == {}
    assert version("st-lazi") == core.version == pyproject()["project"]["version"]


def test_what_it_needs_at_run_time_is_pinned():
    """To the versions that the lock has, so that an installation from the wheel is the one that was tested."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    for needed in pyproject()["project"]["dependencies"]:
        name, _, exact = re.sub(r"\[.*\]", "", needed).partition("==")
        assert re.search(rf"^{re.escape(name)}(\[.*\])?=={re.escape(exact)}\b", lock, re.MULTILINE), needed
