"""A reader's terminals: one in which the blocks of a page are typed in order, and others for what runs on."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.docs.fence import Fence

BASH = shutil.which("bash") or "bash"
LONGEST = 1800.0  # seconds of a block
TYPED = """
set -eo pipefail
cd "$(cat {state}/folder)"
source {state}/exports
source {state}/block
{{ set +ex; }} 2>/dev/null
export -p > {state}/exports
pwd > {state}/folder
"""


class WrongError(AssertionError):
    """A block went otherwise than the page says."""


@dataclass
class Running:
    """What runs in a terminal of its own."""

    command: str
    process: subprocess.Popen[bytes]
    output: Path

    def said(self) -> str:
        """What it said so far."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    def interrupt(self) -> int:
        """Ctrl-C; how it ended."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise WrongError(f"`{self.command}` does not end at Ctrl-C.\n{self.said()}") from None


@dataclass
class Desk:
    """A folder in which a reader works, with the settings of a new terminal. `state` is ours, outside of it."""

    folder: Path
    environment: dict[str, str]
    state: Path
    running: list[Running] = field(default_factory=list)

    def __post_init__(self) -> None:
        """A first terminal, opened in the folder."""
        self.state.mkdir(parents=True, exist_ok=True)
        (self.state / "folder").write_text(str(self.folder))
        (self.state / "exports").write_text("")

    @property
    def here(self) -> Path:
        """Where the first terminal is."""
        return Path((self.state / "folder").read_text().strip())

    def do(self, fence: Fence) -> str:
        """Type a block; what it said. Raises WrongError."""
        for word in fence.all("stop"):
            self.stop(word)
        if fence.has("background"):
            return self.begin(fence)
        said, code = self.type(fence.text)
        wanted = int(fence.get("exit", "0"))
        if code != wanted:
            raise WrongError(f"{fence.place}: exit code {code}, the page says {wanted}.\n{fence.text}\n{said}")
        return seen(fence, said)

    def type(self, text: str) -> tuple[str, int]:
        """Type lines into the first terminal; what came, and the exit code of the one that failed, or 0."""
        (self.state / "block").write_text(text)
        done = subprocess.run(
            [BASH, "-c", TYPED.format(state=self.state)],
            env=self.environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LONGEST,
            check=False,
        )
        return done.stdout.decode(errors="replace"), done.returncode

    def begin(self, fence: Fence) -> str:
        """Type a block into another terminal, opened in the page's folder; what it said until it is there. Raises WrongError."""
        output = self.state / f"terminal-{len(self.running)}"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [BASH, "-c", f"set -e\n{last_as_exec(fence.text)}"],
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        running = Running(fence.text.strip().splitlines()[-1], process, output)
        self.running.append(running)
        limit = time.monotonic() + 300
        while not is_there(fence.get("until"), running):
            if process.poll() is not None or time.monotonic() > limit:
                raise WrongError(f"{fence.place}: it did not come to `{fence.get('until')}`.\n{running.said()}")
            time.sleep(0.1)
        return seen(fence, running.said())

    def stop(self, word: str) -> None:
        """Ctrl-C where a command that begins so runs. Raises WrongError where none does, or where it ends badly."""
        found = [one for one in self.running if one.command.startswith(word)]
        if not found:
            raise WrongError(f"No terminal runs `{word}`, but {[one.command for one in self.running]}.")
        for one in found:
            self.running.remove(one)
            if one.process.poll() is not None:
                raise WrongError(f"`{one.command}` had ended by itself, with {one.process.returncode}.\n{one.said()}")
            if one.interrupt():
                raise WrongError(f"`{one.command}` ended with {one.process.returncode}.\n{one.said()}")

    def leave(self) -> None:
        """Ctrl-C everywhere, the newest first. Raises WrongError as `stop` does."""
        while self.running:
            self.stop(self.running[-1].command)

    def drop(self) -> None:
        """End everything at once."""
        for one in self.running:
            if one.process.poll() is None:
                os.killpg(one.process.pid, signal.SIGKILL)
                one.process.wait()


def last_as_exec(text: str) -> str:
    """A block whose last command takes the shell's place, so that a signal reaches it alone."""
    *before, last = text.strip().replace("\\\n", " ").splitlines()
    assignments = re.match(r"(?:[A-Z_]+=(?:\"[^\"]*\"|\S*) +)*", last)
    assert assignments
    settings, command = assignments[0], last[assignments.end() :]
    return "\n".join([*before, f"{settings and 'export ' + settings + chr(10)}exec {command}"])


def is_there(until: str, running: Running) -> bool:
    """Whether it said so, or answers."""
    if not until.startswith("http"):
        return until in running.said()
    try:
        return httpx.get(until, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def seen(fence: Fence, said: str) -> str:
    """What was said, which holds what the page says of it. Raises WrongError."""
    for word in fence.all("shows"):
        if word not in said:
            raise WrongError(f"{fence.place}: it does not show `{word}`.\n{shlex.quote(fence.text)}\n{said}")
    return said
