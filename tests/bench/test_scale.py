"""The arithmetic of size adds up, and simulated days are the same each time and make sense."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import constants, gauging, scaling_page
from bench.__main__ import main
from bench.constants import ENGINES, Constants, Cpu
from bench.demand import (
    DAY,
    GROUPS,
    Business,
    Plan,
    Prices,
    a_day,
    asleep,
    at_work,
    bill,
    first_wall,
    loads,
    modelling,
    reconciled,
    spread,
    walls,
)
from bench.scale import WORKERS, Case, cases, engines_of, levers, plans, results
from bench.simulation import RECONCILE, quantile, simulated, utilisation
from sources.servicetitan.catalog import CATALOG
from store.timetable import INTERVALS
from tests.docs.fence import DOCS

WORDS = (
    *(f"idle{priority}" for priority in INTERVALS),
    *("package", "table", "version", "model", "model_entity", "model_version", "reread", "tenant"),
)
NUMBERS = (
    *(f"idle{priority}_{what}" for priority in INTERVALS for what in ("requests", "leases", "statements")),
    *("connections", "raw_bytes", "shown_bytes"),
)
LAKE = ("package_files", "package_snapshots", "model_files", "model_snapshots")
ROUND = {"package": 0.1, "table": 0.02, "version": 5e-5, "model": 0.5, "model_entity": 0.05, "model_version": 1e-4}
"""Costs as no machine has them, so that what follows from them can be told."""


def made_up(times: float = 1.0, engine: str = "postgres", **own: float) -> Constants:
    """Constants of round numbers, or so many times them; the server does half of what a worker does."""
    costs = {f"idle{priority}": 0.1 for priority in INTERVALS} | ROUND | {"reread": 1e-5, "tenant": 1e-5}
    found = {f"{word}_client": cost * times for word, cost in costs.items()}
    found |= {f"{word}_server": cost * times / 2 for word, cost in costs.items()}
    found |= dict.fromkeys((*NUMBERS, *LAKE), 10.0)
    return Constants(engine, found | own)


FREE = made_up(0.0)
QUIET = Business(versions_a_day=0.0)
tenants = st.integers(1, 500)
changes = st.floats(0, 100_000)


@given(st.floats(0, 1e6), st.integers(1, 200))
def test_as_many_boxes_are_hit_as_there_are_things_at_most(things: float, boxes: int):
    """And never more than there are."""
    assert 0 <= spread(things, boxes) <= min(things, boxes) + 1e-9


@given(st.sampled_from(list(INTERVALS)), st.floats(0, 1e6))
def test_a_turn_is_as_many_loads_as_it_has_groups_at_most(priority: int, versions: float):
    """None without versions, never more than versions."""
    assert 0 <= loads(priority, versions) <= min(GROUPS[priority], versions) + 1e-9


def test_groups_are_those_of_the_pipelines():
    """One for each generation of parents that a priority has."""
    found = {p: len({entity.generation for entity in CATALOG if entity.priority == p}) for p in INTERVALS}
    assert found == GROUPS


@given(changes)
def test_a_day_has_the_turns_of_the_timetable(versions: float):
    """Whatever changes: the intervals decide, and once a night all is reconciled."""
    day = a_day(Plan(made_up(), business=Business(versions_a_day=versions)))
    assert day.turns == pytest.approx(sum(DAY / often.total_seconds() for often in INTERVALS.values()) + 1)
    assert day.loads <= versions + 1e-6


@given(changes)
def test_changes_only_add(versions: float):
    """Where nothing changes, working hours cost what the night does; changes cost more."""
    quiet, busy = Plan(made_up(), business=QUIET), Plan(made_up(), business=Business(versions_a_day=versions))
    assert at_work(quiet).cpu.both == pytest.approx(asleep(quiet).cpu.both)
    assert at_work(busy).cpu.both >= asleep(busy).cpu.both
    assert at_work(busy).requests >= asleep(busy).requests


def test_reconciling_reads_every_record_by_pages():
    """Half a million records are a hundred requests, at what a record costs that is read again."""
    night = reconciled(Plan(made_up()))
    assert night.requests == 100
    assert night.cpu.both == pytest.approx(500_000 * 1.5e-5)


@given(st.floats(1.5, 20))
def test_longer_intervals_ask_for_less(slower: float):
    """Fewer requests, less CPU, fewer statements."""
    usual, slow = (a_day(Plan(made_up(), slower=times)) for times in (1.0, slower))
    assert slow.requests < usual.requests
    assert slow.cpu.both < usual.cpu.both
    assert slow.statements < usual.statements


@given(changes, st.floats(1.1, 5))
def test_webhooks_pay_where_little_changes(versions: float, more: float):
    """A tenant without changes is asked for less by them; each change costs a read of its own."""
    one, two = (
        Plan(made_up(), webhooks=True, business=Business(versions_a_day=v)) for v in (versions, versions * more)
    )
    assert (
        at_work(Plan(made_up(), webhooks=True, business=QUIET)).requests
        < at_work(Plan(made_up(), business=QUIET)).requests
    )
    assert at_work(one).cpu.both <= at_work(two).cpu.both + 1e-12


@given(tenants, changes)
@settings(max_examples=40)
def test_a_run_of_models_holds_what_comes_in_its_time(number: int, versions: float):
    """Or in the time until something lands, where that is longer."""
    plan = Plan(made_up(), number, business=Business(versions_a_day=versions))
    run, a_second = modelling(plan), at_work(plan).versions * number
    if run.a_second:
        assert run.versions == pytest.approx(a_second / run.a_second)
        assert 1 / run.a_second >= run.seconds * (1 - 1e-6)


def test_models_that_cannot_keep_up_are_seen():
    """As soon as a second's versions take a second or more."""
    slow = made_up(model_version_client=1.0, model_version_server=0.0)
    assert modelling(Plan(slow, 1)).seconds < float("inf")
    assert modelling(Plan(slow, 10)).seconds == float("inf")


@given(tenants)
@settings(max_examples=40)
def test_more_tenants_use_more(number: int):
    """Of everything but ServiceTitan's limit, which each tenant has for itself."""
    few, more = (walls(Plan(made_up(), each)) for each in (number, number + 1))
    assert all(more[name] >= few[name] for name in few)
    assert more["ServiceTitan's limit"] == few["ServiceTitan's limit"]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_first_wall_is_where_something_is_used_up(engine: str):
    """With as many tenants nothing is; with one more the named thing is. Whatever is changed."""
    for name, plan in levers(made_up(engine=engine, connections=24.0)):
        wall, most = first_wall(plan)
        assert most > 0, name
        assert max(walls(plan.with_tenants(most)).values()) < 1
        assert walls(plan.with_tenants(most + 1))[wall] >= 1


def test_sessions_are_a_wall_of_workers():
    """Four of them, with 25 each, need more than the hundred that PostgreSQL allows as it comes, however few tenants."""
    known = made_up(connections=25.0)
    assert first_wall(Plan(known, workers=4)) == ("connections", 0)
    assert first_wall(Plan(known, workers=4, sessions=101))[1] > 1


def test_a_wall_before_the_first_tenant_is_told():
    """When one alone is too many."""
    assert first_wall(Plan(made_up(1000.0))) == ("models", 0)


def test_installations_share_tenants_out():
    """Ten of them have room for ten times the tenants, less what does not divide."""
    one, ten = (first_wall(Plan(made_up(), installations=number))[1] for number in (1, 10))
    assert 10 * one <= ten <= 10 * (one + 1)


@given(st.floats(0.001, 10), st.floats(0.001, 10))
def test_a_bill_is_seconds_and_bytes_times_prices(core: float, disk: float):
    """Nothing else."""
    found = bill(Plan(made_up(), 20), Prices(core, disk))
    seconds = found.core_seconds * 365 / 12 / 3600
    assert found.a_month == pytest.approx(seconds * core + found.gigabytes * disk)


@given(st.lists(st.integers(0, 50), min_size=1), st.floats(0.01, 1))
def test_a_quantile_is_one_of_the_values(values: list[int], share: float):
    """The least that enough of them are not above."""
    found = quantile({value: float(values.count(value)) for value in values}, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-6
    assert sum(value < found for value in values) < share * len(values)


def test_the_same_seed_gives_the_same_day():
    """To the last second, and another one another."""
    plan = Plan(made_up(), 5)
    assert simulated(plan, 3) == simulated(plan, 3)
    assert simulated(plan, 3) != simulated(plan, 4)


def test_without_cost_nothing_is_late_and_nobody_waits_longer_than_an_interval():
    """What changes is shown at its priority's next turn, but for what its requests take."""
    day = simulated(Plan(FREE, 20))
    assert all(set(late) == {0} for late in day.late.values())
    for priority, often in INTERVALS.items():
        assert max(day.lags(priority)) <= often.total_seconds() + 1
        assert day.lag(priority, 0.5) == pytest.approx(often.total_seconds() / 2, rel=0.2)


def test_without_changes_nothing_is_modelled():
    """Turns go on."""
    day = simulated(Plan(made_up(), 3, business=QUIET))
    assert (day.runs, day.unread, [*day.lags(1)]) == (0, 0.0, [])
    assert day.turns >= 3 * 410


@pytest.mark.parametrize("cost", [0.0, 1.0, 40.0])
def test_every_version_is_counted_once(cost: float):
    """Shown or not, whether workers keep up or not."""
    day = simulated(Plan(made_up(cost), 10))
    for priority, share in Business().shares.items():
        assert sum(day.lags(priority).values()) == pytest.approx(10 * 10_000 * share, abs=10)


@pytest.mark.parametrize("number", [10, 40, 80])
@pytest.mark.parametrize("seed", [1, 2])
def test_twice_the_workers_never_lag_more(number: int, seed: int):
    """Half of the changes, 95 and 99 of 100, of each priority: at most what the other order of turns and whole seconds make."""
    few, many = (simulated(Plan(made_up(5.0), number, workers, cores=8), seed) for workers in (1, 2))
    for priority in INTERVALS:
        for share in (0.5, 0.95, 0.99):
            assert many.lag(priority, share) <= few.lag(priority, share) * 1.01 + 5
    assert many.unread <= few.unread + number
    for priority in (*INTERVALS, RECONCILE):
        assert quantile(many.late[priority], 0.99) <= quantile(few.late[priority], 0.99) + 1


def test_twice_the_workers_help_who_is_overloaded():
    """The lag falls by far where one worker did not keep up."""
    one, two = (simulated(Plan(made_up(16.0), 50, workers, cores=16)) for workers in (1, 2))
    assert one.lag(1, 0.5) > 1.5 * two.lag(1, 0.5)
    assert one.turns < two.turns


def test_a_day_costs_what_the_arithmetic_says():
    """Turns of a simulated day, without models, within five of a hundred."""
    plan = Plan(made_up(model_client=0.0, model_entity_client=0.0, model_version_client=0.0), 20)
    assert simulated(plan).worker_seconds == pytest.approx(20 * a_day(plan).cpu.client, rel=0.05)


def test_a_worker_is_never_used_more_than_whole():
    """However much there is to do: what it began before midnight aside."""
    plan = Plan(made_up(80.0), 50)
    assert 0.95 <= utilisation(plan, simulated(plan)) <= 1.05


def test_on_a_file_there_is_one_worker():
    """Of which models and loads take their turns; elsewhere there are several."""
    assert {plan.workers for plan in plans(made_up(engine="duckdb"))} == {1}
    assert [(plan.tenants, plan.workers) for plan in plans(made_up())] == [
        (number, workers) for number, some in WORKERS.items() for workers in some
    ]
    assert engines_of(("duckdb",)) == ["duckdb"]
    assert engines_of(("postgres",)) == ["postgres", "ducklake"]


def test_cases_are_results_like_other_benches():
    """A row a plan, with lags by priority."""
    [one, twenty] = results(list(cases(made_up(), (1, 20))))
    assert (one.case, one.store, twenty.records) == ("1x1", "postgres", 20)
    assert 0 < twenty.figures["lag1_p50_s"] < twenty.figures["lag4_p50_s"]


def test_tables_are_written_between_their_marks(tmp_path: Path):
    """And nothing else is touched; a second time changes nothing."""
    path, known = tmp_path / "page.md", {engine: made_up(engine=engine) for engine in ENGINES}
    path.write_text("# Mine\n\n<!-- table cost -->\nold\n<!-- end -->\n\nrest\n", encoding="utf-8")
    plan = Plan(known["postgres"])
    found = [Case(plan, simulated(plan))]
    scaling_page.write(known, found, path)
    once = path.read_text(encoding="utf-8")
    scaling_page.write(known, found, path)
    assert once == path.read_text(encoding="utf-8")
    assert once.startswith("# Mine\n\n<!-- table cost of ")
    assert "old" not in once
    assert "| core-hour 0.05" in once
    assert once.endswith("\n\nrest\n")


def test_measuring_and_writing_are_for_scale():
    """Asked for with another bench, or for one store, they are refused rather than forgotten."""
    for words in (["idle", "--measure"], ["scale", "--page", "--store", "duckdb"]):
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 2
        assert "for scale, and for all engines" in done.output


def test_costs_add_up():
    """Worker and server apart."""
    assert Cpu(1, 2) + Cpu(3, 4) * 2 == Cpu(7, 10)
    assert Cpu(1, 2).both == 3


def test_calls_are_counted_and_made():
    """A counted method does what it did."""

    class Thing:
        def double(self, value: int) -> int:
            return 2 * value

    counter = gauging.Counter(Thing, "double")
    assert [Thing().double(2), Thing().double(value=3)] == [4, 6]
    assert counter.calls == 2


@pytest.mark.parametrize("engine", constants.kept())
def test_what_is_reckoned_with_was_measured(engine: str):
    """Every figure that the arithmetic and the simulation read of an engine."""
    figures = constants.kept()[engine].figures
    wanted = {*NUMBERS, *(f"{word}_{side}" for word in WORDS for side in ("client", "server"))}
    assert wanted | ({*LAKE} if engine == "ducklake" else set()) <= figures.keys()
    assert all(value >= 0 for value in figures.values())


def test_engines_are_kept_beside_each_other(tmp_path: Path):
    """In their order, with four digits; one that is measured again replaces itself alone."""
    path = tmp_path / "measured.json"
    assert constants.kept(path) == {}
    for engine, value in (("postgres", 1.23456), ("duckdb", 2.0), ("postgres", 3.0)):
        constants.keep(engine, {"one": value}, path)
    assert [(one.engine, one["one"]) for one in constants.kept(path).values()] == [("duckdb", 2.0), ("postgres", 3.0)]


def test_what_was_not_measured_is_said_and_not_invented():
    """Without figures no table has a number; without a lake's, that of lakes."""
    none = scaling_page.tables({}, [])
    assert [name for name, text in none.items() if text != scaling_page.NOT_YET] == ["assumed"]
    some = scaling_page.tables({"postgres": made_up()}, [])
    assert [name for name, text in some.items() if text == scaling_page.NOT_YET] == ["lake", "days"]
    assert set(some) == {*scaling_page.NAMES}


def test_the_page_is_of_what_was_measured_and_of_this_code():
    """`python -m bench scale --page` has been run since either changed, and each table stands there once."""
    text = (DOCS / "scaling.md").read_text(encoding="utf-8")
    marks = [name for _, name in scaling_page.BETWEEN.findall(text)]
    made = scaling_page.tables(constants.kept(), [])
    assert sorted(marks) == sorted(scaling_page.NAMES)
    assert text.count(f" of {scaling_page.digest()} -->") == len(marks)
    assert all(made[name] in text for name in made if name != "days")
