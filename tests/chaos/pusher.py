"""A runner in a process of its own, to be killed. It lands nothing: `python -m tests.chaos.pusher`."""

import signal
from datetime import timedelta
from pathlib import Path

import httpx

from outbound.attempt import Patience
from outbound.queue import Queue
from outbound.runner import Runner
from sources.servicetitan.client import Client
from sources.servicetitan.client import Patience as ClientPatience
from sources.servicetitan.lines import Lines
from store.operations import open_operations
from store.rate_budget import RateBudget, open_budget_store
from store.settings import Places, connection, load

LEASE = timedelta(seconds=4)


def main() -> None:
    """Work until SIGTERM."""
    places = Places(folder=Path("/nonexistent"))
    settings, reached = load(places), connection(places)
    operations = open_operations(settings)
    budget = RateBudget(open_budget_store(settings), "chaos", 1, reached.requests_per_second)
    patience = ClientPatience(attempts=8, seconds=2.5, longest_wait=0.2)
    client = Client(reached, reached.tenants[0], budget, patience, Lines(timeout=httpx.Timeout(1.0)))
    runner = Runner(Queue(operations, lease=LEASE), lambda _: client, Patience(minute=0.05, looks=(0.1, 0.2)))
    signal.signal(signal.SIGTERM, lambda *_: runner.stop())
    runner.run()


if __name__ == "__main__":
    main()
