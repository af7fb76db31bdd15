"""One allowance of requests for everything that calls ServiceTitan for one application and tenant, across processes.

A GCRA: one row holds the theoretical arrival time, one statement takes a request from it. A caller then waits until
its own time has come. Nothing is counted in memory, so any number of processes share fairly. The store's clock is the only one:
a host whose clock is wrong neither waits longer nor makes others wait.
"""

import hashlib
import time
from collections.abc import Callable

from store.operations import Operations, open_operations
from store.settings import Settings
from store.sqlite_operations import SqliteOperations

BURST = 3  # requests that may go at once after a quiet time: the worst second stays within 5 % of the rate


class RateBudget:
    """The right to send a bounded number of requests a second."""

    def __init__(
        self,
        operations: Operations,
        application: str,
        tenant_id: int,
        requests_per_second: float,
        *,
        burst: float = BURST,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`application` is a public name for the key (see `application_name`), never the key itself."""
        self.operations = operations
        self.application, self.tenant_id = application, tenant_id
        self.interval, self.burst = 1 / requests_per_second, burst
        self.sleep = sleep

    def take(self) -> float:
        """Wait for the right to send one request; the seconds waited."""
        taken = self.operations.run(
            "take_from_budget",
            application=self.application,
            tenant_id=self.tenant_id,
            interval=self.interval,
            burst_seconds=self.burst * self.interval,
        )
        wait = max(0.0, float(taken[0]["wait_seconds"]))
        if wait:
            self.sleep(wait)
        return wait

    def apart(self, name: str, requests_per_second: float) -> "RateBudget":
        """A budget of its own for one thing that the same application asks for, without a burst."""
        return RateBudget(
            self.operations,
            f"{self.application} {name}",
            self.tenant_id,
            requests_per_second,
            burst=1,
            sleep=self.sleep,
        )


def application_name(app_key: str) -> str:
    """A name for an application's key that does not give the key away."""
    return hashlib.sha256(app_key.encode()).hexdigest()[:16]


def open_budget_store(settings: Settings) -> Operations:
    """The store for budgets: on SQLite without a disk flush for each request, because losing one second harms nobody."""
    if settings.is_embedded:
        return SqliteOperations(settings.data_dir / "lazi-ops.sqlite", durable=False)
    return open_operations(settings)
