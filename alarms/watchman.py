"""A look at everything once a minute, and word of what is new."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from alarms.checks import findings
from alarms.facts import Facts
from alarms.finding import Finding
from alarms.limits import Limits
from alarms.notice import Hook, noted, tell
from store.exceptions import StoreError
from store.operations import Operations
from store.timetable import Timetable

EVERY = 60.0  # seconds

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Watchman:
    """Looks, and tells. `start`, then `stop`."""

    operations: Operations
    read: Callable[[], Facts]
    limits: Limits
    timetable: Timetable
    hook: Hook | None = None
    every: float = EVERY
    known: dict[tuple[str, int | None, str], Finding] = field(default_factory=dict)  # at the last look
    is_over: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is looked at yet."""
        self.thread = threading.Thread(target=self.run, name="watchman", daemon=True)

    def start(self) -> None:
        """Begin."""
        self.thread.start()

    def stop(self, seconds: float = 5.0) -> None:
        """End behind the look at hand, for which it waits so long."""
        self.is_over.set()
        self.thread.join(seconds)

    def run(self) -> None:
        """Look until it is over."""
        while not self.is_over.wait(self.every):
            try:
                self.look()
            except StoreError as error:
                log.warning("how things are cannot be seen: %s", error)
            except Exception:
                log.exception("how things are cannot be seen")

    def look(self) -> list[Finding]:
        """Look once and tell what is new; what is wrong."""
        facts = self.read()
        found = findings(facts, self.limits, self.timetable)
        noted(self.operations, facts, found)
        if self.hook:
            tell(self.operations, self.hook)
        self.write(found)
        return found

    def write(self, found: Sequence[Finding]) -> None:
        """Into the log, what is new and what is over since this process's last look."""
        now = {finding.name: finding for finding in found}
        for name, finding in now.items():
            if name not in self.known or self.known[name].level is not finding.level:
                log.warning(
                    "%s: %s. %s", " ".join(filter(None, (finding.check, finding.subject))), finding.level, finding.text
                )
        for name, finding in self.known.items():
            if name not in now:
                log.warning("%s: well again.", " ".join(filter(None, (finding.check, finding.subject))))
        self.known = now
