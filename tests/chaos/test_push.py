"""Runners are killed and PostgreSQL goes away while ServiceTitan misbehaves: nothing is done twice, nothing is lost."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from outbound.queue import Mutation
from sandbox.server import Sandbox
from sandbox.writes.write import Write
from store.settings import Settings
from tests.chaos.ledger import Ledger
from tests.chaos.power import crash, restart
from tests.environment import store_environment
from tests.outbound.desk import Desk, desk

MUTATIONS, KILLS, RESTARTS = 2000, 60, 10
FAULTS = {
    "write_failed_after": 0.05,
    "write_cut_after": 0.05,
    "write_slow_after": 0.01,
    "write_failed_before": 0.05,
    "too_many": 0.02,
    "revoked_token": 0.01,
    "html_503": 0.02,
    "server_error": 0.02,
    "cut_connection": 0.02,
    "cut_json": 0.02,
}
PATIENCE = 300.0  # seconds until all must be settled


def pusher(settings: Settings, sandbox: Sandbox) -> "subprocess.Popen[bytes]":
    """A runner in a process of its own; what it says stands in the data folder."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    own = store_environment(settings)
    environment = {**os.environ, **sandbox.environment(), **own, "SERVICE_TITAN_RATE": "1000"}
    with (settings.data_dir / "pusher.log").open("ab") as said:
        return subprocess.Popen([sys.executable, "-m", "tests.chaos.pusher"], env=environment, stderr=said)


@contextmanager
def pushers(settings: Settings, sandbox: Sandbox, number: int) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """So many runners, ended in the end."""
    runners = [pusher(settings, sandbox) for _ in range(number)]
    try:
        yield runners
    finally:
        for runner in runners:
            runner.kill()
            runner.wait()


def waiting(office: Desk) -> int:
    """How many are not settled."""
    counts = office.queue.counts()
    return counts.get("pending", 0) + counts.get("processing", 0)


def settle(office: Desk) -> None:
    """Wait until all are settled."""
    deadline = time.monotonic() + PATIENCE
    while waiting(office) and time.monotonic() < deadline:
        unblock(office)
        time.sleep(0.3)


def unblock(office: Desk) -> None:
    """What keeps others waiting because nobody can tell is looked into by a person, who sees it in the sandbox's own log."""
    for mutation in office.queue.some(state="unknown", most=1000):
        if mutation.lane:
            is_done = any(is_of(mutation, write) for write in office.sandbox.written)
            office.queue.decide(mutation, "resolve done" if is_done else "resolve not_done", "Ann", new_id="seen")


def is_of(mutation: Mutation, write: Write) -> bool:
    """Whether a write that the sandbox took is a mutation's."""
    if mutation.ref in str(write.body):
        return True
    return write.title == mutation.title and write.body == mutation.payload and mutation.payload is not None


@pytest.fixture
def town() -> Iterator[Sandbox]:
    """A ServiceTitan that misbehaves."""
    with Sandbox(seed=6, customers=120) as sandbox:
        yield sandbox


@pytest.mark.slow
def test_kill_9_makes_nothing_twice_and_loses_nothing(settings: Settings, town: Sandbox):
    """Two thousand changes, sixty kills, every fault of writes: each ends in a state that is true of ServiceTitan."""
    town.faults.measure("write_slow_after", 1.5)
    number = 1 if settings.is_embedded else 2
    with desk(settings, town) as office, pushers(settings, town, number) as runners:
        ledger = Ledger(office)
        town.switch_faults(FAULTS)
        for turn in range(KILLS):
            for change in range(MUTATIONS // KILLS + 1):
                ledger.ask(turn * 1000 + change)
            time.sleep(ledger.chance.uniform(0.6, 2.5))
            victim = ledger.chance.randrange(number)
            runners[victim].send_signal(signal.SIGKILL)
            runners[victim].wait()
            runners[victim] = pusher(settings, town)
        settle(office)
        town.switch_faults(())
        states = ledger.check()
        assert sum(states.values()) >= MUTATIONS
        assert states["completed"] > MUTATIONS * 0.9, states


@pytest.mark.slow
def test_a_postgres_that_restarts_makes_nothing_twice(own_server: Any, tmp_path: Path, town: Sandbox):
    """Ten crashes of the server under two runners."""
    settings = Settings(own_server.get_uri(), tmp_path / "data", 3001, "warning")
    town.faults.measure("write_slow_after", 1.5)
    with desk(settings, town) as office, pushers(settings, town, 2):
        ledger = Ledger(office)
        town.switch_faults(FAULTS)
        for turn in range(RESTARTS):
            for change in range(MUTATIONS // RESTARTS):
                ledger.ask(turn * 1000 + change)
            time.sleep(ledger.chance.uniform(0.5, 3.0))
            crash(own_server)
            restart(own_server)
            office.operations.close()
        settle(office)
        town.switch_faults(())
        states = ledger.check()
        assert sum(states.values()) >= MUTATIONS
