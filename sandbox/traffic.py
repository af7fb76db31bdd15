"""What was asked: counters for tests, and the limit on requests in a second."""

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from typing import Any

HOUR = 3600
"""Seconds for which requests per second are kept."""


class Traffic:
    """Counts requests and tells which are too many."""

    def __init__(self, limit: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        """`limit` is the number of requests in any second for an app and a tenant; None is no limit."""
        self.limit, self.clock = limit, clock
        self.paths: Counter[str] = Counter()
        self.seconds: Counter[int] = Counter()
        self.statuses: Counter[int] = Counter()
        self.recent: dict[tuple[str, str], deque[float]] = defaultdict(deque)

    def count(self, path: str) -> None:
        """Note a request for a path that exists."""
        self.paths[path] += 1
        second = int(time.time())
        self.seconds[second] += 1
        if len(self.seconds) > HOUR:
            del self.seconds[min(self.seconds)]

    def is_too_much(self, app_key: str, tenant: str) -> bool:
        """Whether a request is beyond the limit; a refused request does not count against it."""
        if self.limit is None:
            return False
        now, recent = self.clock(), self.recent[app_key, tenant]
        while recent and recent[0] <= now - 1:
            recent.popleft()
        if len(recent) >= self.limit:
            return True
        recent.append(now)
        return False

    def report(self, tokens: int) -> dict[str, Any]:
        """All counters."""
        return {
            "requests": sum(self.paths.values()),
            "paths": dict(self.paths),
            "per_second": {str(second): count for second, count in self.seconds.items()},
            "busiest_second": max(self.seconds.values(), default=0),
            "statuses": {str(status): count for status, count in self.statuses.items()},
            "tokens": tokens,
            "unauthorized": self.statuses[401],
            "limited": self.statuses[429],
        }
