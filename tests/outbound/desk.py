"""Where changes are asked for, worked on and looked at: a sandbox, a queue and a runner that has no patience."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from outbound.attempt import Patience
from outbound.operations import BY_TITLE
from outbound.queue import Mutation, Queue
from outbound.request import Asked, prepared, wanted
from outbound.runner import Runner
from sandbox.server import Sandbox
from sources.servicetitan.client import Client
from sources.servicetitan.client import Patience as ClientPatience
from sources.servicetitan.lines import Lines
from store.operations import Operations, open_operations
from store.rate_budget import RateBudget
from store.settings import Places, Settings, connection

HURRIED = Patience(minute=0.0, looks=(0.01, 0.02), sleep=lambda _: None)


@dataclass
class Desk:
    """One tenant's changes."""

    sandbox: Sandbox
    operations: Operations
    queue: Queue
    client: Client
    keys: Iterator[int] = field(default_factory=lambda: iter(range(10_000)))

    def ask(self, title: str, record: object = None, payload: Any = None, **more: Any) -> Mutation:
        """Queue a change whose base is the record as it is now, unless `base` says otherwise."""
        entity, _, operation = title.partition(":")
        base = more.pop("base", ...)
        asked = Asked(entity_type=entity, operation=operation, entity_id=record, payload=payload, **more)  # type: ignore[arg-type]
        ready = prepared(asked)
        if base is ...:
            base = self.listed(ready.operation.subject.name, record) if ready.operation.subject else None
        made = wanted(asked, ready, tenant_id=1, key_id="key", name="Ann", base=base, base_hash=None, is_held=False)
        return self.queue.add(made)[0]

    def listed(self, entity: str, key: object) -> dict[str, Any] | None:
        """A record as it is."""
        return next((one for one in self.sandbox.records(entity) if str(one["id"]) == str(key)), None)

    def runner(self, **more: Any) -> Runner:
        """A runner."""
        return Runner(self.queue, lambda _: self.client, **{"patience": HURRIED, **more})

    def work(self, mutation: Mutation, **more: Any) -> Mutation:
        """Work off all that is due; the mutation as it is then."""
        self.runner(**more).once()
        return self.queue.get(mutation.mutation_id)

    def push(self, title: str, record: object = None, payload: Any = None, **more: Any) -> Mutation:
        """Queue a change and work it off."""
        return self.work(self.ask(title, record, payload, **more))

    def sent(self, title: str) -> list[Any]:
        """The bodies that the sandbox took, by operation."""
        assert title in BY_TITLE
        return [write.body for write in self.sandbox.written if write.title == title]


def client_of(sandbox: Sandbox, operations: Operations, timeout: float = 5.0) -> Client:
    """A client that gives up soon."""
    reached = connection(Places({**sandbox.environment(), "SERVICE_TITAN_RATE": "1000"}, Path("/nonexistent")))
    budget = RateBudget(operations, "app", 1, 1000)
    patience = ClientPatience(attempts=8, seconds=20, longest_wait=0.01, sleep=lambda _: None)
    return Client(reached, reached.tenants[0], budget, patience, Lines(timeout=httpx.Timeout(timeout)))


@contextmanager
def desk(settings: Settings, sandbox: Sandbox, timeout: float = 5.0) -> Iterator[Desk]:
    """A desk on an empty queue."""
    operations = open_operations(settings)
    client = client_of(sandbox, operations, timeout)
    try:
        yield Desk(sandbox, operations, Queue(operations, lease=timedelta(seconds=30)), client)
    finally:
        client.close()
        operations.close()
