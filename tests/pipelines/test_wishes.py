"""Wishes, on both stores: granted beside turns, one after another for each entity, and never lost."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from pipelines.duties import Duty, End, Work
from pipelines.names import pipeline_of
from pipelines.schedule import Schedule
from pipelines.sync import Stores, land_all
from pipelines.wishes import Wishes
from sandbox.server import Sandbox
from sources.servicetitan.catalog import BY_NAME, CATALOG
from sources.servicetitan.stopping import Stopping
from store.exceptions import StoreUnreachableError
from store.lock import held, leased_if_free
from store.migrating import migrations
from store.named_queries import queries
from store.operations import Operations, open_operations
from store.settings import Settings
from store.timetable import Timetable
from tests.pipelines.test_schedule import NEVER, QUICK, NoModels, Seen, living, soon
from tests.whole import reach

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
WITH_WORK = 14  # the migration from which on a wish names its work


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(seed=5, customers=12, tenants=(1, 2)) as running:
        yield running


@pytest.fixture
def stores(settings: Settings) -> Iterator[Stores]:
    with closing(Stores.open(settings)) as opened:
        yield opened


@pytest.fixture
def operations(settings: Settings) -> Iterator[Operations]:
    with closing(open_operations(settings)) as opened:
        yield opened


def wish(operations: Operations, entity: str, work: str = "sync", at: datetime | None = None, tenant: int = 1) -> None:
    operations.run("wish", tenant_id=tenant, entity=entity, work=work, wished_at=at or datetime.now(UTC))


def wished(operations: Operations, tenant: int = 1) -> list[tuple[str, str]]:
    return [(row["entity"], row["work"]) for row in operations.run("wishes", tenant_id=tenant)]


def runs(stores: Stores, entity: str) -> list[dict[str, Any]]:
    return stores.operations.run("batches_of_entity", entity=entity)


@dataclass
class Doing:
    """Does duties as a test wants it, and remembers them."""

    end: End = field(default_factory=End)
    did: list[tuple[str, Work, list[str]]] = field(default_factory=list)
    meanwhile: Any = None

    def __call__(self, duty: Duty) -> End:
        self.did.append((duty.name, duty.work, [entity.name for entity in duty.entities]))
        if self.meanwhile:
            self.meanwhile(duty)
        return self.end


@contextmanager
def granting(settings: Settings, operations: Operations, do: Doing) -> Iterator[Wishes]:
    with ThreadPoolExecutor(8) as pool:
        yield Wishes(settings, operations, 1, pool, do, Stopping())


def test_what_is_new_is_read_together_and_what_takes_long_one_by_one(settings: Settings, operations: Operations):
    """Each priority and each work by itself, the oldest wish first; none is left."""
    for minutes, name, work in (
        (2, "jobs", "full"),
        (1, "customers", "full"),
        (0, "customers", "sync"),
        (3, "jobs", "sync"),
        (4, "tag_types", "sync"),
        (5, "jobs", "reconcile"),
    ):
        wish(operations, name, work, NOON + timedelta(minutes=minutes))
    do = Doing()
    with granting(settings, operations, do) as wishes:
        wishes.look()
    full = [did for did in do.did if did[1] is Work.FULL]
    assert full == [("full customers", Work.FULL, ["customers"]), ("full jobs", Work.FULL, ["jobs"])]
    rest = [did for did in do.did if did not in full]
    assert sorted(rest) == [
        ("reconcile jobs", Work.RECONCILE, ["jobs"]),
        ("wishes", Work.SYNC, ["customers", "jobs"]),
        ("wishes", Work.SYNC, ["tag_types"]),
    ]
    assert wished(operations) == []


def test_a_wish_of_another_tenant_or_for_what_is_not_known_is_left_alone(settings: Settings, operations: Operations):
    """To whoever grants it: another version of this may know more."""
    wish(operations, "jobs", tenant=2)
    wish(operations, "yachts")
    wish(operations, "jobs", "polish")
    do = Doing()
    with granting(settings, operations, do) as wishes:
        wishes.look()
    assert do.did == []
    assert sorted(wished(operations)) == [("jobs", "polish"), ("yachts", "sync")]


def test_a_wish_that_is_repeated_while_it_is_granted_is_granted_again(settings: Settings, operations: Operations):
    """What the second one tells of may have happened behind the read."""
    wish(operations, "jobs", at=NOON)
    do = Doing(meanwhile=lambda _: wish(operations, "jobs", at=NOON + timedelta(seconds=1)))
    with granting(settings, operations, do) as wishes:
        wishes.look()
    assert wished(operations) == [("jobs", "sync")]


def test_a_wish_of_the_version_before_is_one_for_what_is_new(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """Webhooks left it in a table that knew no other kind."""
    former = [(number, text) for number, text in migrations(after=0) if number < WITH_WORK]
    plain = "INSERT INTO system.wishes (tenant_id, entity, wished_at) VALUES (:tenant_id, :entity, :wished_at)"
    with monkeypatch.context() as before:
        before.setattr("store.migrating.migrations", lambda after: [one for one in former if one[0] > after])
        before.setitem(queries(), "wish", plain)
        with closing(open_operations(settings)) as operations:
            operations.run("wish", tenant_id=1, entity="jobs", wished_at=NOON)
    with closing(open_operations(settings)) as operations:
        assert operations.run("wishes", tenant_id=1) == [{"entity": "jobs", "work": "sync", "wished_at": NOON}]


@pytest.mark.parametrize("end", [End(was_stopped=True), End("locked out", is_failure=True, is_locked_out=True)])
def test_what_was_not_done_is_still_wished_for(settings: Settings, operations: Operations, end: End):
    """Whether the process was stopped in the middle, or ServiceTitan cannot be asked at present."""
    wish(operations, "jobs", "full", NOON)
    wish(operations, "customers", "full", NOON + timedelta(minutes=1))
    with granting(settings, operations, Doing(end)) as wishes:
        wishes.look()
    assert wished(operations) == [("jobs", "full"), ("customers", "full")]


def test_what_cannot_be_granted_rests(settings: Settings, operations: Operations):
    """Once a minute is often enough for a host that does not answer; what is wished for otherwise is granted."""
    wish(operations, "jobs")
    do = Doing(End("away", is_failure=True))
    with granting(settings, operations, do) as wishes:
        wishes.look()
        soon(lambda: do.did and not wishes.at_work)
        wishes.look()
        wish(operations, "jobs", "reconcile")
        wishes.look()
        soon(lambda: len(do.did) > 1 and not wishes.at_work)
    assert [work for _, work, _ in do.did] == [Work.SYNC, Work.RECONCILE]


def test_a_store_that_is_away_costs_no_wish(
    settings: Settings, operations: Operations, monkeypatch: pytest.MonkeyPatch
):
    """It is looked at again."""
    wish(operations, "jobs")
    ran, away = operations.run, [StoreUnreachableError("PostgreSQL does not answer.")]
    monkeypatch.setattr(operations, "run", lambda query, **values: ran(query, **values) if not away else pop(away))
    do = Doing()
    with granting(settings, operations, do) as wishes:
        wishes.look()
        assert not wishes.at_work
        wishes.look()
    assert len(do.did) == 1


def pop(errors: list[StoreUnreachableError]) -> None:
    raise errors.pop()


def test_what_another_process_grants_is_left_to_it(settings: Settings, operations: Operations):
    """Until it is gone."""
    wish(operations, "jobs")
    do, has, gone = Doing(), threading.Event(), threading.Event()

    def hold() -> None:
        with leased_if_free(settings, "wishes 1 sync 1"):
            has.set()
            gone.wait(30)

    with ThreadPoolExecutor(1) as other, granting(settings, operations, do) as wishes:
        other.submit(hold)
        assert has.wait(10)
        wishes.look()
        soon(lambda: not wishes.at_work)
        assert do.did == []
        gone.set()
        soon(lambda: wishes.look() or do.did)


def test_a_full_read_begins_at_the_beginning(stores: Stores, sandbox: Sandbox):
    """And a plain one goes on where the last one stopped."""
    land_all(stores, reach(sandbox), [BY_NAME["campaigns"]])
    whole = runs(stores, "campaigns")[0]["fetched"]
    with living(stores, sandbox, Timetable(NEVER)) as (_, seen):
        wish(stores.operations, "campaigns")
        soon(lambda: (1, "wishes") in seen.turns)
        wish(stores.operations, "campaigns", "full")
        soon(lambda: (1, "full campaigns") in seen.turns)
        soon(lambda: not wished(stores.operations))
    _, new, full = runs(stores, "campaigns")
    assert (bool(new["covered_from"]), full["covered_from"], full["fetched"]) == (True, "", whole)
    assert full["appended"] == 0
    assert not seen.errors


def test_a_reconciliation_of_one_entity_is_written_down(stores: Stores, sandbox: Sandbox):
    """Of it alone; one that cannot be counted says why."""
    land_all(stores, reach(sandbox), [BY_NAME["campaigns"]])
    with living(stores, sandbox, Timetable(NEVER)) as (_, seen):
        wish(stores.operations, "campaigns", "reconcile")
        wish(stores.operations, "booking_contacts", "reconcile")
        soon(lambda: {(1, "reconcile campaigns"), (1, "reconcile booking_contacts")} <= set(seen.turns))
        soon(lambda: not wished(stores.operations))
    [found] = stores.operations.run("reconciliations_of_entity", entity="campaigns")
    assert (found["status"], found["missing_in_copy"], found["served"]) == ("completed", 0, found["in_copy"])
    [other] = stores.operations.run("reconciliations_of_entity", entity="booking_contacts")
    assert other["status"] == "skipped"
    assert not seen.errors


def test_a_wish_for_what_is_being_read_waits_and_others_do_not(stores: Stores, sandbox: Sandbox):
    """Whoever reads an entity holds its pipeline; entities of other priorities are read meanwhile."""
    connection = reach(sandbox)
    schedule = Schedule(stores, connection, Timetable(NEVER), Seen(), NoModels(stores.settings), QUICK)
    pipeline = pipeline_of(schedule.clients[1], BY_NAME["campaigns"].priority)
    has, gone = threading.Event(), threading.Event()

    def read() -> None:
        with held(stores.settings, f"pipeline {pipeline}"):
            has.set()
            gone.wait(60)

    with ThreadPoolExecutor(1) as other, living(stores, sandbox, Timetable(NEVER)) as (_, seen):
        other.submit(read)
        assert has.wait(10)
        wish(stores.operations, "campaigns")
        wish(stores.operations, "campaigns", "full")
        wish(stores.operations, "teams")
        try:
            soon(lambda: wished(stores.operations) == [("campaigns", "sync"), ("campaigns", "full")])
            assert (seen.turns, runs(stores, "campaigns")) == ([(1, "wishes")], [])
        finally:
            gone.set()  # else what waits for it outlives a failure here, and fails other tests
        soon(lambda: not wished(stores.operations))
    both = runs(stores, "campaigns")
    assert len(both) == 2
    assert all(one["finished_at"] <= other["started_at"] for one, other in pairwise(both))


def test_a_wish_is_granted_by_the_next_process(stores: Stores, sandbox: Sandbox):
    """What a stop cut off in the middle is wished for still."""
    name = CATALOG[0].name
    connection = replace(reach(sandbox), requests_per_second=0.5)
    schedule = Schedule(stores, connection, Timetable(NEVER), Seen(), NoModels(stores.settings), QUICK)
    wish(stores.operations, name, "full")
    schedule.start()
    soon(lambda: runs(stores, name))
    assert schedule.stop()
    assert wished(stores.operations) == [(name, "full")]
    with living(stores, sandbox, Timetable(NEVER)) as (_, seen):
        soon(lambda: (1, f"full {name}") in seen.turns, 60)
        soon(lambda: not wished(stores.operations))
    assert [run["status"] for run in runs(stores, name)][-1] == "completed"


def test_a_tenant_that_is_locked_out_keeps_its_wishes(stores: Stores, sandbox: Sandbox):
    """And is asked again later."""
    bad = replace(reach(sandbox).tenants[0], client_secret="wrong")
    wish(stores.operations, "campaigns")
    with living(stores, sandbox, Timetable(NEVER), tenants=(bad,)) as (_, seen):
        soon(lambda: seen.errors)
    assert [(tenant, duty) for tenant, duty, _ in seen.errors] == [(1, "wishes")]
    assert wished(stores.operations) == [("campaigns", "sync")]
