"""The wheel, installed in an environment of its own, and folders in which somebody works with it.

What it depends on is taken from this environment's packages, among which the checkout itself is not to be seen.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from hatchling.builders.wheel import WheelBuilder

from store.settings import Places, Settings
from store.settings import load as load_settings
from tests.wheel.contents import ROOT

PROGRAM = """#!{python}
import sys
from importlib.metadata import entry_points
for found in entry_points(group="console_scripts", name="{name}"):
    sys.exit(found.load()())
"""
HEEDING = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Runs a command that heeds Ctrl-C, also where the tests themselves were started so that nothing does."""


def installed(folder: Path) -> Path:
    """The folder of the programs of an environment that has the wheel of this tree."""
    wheel = next(iter(WheelBuilder(str(ROOT)).build(directory=str(folder / "dist"), versions=["standard"])))
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    pip = [sys.executable, "-m", "pip", "--python", venv / "bin" / "python", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "install", "--no-index", "--no-deps", wheel], check=True)
    packages = next(venv.glob("lib/python3*/site-packages"))
    (packages / "dependencies.pth").write_text(f"{Path(httpx.__file__).parents[1]}\n")
    for name in ("dlt", "sqlmesh"):
        program = venv / "bin" / name
        program.write_text(PROGRAM.format(python=venv / "bin" / "python", name=name))
        program.chmod(0o755)
    return venv / "bin"


class Desk:
    """A folder to work in, with an empty home and no settings but those of its files."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs, self.folder = programs, folder
        folder.mkdir()
        self.environment = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(folder.parent), "COLUMNS": "200"}

    def run(self, program: str, *arguments: str, code: int = 0) -> str:
        """What a command prints. It ends with this exit code."""
        done = subprocess.run(
            [self.programs / program, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    @contextmanager
    def living(self, program: str, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """A command that lives."""
        with (
            (self.folder.parent / f"{arguments[0]}.log").open("w+") as log,
            subprocess.Popen(
                [sys.executable, "-c", HEEDING, str(self.programs / program), *arguments],
                cwd=self.folder,
                env={**self.environment, **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            ) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    def said(self, command: str) -> str:
        """What a command that lives, or lived, has printed."""
        return (self.folder.parent / f"{command}.log").read_text()

    @property
    def settings(self) -> Settings:
        """Where the folder's data stand."""
        found = load_settings(Places({}, self.folder))
        return Settings(found.database_url, self.folder / found.data_dir, found.port, found.log_level)


def answers(address: str, process: subprocess.Popen[str]) -> bool:
    """Whether something answers at an address within a minute, while a process lives."""
    for _ in range(600):
        if process.poll() is not None:
            return False
        try:
            httpx.get(address)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return True
    return False
