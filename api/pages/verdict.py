"""What is wrong in one line, and each alarm with the place where one sees more of it. Pure: findings in."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from alarms.finding import Finding, Level, worst
from api.health import sentences
from api.reads import moment
from outbound.state import CONFLICT, FAILED, PENDING, UNKNOWN, State
from sources.servicetitan.catalog import BY_NAME
from store.operations import Row

PHRASES: Mapping[str, tuple[str, str]] = {
    "store": ("a store does not answer", ""),
    "token": ("ServiceTitan lets nobody in", ""),
    "disk": ("the disk is nearly full", ""),
    "stale": ("1 entity is late", "{} entities are late"),
    "failures": ("1 entity cannot be read", "{} entities cannot be read"),
    "models": ("the models are behind", ""),
    "serving": ("what PostgreSQL serves is behind", ""),
    "queue": ("changes wait too long", ""),
    "failed": ("changes failed", ""),
    "conflict": ("changes are in conflict", ""),
    "unknown": ("changes are in doubt", ""),
    "differences": ("1 entity differed from ServiceTitan", "{} entities differed from ServiceTitan"),
    "reconcile": ("nothing was reconciled for long", ""),
    "budget": ("more requests are asked for than may go", ""),
    "quarantine": ("values are of a wrong type", ""),
    "drift": ("records differ from the field registry", ""),
}
"""By check what it says in a line, of one and of several; the most urgent first."""

PLACES: Mapping[str, tuple[State, str]] = {
    "queue": (PENDING, "pending changes"),
    "failed": (FAILED, "failed changes"),
    "conflict": (CONFLICT, "changes in conflict"),
    "unknown": (UNKNOWN, "changes in doubt"),
}
"""By check that is about changes: their state, and what its list is called."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """A finding as it is shown: a text, with a link in it where a page shows more."""

    level: Level
    before: str
    address: str  # empty: there is no such page
    name: str  # of that page
    after: str
    since: datetime | None
    is_of_service: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """How all is, in a line, and why."""

    level: Level
    line: str
    alarms: Sequence[Alarm]


def verdict(findings: Sequence[Finding], rows: Iterable[Row]) -> Verdict:
    """The worst level, the line, and the alarms with the moments since which `rows` of `alarms_of_tenant` know them."""
    since = {(row["check_name"], row["tenant_id"], row["subject"]): moment(row["since"]) for row in rows}
    return Verdict(worst(findings), line(findings), [alarm(one, since.get(known_as(one))) for one in findings])


def line(findings: Iterable[Finding]) -> str:
    """What is wrong, by check."""
    times = Counter(finding.check for finding in findings)
    said = [phrase(one, many, times[check]) for check, (one, many) in PHRASES.items() if times[check]]
    said += sorted(check for check in times if check not in PHRASES)
    text = "; ".join(said) or "no check finds anything wrong"
    return f"{text[0].upper()}{text[1:]}."


def phrase(one: str, many: str, times: int) -> str:
    """A check's phrase."""
    return many.format(times) if many and times > 1 else one


def known_as(finding: Finding) -> tuple[str, int, str]:
    """What a finding's alarm is called in the store."""
    return (finding.check, finding.tenant_id or 0, finding.subject)


def alarm(finding: Finding, since: datetime | None) -> Alarm:
    """A finding with its page: what it names in its text is the link, or else the link stands behind."""
    address, name = place(finding)
    text = sentences(finding.text)
    before, found, after = text.partition(f"`{name}`")
    if address and not found:
        before = f"{text} See the "
        after = "."
    return Alarm(finding.level, before, address, name, after, since, finding.tenant_id is None)


def place(finding: Finding) -> tuple[str, str]:
    """The address and name of the page that shows more of a finding."""
    if finding.subject in BY_NAME:
        return f"/entities/{finding.subject}", finding.subject
    if known := PLACES.get(finding.check):
        return f"/mutations?state={known[0]}", known[1]
    return "", ""
