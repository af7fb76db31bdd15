"""What is wrong, as a check found it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is. The words are those of the original service."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `check` and `subject` name it from one look to the next; `tenant_id` None: of the service."""

    check: str
    subject: str
    level: Level
    text: str
    tenant_id: int | None = None

    @property
    def name(self) -> tuple[str, int | None, str]:
        """What it is about, whatever its level and text."""
        return (self.check, self.tenant_id, self.subject)


ORDER = tuple(Level)


def worst(findings: Iterable[Finding]) -> Level:
    """The level of the whole."""
    return max((finding.level for finding in findings), key=ORDER.index, default=Level.HEALTHY)
