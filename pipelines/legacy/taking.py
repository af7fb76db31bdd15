"""One of the original's raw tables, taken over batch by batch in the order of its records.

What is new of a batch lands, and only then the place behind it is kept, with the counts up to there. A crash between the
two repeats a batch, whose versions are then found to have landed: nothing lands twice, and every count is the same.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pyarrow as pa

from pipelines.legacy.counting import Counting, Decision
from pipelines.legacy.database import Database
from pipelines.legacy.record import NOT_TAKEN, ROLES, Found, Judge, Rejected, Row, row_of
from pipelines.legacy.report import TableReport, Tally, tally_of
from pipelines.legacy.selecting import Place, counting, grouping, rows_of
from pipelines.legacy.spelling import Shape
from pipelines.legacy.timeline import EPOCH, Entry, Timeline, Verdict, micros
from pipelines.legacy.warehouse import REFUSED, append, records, takes, timelines
from pipelines.sync import Stores, note_landed
from sources.servicetitan.catalog import Entity, Feed
from sources.servicetitan.landing import MOMENT, Landing
from sources.servicetitan.reading import raw_table
from store.raw import Key

PAYLOAD = ROLES.index("payload")
Owner = tuple[int, Key]
"""Tenant and key of a record, as they are here."""


@dataclass(slots=True)
class Taking:
    """How a table is taken over."""

    stores: Stores
    database: Database
    shape: Shape
    entity: Entity
    judge: Judge
    report: TableReport
    progress: Callable[[int], None]
    counting: Counting = field(init=False)
    owes: bool = False  # whether it is written down that the models lack something

    def __post_init__(self) -> None:
        """Nothing is counted yet."""
        self.counting = Counting(self.stores.warehouse, raw_table(self.entity))

    @property
    def batch_id(self) -> str:
        """As raw names what landed a version."""
        return f"legacy:{self.shape.name}"

    def run(self) -> None:
        """Take it all over, from where an earlier run was cut off. Raises LegacyError or StoreError."""
        place = self.kept()
        with self.database.snapshot() as connection:
            total = self.database.fetch(connection, counting(self.shape))[0][0]
            self.read(connection, place)
            if place is not None and self.counting.tally.rows != total:  # something changed before that place meanwhile
                self.read(connection, None)
        self.keep(None, is_whole=True)
        tally = self.report.tally = self.counting.tally
        if tally.tenants:
            here = records(self.stores.warehouse, raw_table(self.entity), tally.tenants)
            self.report.only_here = max(0, here - tally.equal - tally.differing)

    def kept(self) -> Place | None:
        """Where an earlier run was cut off; the counts up to there are taken up."""
        rows = self.stores.operations.run("legacy_table", source=self.database.source, table_name=self.shape.name)
        self.owes = bool(rows and rows[0]["owes_models"])
        place = json.loads(rows[0]["place"]) if rows and rows[0]["place"] else []
        if not place or len(place) != len(grouping(self.shape)):  # none, or the table has other columns now
            return None
        self.counting.tally = tally_of(json.loads(rows[0]["tally"]))
        self.progress(self.counting.tally.rows)
        return tuple(place)

    def keep(self, place: Place | None, *, is_whole: bool = False) -> None:
        """Write down that everything up to a place is done."""
        self.stores.operations.run(
            "keep_legacy_place",
            source=self.database.source,
            table_name=self.shape.name,
            entity=self.entity.name,
            place=json.dumps(place) if place else None,
            tally=json.dumps(asdict(self.counting.tally)),
            is_whole=is_whole,
            now=datetime.now(UTC),
        )

    def read(self, connection: Any, place: Place | None) -> None:
        """Take over the rows behind a place; all of them, and counted anew, without one."""
        if place is None:
            self.counting.tally = Tally()
        self.counting.group = None
        query, values = rows_of(self.shape, ROLES, place)
        for some in self.database.stream(connection, query, values, PAYLOAD):
            self.batch([row_of(each, self.shape.roles) for each in some])
            self.progress(len(some))
        self.counting.end()

    def batch(self, rows: Sequence[Row]) -> None:
        """Land what is new of these rows, count them, and keep the place behind the last record that ended."""
        judged = [self.judge.read(row) for row in rows]
        decisions = self.decided(rows, judged)
        try:
            self.land(decisions)
        except REFUSED:
            decisions = self.decided(rows, [self.probed(one) for one in judged])
            self.land(decisions)
        self.refuse(decisions)
        if place := self.counting.add(decisions):
            self.keep(place)

    def probed(self, judged: Found | Rejected) -> Found | Rejected:
        """The same, or that the store does not take it."""
        if isinstance(judged, Rejected):
            return judged
        [payload] = Landing(self.entity, 0, "").payloads([msgspec.Raw(judged.payload)]).to_pylist()
        return judged if takes(self.stores.warehouse, payload) else Rejected(NOT_TAKEN)

    def decided(self, rows: Sequence[Row], judged: Sequence[Found | Rejected]) -> list[Decision]:
        """What becomes of these rows."""
        lines = self.lines([one for one in judged if isinstance(one, Found)])
        group = self.counting.group
        place, last_at = (group.place, group.last_at) if group else (None, 0)
        decisions = []
        for row, one in zip(rows, judged, strict=True):
            own = self.place_of(row)
            if own is None or own != place:
                place, last_at = own, 0
            if isinstance(one, Rejected):
                decisions.append(Decision(own, row, one))
                continue
            decision = self.decision(own, row, one, lines[one.tenant_id, one.head.key], last_at)
            if decision.verdict is not Verdict.REPEAT:
                last_at = decision.at
            decisions.append(decision)
        return decisions

    def decision(self, place: Place | None, row: Row, found: Found, line: Timeline, last_at: int) -> Decision:
        """What becomes of a record behind a version of `last_at`; what is new joins the record's versions."""
        at = self.moment(found, last_at)
        verdict = line.judge(at, found.hash)
        if verdict is Verdict.NEW:
            found = self.fitted(found, at, line)
            line.add(Entry(at, found.hash, found.head.modified_on))
        return Decision(place, row, found, at, verdict, line)

    def place_of(self, row: Row) -> Place | None:
        """What the original calls the record; None where it has no names for records."""
        roles = grouping(self.shape)
        return tuple(getattr(row, role) for role in roles) if roles else None

    def lines(self, found: Sequence[Found]) -> dict[Owner, Timeline]:
        """The versions that are here of the records of these rows."""
        keys: dict[int, set[Key]] = {}
        for one in found:
            keys.setdefault(one.tenant_id, set()).add(one.head.key)
        table, warehouse = raw_table(self.entity), self.stores.warehouse
        return {
            (tenant_id, key): line
            for tenant_id, some in keys.items()
            for key, line in timelines(warehouse, table, tenant_id, list(some)).items()
        }

    def moment(self, found: Found, last_at: int) -> int:
        """When a version landed there: behind the one before it of the same record, whatever its date says."""
        if found.at is not None:
            return max(micros(found.at), last_at + 1)
        return last_at + 1 if last_at else micros(self.judge.sane(found.head.modified_on) or self.judge.begun)

    def fitted(self, found: Found, at: int, line: Timeline) -> Found:
        """The version as it lands: what a list showed last is what master is to show."""
        if self.entity.feed is Feed.EXPORT:
            return found
        modified_on = line.fitted(at, found.head.modified_on)
        return replace(found, head=msgspec.structs.replace(found.head, modified_on=modified_on))

    def land(self, decisions: Sequence[Decision]) -> None:
        """Append the versions that are new, those of each tenant at once."""
        fresh: dict[int, list[tuple[Found, int]]] = {}
        for each in decisions:
            if each.verdict is Verdict.NEW and isinstance(each.judged, Found):
                fresh.setdefault(each.judged.tenant_id, []).append((each.judged, each.at))
        if fresh and not self.owes:
            self.owe()
        for tenant_id, some in fresh.items():
            note_landed(self.stores, self.entity.raw_table)
            append(self.stores.warehouse, raw_table(self.entity), self.table(tenant_id, some))
            note_landed(self.stores, self.entity.raw_table)
            self.report.landed_now += len(some)

    def owe(self) -> None:
        """Write down that versions of long ago land, for which models do not look by themselves."""
        self.owes = True
        self.stores.operations.run(
            "owe_legacy_models",
            source=self.database.source,
            table_name=self.shape.name,
            entity=self.entity.name,
            now=datetime.now(UTC),
        )

    def table(self, tenant_id: int, fresh: Sequence[tuple[Found, int]]) -> pa.Table:
        """The rows of these versions, made as landing makes them, but for the moment."""
        landing, found = Landing(self.entity, tenant_id, self.batch_id), [one for one, _ in fresh]
        rows = landing.table(
            landing.payloads([msgspec.Raw(one.payload) for one in found]),
            [one.head for one in found],
            [one.hash for one in found],
            EPOCH,
            [one.scope for one in found] if self.entity.is_scoped else None,
        )
        moments = pa.array([at for _, at in fresh], pa.int64()).cast(MOMENT)
        return rows.set_column(rows.schema.get_field_index("synced_at"), "synced_at", moments)

    def refuse(self, decisions: Sequence[Decision]) -> None:
        """Keep what is rejected, whole, so that nothing is lost with the original."""
        values = [
            {
                "source": self.database.source,
                "table_name": self.shape.name,
                "row_hash": each.row.hash,
                "reason": each.judged.reason,
                "record_id": each.row.key,
                "tenant": each.row.tenant,
                "payload": each.row.payload,
                "dates": json.dumps(
                    {"synced": each.row.synced, "updated": each.row.updated, "modified": each.row.modified}
                ),
                "now": datetime.now(UTC),
            }
            for each in decisions
            if isinstance(each.judged, Rejected)
        ]
        if values:
            self.stores.operations.run_all("keep_legacy_reject", values)
