"""What a piece of work costs: CPU of this process and of the database server, wall time, peak memory.

CPU counts threads and ended children. Other work on the machine moves wall time far and CPU little: compare ratios.
"""

import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg2

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Cost:
    """Seconds of CPU here and on the database server, and of wall time."""

    client: float = 0.0
    server: float = 0.0
    wall: float = 0.0

    @property
    def both(self) -> float:
        """CPU of client and server."""
        return self.client + self.server

    def less(self, other: "Cost") -> "Cost":
        """This cost without another one, never below zero."""
        return Cost(
            *(max(0.0, mine - its) for mine, its in zip(asdict(self).values(), asdict(other).values(), strict=True))
        )


class Gauge:
    """Reads the clocks; `database_url` names the server whose CPU counts, empty for none."""

    def __init__(self, database_url: str = "") -> None:
        self.postmaster = postmaster(database_url) if database_url else 0

    @contextmanager
    def measured(self) -> Iterator[Cost]:
        """A cost that is filled in at the end of the block."""
        cost, begun = Cost(), self.read()
        yield cost
        ended = self.read().less(begun)
        cost.client, cost.server, cost.wall = ended.client, ended.server, ended.wall

    def read(self) -> Cost:
        """The clocks as they stand."""
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        client = sum(each.ru_utime + each.ru_stime for each in used)
        return Cost(client, server_cpu(self.postmaster) if self.postmaster else 0.0, time.monotonic())


def postmaster(database_url: str) -> int:
    """The process id of a PostgreSQL server of this machine. Raises OSError when it runs elsewhere."""
    connection = psycopg2.connect(database_url)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SHOW data_directory")
            folder = Path(cursor.fetchone()[0])
    finally:
        connection.close()
    return int((folder / "postmaster.pid").read_text(encoding="utf-8").split()[0])


def server_cpu(pid: int) -> float:
    """Seconds of CPU of a server: of the postmaster, its ended children, and its living ones."""
    own, children = 4, 2  # of the times utime, stime, cutime, cstime
    ticks = sum(times(pid)[:own])
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            if parent(path) == pid:
                ticks += sum(times(int(path.parent.name))[:children])
        except (
            FileNotFoundError,
            ProcessLookupError,
        ):  # it has just ended; the next reading finds it with the postmaster
            continue
    return ticks / TICKS


def stat(path: Path) -> list[str]:
    """The fields of a process's `stat` behind its name, which may hold anything."""
    return path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()


def parent(path: Path) -> int:
    """The parent's process id."""
    return int(stat(path)[1])


def times(pid: int) -> list[int]:
    """Ticks of CPU: utime, stime, cutime, cstime."""
    return [int(field) for field in stat(Path(f"/proc/{pid}/stat"))[11:15]]


def peak_megabytes() -> float:
    """This process's peak of resident memory. `ru_maxrss` would count the process that started this one too."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
