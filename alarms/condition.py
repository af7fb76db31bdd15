"""How things are, looked at no more than every few seconds, whoever asks."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from alarms.checks import findings
from alarms.facts import Facts
from alarms.finding import Finding, Level
from alarms.limits import Limits
from store.exceptions import StoreError
from store.timetable import Timetable

KEPT_SECONDS = 5.0


@dataclass(slots=True)
class Condition:
    """What the checks find. Safe to use from several threads: one looks, the others wait for it."""

    read: Callable[[], Facts]
    limits: Limits
    timetable: Timetable
    turn: threading.Lock = field(default_factory=threading.Lock)
    looked_at: float = -KEPT_SECONDS
    found: Sequence[Finding] = ()

    def now(self, tenant_id: int | None = None) -> Sequence[Finding]:
        """What is wrong with a tenant and with the service; without a tenant, with all of them."""
        with self.turn:
            if time.monotonic() - self.looked_at >= KEPT_SECONDS:
                self.found = self.look()
                self.looked_at = time.monotonic()
        return [one for one in self.found if tenant_id is None or one.tenant_id in {None, tenant_id}]

    def look(self) -> Sequence[Finding]:
        """Look; a store that does not answer is a finding."""
        try:
            return findings(self.read(), self.limits, self.timetable)
        except StoreError as error:
            return [Finding("store", "", Level.CRITICAL, str(error))]
