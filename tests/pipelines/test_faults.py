"""Syncs of a ServiceTitan at which everything goes wrong at once: late, dear and odd, but exact in the end."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

import msgspec
import pytest

from pipelines.modelling import refresh
from pipelines.sync import Report, Stores, land_all
from sandbox.answer import Answer, Request
from sandbox.faults.kinds import FAULTS, Layer
from sandbox.frames import FRAMES, Told
from sandbox.routes import find
from sandbox.server import Sandbox
from sources.servicetitan import reports
from sources.servicetitan.answer import decode, decoder
from sources.servicetitan.catalog import CATALOG, SCOPE, Entity, Feed, select
from sources.servicetitan.client import Patience
from sources.servicetitan.head import Head, content_hash, head_reader
from sources.servicetitan.landing import tombstone_hash
from store.settings import Settings
from tests.whole import reach

Pair = tuple[int | str, str]
"""Key and hash of a version."""
SIZE = 17
IMPATIENT = Patience(sleep=lambda _: None)
WIRE = [fault.name for fault in FAULTS if fault.layer is Layer.WIRE]
CHANGING = frozenset({Feed.EXPORT, Feed.LIST, Feed.SNAPSHOT})
FOUL = {"all": None, "moving_rows": 0.5}
SOME = ("customers", "jobs", "estimates", "invoice_items", "payroll_settings")  # exports
SOME += ("estimate_items", "calls", "contacts", "technician_shifts")  # lists
SOME += ("form_submissions", "location_labor_types", "contact_preferences")  # snapshots, one of them a bare array
SOME += ("job_cancel_reasons_by_job", "attributed_leads")  # children and windows


def path_of(request: Request) -> tuple[str, str, str]:
    _, module, version, _, _, path = request.path.split("/", 5)
    return module, version, path


@dataclass
class Record:
    """What a sandbox has served: the hashes of all record versions in whole answers, by entity."""

    sandbox: Sandbox
    served: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def __post_init__(self) -> None:
        self.answer = self.sandbox.app.wire.answer
        self.sandbox.app.wire.answer = self.noted  # type: ignore[method-assign]

    def noted(self, request: Request, make: Callable[[], Answer]) -> Answer:
        answer = self.answer(request, make)
        found = find(*path_of(request)) if answer.status == 200 and not answer.is_cut else None
        if found:
            entity = found[0].wanted(dict(request.query))
            with suppress(msgspec.DecodeError):  # cut short
                self.served[entity.name].update(map(content_hash, decoder(entity.records)(answer.body).data or []))
        return answer

    def marks(self, entity: Entity) -> set[str]:
        """The hashes of what marks served versions as gone."""
        return set(map(tombstone_hash, self.served[entity.name]))


@dataclass
class Storm:
    """A sandbox full of faults, an empty store, and what happened."""

    sandbox: Sandbox
    stores: Stores
    settings: Settings
    entities: tuple[Entity, ...]
    record: Record
    reports: list[Report] = field(default_factory=list)

    def land(self, *names: str, full: bool = False) -> Report:
        entities = [entity for entity in self.entities if not names or entity.name in names]
        report = land_all(self.stores, reach(self.sandbox), entities, full=full, patience=IMPATIENT)
        self.reports.append(report)
        assert not [(one.entity.name, one.status, one.error) for one in report.outcomes if one.status != "completed"]
        return report

    def heads(self, entity: Entity) -> list[Pair]:
        """Key and hash of each record as the sandbox has it now."""
        texts = self.sandbox.texts(entity.name)
        if (entity.module, entity.path) in FRAMES and not entity.records:  # an answer is one record, stripped of names
            frame = FRAMES[entity.module, entity.path]
            texts = [frame([text], Told(0, "")) for text in texts]
            records = [record for text in texts for record in decoder("")(text).data or []]
        else:
            records = decode(b"[%b]" % b",".join(texts)).data or []
        heads: list[tuple[Head, str]] = [
            (head_reader(entity).read(one, content_hash(one)), content_hash(one)) for one in records
        ]
        return [(head.key, hash_) for head, hash_ in heads]

    def change_some(self, mark: str) -> None:
        """Another text in a few records of each entity whose changes its own feed tells of."""
        for entity in self.entities:
            if entity.feed in CHANGING:
                for position in (0, 3, 19):
                    self.change(entity, position, mark)

    def change(self, entity: Entity, position: int, mark: str) -> None:
        records = self.sandbox.known(None)
        table = records.table(entity.name)
        if position >= table.size:
            return
        record = table.record((entity.name, "export" if entity.feed is Feed.EXPORT else "list"), position)
        free = [name for name, value in record.items() if isinstance(value, str) and name not in {*entity.key, "id"}]
        texts = [name for name in free if not name.endswith("On")]
        if texts:
            self.sandbox.change(entity.name, position, **{texts[0]: f"{mark} {position}"})


@pytest.fixture
def storm(settings: Settings, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storm]:
    """All faults, in pages so small that each entity has several, except where a page is the record."""
    monkeypatch.setenv("LAZI_DATA_DIR", str(settings.data_dir))
    monkeypatch.setattr(reports, "RUNS_A_SECOND", 100.0)
    monkeypatch.setattr(reports, "PAUSE", 0.01)
    entities = tuple(replace(entity, page_size=SIZE) if entity.records else entity for entity in select(request.param))
    with Sandbox(seed=11, customers=60, export_page_size=23, faults=FOUL, report_interval=0) as sandbox:
        sandbox.faults.measure("slow", 0.01)
        stores = Stores.open(settings)
        yield Storm(sandbox, stores, settings, entities, Record(sandbox))
        stores.close()


def pairs(storm: Storm, sql: str) -> list[tuple]:
    return storm.stores.warehouse.fetch(sql)


def weather(storm: Storm) -> None:
    """Sync, change, sync, and once more, when nothing is new; all faults on to the end."""
    storm.land()
    storm.change_some("first")
    storm.land()
    last = storm.land()
    assert {one.entity.name: one.tally for one in last.outcomes if one.tally.appended} == {}


def check_raw(storm: Storm) -> None:
    """Every version that was served has landed, and nothing else but what marks such a version as gone."""
    for entity in storm.entities:
        if entity.feed is Feed.REPORT:
            continue  # rows are made of a table with a head
        landed = {hash_ for (hash_,) in pairs(storm, f"SELECT payload_hash FROM raw.{entity.raw_table}")}
        served = storm.record.served[entity.name]
        assert served <= landed <= served | storm.record.marks(entity), entity.name


def compared(entity: Entity, found: Iterable[Pair]) -> dict[int | str, str] | set[str]:
    """Key and hash; the hashes alone where a key begins with what the record was read for, which a sandbox does not say."""
    return {hash_ for _, hash_ in found} if entity.is_scoped or SCOPE in entity.key else dict(found)


def check_newest(storm: Storm) -> None:
    """The version that master would take, the latest by `modified_on` and then by landing, is the sandbox's own."""
    for entity in storm.entities:
        order = "modified_on NULLS FIRST, synced_at"
        rows = pairs(storm, f"SELECT st_id, payload_hash FROM raw.{entity.raw_table} ORDER BY {order}")
        assert compared(entity, dict(rows).items()) == compared(entity, storm.heads(entity)), entity.name


def check_master(storm: Storm) -> None:
    """One row for each key, with the content that the sandbox has now, or marked as gone."""
    wrong: list[str] = []
    for entity in storm.entities:
        rows = pairs(storm, f"SELECT st_id, payload_hash, is_deleted FROM master.{entity.name}")
        marks = storm.record.marks(entity)
        assert len(rows) == len({key for key, _, _ in rows}), entity.name
        assert all(is_deleted for _, hash_, is_deleted in rows if hash_ in marks), entity.name
        there = [(key, hash_) for key, hash_, _ in rows if hash_ not in marks]
        found, expected = compared(entity, there), compared(entity, storm.heads(entity))
        if entity.recent_days:  # not read for every parent
            expected = {hash_ for hash_ in expected if hash_ in found}
        if found != expected:
            wrong.append(entity.name)
    assert not wrong


def check_retries(storm: Storm) -> None:
    """As many as the sandbox made necessary: a failed answer each, and a 401 each whose token was ended."""
    counts = storm.sandbox.faults.counts
    assert all(counts[name] for name in WIRE) or len(storm.entities) < len(CATALOG)
    necessary = sum(counts[name] for name in WIRE if name != "revoked_token") + storm.sandbox.stats()["unauthorized"]
    assert sum(one.meter.retries for report in storm.reports for one in report.outcomes) == necessary > 0
    batches = [
        batch
        for entity in storm.entities
        for batch in storm.stores.operations.run("batches_of_entity", entity=entity.name)
    ]
    assert sum(batch["retries"] for batch in batches) == necessary


def check_bad_values(storm: Storm) -> None:
    """What is not of its column's type is shown, not lost and not fatal."""
    ((bad,),) = pairs(storm, "SELECT COUNT(*) FROM audit.quarantine WHERE raw_text IS NOT NULL")
    assert bad > 0


@pytest.mark.parametrize("storm", [SOME], indirect=True, ids=["some"])
def test_some_entities_are_exact_after_a_storm(storm: Storm):
    """All faults at once, on entities of every feed: raw is complete and its newest versions right, each retry counted."""
    weather(storm)
    for check in (check_raw, check_newest, check_retries):
        check(storm)


@pytest.mark.slow
@pytest.mark.parametrize("storm", [tuple(entity.name for entity in CATALOG)], indirect=True, ids=["every"])
def test_every_entity_is_exact_after_a_storm(storm: Storm):
    """The same for the whole catalog; and master, built in mid-storm and refreshed behind it, is exact."""
    storm.land()
    assert refresh(storm.settings, storm.stores.operations) == "planned"
    storm.change_some("early")
    weather(storm)
    storm.land("dynamic_value_sets", full=True)  # names of technicians among them, which no report's change tells of
    assert refresh(storm.settings, storm.stores.operations) == "refreshed"
    for check in (check_raw, check_master, check_retries, check_bad_values):
        check(storm)
