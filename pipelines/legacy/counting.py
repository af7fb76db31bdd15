"""What becomes of rows, counted record by record: only when all rows of one are read is it known how it stands.

Whether the newest version there is the newest here is told by hash, and where bytes differ by what the two hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from pipelines.legacy.record import Found, Rejected, Row
from pipelines.legacy.report import Tally
from pipelines.legacy.selecting import Place
from pipelines.legacy.timeline import Timeline, Verdict
from pipelines.pushed import content
from store.raw import RawTable
from store.warehouse import DuckDB, Postgres


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a row: rejected, or a version at a moment of its record's time."""

    place: Place | None
    row: Row
    judged: Found | Rejected
    at: int = 0
    verdict: Verdict | None = None
    line: Timeline | None = None


@dataclass(slots=True)
class Group:
    """The rows of one record as the original tells records apart; they may come in several batches."""

    place: Place | None
    last_at: int = 0  # when its newest version landed
    last: Found | None = None
    line: Timeline | None = None
    tally: Tally = field(default_factory=lambda: Tally(records=1))


@dataclass(slots=True)
class Counting:
    """Counts the rows of a table."""

    warehouse: DuckDB | Postgres
    table: RawTable
    tally: Tally = field(default_factory=Tally)  # of the records that have ended
    group: Group | None = None  # that has not

    def add(self, decisions: Sequence[Decision]) -> Place | None:
        """Count these rows; the place behind the last record that ended."""
        ended: list[Group] = []
        for each in decisions:
            if self.group is None or each.place is None or each.place != self.group.place:
                ended += self.ended()
                self.group = Group(each.place)
            count(each, self.group)
        self.compare(ended)
        return ended[-1].place if ended else None

    def ended(self) -> list[Group]:
        """The record whose rows are all read, if there is one."""
        found, self.group = [self.group] if self.group else [], None
        return found

    def end(self) -> None:
        """All rows are read."""
        self.compare(self.ended())

    def compare(self, ended: Sequence[Group]) -> None:
        """Add what was counted of these records, and whether their newest version there is the newest here."""
        doubtful: list[tuple[Group, Found]] = []
        for group in ended:
            tally = group.tally
            if group.place is None:
                tally.records = 0  # it has no names for records
            elif group.last is None or group.line is None:
                tally.only_there = 1
            elif group.line.newest == group.last.hash:
                tally.equal = 1
            else:
                doubtful.append((group, group.last))
        self.look_closely(doubtful)
        for group in ended:
            self.tally.add(group.tally)

    def look_closely(self, doubtful: Sequence[tuple[Group, Found]]) -> None:
        """Compare records whose bytes differ by what they hold: the same may have been written in another order."""
        for tenant_id in {found.tenant_id for _, found in doubtful}:
            own = [(group, found) for group, found in doubtful if found.tenant_id == tenant_id]
            copies = self.warehouse.copies(self.table, tenant_id, [found.head.key for _, found in own])
            here = {copy.key: copy.payload for copy in copies}
            for group, found in own:
                if is_same(here.get(found.head.key), found.payload):
                    group.tally.equal = 1
                else:
                    group.tally.differing = 1
                    group.tally.examples = [str(found.head.key)]


def count(decision: Decision, group: Group) -> None:
    """Count a row among its record's."""
    tally, judged = group.tally, decision.judged
    tally.rows += 1
    example = decision.row.key or f"row {decision.row.order or decision.row.hash[:8]}"
    if isinstance(judged, Rejected):
        tally.reject(judged.reason, example)
        return
    tally.tenants = [judged.tenant_id] if not tally.tenants else sorted({*tally.tenants, judged.tenant_id})
    for remark in judged.remarks:
        tally.remark(remark, example)
    if decision.verdict is Verdict.REPEAT:
        tally.repeats += 1
    else:
        tally.versions += 1
        group.last_at = decision.at
    group.last, group.line = judged, decision.line


def is_same(here: str | None, there: bytes) -> bool:
    """Whether two records hold the same."""
    try:
        return here is not None and content(here) == content(there)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
