"""The benches: which trials each one runs, at which size, and what their figures say together."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from bench import constants, scaling_page
from bench import workers as sharing
from bench.landing import WAYS
from bench.measure import Gauge
from bench.place import Place, pages, place, sandbox
from bench.result import Figures, Result
from bench.scale import cases, engines_of, results
from bench.serving import ASKED

VERSIONS = 10  # of each key in a long history
CASES = (
    ("first_build", "build", 1),
    ("changed", "changed", 1),
    ("changed_in_history", "history", VERSIONS),
    ("changed_on_the_first_day", "young", VERSIONS + 1),
)
"""The cases of `models`: name, the word that its figures begin with, rows a key."""
SPARK_CASES = (
    ("first_build", "build", 1),
    ("changed_1000", "short", 1),
    ("changed_1", "one", 1),
    ("changed_1000_in_history", "history", VERSIONS),
)
"""The same of `spark`."""
LAZI_SYNC = [sys.executable, "-m", "cli.main", "sync"]
SQLMESH_PLAN = [str(Path(sys.executable).parent / "sqlmesh"), "plan", "--no-prompts"]
SAYS = {"sync": "0 rows appended", "plan": "No changes to plan"}
"""What a command says when there was nothing to do."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a run of the benches was asked for."""

    server: str
    stores: tuple[str, ...]
    full: bool
    asked_records: int | None
    entity: str
    profiles: Path | None
    measures: bool = False  # anew what `scale` reckons with
    writes: bool = False  # the page of `scale`

    def records(self, usual: int, full: int) -> int:
        """How many records to work with."""
        return self.asked_records or (full if self.full else usual)

    def place(self, store: str) -> AbstractContextManager[Place]:
        """An empty store."""
        return place(store, self.server, self.profiles)


def landing(setting: Setting) -> Iterator[Result]:
    """Four ways of landing the same pages; how many times ours each costs."""
    records = setting.records(20_000, 100_000)
    with pages(setting.entity) as url:
        for store in setting.stores:
            ours: dict[str, float] = {}
            for way in WAYS:
                with setting.place(store) as here:
                    figures = here.trial(f"landing:{way}", url=url, entity=setting.entity, records=records)
                if way == "ours":
                    ours = figures
                else:
                    figures["times_ours"] = figures["client_us"] / ours["client_us"]
                yield Result("landing", way, store, records, figures)


def memory(setting: Setting) -> Iterator[Result]:
    """The peak of a first sync."""
    records = setting.records(100_000, 1_000_000)
    with pages(setting.entity) as url:
        for store in setting.stores:
            with setting.place(store) as here:
                figures = here.trial("memory:first_sync", url=url, entity=setting.entity, records=records)
            yield Result("memory", "first_sync", store, records, figures)


def models(setting: Setting) -> Iterator[Result]:
    """Building, changes on a short and on a long history, and loading the project."""
    keys = setting.records(50_000, 1_000_000)
    for store in setting.stores:
        with setting.place(store) as here:
            found = here.trial("models:changes", keys=keys, versions=VERSIONS)
        found["history_times_short"] = found["history_cpu_s"] / found["changed_cpu_s"]
        for case, word, times in CASES:
            yield Result("models", case, store, keys * times, part(found, word))
        with setting.place(store) as here:
            for case in ("load_cold", "load_warm"):
                figures = here.trial("models:loading", folder=str(here.folder))
                yield Result("models", case, store, int(figures.pop("models")), figures)


def spark(setting: Setting) -> Iterator[Result]:
    """Models that Spark builds on this machine: a thousand changes and one, on a short and on a long history."""
    keys = setting.records(100_000, 1_000_000)
    with setting.place("spark") as here:
        found = here.trial(
            "spark:changes", {"LAZI_WAREHOUSE": "spark"}, keys=keys, versions=VERSIONS, folder=str(here.folder)
        )
    found["history_times_short"] = found["history_cpu_s"] / found["short_cpu_s"]
    for case, word, times in SPARK_CASES:
        yield Result("spark", case, "spark", keys * times, part(found, word))


def part(figures: Figures, word: str) -> Figures:
    """The figures whose names begin with a word, without it."""
    return {name.removeprefix(f"{word}_"): value for name, value in figures.items() if name.startswith(f"{word}_")}


def idle(setting: Setting) -> Iterator[Result]:
    """Cycles of a living process over all entities."""
    for store in setting.stores:
        with sandbox() as servicetitan, setting.place(store) as here:
            yield Result("idle", "living", store, 0, here.trial("cycles:idle", environment=servicetitan))


def cold(setting: Setting) -> Iterator[Result]:
    """`lazi sync` with nothing to do, and `sqlmesh plan` with no change, each from the command line."""
    for store in setting.stores:
        with sandbox() as servicetitan, setting.place(store) as here:
            here.run(LAZI_SYNC, **servicetitan)
            gauge = Gauge(here.database_url)
            for case, command in (("sync", LAZI_SYNC), ("plan", SQLMESH_PLAN)):
                with gauge.measured() as cost:
                    said = here.run(command, **servicetitan)
                assert SAYS[case] in said, said
                yield Result("cold", case, store, 0, {"cpu_s": cost.both, "wall_s": cost.wall})


def first(setting: Setting) -> Iterator[Result]:
    """Ten thousand customers and jobs into raw and master, and once more with nothing changed."""
    records = setting.records(10_000, 10_000)
    with pages("customers", "jobs") as url:
        for store in setting.stores:
            with setting.place(store) as here:
                figures = here.trial("cycles:first", url=url, records=records)
            yield Result("first", "raw_and_master", store, 2 * records, figures)


def push(setting: Setting) -> Iterator[Result]:
    """Changes to ServiceTitan: so many a second, within a budget, and from POST until they can be read."""
    keys, mutations = setting.records(20_000, 1_000_000), 600
    for store in setting.stores:
        for case, rate in (("queue", "1000"), ("budget", "30")):
            number = mutations if case == "queue" else mutations // 3
            with sandbox(400) as servicetitan, setting.place(store) as here:
                environment = servicetitan | {"SERVICE_TITAN_RATE": rate}
                yield Result(
                    "push",
                    case,
                    store,
                    number,
                    here.trial("push:throughput", environment=environment, mutations=number),
                )
        with sandbox() as servicetitan, setting.place(store) as here:
            yield Result(
                "push", "latency", store, keys, here.trial("push:latency", environment=servicetitan, keys=keys)
            )


def api(setting: Setting) -> Iterator[Result]:
    """The API under load on so many customers and as many jobs, beside a static handler of the same application."""
    keys = setting.records(50_000, 1_000_000)
    for store in setting.stores:
        with setting.place(store) as here:
            found = here.trial("api:load", keys=keys)
        for case in ("static", "detail", "customer", "list", "search"):
            yield Result("api", case, store, keys, part(found, case))


def serving(setting: Setting) -> Iterator[Result]:
    """The API on a lake, beside the same on what is published of it to PostgreSQL; and what publishing costs."""
    if "postgres" not in setting.stores:
        return
    keys = setting.records(50_000, 1_000_000)
    on_a_lake = {"LAZI_WAREHOUSE": "ducklake", "LAZI_SERVING": "off"}
    with setting.place("postgres") as here:
        found = here.trial("serving:load", environment=on_a_lake, keys=keys)
    answers = (f"{case}_{way}" for case in ASKED for way in ("lake", "served"))
    for case in (*answers, "first", "changes", "nothing"):
        yield Result("serving", case.replace("_", ", "), "ducklake", keys, part(found, case))


def visits(setting: Setting) -> Iterator[Result]:
    """The overview of the operations page and its search, on so many customers and jobs and a year of operations."""
    keys, days = setting.records(20_000, 1_000_000), 365 if setting.full else 14
    for store in setting.stores:
        with setting.place(store) as here:
            found = here.trial("visits:overview", keys=keys, days=days)
        for case, word in (("overview", "page"), ("search", "search")):
            yield Result("pages", case, store, keys, part(found, word))


def workers(setting: Setting) -> Iterator[Result]:
    """Many tenants, read once by one worker and by four; how many times one worker's pace the four have."""
    tenants = setting.asked_records or (40 if setting.full else 4)
    for engine in ("postgres", "ducklake") if "postgres" in setting.stores else ():
        alone = 0.0
        for number in sharing.NUMBERS:
            with setting.place("postgres") as here:
                figures = sharing.shared(here, engine, tenants, number)
            alone = alone or figures["reads_per_s"]
            figures["times_one"] = figures["reads_per_s"] / alone
            yield Result("workers", f"{number}_workers", engine, tenants, figures)


def scale(setting: Setting) -> Iterator[Result]:
    """Simulated days of so many tenants on each engine, and where the first wall is; measured and written down if asked for."""
    if setting.measures:
        for engine, found in constants.measure(setting.place):
            yield Result("scale", "measured", engine, constants.RECORDS, found)
    known = constants.kept()
    days = [case for engine in engines_of(setting.stores) if engine in known for case in cases(known[engine])]
    yield from results(days)
    if setting.writes:
        scaling_page.write(known, days)
