"""The sign of life: a file by which `lazi alive`, and systemd's watchdog, see that a living process works.

It stands in `alive/` in the data folder. Its process holds a lock on it, which ends with the process however that ends: so
one that is gone is told from one that is stuck. In it stands when each loop of the process last turned; a thread of its
own writes it, so that a file that grows old means a process that does not run at all. Moments are of the system's
monotonic clock, which all processes share and nobody sets.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER = "alive"
EVERY = 5.0  # seconds between two writings
SILENCE = 60.0  # seconds without a turn after which a loop is stuck
LONGEST = 200  # letters of a reason, of which there are at most as many as loops
SIZE = 4096  # bytes of a file, always: it is written over in place, under the lock, and read at any moment
NEVER = float("inf")


@dataclass(slots=True)
class Sign:
    """What a process says of itself; `loops` holds when each last turned."""

    name: str
    pid: int
    host: str
    written: float = 0.0
    loops: dict[str, float] = field(default_factory=dict)
    waits: dict[str, str] = field(default_factory=dict)  # by loop: for what it waits
    address: str = ""  # host and port at which it answers HTTP, once it does
    served: float = NEVER  # since when

    def stuck(self, now: float) -> str:
        """What does not turn, in words; nothing where all do."""
        silent = {"the process": now - self.written} | {f"`{name}`": now - at for name, at in self.loops.items()}
        name, seconds = max(silent.items(), key=lambda one: one[1])
        return f"{name} has given no sign for {seconds:.0f} s" if seconds > SILENCE else ""


@dataclass(slots=True)
class Living:
    """This process's own sign, and the thread that writes it. `start`, then `stop`."""

    sign: Sign
    folder: Path
    descriptor: int = -1
    path: Path | None = None
    is_over: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is written yet."""
        self.thread = threading.Thread(target=self.run, name="sign of life", daemon=True)

    def start(self) -> None:
        """Begin. Raises OSError where nothing can be written."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{self.sign.name}.{secrets.token_hex(4)}"
        new = path.with_name(f"{path.name}.new")
        self.descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        fcntl.flock(self.descriptor, fcntl.LOCK_EX)
        self.write()
        self.path = new.rename(path)
        notify("READY=1")  # also where it waits for its store: systemd would give it up otherwise
        self.thread.start()

    def stop(self) -> None:
        """Take the sign away."""
        self.is_over.set()
        if self.thread.is_alive():
            self.thread.join(EVERY)
        if self.path:
            self.path.unlink(missing_ok=True)
        if self.descriptor >= 0:
            os.close(self.descriptor)
        notify("STOPPING=1")

    def run(self) -> None:
        """Write until it is over."""
        while not self.is_over.wait(EVERY):
            self.tell()

    def tell(self) -> None:
        """Write now, where that is possible; a file that grows old is told of."""
        with suppress(OSError):  # a full disk, or a folder that never could be written
            self.write()

    def write(self) -> None:
        """Say how things are, to whoever reads the file and to systemd. Raises OSError."""
        self.sign.written = time.monotonic()
        os.pwrite(self.descriptor, told(self.sign), 0)
        if not self.sign.stuck(self.sign.written):
            notify(f"WATCHDOG=1\nSTATUS={said(self.sign)}")


OURS: list[Living] = []
"""The sign of this process; none in commands that end by themselves."""


@contextmanager
def signed(name: str, data_dir: Path) -> Iterator[None]:
    """Give a sign of life while what is inside lasts. Where none can be written, `lazi alive` will find none."""
    living = Living(Sign(name, os.getpid(), socket.gethostname()), data_dir / FOLDER)
    try:
        living.start()
    except OSError as error:
        import click

        reason = error.strerror or str(error)
        click.echo(f"No sign of life can be left in `{living.folder}`: {reason}. `lazi alive` finds none.", err=True)
    OURS.append(living)
    try:
        yield
    finally:
        OURS.remove(living)
        living.stop()


def turns(loop: str) -> None:
    """A loop of this process turned."""
    for living in OURS:
        living.sign.loops[loop] = time.monotonic()


def waits(loop: str, reason: str = "") -> None:
    """A loop of this process waits for something, in words; an empty text: no more."""
    for living in OURS:
        if living.sign.waits.get(loop, "") != reason:
            others = {name: why for name, why in living.sign.waits.items() if name != loop}
            living.sign.waits = others | {loop: reason} if reason else others
            living.tell()


def serves(host: str, port: int) -> None:
    """This process begins to answer HTTP there; port 0 is one that nobody knows."""
    here = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104  any address is this one too
    for living in OURS:
        living.sign.address = f"{f'[{here}]' if ':' in here else here}:{port}" if port else ""
        living.sign.served = time.monotonic()
        living.tell()


def said(sign: Sign) -> str:
    """A word on how it goes."""
    return f"waits for {next(iter(sign.waits.values()))}" if sign.waits else "works"


def told(sign: Sign) -> bytes:
    """A sign as it stands in its file: JSON, then spaces up to the size of all files."""
    reasons = {loop: reason[:LONGEST] for loop, reason in sign.waits.items()}
    text = json.dumps(asdict(sign) | {"waits": reasons, "loops": dict(sign.loops)}, ensure_ascii=False)
    return text.encode(errors="replace")[:SIZE].ljust(SIZE)


def signs(data_dir: Path, name: str = "") -> Iterator[Sign]:
    """The signs of this machine's living processes, of one name or of all. What ended ones left behind is taken away."""
    for path in sorted((data_dir / FOLDER).glob(f"{name or '*'}.*")):
        with suppress(OSError, ValueError, TypeError):
            if found := read(path):
                yield found


def read(path: Path) -> Sign | None:
    """The sign in a file; None where its process ended, or is one of another machine or container that shares the folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if is_free(descriptor):
            if path.suffix != ".new":  # which is about to be locked
                path.unlink(missing_ok=True)
            return None
        sign = Sign(**json.loads(os.pread(descriptor, SIZE, 0)))
    finally:
        os.close(descriptor)
    return sign if sign.host == socket.gethostname() else None


def is_free(descriptor: int) -> bool:
    """Whether nobody holds the lock."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def notify(text: str) -> None:
    """Tell systemd, where it started this process and asks to be told (`Type=notify`, `WatchdogSec=`)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told_to:
        told_to.sendto(text.encode(), "\0" + address[1:] if address[0] == "@" else address)
