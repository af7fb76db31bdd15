"""What of that which waits is done next, where only so much is done at once."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

LOOK_EVERY = 1.0  # seconds after which one that waits looks whether it still should


@dataclass(eq=False, slots=True)
class Waiting:
    """One that waits for a slot."""

    due: datetime
    interval: timedelta
    called: threading.Event = field(default_factory=threading.Event)

    def lateness(self, now: datetime) -> float:
        """How long it has been due, in its own intervals."""
        return (now - self.due) / self.interval


@dataclass(slots=True)
class Slots:
    """Of so many, who is latest by its own interval takes the next one.

    Where more is due than can be done, all intervals then grow by the same factor, and nothing is passed over for ever as it
    may be by chance.
    """

    free: int
    waiting: list[Waiting] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, due: datetime, interval: timedelta, is_over: Callable[[], object]) -> bool:
        """Wait for a slot; False, and none taken, once `is_over`."""
        with self.lock:
            if self.free:
                self.free -= 1
                return True
            one = Waiting(due, interval)
            self.waiting.append(one)
        while not one.called.wait(LOOK_EVERY):
            if is_over():
                with self.lock:
                    if one in self.waiting:
                        self.waiting.remove(one)
                        return False
        return True

    def give_back(self) -> None:
        """To the latest that waits, if any."""
        now = datetime.now(UTC)
        with self.lock:
            if not self.waiting:
                self.free += 1
                return
            latest = max(self.waiting, key=lambda one: one.lateness(now))
            self.waiting.remove(latest)
            latest.called.set()
