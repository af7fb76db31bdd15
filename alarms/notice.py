"""What the owner is told: each alarm once, again when it gets worse or better, and that it is over."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from alarms.checks import unknown
from alarms.facts import Facts, moment
from alarms.finding import Finding, Level
from store.operations import Operations, Row


@dataclass(frozen=True, slots=True)
class Notice:
    """One message. `is_over`: what was wrong is well again."""

    check: str
    tenant_id: int | None
    subject: str
    level: Level
    text: str
    since: datetime
    is_over: bool = False

    @property
    def title(self) -> str:
        """A line that names it."""
        whose = f"of tenant {self.tenant_id}" if self.tenant_id else ""
        about = " ".join(filter(None, (self.check, self.subject, whose)))
        return f"{about}: well again" if self.is_over else f"{about}: {self.level}"

    def as_json(self) -> dict[str, Any]:
        """The generic form."""
        return {
            "service": "st-lazi",
            "alarm": self.check,
            "subject": self.subject or None,
            "tenant_id": self.tenant_id,
            "status": "recovered" if self.is_over else "firing",
            "level": str(self.level),
            "text": self.text,
            "since": self.since.isoformat(),
        }

    def as_slack(self) -> dict[str, Any]:
        """Slack's form; its three special characters are escaped."""
        text = self.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        mark = ":white_check_mark:" if self.is_over else MARKS[self.level]
        return {"text": f"{mark} *{self.title}*\n{text}"}


class Hook(Protocol):
    """Where notices go."""

    def tell(self, notice: Notice) -> bool:
        """Send a notice; whether it was taken."""


MARKS = {Level.DEGRADED: ":warning:", Level.CRITICAL: ":rotating_light:", Level.HEALTHY: ":white_check_mark:"}


def place(check: str, tenant_id: int | None, subject: str) -> dict[str, Any]:
    """How the store names an alarm."""
    return {"check_name": check, "tenant_id": tenant_id or 0, "subject": subject}


def noted(operations: Operations, facts: Facts, findings: Sequence[Finding]) -> None:
    """Write down what is wrong, and what no longer is."""
    for finding in findings:
        values = place(*finding.name) | {"level": str(finding.level), "text": finding.text, "now": facts.now}
        operations.run("raise_alarm", **values)
    present = {tuple(place(*finding.name).values()) for finding in findings}
    for row in operations.run("alarms"):
        own = {name: row[name] for name in ("check_name", "tenant_id", "subject")}
        if tuple(own.values()) not in present and not unknown(facts, row):
            operations.run("end_alarm", **own)
            operations.run("forget_alarm", **own, now=facts.now)


def tell(operations: Operations, hook: Hook) -> None:
    """Tell what nobody has told yet. Of several processes one tells each; what could not be told is told at a later look."""
    for row in operations.run("alarms"):
        own, now = {name: row[name] for name in ("check_name", "tenant_id", "subject")}, datetime.now(UTC)
        for claimed in operations.run("claim_notice", **own, now=now, until=now + LONGEST):
            notice = notice_of(row, claimed)
            if not hook.tell(notice):
                operations.run("note_untold", **own)
            elif notice.is_over:
                operations.run("note_told", **own, level=None)  # it may have begun again meanwhile
                operations.run("note_told_over", **own)
            else:
                operations.run("note_told", **own, level=str(notice.level))


LONGEST = timedelta(minutes=2)
"""In which a notice is told, or its teller is dead."""


def notice_of(row: Row, claimed: Row) -> Notice:
    """What is to be told of an alarm."""
    level, since = Level(claimed["level"]), moment(claimed["since"])
    return Notice(
        row["check_name"],
        row["tenant_id"] or None,
        row["subject"],
        level,
        claimed["text"],
        since,
        is_over=bool(claimed["is_over"]),
    )
