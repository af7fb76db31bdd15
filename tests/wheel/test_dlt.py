"""dlt in lazi's processes: settings as the project's `.dlt/config.toml` says, and no telemetry, in any folder."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner

from cli.init import init
from sandbox.server import Sandbox
from tests.wheel.contents import ROOT

SHOWN = """
import json, sys
import dlt
from pipelines.dlt_plugin import adopt
if "early" in sys.argv:
    dlt.config.get("runtime.log_level")  # dlt was used before
adopt()
print(json.dumps({key: dlt.config[key] for key in json.loads(sys.argv[1])}))
"""


def leaves(table: dict[str, Any], above: str = "") -> dict[str, Any]:
    """The values of a TOML file by dotted name."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        found |= leaves(value, f"{above}{key}.") if isinstance(value, dict) else {above + key: value}
    return found


SETTINGS = leaves(tomllib.loads((ROOT / ".dlt" / "config.toml").read_text(encoding="utf-8")))


@pytest.fixture(params=["empty", "by lazi init"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder outside the repository."""
    made = tmp_path / "folder"
    made.mkdir()
    if request.param == "by lazi init":
        CliRunner().invoke(init, [str(made)], catch_exceptions=False)
    return made


def called(folder: Path, *command: str, **environment: str) -> str:
    """What a command prints in a folder, with a home of its own and no settings but these."""
    place = {"PATH": os.environ["PATH"], "HOME": str(folder.parent), "DLT_DATA_DIR": str(folder.parent / "dlt")}
    done = subprocess.run(
        command, cwd=folder, env={**place, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("order", ["first", "early"])
def test_settings_are_the_projects(order: str, folder: Path):
    """Each value of its file, also where dlt was used before it was ours."""
    found = json.loads(called(folder, sys.executable, "-P", "-c", SHOWN, json.dumps([*SETTINGS]), order))
    assert found == SETTINGS


def test_a_folders_own_settings_go_first(folder: Path):
    """And the environment before them."""
    (folder / ".dlt").mkdir(exist_ok=True)
    (folder / ".dlt" / "config.toml").write_text("[load]\nworkers = 3\n[extract]\nworkers = 2\n")
    asked = json.dumps(["load.workers", "extract.workers", "normalize.workers"])
    found = json.loads(called(folder, sys.executable, "-P", "-c", SHOWN, asked, "first", EXTRACT__WORKERS="5"))
    assert found == {"load.workers": 3, "extract.workers": 5, "normalize.workers": 1}


class Listener(BaseHTTPRequestHandler):
    """Takes what dlt would send."""

    def do_POST(self) -> None:
        self.server.events.append(json.loads(self.rfile.read(int(self.headers["content-length"])))["event"])
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def events() -> Iterator[list[str]]:
    """What arrives where telemetry is sent to; its address stands behind the list's end."""
    with HTTPServer(("127.0.0.1", 0), Listener) as server:
        server.events = Told()
        server.events.address = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.events
        server.shutdown()
        thread.join()


class Told(list):
    """Events, and the address that takes them."""

    address = ""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(seed=5, customers=3) as running:
        yield running


SYNC = ("lazi", "sync", "--entity", "customers", "--no-models")
RUN = ("dlt", "pipeline", "run", "--entity", "customers")


@pytest.mark.slow
@pytest.mark.parametrize("command", [SYNC, RUN], ids=lambda command: " ".join(command[:2]))
def test_no_telemetry_is_sent(command: tuple[str, ...], folder: Path, sandbox: Sandbox, events: Told):
    """Whatever lands; and where the environment asks for it, it is, so that the listener would have heard."""
    program = str(Path(sys.executable).parent / command[0])
    to = {**sandbox.environment(), "RUNTIME__DLTHUB_TELEMETRY_ENDPOINT": events.address}
    said = called(folder, program, *command[1:], **to)
    assert "3 new of 3" in said or "3 appended of 3" in said
    assert events == []
    called(folder, program, *command[1:], **to, LAZI_DATA_DIR="other", RUNTIME__DLTHUB_TELEMETRY="true")
    assert "pipeline_load" in events
