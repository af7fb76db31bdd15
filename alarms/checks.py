"""The checks: facts and limits in, findings out. Pure."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial

from alarms.facts import Facts, busy, moment
from alarms.finding import Finding, Level
from alarms.limits import Limits
from outbound.state import PENDING, State
from sources.servicetitan.catalog import BY_NAME
from store.operations import Row
from store.timetable import Every, Timetable

URGENT = 1  # the priority whose staleness can be critical
GIGA = 1e9


def stale(facts: Facts, limits: Limits, timetable: Timetable) -> Iterator[Finding]:
    """Entities that were not read for too long, measured in their intervals."""
    for row in facts.reads:
        entity = BY_NAME.get(row["entity"])
        often = timetable.interval(entity.name, entity.priority) if entity else None
        if entity is None or often is None or row["last_success"] is None:
            continue
        age = timetable.awake(moment(row["last_success"]), facts.now)
        times = age / often
        urgent = entity.priority == URGENT and times > limits.get("stale_critical", float("inf"))
        if times > limits.get("stale", float("inf")):
            level = Level.CRITICAL if urgent else Level.DEGRADED
            ago, due = told(age.total_seconds()), told(often.total_seconds())
            text = f"`{entity.name}` was last read {ago} ago; it is due every {due}."
            yield Finding("stale", entity.name, level, text, row["tenant_id"])


def failing(facts: Facts, limits: Limits, timetable: Timetable) -> Iterator[Finding]:
    """Entities whose reads fail again and again, as long as they are read at all."""
    for row in facts.reads:
        entity = BY_NAME.get(row["entity"])
        if entity is None or timetable.interval(entity.name, entity.priority) is None:
            continue
        if row["failures"] >= limits.get("failures", float("inf")):
            text = f"`{row['entity']}` failed {row['failures']} times in a row: {row['error'] or 'no reason is known'}"
            yield Finding("failures", row["entity"], Level.DEGRADED, text, row["tenant_id"])


def differing(facts: Facts, limits: Limits) -> Iterator[Finding]:
    """Entities in which the last reconciliation found much to repair."""
    for row in facts.reconciliations:
        found = row["missing_in_copy"] + row["vanished"] + row["differing"]
        if found >= limits.get("differences", float("inf")):
            text = (
                f"The reconciliation of `{row['entity']}` found {found:,} differences: {row['missing_in_copy']:,} missing, "
                f"{row['vanished']:,} gone, {row['differing']:,} otherwise."
            )
            yield Finding("differences", row["entity"], Level.DEGRADED, text, row["tenant_id"])


def unreconciled(facts: Facts, limits: Limits, timetable: Timetable) -> Iterator[Finding]:
    """Tenants that were not reconciled for too long, measured in intervals."""
    if timetable.reconcile is None:
        return
    often = timetable.reconcile.interval if isinstance(timetable.reconcile, Every) else timedelta(days=1)
    newest: dict[int, datetime] = {}
    for row in facts.reconciliations:
        tenant, ended = row["tenant_id"], moment(row["finished_at"])
        newest[tenant] = max(newest.get(tenant, ended), ended)
    for tenant, ended in newest.items():
        age = facts.now - ended
        if age / often > limits.get("reconcile", float("inf")):
            ago, due = told(age.total_seconds()), told(often.total_seconds())
            text = f"Nothing was reconciled for {ago}; it is due every {due}."
            yield Finding("reconcile", "", Level.DEGRADED, text, tenant)


def locked_out(facts: Facts) -> Iterator[Finding]:
    """Tenants whose credentials or host failed at the last turn that asked ServiceTitan for something."""
    asked = [row for row in facts.turns if row["ended_at"] and row["duty"] != DATES]
    newest = {row["tenant_id"]: row for row in sorted(asked, key=lambda turn: moment(turn["ended_at"]))}
    for tenant, row in newest.items():
        if row["is_locked_out"]:
            yield Finding("token", "", Level.CRITICAL, str(row["error"]), tenant)


DATES = "dates"
"""The duty that asks ServiceTitan for nothing."""


def models(facts: Facts, limits: Limits) -> Iterator[Finding]:
    """Models that fail, or that have not shown for long what landed."""
    if facts.models_error:
        yield Finding("models", "", Level.DEGRADED, f"The models fail: {facts.models_error}")
    elif facts.unshown_since:
        age = (facts.now - facts.unshown_since).total_seconds()
        if age > limits.get("models", float("inf")):
            text = f"Rows that landed {told(age)} ago are not shown by the models yet."
            yield Finding("models", "", Level.DEGRADED, text)


def serving(facts: Facts, limits: Limits) -> Iterator[Finding]:
    """Tables in PostgreSQL that are behind the models, or cannot be published."""
    most = limits.get("serving")
    if most is None:
        return
    for one in facts.served:
        if one.refusal:
            yield Finding("serving", one.name, Level.DEGRADED, one.refusal)
    since = min((moment(one.behind_since) for one in facts.served if one.is_shown and one.behind_since), default=None)
    if since is not None and (age := (facts.now - since).total_seconds()) > most:
        text = f"What PostgreSQL serves was last published before the models ran {told(age)} ago."
        yield Finding("serving", "", Level.DEGRADED, text)


def queue(facts: Facts, limits: Limits) -> Iterator[Finding]:
    """Changes that wait too long, failed, or wait for somebody."""
    for row in facts.mutations:
        state, number, tenant = State(row["state"]), row["mutations"], row["tenant_id"]
        if state is PENDING:
            age = (facts.now - moment(row["oldest"])).total_seconds()
            if age > limits.get("queue", float("inf")):
                level = Level.CRITICAL if age > limits.get("queue_critical", float("inf")) else Level.DEGRADED
                yield Finding("queue", "", level, f"A change has waited for {told(age)}; {number:,} wait.", tenant)
        elif str(state) in {"failed", "conflict", "unknown"} and number >= limits.get(str(state), float("inf")):
            what = "change" if number == 1 else "changes"
            yield Finding(str(state), "", Level.DEGRADED, f"{number:,} {what}: {MEANS[state]}", tenant)


MEANS = {
    State.FAILED: "failed within a day. `lazi mutations list --state failed` shows them.",
    State.CONFLICT: "somebody changed the same there; `lazi mutations resolve` decides.",
    State.UNKNOWN: "nobody knows what became of it; `lazi mutations resolve` decides.",
}


def quarantine(facts: Facts, limits: Limits) -> Iterator[Finding]:
    """Many values of another type than the registry says."""
    for tenant, values in facts.quarantine or ():
        if values >= limits.get("quarantine", float("inf")):
            text = f"{values:,} values are not of their column's type; `audit.quarantine` has them."
            yield Finding("quarantine", "", Level.DEGRADED, text, tenant)


def drifted(facts: Facts, limits: Limits) -> Iterator[Finding]:
    """Records that differ from the field registry in ways that nobody has taken over."""
    for row in facts.drift:
        if row["differences"] >= limits.get("drift", float("inf")):
            text = f"{row['differences']:,} differences from the field registry. `lazi discover drift` shows them."
            yield Finding("drift", "", Level.DEGRADED, text, row["tenant_id"])


def budget(facts: Facts, limits: Limits) -> Iterator[Finding]:
    """Applications that ask for more requests than may go, for long."""
    for row in facts.budgets:
        seconds = busy(row)
        if seconds > limits.get("budget", float("inf")):
            text = f"For {told(seconds)} more requests are asked for than SERVICE_TITAN_RATE allows: reads take longer."
            yield Finding("budget", row["application"], Level.DEGRADED, text, row["tenant_id"])


def disk(facts: Facts, limits: Limits) -> Iterator[Finding]:
    """Little room."""
    free = facts.free_bytes
    if free is not None and free < limits.get("disk", 0.0):
        level = Level.CRITICAL if free < limits.get("disk_critical", 0.0) else Level.DEGRADED
        yield Finding("disk", facts.host, level, f"{free / GIGA:.1f} GB are free where LAZI_DATA_DIR stands.")


def unknown(facts: Facts, alarm: Row) -> bool:
    """Whether these facts do not tell if an alarm is over: it is of another machine's disk, or could not be asked about."""
    if alarm["check_name"] == "disk":
        return alarm["subject"] != facts.host and facts.now - moment(alarm["seen_at"]) < SILENCE
    return alarm["check_name"] == "quarantine" and facts.quarantine is None


SILENCE = timedelta(days=1)
"""After which another machine's disk is forgotten."""


def findings(facts: Facts, limits: Limits, timetable: Timetable) -> list[Finding]:
    """What all checks find, the worst first."""
    checks: tuple[Callable[[Facts, Limits], Iterator[Finding]], ...] = (
        partial(stale, timetable=timetable),
        partial(failing, timetable=timetable),
        partial(unreconciled, timetable=timetable),
        differing,
        lambda facts, _: locked_out(facts),
        models,
        serving,
        queue,
        quarantine,
        drifted,
        budget,
        disk,
    )
    found = [finding for check in checks for finding in check(facts, limits)]
    return sorted(found, key=lambda finding: (finding.level is not Level.CRITICAL, finding.check, finding.subject))


def told(seconds: float) -> str:
    """A time for a sentence."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
