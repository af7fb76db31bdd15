"""Compose files as they stand, and their services as processes of this machine."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.engine import LAUNCHER, UNSHARE, Layers

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
FILES = {name: DEPLOY / f"{name}.yaml" for name in ("compose", "compose.prod")}
OURS = ("api", "sync", "outbound")
OTHERS = ("postgres", "sandbox")
VARIABLE = re.compile(r"\$\{(\w+)(?:(:-|:\?)([^}]*))?\}")


class NeededError(Exception):
    """A variable has no value and needs one."""


def interpolated(text: str, values: Mapping[str, str]) -> str:
    """Text with its variables, as Compose replaces them. Raises NeededError."""

    def value(match: re.Match[str]) -> str:
        if found := values.get(match[1]):
            return found
        if match[2] == ":?":
            raise NeededError(f"{match[1]}: {match[3]}")
        return match[3] or ""

    return VARIABLE.sub(value, text)


def loaded(path: Path, values: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A file's content, its variables replaced."""
    found: dict[str, Any] = yaml.safe_load(interpolated(path.read_text(encoding="utf-8"), values or {}))
    return found


def settings_of(path: Path) -> dict[str, str]:
    """The variables of an env file."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return dict(line.partition("=")[::2] for line in lines if line and not line.startswith("#"))


def megabytes(text: str) -> int:
    """A size, as `1G` or `256M`."""
    return int(text[:-1]) * {"M": 1, "G": 1024}[text[-1]]


@dataclass
class Container:
    """A service of a compose file on an image, in a network, with a data folder of its own."""

    image: Layers
    service: dict[str, Any]
    folder: Path
    env_file: Mapping[str, str]
    netns: list[str]
    secrets: Path | None = None  # the folder of their files
    process: subprocess.Popen[str] | None = None

    def __post_init__(self) -> None:
        (self.folder / "root").mkdir(parents=True)
        self.image.make_place("/run/secrets")
        self.image.make_place("/etc/hosts", is_file=True)
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost {' '.join(OTHERS)}\n", encoding="utf-8")
        data = self.folder / "data"
        data.mkdir()
        os.chown(data, *(self.image.user or (0, 0)))

    def command(self, *arguments: str) -> list[str]:
        """What executes these arguments in the container: nothing is written but `/data` and what is a tmpfs."""
        mounts = [(str(self.folder / "data"), "/data", "rw"), (str(self.folder / "hosts"), "/etc/hosts", "ro")]
        if self.secrets:
            mounts.append((str(self.secrets), "/run/secrets", "ro"))
        spec = self.image.spec(
            list(arguments),
            root=str(self.folder / "root"),
            lower=[str(path) for path in self.image.all],
            upper="",
            mounts=mounts,
            tmpfs=dict(entry.partition(":")[::2] for entry in self.service["tmpfs"]),
            read_only=self.service["read_only"],
            environment=self.image.environment | dict(self.env_file) | self.service.get("environment", {}),
        )
        return [*self.netns, *UNSHARE, sys.executable, str(LAUNCHER), spec]

    @contextmanager
    def running(self, entrypoint: list[str]) -> Iterator["Container"]:
        """The service's own command at work, and cut off at the end unless it was stopped."""
        command = self.command(*entrypoint, *self.service["command"])
        said = (self.folder / "said").open("w+", encoding="utf-8")
        with said, subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, text=True) as self.process:
            try:
                yield self
            finally:
                self.process.kill()  # and with it, by `--kill-child`, all that is in the container

    def stop(self) -> int:
        """Stop it as an engine does: SIGTERM to its first process; its exit code, within the grace of the file."""
        assert self.process
        first = first_process(self.process)
        assert first, self.said
        os.kill(first, signal.SIGTERM)
        return self.process.wait(seconds_of(self.service["stop_grace_period"]))

    @property
    def said(self) -> str:
        """What it printed."""
        return (self.folder / "said").read_text(encoding="utf-8")

    def check(self) -> subprocess.CompletedProcess[str]:
        """The health check of the file, once, within the namespaces of a container of the same data."""
        word, *arguments = self.service["healthcheck"]["test"]
        assert word == "CMD", word
        return self.execute(*arguments)

    def execute(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """As `docker compose exec`."""
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, check=False, timeout=60)


def first_process(process: subprocess.Popen[str]) -> int | None:
    """The id of a container's first process, as it is called outside; None where it has ended."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    found = children.read_text(encoding="utf-8").split() if children.exists() else []
    return int(found[0]) if found else None


def seconds_of(text: str) -> int:
    """A time, as `30s` or `2m`."""
    return int(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]
