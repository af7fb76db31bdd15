"""The runner: takes mutations that are due and works on them, several at a time, until it is told to stop.

Any number of runners may work on one PostgreSQL. A runner that dies costs nothing but the time of its leases.
"""

import logging
import os
import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from outbound.attempt import MOST_DEATHS, Attempt, Patience
from outbound.queue import Mutation, Queue, Settlement, now
from sources.servicetitan.client import Client
from store.exceptions import StoreError

LONGEST_WAIT = 1.0  # seconds without a look at the queue
AT_ONCE = 8
TAKE_OVER_EVERY = 5.0  # seconds between two looks for leases that ended

log = logging.getLogger(__name__)


class Observer(Protocol):
    """Someone who wants to know how it goes. Called from several threads."""

    def settled(self, mutation: Mutation, end: Settlement) -> None:
        """A mutation was settled."""


class Silence:
    """An observer that says nothing."""

    def settled(self, mutation: Mutation, end: Settlement) -> None:
        """Nothing."""


def name_of_process() -> str:
    """A name that tells where a runner runs and that no other has."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(2)}"


@dataclass
class Runner:
    """Works on the mutations of one queue.

    `clients` gives a tenant's client; `landable` is set when a record waits for the copy.
    """

    queue: Queue
    clients: Callable[[int], Client]
    patience: Patience = field(default_factory=Patience)
    at_once: int = AT_ONCE
    observer: Observer = field(default_factory=Silence)
    owner: str = field(default_factory=name_of_process)
    landable: threading.Event = field(default_factory=threading.Event)
    stopping: threading.Event = field(default_factory=threading.Event)
    under_way: set["Future[None]"] = field(default_factory=set)
    settled: Counter[str] = field(default_factory=Counter)
    looked_at: float = -TAKE_OVER_EVERY

    def run(self) -> None:
        """Work until `stop`; what was begun is finished."""
        with ThreadPoolExecutor(self.at_once, thread_name_prefix="outbound") as pool:
            while not self.stopping.is_set():
                try:
                    if not self.take(pool):
                        self.rest()
                except StoreError as error:  # the store is away: it may come back
                    log.warning("the store is away: %s", error)
                    self.stopping.wait(LONGEST_WAIT)

    def once(self) -> Counter[str]:
        """Work until nothing is due; how many ended in which way."""
        with ThreadPoolExecutor(self.at_once, thread_name_prefix="outbound") as pool:
            while not self.stopping.is_set() and (self.take(pool) or self.under_way):
                self.wait_for_one()
        return self.settled

    def stop(self) -> None:
        """Take nothing more."""
        self.stopping.set()
        self.queue.operations.wake()

    def take(self, pool: ThreadPoolExecutor) -> int:
        """Begin as many as there is room for; how many."""
        self.under_way = {one for one in self.under_way if not one.done()}
        room = self.at_once - len(self.under_way)
        if not room:
            return 0
        mutations: list[Mutation] = []
        if time.monotonic() - self.looked_at >= TAKE_OVER_EVERY:
            self.looked_at = time.monotonic()
            mutations += self.queue.take_over(self.owner, room)
        if len(mutations) < room:
            mutations += self.queue.claim(self.owner, room - len(mutations))
        self.under_way |= {pool.submit(self.work, mutation) for mutation in mutations}
        return len(mutations)

    def rest(self) -> None:
        """Wait until there may be something to do."""
        if self.under_way:
            self.wait_for_one()
        else:
            self.queue.operations.wait(min(LONGEST_WAIT, max(self.queue.due_in() or LONGEST_WAIT, 0.01)))

    def wait_for_one(self) -> None:
        """Wait until one of those under way is done, or a moment."""
        done = threading.Event()
        for one in self.under_way:
            one.add_done_callback(lambda _: done.set())
        done.wait(0.05)

    def work(self, mutation: Mutation) -> None:
        """Work on one mutation; nothing that goes wrong with one stops the others."""
        attempt: Attempt | None = None
        try:
            attempt = Attempt(self.queue, self.clients(mutation.tenant_id), mutation, self.patience)
            end = attempt.run()
        except StoreError as error:
            log.warning("mutation %s is not settled: %s", mutation.mutation_id, error)
            end = self.unsettled(mutation, attempt, str(error), counts=False)
        except Exception as error:
            log.exception("mutation %s failed", mutation.mutation_id)
            end = self.unsettled(mutation, attempt, f"{type(error).__name__}: {error}", counts=True)
        if end:
            self.settled[str(end.state)] += 1
            log.info("mutation %s (%s): %s. %s", mutation.mutation_id, mutation.title, end.state, end.said)
            self.observer.settled(mutation, end)
            if end.landing:
                self.landable.set()

    def given_up(self, mutation: Mutation, error: str) -> Settlement | None:
        """What becomes of one that was sent and cannot be looked at: another look, but not for ever."""
        if mutation.deaths < MOST_DEATHS:
            return None
        end = Settlement("in doubt", f"It may have been done, and cannot be looked at: {error}")
        with suppress(StoreError):
            return end if self.queue.settle(mutation, end) else None
        return None

    def unsettled(self, mutation: Mutation, attempt: Attempt | None, error: str, *, counts: bool) -> Settlement | None:
        """What becomes of a mutation that could not be worked on: later where nothing was sent, else its lease ends."""
        if mutation.sent_at or (attempt and attempt.sent_at):
            return self.given_up(mutation, error)
        is_last = counts and mutation.attempts >= self.patience.attempts
        end = Settlement(
            "refused" if is_last else "later", error, run_at=self.patience.until(mutation.attempts), counts=counts
        )
        try:
            until = attempt.leased_until if attempt else now()
            return end if self.queue.settle_surely(mutation, end, until) else None
        except StoreError:
            return None
