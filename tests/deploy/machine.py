"""A Debian that systemd boots, in the namespaces of `systemd-nspawn`. Needs root and Linux.

Nothing is there but loopback: what pip installs comes from a folder of wheels, at the versions and hashes of the lock.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.compose import DEPLOY, ROOT, first_process
from tests.deploy.dockerfile import context
from tests.deploy.engine import PLAIN

PACKAGES = ("systemd", "systemd-sysv", "dbus", "sudo", "postgresql")
"""What the machine has beyond what the image's base has."""
PROGRAMS = ("systemd-nspawn", "debootstrap", "nsenter", "setpriv")
CLONE, WHEELS = "/root/st-lazi", "/srv/wheels"
PIP = f"[global]\nno-index = true\nfind-links = {WHEELS}\n"
NAMES = {"hosts": "127.0.0.1 localhost machine\n", "hostname": "machine\n", "pip.conf": PIP}
"""Files of `/etc` that are the machine's own."""
NSPAWN = (
    *("setpriv", "--pdeathsig=KILL"),  # it ends with the tests, however they end
    *("systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", "--private-network"),
    *("--link-journal=no", "--resolv-conf=off", "--timezone=off", "--console=pipe"),
)


def is_possible() -> bool:
    """Whether a machine can be booted here."""
    groups = any(Path("/sys/fs/cgroup", name).exists() for name in ("cgroup.controllers", "systemd"))
    return os.geteuid() == 0 and groups and all(map(shutil.which, PROGRAMS))


def wheels(folder: Path) -> Path:
    """What the package needs to be built and to run, as wheels. Asks the package index."""
    folder.mkdir()
    uv = [
        str(Path(sys.executable).parent / "uv"),
        "pip",
        "compile",
        "--quiet",
        "--generate-hashes",
        "--python-version=3.11",
    ]
    plain = ["--no-emit-index-url", "--no-emit-find-links", "--no-annotate", "--no-header"]
    compiled = [
        *uv,
        *plain,
        "--constraint",
        "requirements.lock",
        "pyproject.toml",
        "-",
        "--output-file",
        str(folder / "all"),
    ]
    subprocess.run(compiled, cwd=ROOT, input="hatchling\n", text=True, check=True, capture_output=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--no-deps", "--require-hashes"]
    subprocess.run([*pip, "--requirement", str(folder / "all"), "--dest", str(folder)], check=True, capture_output=True)
    return folder


def clone(folder: Path) -> Path:
    """The project's folder, as far as an installation needs it."""
    for name in context(ROOT):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    shutil.copytree(DEPLOY, folder / "deploy", ignore=shutil.ignore_patterns(".env", "backups"))
    return folder


@dataclass
class Machine:
    """A machine that runs."""

    process: subprocess.Popen[str]

    def run(self, *command: str, check: bool = True, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """Execute something there, as root, in the project's folder."""
        first = first_process(self.process)
        assert first, "The machine has ended."
        enter = ["nsenter", f"--target={first}", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
        clean = [
            "env",
            "--ignore-environment",
            f"--chdir={CLONE}",
            *(f"{name}={value}" for name, value in PLAIN.items()),
        ]
        home = ["HOME=/root", "LANG=C.UTF-8"]
        done = subprocess.run(
            [*enter, *clean, *home, *command], capture_output=True, text=True, check=False, input=given, timeout=600
        )
        assert not check or not done.returncode, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done

    def say(self, *command: str) -> str:
        """What a command prints, however it ends."""
        return self.run(*command, check=False).stdout.strip()

    def shell(self, script: str) -> str:
        """What a script prints; its first error ends it."""
        return self.run("bash", "-euc", script).stdout

    def write(self, path: str, text: str) -> None:
        """Make a file, with its folder, for root alone."""
        self.run("install", "-D", "-m", "0600", "/dev/stdin", path, given=text)

    def state(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.say("systemctl", "show", f"--property={name}", "--value", unit)

    def journal(self, unit: str) -> str:
        """What a unit said since the machine began."""
        return self.say("journalctl", "--no-pager", "--output=cat", f"--unit={unit}")

    def comes(self, is_so: Callable[[], object], seconds: float, unit: str) -> None:
        """Wait until something is so; a unit's journal is shown where it does not become so."""
        over = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < over, self.say("systemctl", "status", "--no-pager", unit) + self.journal(unit)
            time.sleep(0.5)

    @property
    def is_up(self) -> bool:
        """Whether all has started that starts at boot."""
        try:
            return self.say("systemctl", "is-system-running") in {"running", "degraded"}
        except AssertionError:
            if self.process.poll() is None:
                return False  # it is not there yet
            raise


@contextmanager
def booted(base: Path, folder: Path) -> Iterator[Machine]:
    """A copy of a Debian, booted, with the project's folder and wheels in it."""
    for name, text in NAMES.items():
        (folder / name).write_text(text, encoding="utf-8")
    places = [f"--template={base}", f"--directory={folder / 'root'}", f"--machine=lazi-{uuid.uuid4().hex[:8]}"]
    read = [f"--bind-ro={folder / name}:/etc/{name}" for name in NAMES]
    read.append(f"--bind-ro={wheels(folder / 'wheels')}:{WHEELS}")
    written = f"--bind={clone(folder / 'clone')}:{CLONE}"
    said = (folder / "said").open("w+", encoding="utf-8")
    command = [*NSPAWN, *places, *read, written]
    with (
        said,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, text=True, env=PLAIN) as process,
    ):
        machine = Machine(process)
        try:
            over = time.monotonic() + 180
            while not machine.is_up:
                assert time.monotonic() < over, (folder / "said").read_text(encoding="utf-8")
                time.sleep(0.5)
            yield machine
        finally:
            process.send_signal(signal.SIGTERM)  # an orderly end
            try:
                process.wait(120)
            finally:
                process.kill()
