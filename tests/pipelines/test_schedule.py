"""The schedule at work, on both stores, against a sandbox."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, ClassVar

import pytest

from pipelines import schedule as schedule_module
from pipelines.duties import Duty
from pipelines.modelling import ModelError, Models
from pipelines.schedule import Schedule
from pipelines.sync import Stores, land_all
from sandbox.server import Sandbox
from sources.servicetitan.catalog import BY_NAME, CATALOG
from sources.servicetitan.client import Patience
from sources.servicetitan.reading import Outcome
from store.exceptions import StoreUnreachableError
from store.lock import held
from store.settings import Settings
from store.timetable import Daily, Hours, Timetable
from tests.whole import reach

NEVER = dict.fromkeys((1, 2, 3, 4))
OFTEN = timedelta(seconds=1)
QUICK = Patience(attempts=2, seconds=5)


@dataclass
class Seen:
    """A watcher that remembers."""

    turns: list[tuple[int, str]] = field(default_factory=list)
    errors: list[tuple[int, str, str]] = field(default_factory=list)
    models: list[str] = field(default_factory=list)

    def done(self, duty: Duty, outcomes: Sequence[Outcome], _: float) -> None:
        self.turns.append((duty.tenant_id, duty.name))
        self.errors += [(one.tenant_id, one.entity.name, one.error) for one in outcomes if one.status == "failed"]

    def failed(self, duty: Duty, error: BaseException) -> None:
        self.errors.append((duty.tenant_id, duty.name, str(error)))

    def modelled(self, what: str, _: float) -> None:
        self.models.append(what)

    def not_modelled(self, error: BaseException) -> None:
        self.errors.append((0, "models", str(error)))

    def waits(self, _: str) -> None:
        pass


class NoModels(Models):
    """Models that nobody needs here."""

    def refresh(self, _: object) -> str:
        return "unchanged"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(seed=5, customers=12, tenants=(1, 2)) as running:
        yield running


@pytest.fixture
def stores(settings: Settings) -> Iterator[Stores]:
    with closing(Stores.open(settings)) as opened:
        yield opened


def only(names: Sequence[str], often: timedelta = OFTEN, **more: Any) -> Timetable:
    """These entities, each by itself, and nothing else."""
    return Timetable(NEVER, dict.fromkeys(names, often), **more)


@contextmanager
def living(stores: Stores, sandbox: Sandbox, timetable: Timetable, **more: Any) -> Iterator[tuple[Schedule, Seen]]:
    seen = Seen()
    connection = replace(reach(sandbox), **more)
    schedule = Schedule(stores, connection, timetable, seen, NoModels(stores.settings), QUICK)
    schedule.start()
    try:
        yield schedule, seen
    finally:
        assert schedule.stop()


def soon(fact: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until it holds."""
    latest = time.monotonic() + seconds
    while not fact() and time.monotonic() < latest:
        time.sleep(0.02)
    assert fact()


def count(stores: Stores, table: str, tenant: int = 1) -> int:
    return stores.warehouse.fetch(f"SELECT COUNT(*) FROM raw.{table} WHERE tenant_id = {tenant}")[0][0]


def test_what_is_due_is_done_again_and_again(stores: Stores, sandbox: Sandbox):
    """Each entity at its interval; a change lands with a later turn."""
    with living(stores, sandbox, only(["campaigns", "tag_types"])) as (_, seen):
        soon(lambda: seen.turns.count((1, "sync campaigns")) > 1 and (1, "sync tag_types") in seen.turns)
        before = count(stores, "st_campaigns")
        sandbox.change("campaigns", sandbox.records("campaigns")[0]["id"], name=f"New {datetime.now(UTC)}")
        soon(lambda: count(stores, "st_campaigns") == before + 1)
    assert not seen.errors


def test_a_turn_is_taken_by_one_of_several(stores: Stores, sandbox: Sandbox):
    """Two schedules on one store do together what one would do."""
    table = only(["campaigns"], timedelta(hours=1))
    with (
        living(stores, sandbox, table) as (_, one),
        living(stores, sandbox, table) as (_, other),
    ):
        soon(lambda: one.turns + other.turns)
        time.sleep(1.0)
    assert one.turns + other.turns == [(1, "sync campaigns")]
    runs = stores.operations.run("batches_of_entity", entity="campaigns")
    assert len(runs) == 1


@pytest.mark.slow
def test_a_process_does_no_more_at_once_than_it_is_told(stores: Stores, sandbox: Sandbox):
    """So that others that share its tenants find some left; all of it is done, one behind the other."""
    names = ["campaigns", "tag_types", "payment_types", "zones"]
    with living(stores, sandbox, only(names, timedelta(hours=1), at_once=1)) as (_, seen):
        soon(lambda: {duty for _, duty in seen.turns} == {f"sync {name}" for name in names})
    runs = [run for name in names for run in stores.operations.run("batches_of_entity", entity=name)]
    spans = sorted((run["started_at"], run["finished_at"]) for run in runs)
    assert len(spans) == len(names)
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))


def test_a_turn_that_came_while_nobody_lived_is_made_up_for_once(stores: Stores, sandbox: Sandbox):
    """However many would have come."""
    stores.operations.run(
        "plan_turn",
        tenant_id=1,
        duty="sync campaigns",
        due_at=datetime.now(UTC) - timedelta(days=3),
        latest=datetime.now(UTC),
    )
    with living(stores, sandbox, only(["campaigns"], timedelta(hours=1))) as (_, seen):
        soon(lambda: seen.turns)
        time.sleep(1.0)
    assert seen.turns == [(1, "sync campaigns")]


def test_a_start_does_not_do_again_what_was_done_a_moment_ago(stores: Stores, sandbox: Sandbox):
    """Its turn stands in the store; a shorter interval brings it forward."""
    table = only(["campaigns"], timedelta(hours=1))
    with living(stores, sandbox, table) as (_, seen):
        soon(lambda: seen.turns)
    with living(stores, sandbox, table) as (_, seen):
        time.sleep(1.0)
    assert not seen.turns
    with living(stores, sandbox, only(["campaigns"])) as (_, seen):
        soon(lambda: seen.turns)


def test_quiet_hours_put_reads_off_until_they_end(stores: Stores, sandbox: Sandbox):
    """And nothing else."""
    now = datetime.now(UTC)
    zone = Timetable().zone
    quiet = Hours((now - timedelta(hours=1)).time(), (now + timedelta(hours=1)).time(), zone)
    values = {"tenant_id": 1, "duty": "dates", "due_at": now - timedelta(hours=1), "latest": now}
    stores.operations.run("plan_turn", **values)
    with living(stores, sandbox, only(["campaigns"], quiet=quiet)) as (_, seen):
        soon(lambda: (1, "dates") in seen.turns)
        soon(lambda: turn_of(stores, "sync campaigns")["due_at"] > now + timedelta(minutes=1))
    assert (1, "sync campaigns") not in seen.turns
    turn = turn_of(stores, "sync campaigns")
    assert timedelta(minutes=59) < turn["due_at"] - now < timedelta(minutes=61)


@pytest.mark.slow
def test_a_tenant_that_is_locked_out_delays_no_other(stores: Stores, sandbox: Sandbox):
    """Its turns fail, and say why; the other one's go on."""
    good = reach(sandbox).tenants[0]
    bad = replace(good, tenant_id=2, client_secret="wrong")
    with living(stores, sandbox, only(["campaigns"]), tenants=(bad, good)) as (_, seen):
        soon(lambda: seen.turns.count((1, "sync campaigns")) > 2)
        soon(lambda: seen.errors)
    assert {tenant for tenant, *_ in seen.turns} == {1}
    assert {(tenant, duty) for tenant, duty, _ in seen.errors} == {(2, "sync campaigns")}
    rows = {row["tenant_id"]: row["error"] for row in stores.operations.run("turns") if "campaigns" in row["duty"]}
    assert rows[1] is None
    assert "wrong" not in rows[2]


def test_a_stop_ends_reads_behind_their_page(stores: Stores, sandbox: Sandbox):
    """A long read within seconds, whatever waits for the budget; what it landed stays, and the next start goes on."""
    table = Timetable({1: OFTEN, 2: None, 3: None, 4: None}, {})
    connection = replace(reach(sandbox), requests_per_second=0.5)
    schedule = Schedule(stores, connection, table, Seen(), NoModels(stores.settings), QUICK)
    schedule.start()
    soon(lambda: stores.operations.run("batches_of_entity", entity=CATALOG[0].name))
    start = time.monotonic()
    assert schedule.stop()
    assert time.monotonic() - start < 8


class FailingOnce(Models):
    """Models that fail at first, then have something to do once."""

    answers: ClassVar[list[Exception | str]] = []

    def refresh(self, _: object) -> str:
        answer = self.answers.pop(0) if self.answers else "unchanged"
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize("error", [ModelError("an audit finds bad rows"), FileNotFoundError("a file is replaced")])
def test_models_follow_what_lands(stores: Stores, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, error: Exception):
    """And a failure of theirs, whatever it is, is told and tried again."""
    monkeypatch.setattr(schedule_module, "LOOK_EVERY", 0.2)
    seen = Seen()
    table = only(["campaigns"], timedelta(hours=1))
    schedule = Schedule(stores, reach(sandbox), table, seen, FailingOnce(stores.settings), QUICK)
    FailingOnce.answers = [error, "refreshed"]
    schedule.start()
    soon(lambda: seen.models and seen.turns)
    assert schedule.stop()
    assert (seen.models, seen.errors) == (["refreshed"], [(0, "models", str(error))])


def test_a_new_day_asks_for_the_models(stores: Stores, sandbox: Sandbox):
    """Facts that depend on the date are of today."""
    stores.operations.run(
        "plan_turn", tenant_id=1, duty="dates", due_at=datetime.now(UTC) - timedelta(hours=1), latest=datetime.now(UTC)
    )
    before = datetime.now(UTC) - timedelta(seconds=1)
    with living(stores, sandbox, Timetable(NEVER)) as (_, seen):
        soon(lambda: seen.turns)
    assert seen.turns == [(1, "dates")]
    assert stores.operations.run("models_requested", since=before)[0]["requests"] == 1
    [turn] = stores.operations.run("turns")
    assert turn["due_at"] == Daily(Timetable().midnight.hour, Timetable().zone).after(turn["begun_at"])


def turn_of(stores: Stores, duty: str) -> dict[str, Any]:
    [turn] = [row for row in stores.operations.run("turns") if row["duty"] == duty]
    return turn


def begun(stores: Stores, duty: str, when: datetime) -> None:
    """As a process leaves a turn that dies in it: the next one is due in hours."""
    later = when + timedelta(hours=6)
    stores.operations.run("plan_turn", tenant_id=1, duty=duty, due_at=when, latest=when)
    stores.operations.run("take_turn", tenant_id=1, duty=duty, now=when, due_at=later)


def test_a_turn_that_was_cut_off_is_done_at_the_next_start(stores: Stores, sandbox: Sandbox):
    """Once, and not when the next one is due."""
    begun(stores, "sync campaigns", datetime.now(UTC) - timedelta(minutes=1))
    with living(stores, sandbox, only(["campaigns"], timedelta(hours=6))) as (_, seen):
        soon(lambda: seen.turns)
        time.sleep(1.0)
    assert seen.turns == [(1, "sync campaigns")]


def test_a_turn_that_somebody_is_at_is_left_to_them(stores: Stores, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch):
    """Until they are gone."""
    monkeypatch.setattr(schedule_module, "SOON", timedelta(seconds=0.5))
    begun(stores, "sync campaigns", datetime.now(UTC) - timedelta(minutes=1))
    has, gone = threading.Event(), threading.Event()

    def hold() -> None:
        with held(stores.settings, "turn 1 sync campaigns"):
            has.set()
            gone.wait(30)

    with ThreadPoolExecutor(1) as other:
        other.submit(hold)
        assert has.wait(10)
        with living(stores, sandbox, only(["campaigns"], timedelta(hours=6))) as (_, seen):
            time.sleep(2.0)
            assert not seen.turns
            gone.set()
            soon(lambda: seen.turns)


@pytest.mark.slow
def test_a_stop_leaves_a_turn_to_the_next_start(stores: Stores, sandbox: Sandbox):
    """What was cut off in the middle is unfinished, not failed."""
    table = Timetable({1: timedelta(hours=6), 2: None, 3: None, 4: None}, {})
    connection = replace(reach(sandbox), requests_per_second=1)
    schedule = Schedule(stores, connection, table, Seen(), NoModels(stores.settings), QUICK)
    schedule.start()
    soon(lambda: stores.operations.run("batches_of_entity", entity=CATALOG[0].name))
    assert schedule.stop()
    turn = turn_of(stores, "sync priority 1")
    assert (turn["ended_at"], turn["error"]) == (None, None)
    with living(stores, sandbox, table) as (_, seen):
        soon(lambda: (1, "sync priority 1") in seen.turns, 60)


def test_a_store_that_was_away_for_a_moment_costs_a_minute(
    stores: Stores, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
):
    """Not the turn."""
    monkeypatch.setattr(schedule_module, "SOON", timedelta(seconds=0.5))
    ran, away = stores.operations.run, [StoreUnreachableError("PostgreSQL does not answer.")]

    def run(query: str, **values: Any) -> Any:
        if query == "take_turn" and away:
            raise away.pop()
        return ran(query, **values)

    monkeypatch.setattr(stores.operations, "run", run)
    with living(stores, sandbox, only(["campaigns"], timedelta(hours=6))) as (_, seen):
        soon(lambda: seen.turns)
    assert [error for *_, error in seen.errors] == ["PostgreSQL does not answer."]


def test_what_failed_as_a_whole_comes_again_soon(stores: Stores, sandbox: Sandbox):
    """A tenant that is locked out for a moment does not wait for hours."""
    bad = replace(reach(sandbox).tenants[0], client_secret="wrong")
    with living(stores, sandbox, only(["campaigns"], timedelta(hours=6)), tenants=(bad,)) as (_, seen):
        soon(lambda: seen.errors)
        soon(lambda: turn_of(stores, "sync campaigns")["ended_at"])
    turn = turn_of(stores, "sync campaigns")
    assert turn["due_at"] < datetime.now(UTC) + timedelta(minutes=6)
    assert turn["is_locked_out"]


def test_another_tenant_reads_nothing_of_the_first_again(stores: Stores, sandbox: Sandbox):
    """Cursors go with a tenant into its own pipeline, whether it was alone or all shared one."""
    alone = reach(sandbox)
    names = [BY_NAME[name] for name in ("jobs", "campaigns")]
    assert land_all(stores, alone, names).is_good
    one, two = alone.tenants[0], replace(alone.tenants[0], tenant_id=2)
    report = land_all(stores, replace(alone, tenants=(one, two)), names)
    assert report.is_good
    fetched = {(outcome.tenant_id, outcome.entity.name): outcome.tally.fetched for outcome in report.outcomes}
    assert fetched[1, "jobs"] == 0
    assert fetched[2, "jobs"] > 0
    assert land_all(stores, replace(alone, tenants=(one, two)), names).is_good
