"""A wish to stop, which reads heed between pages and waits heed at once."""

import threading
from dataclasses import dataclass, field

from sources.servicetitan.exceptions import StoppedError


@dataclass(frozen=True, slots=True)
class Stopping:
    """Whether somebody wants it. Safe to use from several threads."""

    wanted: threading.Event = field(default_factory=threading.Event)

    def __bool__(self) -> bool:
        """Whether it is time."""
        return self.wanted.is_set()

    def want(self) -> None:
        """Ask for it."""
        self.wanted.set()

    def heed(self) -> None:
        """Go on, or raise StoppedError when it is time."""
        if self:
            raise StoppedError(StoppedError.__doc__)

    def sleep(self, seconds: float) -> None:
        """Wait. Raises StoppedError as soon as it is time."""
        self.wanted.wait(seconds)
        self.heed()
