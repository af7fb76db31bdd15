"""`lazi init`: what a folder has afterwards, and what is never touched."""

import json
import os
import re
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from dotenv import dotenv_values
from hypothesis import given
from hypothesis import strategies as st

from cli.init import init, settings_template, starter, with_settings
from cli.main import COMMANDS
from sandbox.server import Sandbox
from store.exceptions import StoreError
from store.settings import SETTINGS, Places, connection

ALL = [".dlt/config.toml", ".dlt/secrets.toml.example", ".env", ".gitignore", "config.py", "models/README.md"]
NOBODY = 65_534


def asked(folder: Path, *options: str) -> tuple[str, str]:
    """What `lazi init` prints and warns of. Raises what it raises."""
    done = CliRunner().invoke(init, [str(folder), *options], catch_exceptions=False, standalone_mode=False)
    if done.exception:
        raise done.exception
    return done.stdout, done.stderr


def there(folder: Path) -> dict[str, str]:
    """The files of a folder and what stands in them."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    return {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in found}


def test_a_new_folder_has_what_is_needed(tmp_path: Path):
    """Its parents are made too; the next steps begin with the way there."""
    said, warned = asked(tmp_path / "new" / "place")
    assert sorted(there(tmp_path / "new" / "place")) == ALL
    assert said.count("wrote ") == len(ALL)
    assert f"cd {tmp_path}/new/place" in said
    assert warned == ""


def test_again_it_changes_nothing(tmp_path: Path):
    """What somebody wrote in between stays."""
    asked(tmp_path)
    (tmp_path / ".env").write_text("SERVICE_TITAN_CLIENT_ID=mine\n")
    (tmp_path / ".gitignore").unlink()
    before = there(tmp_path)
    said = json.loads(asked(tmp_path, "--json")[0])
    assert said["written"] == [".gitignore"]
    assert sorted(said["kept"]) == [name for name in ALL if name != ".gitignore"]
    after = there(tmp_path)
    assert after.pop(".gitignore")
    assert after == before


def test_settings_are_for_their_owner_alone(tmp_path: Path):
    """Whatever the umask; where others can read a `.env` that was there, it is said and not changed."""
    before = os.umask(0)
    try:
        asked(tmp_path)
    finally:
        os.umask(before)
    path = tmp_path / ".env"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    assert f"chmod 600 {path}" in asked(tmp_path)[1]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_gitignore_that_lets_secrets_through_is_told_of(tmp_path: Path):
    """It is left as it is."""
    (tmp_path / ".gitignore").write_text("*.log\n.env.example\n")
    assert "does not name `.env`" in asked(tmp_path)[1]
    (tmp_path / ".gitignore").write_text("/.env\n")
    assert asked(tmp_path)[1] == ""


def test_a_sqlmesh_project_of_ones_own_is_let_be(tmp_path: Path):
    """No file of ours comes among its models."""
    (tmp_path / "config.py").write_text("config = None\n")
    asked(tmp_path)
    assert there(tmp_path)["config.py"] == "config = None\n"
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("options", [[], ["--port", "9876"]], ids=["usual port", "another port"])
def test_sandbox_fills_in_what_lazi_sandbox_prints(options: list[str], tmp_path: Path):
    """Each setting once, also where the template has it as a comment; the rest of the template stays."""
    said, _ = asked(tmp_path, "--sandbox", *options)
    wanted = Sandbox(port=int(options[1]) if options else 8765).environment()
    found = Places({}, tmp_path)
    assert {name: found.dotenv[name] for name in wanted} == wanted
    assert connection(found).api_url == wanted["SERVICE_TITAN_API_URL"]
    text = (tmp_path / ".env").read_text()
    assert all(len(re.findall(rf"^#?{name}=", text, re.MULTILINE)) == 1 for name in wanted)
    assert all(re.search(rf"^#?{setting.name}=", text, re.MULTILINE) for setting in SETTINGS)
    assert f"lazi sandbox{' --port 9876' if options else '  '}" in said


def test_the_next_steps_are_those_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In its order; PostgreSQL needs one setting more, said in both."""
    monkeypatch.chdir(tmp_path)
    steps = json.loads(asked(Path(), "--sandbox", "--json")[0])["next"]
    commands = [step.partition("  ")[0] for step in steps]
    assert commands == ["lazi sandbox", "edit .env", "lazi doctor", "lazi sync", "lazi up", "sqlmesh plan"]
    assert "DATABASE_URL" in steps[1]
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    places = [
        readme.index(word) for word in ("lazi sandbox", "DATABASE_URL=", "\nlazi doctor", "\nlazi sync", "`lazi up`")
    ]
    assert places == sorted(places)
    own = json.loads(asked(tmp_path / "own", "--json")[0])["next"]
    assert [step.split("  ")[0] for step in own][1:] == [
        "edit .env",
        "lazi doctor",
        "lazi sync",
        "lazi up",
        "sqlmesh plan",
    ]


def test_a_port_without_a_sandbox_is_refused(tmp_path: Path):
    """It would say nothing; what it is for is said, and nothing is written."""
    done = CliRunner().invoke(init, [str(tmp_path / "new"), "--port", "9000"])
    assert done.exit_code == 2
    assert "`--port` says where the sandbox listens: add `--sandbox`" in done.stderr
    assert not (tmp_path / "new").exists()


def test_sandbox_fills_in_a_template_that_nobody_touched(tmp_path: Path):
    """So that `lazi init` and then `lazi init --sandbox` do what one means; both again are no error."""
    asked(tmp_path)
    asked(tmp_path, "--sandbox")
    first = there(tmp_path)
    assert "\nSERVICE_TITAN_CLIENT_ID=sandbox\n" in first[".env"]
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    asked(tmp_path, "--sandbox")
    assert there(tmp_path) == first


def test_sandbox_never_takes_the_place_of_credentials(tmp_path: Path):
    """The error names the setting, not its value, and nothing at all is written."""
    (tmp_path / ".env").write_text("SERVICE_TITAN_CLIENT_ID=cid.real\nSERVICE_TITAN_CLIENT_SECRET=hush\n")
    before = there(tmp_path)
    with pytest.raises(StoreError, match="another `SERVICE_TITAN_CLIENT_ID` than the sandbox") as error:
        asked(tmp_path, "--sandbox")
    assert there(tmp_path) == before
    assert "real" not in str(error.value)


def test_a_link_to_nowhere_is_not_followed(tmp_path: Path):
    """A `.env` that is a link belongs to whoever made it."""
    (tmp_path / ".env").symlink_to(tmp_path / "elsewhere")
    asked(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_is_no_folder(tmp_path: Path):
    """Named, or where a folder must be made."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file` is a file\. Name a folder"):
        asked(tmp_path / "file")
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / ".dlt").write_text("")
    with pytest.raises(StoreError, match=r"\.dlt` cannot be written: it is a file"):
        asked(tmp_path / "place")


def test_a_folder_of_somebody_else_is_refused(somewhere: Path):
    """One line, exit code 2. By another user than root, who may write anywhere."""
    somewhere.chmod(0o555)
    command = [sys.executable, "-c", AS_ANOTHER_USER, str(somewhere)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"lazi: `{somewhere}/.env` cannot be written: Permission denied.")
    assert len(done.stderr.splitlines()) == 1


@pytest.fixture
def somewhere() -> Iterator[Path]:
    """A folder that any user can reach, which pytest's are not."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


AS_ANOTHER_USER = f"""
import os, sys
from cli import init, main
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
sys.argv[:] = ["lazi", "init", sys.argv[1]]
main.main()
"""

TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#'\"\\`$"), min_size=1)


@given(st.dictionaries(st.sampled_from([setting.name for setting in SETTINGS]) | st.just("LAZI_UNHEARD_OF"), TEXT))
def test_what_is_filled_in_is_read_back(filled: dict[str, str]):
    """Any settings, among all that the template sets by itself and none beside."""
    read = dotenv_values(stream=StringIO(with_settings(settings_template(), filled)))
    assert read == {**dotenv_values(stream=StringIO(settings_template())), **filled}


def test_commands_that_a_folder_names_exist():
    """In all the files that it starts with."""
    for name, text in starter({}).items():
        named = set(re.findall(r"`lazi ([a-z]+)", text))
        assert named <= set(COMMANDS), name


def test_help_has_examples():
    """As every command's."""
    assert "Examples:" in init.get_help(click.Context(init))
