"""What a container engine does, as far as tests need it: layers, namespaces, users, read-only roots. Needs root and Linux.

The base image is a Debian from `debootstrap` with its Python, made once; `TEST_DEBIAN` names one that is there already.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.deploy.dockerfile import Instruction, Stage, context, replaced

LAUNCHER = Path(__file__).with_name("launcher.py")
UNSHARE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private")
PACKAGES = "ca-certificates,python3,python3-pip,python3-venv"
OF_THE_MACHINE = (
    "PIP_",
    "UV_",
    "SSL_CERT_",
    "REQUESTS_CA_BUNDLE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "http_proxy",
    "https_proxy",
)
"""What leads to package registries from here, and is no part of the image."""
FILES_OF_THE_MACHINE = ("/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt", "/etc/pip.conf")
IP = "/usr/sbin/ip"
PLAIN = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


def is_possible() -> bool:
    """Whether containers can be made here."""
    return os.geteuid() == 0 and all(map(shutil.which, (UNSHARE[0], IP, "debootstrap")))


def debian(folder: Path, also: Collection[str] = ()) -> Path:
    """A clean Debian with Python at the places where Docker's image has it, and with more packages where they are asked for."""
    if (made := os.environ.get("TEST_DEBIAN")) and installed(Path(made)) >= {*also}:
        return Path(made)
    command = ["debootstrap", "--variant=minbase", f"--include={','.join([PACKAGES, *also])}", "bookworm", str(folder)]
    subprocess.run(command, check=True, capture_output=True, env=PLAIN, timeout=900)
    for name in ("python", "python3"):
        (folder / "usr/local/bin" / name).symlink_to("/usr/bin/python3")
    for path in folder.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        path.unlink()
    return folder


def installed(root: Path) -> set[str]:
    """The packages of a Debian."""
    status = (root / "var/lib/dpkg/status").read_text(encoding="utf-8")
    return {line.removeprefix("Package: ") for line in status.splitlines() if line.startswith("Package: ")}


@dataclass
class Layers:
    """A file system in the making: the layers below, and the one that is written."""

    lower: list[Path]
    folder: Path
    environment: dict[str, str] = field(default_factory=lambda: dict(PLAIN))
    place: str = "/"
    user: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        for name in ("up", "work", "root"):
            (self.folder / name).mkdir(parents=True)

    @property
    def top(self) -> Path:
        """What was written."""
        return self.folder / "up"

    @property
    def all(self) -> list[Path]:
        """Every layer, the topmost first."""
        return [self.top, *self.lower]

    def spec(self, command: list[str], **more: Any) -> str:
        """What the launcher is told."""
        usual: dict[str, Any] = {
            "root": str(self.folder / "root"),
            "lower": [str(path) for path in self.lower],
            "upper": str(self.folder),
            "mounts": [],
            "tmpfs": {},
            "read_only": False,
            "user": self.user,
            "folder": self.place,
            "command": command,
            "environment": self.environment,
        }
        return json.dumps(usual | more)

    def run(self, command: list[str]) -> None:
        """Execute a command as a build does, with the machine's ways to package registries."""
        ours = {name: value for name, value in os.environ.items() if name.startswith(OF_THE_MACHINE)}
        mounts = [(path, path, "ro") for path in FILES_OF_THE_MACHINE if Path(path).exists()]
        for path, *_ in mounts:
            self.make_place(path, is_file=True)
        spec = self.spec(command, mounts=mounts, environment=ours | self.environment)
        done = subprocess.run([*UNSHARE, sys.executable, LAUNCHER, spec], capture_output=True, text=True, check=False)
        if done.returncode:
            raise AssertionError(
                f"{command[-1]}\nended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
            )

    def make_place(self, path: str, *, is_file: bool = False) -> None:
        """Something empty to mount upon, where the layers have nothing there."""
        if any(os.path.lexists(layer / path[1:]) for layer in self.all):
            return
        place = self.top / path[1:]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch() if is_file else place.mkdir()


def build(found: list[Stage], base: Path, folder: Path, root: Path) -> Layers:
    """Execute every instruction of every stage; the last one's layers."""
    made: dict[str, Layers] = {}
    for number, stage in enumerate(found):
        layers = made[stage.name] = Layers([base], folder / str(number))
        for instruction in stage.instructions:
            apply(instruction, layers, made, root)
    return layers


def apply(one: Instruction, layers: Layers, made: dict[str, Layers], root: Path) -> None:
    """Execute an instruction."""
    if one.word == "RUN":
        layers.run(one.command)
    elif one.word == "COPY":
        copy(one, layers, made, root)
    elif one.word == "ENV":
        values = {name: replaced(value, layers.environment) for name, value in one.pairs.items()}
        layers.environment = layers.environment | values
    elif one.word == "WORKDIR":
        layers.place = one.text
    elif one.word == "USER":
        uid, gid = map(int, one.text.split(":"))
        layers.user = uid, gid
    else:
        assert one.word in {"ARG", "LABEL", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}, one


def copy(one: Instruction, layers: Layers, made: dict[str, Layers], root: Path) -> None:
    """Copy from the context, or from another stage."""
    *sources, target = one.text.split()
    if stage := one.flags.get("from"):
        [source] = sources
        (layers.top / target[1:]).parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["/bin/cp", "-a", made[stage].top / source[1:], layers.top / target[1:]], check=True)
        return
    into = layers.top / layers.place[1:]
    for name in context(root):
        if "." in sources or name in sources:
            place = into / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, place)


@contextmanager
def network(name: str) -> Iterator[list[str]]:
    """A network of its own with nothing but loopback; what a command that is to run in it begins with."""
    subprocess.run([IP, "netns", "add", name], check=True)
    try:
        subprocess.run([IP, "-n", name, "link", "set", "lo", "up"], check=True)
        yield [IP, "netns", "exec", name]
    finally:
        subprocess.run([IP, "netns", "delete", name], check=True)
