"""The tables of `docs/scaling.md`, written between marks that stand there; all else on the page is a person's.

A mark holds a digest of what was measured and of the code that computed, by which a test sees that the page is of today's.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path

from bench import demand
from bench.constants import Constants
from bench.demand import DAY, Business, Plan, Prices, a_day, at_work, bill, first_wall, modelling
from bench.place import ROOT
from bench.scale import MEDIAN, MOST, SIZES, Case, levers
from bench.simulation import utilisation
from discovery.reference.page import table
from sources.servicetitan.catalog import CATALOG
from store.timetable import INTERVALS

PAGE = ROOT / "docs" / "scaling.md"
SOURCES = ("constants.py", "demand.py", "simulation.py", "scale.py", "scaling_page.py", "measured.json")
BETWEEN = re.compile(r"(<!-- table (?P<name>[a-z-]+))(?: of \w+)? -->\n.*?<!-- end -->", re.DOTALL)
MINUTE, HOUR = 60, 3600
MILLION = 1_000_000
TITLES = {"duckdb": "DuckDB", "postgres": "PostgreSQL", "ducklake": "DuckLake"}
NAMES = ("measured", "assumed", "tenant", "engine", "lake", "models", "days", "walls", "cost")
LAKE = ("files a day", "files of raw that maintenance leaves, at most", "snapshots a day")
NOT_YET = "*Not measured yet: `python -m bench scale --measure --page` does it.*"
Rows = Iterator[Sequence[str]]
Known = Mapping[str, Constants]


def digest() -> str:
    """A digest of what the tables are made from."""
    here = Path(__file__).parent
    return hashlib.sha256(
        b"".join((here / name).read_bytes() for name in SOURCES if (here / name).exists())
    ).hexdigest()[:12]


def write(known: Known, found: Sequence[Case], path: Path = PAGE) -> None:
    """Write the tables into the page."""
    made = tables(known, found)
    text = path.read_text(encoding="utf-8")
    path.write_text(
        BETWEEN.sub(lambda at: f"{at[1]} of {digest()} -->\n\n{made[at['name']]}\n\n<!-- end -->", text),
        encoding="utf-8",
    )


def tables(known: Known, found: Sequence[Case]) -> dict[str, str]:
    """Every table by name."""
    always = {"assumed": table(["a tenant", "assumed"], assumed(Business()))}
    if not known:
        return dict.fromkeys(NAMES, NOT_YET) | always
    engines = [TITLES[engine] for engine in known]
    return always | {
        "measured": table(["measured, CPU", *engines], measured(known)),
        "tenant": table(["a tenant's day", "is", "from"], tenant(next(iter(known.values())))),
        "engine": table(["a tenant's day, twenty tenants and one worker", *engines], engine(known)),
        "lake": table(["tenants", *LAKE], lake(known["ducklake"])) if "ducklake" in known else NOT_YET,
        "models": table(["models", *engines], models(known)),
        "days": table(["engine, tenants, workers", *DAYS], days(found)) or NOT_YET,
        "walls": table(["one thing changed", *engines], walls(known)),
        "cost": table(["a tenant's share", *engines], cost(known)),
    }


DAYS = (
    *(f"lag of priority {priority}" for priority in INTERVALS),
    "workers used",
    "longest line",
    "unread at midnight",
)
MEASURED = (
    *((f"a turn of priority {priority} that finds nothing", f"idle{priority}") for priority in INTERVALS),
    ("a load", "package"),
    ("each table in it", "table"),
    ("a run of the models, one entity", "model"),
    ("each further entity", "model_entity"),
)
EACH = (
    ("a version into raw", "version"),
    ("a version through its models", "model_version"),
    ("a record read again, unchanged", "reread"),
    ("a tenant without a turn, a second", "tenant"),
)


def measured(known: Known) -> Rows:
    """Seconds, worker and server; and bytes."""
    for title, word in MEASURED:
        yield title, *(f"{pair(each, word, 1, '.3f')} s" for each in known.values())
    for title, word in EACH:
        yield title, *(f"{pair(each, word, MILLION, ',.0f')} us" for each in known.values())
    for title, name in (
        ("a version in raw, on disk", "raw_bytes"),
        ("its record in the models, on disk", "shown_bytes"),
    ):
        yield title, *(f"{each[name]:,.0f} bytes" for each in known.values())
    files = [
        f"{each['lake_files']:.0f} to {each['lake_files_kept']:.0f}" if each["lake_files"] else ""
        for each in known.values()
    ]
    yield "files of the measured lake, by maintenance from and to", *files
    yield (
        "sessions of a worker, at most",
        *(number(each["connections"]) if each["connections"] else "none" for each in known.values()),
    )


def pair(known: Constants, word: str, times: float, form: str) -> str:
    """A worker's part and the server's, where there is one."""
    cost = known.cpu(word) * times
    return f"{cost.client:{form}} + {cost.server:{form}}" if known.engine != "duckdb" else f"{cost.client:{form}}"


def assumed(business: Business) -> Rows:
    """What only an owner knows."""
    yield "versions a day", number(business.versions_a_day)
    yield "of priorities 1 to 4", ", ".join(f"{share:.0%}" for share in business.shares.values())
    yield "entities that change in a day, of priorities 1 to 4", ", ".join(map(str, business.changing.values()))
    yield "versions of records with others below them", f"{business.parents:.0%}"
    yield "hours in which records change", f"{business.begin:g} to {business.end:g}"
    yield "records in the copy", number(business.records)
    yield "bytes of a record", number(business.payload_bytes)


def tenant(known: Constants) -> Rows:
    """What no engine changes."""
    plan = Plan(known)
    day, busy, business = a_day(plan), at_work(plan), plan.business
    once = sum(known[f"idle{priority}_requests"] for priority in INTERVALS)
    turns = " + ".join(f"{DAY / plan.interval(priority):.0f}" for priority in INTERVALS)
    reread = -(-business.records // demand.PAGE)
    yield "turns", number(day.turns), f"{turns}, and reconciling"
    yield (
        "loads (runs of dlt that write)",
        number(day.loads),
        "turns that find something; child entities load behind their parents",
    )
    yield "requests", number(day.requests), f"turns, children of changed records, {reread:,.0f} for reconciling"
    yield (
        "requests a second in working hours",
        f"{busy.requests:.2f}",
        f"{busy.requests / demand.BUDGET:.1%} of 55 a second",
    )
    yield "all priorities at once", f"{once:,.0f} requests", f"{once / demand.BUDGET:.1f} s at 55 a second"
    wire = (business.versions_a_day + business.records) * business.payload_bytes
    yield (
        "bytes read",
        f"{wire / 1e9:,.2f} GB",
        f"versions {business.versions_a_day * business.payload_bytes / 1e6:,.0f} MB, the rest reconciling",
    )
    yield "versions", number(business.versions_a_day), "assumed"
    yield "looks for wishes of one worker", number(DAY / demand.LOOK), f"one each {demand.LOOK:g} s"


def engine(known: Known) -> Rows:
    """What an engine changes."""
    days = [a_day(Plan(each, 20)) for each in known.values()]
    yield "CPU of turns, loads and reconciling", *(f"{day.cpu.both:,.0f} s" for day in days)
    yield "statements for operations and leases", *(number(day.statements) for day in days)
    yield (
        "of these for leases",
        *(
            number(day.leases) if each.engine != "duckdb" else "none"
            for each, day in zip(known.values(), days, strict=True)
        ),
    )
    raw = [Business().versions_a_day * each["raw_bytes"] for each in known.values()]
    yield "raw grows by", *(f"{size / 1e6:,.0f} MB" for size in raw)


def lake(each: Constants) -> Rows:
    """Files and snapshots, as counted of loads and models."""
    for tenants in SIZES:
        plan = Plan(each, tenants)
        run, loads = modelling(plan), a_day(plan).loads * tenants
        if run.seconds == inf:
            yield number(tenants), "the models do not keep up", "", ""
            continue
        modelled = run.a_second * plan.business.busy * max(1.0, run.entities)
        files = loads * each["package_files"] + modelled * each["model_files"]
        snapshots = loads * each["package_snapshots"] + modelled * each["model_snapshots"]
        yield number(tenants), number(files), number(len(CATALOG) * tenants), number(snapshots)


def models(known: Known) -> Rows:
    """CPU of a million versions, and of runs in working hours."""
    yield (
        "a million versions, once landed",
        *(f"{each.cpu('model_version').both * MILLION:,.0f} s" for each in known.values()),
    )
    for tenants in SIZES:
        runs = [modelling(Plan(each, tenants)) for each in known.values()]
        yield (
            f"a run, tenants: {tenants:,}",
            *("does not end" if run.seconds == inf else f"{run.seconds:,.1f} s" for run in runs),
        )


def days(found: Sequence[Case]) -> Rows:
    """Simulated days."""
    for case in found:
        plan, day = case.plan, case.day
        lags = [f"{span(day.lag(p, MEDIAN))}, {span(day.lag(p, MOST))}" for p in INTERVALS]
        name = f"{TITLES[plan.constants.engine]}, {plan.tenants:,}, {plan.workers}"
        yield name, *lags, f"{utilisation(plan, day):.0%}", number(day.longest_queue), f"{case.behind:.1%}"


def walls(known: Known) -> Rows:
    """How many tenants there may be, and what is used up first."""
    by_engine = {engine: {name: first_wall(plan) for name, plan in levers(each)} for engine, each in known.items()}
    for name in max(by_engine.values(), key=len):
        yield name, *(said(found[name]) if name in found else "not possible" for found in by_engine.values())


def said(wall: tuple[str, int]) -> str:
    """A wall in words."""
    return f"{wall[1]:,}: {wall[0]}"


def cost(known: Known) -> Rows:
    """Seconds, gigabytes and money, by the prices that stand there."""
    prices = Prices()
    for tenants in SIZES:
        bills = [bill(replace(Plan(each), tenants=tenants), prices) for each in known.values()]
        title = f"tenants: {tenants:,}. Core-seconds a day; GB after a year; a month"
        yield (
            title,
            *(
                "beyond the models"
                if one.core_seconds == inf
                else f"{one.core_seconds:,.0f}; {one.gigabytes:,.1f}; {one.a_month:,.2f}"
                for one in bills
            ),
        )
    yield "prices (put in yours)", *[f"core-hour {prices.core_hour:g}, GB-month {prices.gigabyte_month:g}"] * len(known)


def number(value: float) -> str:
    """A whole number for the eye."""
    return f"{value:,.0f}"


def span(seconds: float) -> str:
    """Seconds for the eye."""
    if seconds < 10 * MINUTE:
        return f"{seconds:.0f} s"
    return f"{seconds / MINUTE:.0f} min" if seconds < 2 * HOUR else f"{seconds / HOUR:.1f} h"
