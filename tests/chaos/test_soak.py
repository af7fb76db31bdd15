"""Half an hour of `lazi up` at sixty times the schedule's pace, against a ServiceTitan that lives and fails.

`LAZI_SOAK_MINUTES` makes it shorter or longer.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count, pairwise
from pathlib import Path
from statistics import mean

import pytest

from pipelines.sync import Stores
from sandbox.faults.kinds import FAULTS, Layer
from sandbox.server import Sandbox
from sources.servicetitan.catalog import CATALOG
from sources.servicetitan.reading import raw_table
from store.operations import Operations, open_operations
from store.settings import Settings
from store.timetable import INTERVALS
from tests.chaos.ledger import Ledger
from tests.chaos.test_push import settle
from tests.environment import store_environment
from tests.exact import differences, heads
from tests.outbound.desk import desk

MINUTES = float(os.environ.get("LAZI_SOAK_MINUTES", "30"))
PACE = 60
KILLS = 30
LOOK_EVERY = 2.0
STARTED = "-- started\n"  # in a command's log, before its words
EVERY = {priority: interval / PACE for priority, interval in INTERVALS.items()}
TIMETABLE = {
    "LAZI_SCHEDULE": ", ".join(f"{priority}={round(often.total_seconds())}s" for priority, often in EVERY.items()),
    "LAZI_RECONCILE": f"every {24 * 60 // PACE}m",
}
PASSING = {fault.name: 0.02 for fault in FAULTS if fault.layer in {Layer.WIRE, Layer.WRITE}}
SLACK = timedelta(seconds=20)  # of a machine that does all of this on two cores
FLAT = 1.05


@dataclass
class Life:
    """Commands of a service that run, and what they said."""

    folder: Path
    settings: Settings
    sandbox: Sandbox
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    memory: dict[str, list[float]] = field(default_factory=dict)

    @property
    def up(self) -> str:
        """The name of the only command."""
        [name] = self.running
        return name

    @property
    def environment(self) -> dict[str, str]:
        own = store_environment(self.settings)
        return {**os.environ, **self.sandbox.environment(), **own, **TIMETABLE, "SERVICE_TITAN_RATE": "1000"}

    def start(self, *command: str) -> None:
        """A command in a process of its own; its words go to a file."""
        name = " ".join(command)
        with (self.folder / f"{name.replace(' ', '_')}.log").open("ab") as log:
            log.write(STARTED.encode())
            log.flush()
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", "cli.main", *command], env=self.environment, stdout=log, stderr=log
            )

    def kill(self, name: str) -> None:
        """At once."""
        process = self.running.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self) -> dict[str, int]:
        """As a user would; exit codes by command."""
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        return {name: process.wait(60) for name, process in self.running.items()}

    def weigh(self) -> None:
        """Note how many megabytes each command holds."""
        for name, process in self.running.items():
            text = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
            resident = next(line for line in text.splitlines() if line.startswith("VmRSS"))
            self.memory.setdefault(name, []).append(int(resident.split()[1]) / 1024)

    def said(self) -> str:
        """All that the commands wrote."""
        return "".join(self.texts())

    def said_last(self) -> list[str]:
        """What each command wrote since its last start."""
        return [text.rpartition(STARTED)[2] for text in self.texts()]

    def texts(self) -> list[str]:
        return [path.read_text(encoding="utf-8") for path in sorted(self.folder.glob("*.log"))]


@contextmanager
def life(folder: Path, settings: Settings) -> Iterator[Life]:
    with Sandbox(seed=21, customers=60, live=2.0, faults=PASSING, report_interval=0, export_page_size=200) as sandbox:
        sandbox.faults.measure("slow", 0.02)
        made = Life(folder, settings, sandbox)
        try:
            yield made
        finally:
            for process in made.running.values():
                process.kill()


def thirds(values: Sequence[float]) -> tuple[float, float]:
    """The mean of the middle third and of the last one."""
    third = len(values) // 3
    return mean(values[third : 2 * third]), mean(values[2 * third :])


def stale(operations: Operations, begun: float) -> list[tuple[str, int, float]]:
    """Entities that were once unread for longer than twice their interval since a moment: name, tenant, seconds."""
    found = []
    for entity in CATALOG:
        runs = operations.run("batches_of_entity", entity=entity.name)
        ends = [run["finished_at"].timestamp() for run in runs if run["status"] in {"completed", "unavailable"}]
        moments = [begun, *sorted(end for end in ends if end > begun), time.time()]
        longest = max(after - before for before, after in pairwise(moments))
        if longest > (2 * EVERY[entity.priority] + SLACK).total_seconds():
            found.append((entity.name, 1, round(longest, 1)))
    return found


def ask(ledger: Ledger, number: int) -> None:
    """A change to ServiceTitan, of a kind that the sandbox's own life leaves alone."""
    ledger.chance.choice((ledger.update, ledger.create, ledger.note, ledger.category))(number)


def calm(made: Life, ledger: Ledger) -> None:
    """No more changes and no more faults; what was asked for is true of ServiceTitan."""
    made.sandbox.stopping.set()
    made.sandbox.switch_faults([])
    settle(ledger.office)
    states = ledger.check()
    assert states["completed"] > states.total() * 0.95, states
    print(f"changes {dict(states)}")  # noqa: T201


def read_all(made: Life, operations: Operations) -> None:
    """Wait until each entity was read by a run that began behind now."""
    now, latest = time.time(), time.time() + 2 * EVERY[4].total_seconds() + 120
    waiting = {entity.name for entity in CATALOG}
    while waiting and time.time() < latest:
        time.sleep(LOOK_EVERY)
        for name in list(waiting):
            runs = operations.run("batches_of_entity", entity=name)
            if any(
                run["started_at"].timestamp() > now and run["status"] in {"completed", "unavailable"} for run in runs
            ):
                waiting.discard(name)
    assert not waiting, made.said()[-3000:]


def whole_cycle(made: Life, operations: Operations) -> None:
    """The same, and until the models show it."""
    read_all(made, operations)
    latest = time.time() + 120
    while operations.run("stale_entities") and time.time() < latest:
        time.sleep(LOOK_EVERY)


def check_exact(made: Life) -> None:
    """Master is what ServiceTitan has; else what is known of the records that differ."""
    with closing(Stores.open(made.settings)) as stores:
        found = list(differences(made.sandbox, stores.warehouse.fetch, CATALOG))
        told = [line for name, *_ in found for line in story(made.sandbox, stores, name)]
        assert not found, f"{found}\n" + "\n".join(told)


def story(sandbox: Sandbox, stores: Stores, name: str) -> Iterator[str]:
    """What raw, master and the runs know of an entity's records that differ."""
    entity = next(entity for entity in CATALOG if entity.name == name)
    rows = stores.warehouse.fetch(f"SELECT st_id, payload_hash, is_deleted FROM master.{name}")
    theirs, ours = set(heads(sandbox, entity)), {(key, hash_) for key, hash_, is_deleted in rows if not is_deleted}
    yield f"stale: {stores.operations.run('stale_entities')}"
    for key, hash_ in sorted(theirs ^ ours, key=str)[:20]:
        yield f"{key} is {hash_} {'there' if (key, hash_) in theirs else 'here'}"
    keys = sorted({key for key, _ in theirs ^ ours}, key=str)[:20]
    shown = "st_id, payload_hash, is_deleted, modified_on, synced_at, sync_batch_id"
    for row in stores.warehouse.fetch(f"SELECT {shown} FROM raw.{raw_table(entity).name} ORDER BY st_id, synced_at"):
        if row[0] in keys:
            yield f"raw {' '.join(map(str, row))}"
    for run in stores.operations.run("batches_of_entity", entity=name)[:40]:
        yield f"run {run}"


def check_words(made: Life) -> None:
    """Nothing is said but what landed, what failed for a named reason, and, by a command that lives, that it is well again."""
    said = made.said()
    assert "Traceback" not in said, said[-4000:]
    assert "too many clients" not in said
    for words in made.said_last():
        failed = {line.partition("FAILED ")[2].partition(":")[0] for line in words.splitlines() if "FAILED" in line}
        well = {line.partition("well again: ")[2] for line in words.splitlines() if "well again" in line}
        assert failed <= well, (failed - well, words[-4000:])


@pytest.mark.slow
def test_the_service_lives(settings: Settings, tmp_path: Path):
    """Memory stays flat, nothing is staler than twice its interval, and master is exact after a last cycle."""
    with (
        life(tmp_path, settings) as made,
        closing(open_operations(settings)) as operations,
        desk(settings, made.sandbox) as office,
    ):
        made.start("up", "--port", "0")
        read_all(made, operations)
        first, ledger = time.time(), Ledger(office)
        begun = time.monotonic()
        for turn in count():
            time.sleep(LOOK_EVERY)
            assert made.running[made.up].poll() is None, made.said()[-4000:]
            made.weigh()
            ask(ledger, turn)
            if time.monotonic() - begun > MINUTES * 60:
                break
        late = stale(operations, first)
        calm(made, ledger)
        whole_cycle(made, operations)
        middle, last = thirds(made.memory[made.up])
        assert set(made.stop().values()) == {0}
        print(f"memory {middle:.0f} MB in the middle third, {last:.0f} in the last; stale {late}")  # noqa: T201
        check_exact(made)
        check_words(made)
        assert not late
        assert last <= middle * FLAT


@pytest.mark.slow
def test_three_processes_live_through_kills(postgres_url: str, tmp_path: Path):
    """API, schedule and runner on PostgreSQL, killed and started again thirty times in any order: the same."""
    settings, chance = Settings(postgres_url, tmp_path / "data", 3001, "warning"), random.Random(4)  # noqa: S311
    commands = (("api", "--port", "0"), ("sync", "--schedule"), ("outbound",))
    with (
        life(tmp_path, settings) as made,
        closing(open_operations(settings)) as operations,
        desk(settings, made.sandbox) as office,
    ):
        for command in chance.sample(commands, 3):
            made.start(*command)
        read_all(made, operations)
        first, ledger = time.time(), Ledger(office)
        for turn in range(KILLS):
            until = time.monotonic() + MINUTES * 60 / KILLS * chance.uniform(0.5, 1.5)
            for change in count():
                ask(ledger, turn * 10_000 + change)
                time.sleep(LOOK_EVERY)
                if time.monotonic() > until:
                    break
            command = chance.choice(commands)
            made.kill(" ".join(command))
            time.sleep(chance.uniform(0.0, 2.0))
            made.start(*command)
            made.weigh()
        late = stale(operations, first)
        calm(made, ledger)
        whole_cycle(made, operations)
        assert set(made.stop().values()) == {0}
        print(f"stale {late}")  # noqa: T201
        check_exact(made)
        check_words(made)
        assert not late
