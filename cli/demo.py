"""`lazi demo`: the whole pull side on this machine, against a sandbox, without credentials."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from pipelines.sync import Report
    from store.warehouse import DuckDB

FOLDER = Path("data") / "demo"
SOME_FAILED = 1
RATE = "1000"  # the sandbox is our own machine; ServiceTitan allows 60

CUSTOMER = """
SELECT name, type, address_street, address_city, primary_phone, primary_email, engagement_status, value_tier,
  lifetime_value, job_count, completed_job_count, open_job_count, estimate_count, open_estimate_count,
  open_estimate_value, invoice_count, balance, last_activity_at, customer_id
FROM crm.customer_360
WHERE open_estimate_count > 0 AND primary_phone IS NOT NULL AND completed_job_count > 0
ORDER BY lifetime_value DESC, customer_id
LIMIT 1
"""

OPEN_ESTIMATES = """
SELECT estimate_id, customer_name, name, total, age_days, urgency, customer_phone
FROM crm.open_estimates
ORDER BY total DESC NULLS LAST, estimate_id
LIMIT 6
"""

ENGAGEMENT = """
SELECT engagement_status, value_tier, COUNT(*), SUM(lifetime_value)
FROM crm.customer_360
GROUP BY 1, 2
ORDER BY 1, 2
"""


@click.command()
@click.option("--customers", default=700, show_default=True, type=click.IntRange(1), help="Everything grows with them.")
def demo(customers: int) -> None:
    """Start a sandbox, sync it into data/demo, build the models and show what came of it.

    \b
    Examples:
      lazi demo
      lazi demo --customers 200
    """
    from rich.console import Console

    console = Console()
    with sandbox(customers) as variables:
        os.environ.update(variables, LAZI_DATA_DIR=str(FOLDER), DATABASE_URL="embedded", SERVICE_TITAN_RATE=RATE)
        console.print(
            f"A sandbox ServiceTitan with {customers:,} customers runs at {variables['SERVICE_TITAN_API_URL']}"
        )
        console.print(f"Syncing it into {FOLDER}/lazi.duckdb, then building the models (a minute the first time) ...")
        report, seconds = synced()
    show_landing(console, report, seconds)
    if report.is_good:
        show_models(console)
    show_next(console)
    if not report.is_good:
        sys.exit(SOME_FAILED)


@contextmanager
def sandbox(customers: int) -> Iterator[dict[str, str]]:
    """A sandbox in a process of its own; the settings that lead to it."""
    command = [sys.executable, "-P", "-m", "cli.main", "sandbox", "--port", "0", "--customers", str(customers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  our own interpreter
        try:
            yield dict(exports(process))
        finally:
            process.terminate()


def exports(process: subprocess.Popen[str]) -> Iterator[tuple[str, str]]:
    """The settings that a sandbox prints as `export NAME=value`, up to the last of them."""
    for line in process.stdout or ():
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").strip().partition("=")
            yield name, value
            if name == "SERVICE_TITAN_AUTH_URL":
                return
    raise click.ClickException("The sandbox did not start; `lazi sandbox` shows why.")


def synced() -> tuple[Report, float]:
    """The report of a sync of everything, and the seconds it took."""
    from cli.sync import synchronize
    from sources.servicetitan.catalog import CATALOG

    begun = time.monotonic()
    return synchronize(CATALOG, full=False, models=True)[0], time.monotonic() - begun


def show_landing(console: Console, report: Report, seconds: float) -> None:
    """What landed, the largest entities first, and how fast."""
    from rich.table import Table

    table = Table(title="What landed", title_justify="left")
    for heading, side in (
        ("table", "left"),
        ("read", "right"),
        ("appended", "right"),
        ("requests", "right"),
        ("MB", "right"),
    ):
        table.add_column(heading, justify=side)  # type: ignore[arg-type]
    for outcome in sorted(report.outcomes, key=lambda one: -one.tally.fetched)[:12]:
        numbers = (outcome.tally.fetched, outcome.tally.appended, outcome.meter.requests)
        megabytes = f"{outcome.meter.bytes / 1e6:.1f}"
        table.add_row(f"raw.{outcome.entity.raw_table}", *(f"{number:,}" for number in numbers), megabytes)
    console.print(table)
    appended = sum(outcome.tally.appended for outcome in report.outcomes)
    reading = max((o.finished_at for o in report.outcomes if o.finished_at), default=None)
    begun = min((o.started_at for o in report.outcomes), default=None)
    took = (reading - begun).total_seconds() if reading and begun else seconds
    console.print(
        f"{appended:,} rows appended from {len(report.outcomes)} entities; reading took {took:.0f} s, "
        f"with models {seconds:.0f} s (models {report.models})"
    )
    for outcome in report.failed:
        console.print(f"[red]{outcome.entity.name}: {outcome.error}")
    if report.models_error:
        console.print(f"[red]{report.models_error}")


def show_models(console: Console) -> None:
    """A customer on one page, the estimates worth a call, and the book of customers."""
    from store.settings import load
    from store.warehouse import open_warehouse

    warehouse = open_warehouse(load())
    try:
        show_customer(console, warehouse)  # type: ignore[arg-type]
        show_table(
            console,
            "The largest open estimates: crm.open_estimates",
            ("estimate", "customer", "what", "total", "days", "urgency", "phone"),
            warehouse.fetch(OPEN_ESTIMATES),
        )
        show_table(
            console,
            "All customers: crm.customer_360",
            ("engagement", "value tier", "customers", "lifetime value"),
            warehouse.fetch(ENGAGEMENT),
        )
    finally:
        warehouse.close()


def show_customer(console: Console, warehouse: DuckDB) -> None:
    """The customer of the highest value who has an open estimate."""
    from rich.table import Table

    names = [name.strip() for name in CUSTOMER.split("FROM", maxsplit=1)[0].removeprefix("\nSELECT").split(",")]
    table = Table(title="A customer: crm.customer_360", title_justify="left", show_header=False)
    for row in warehouse.fetch(CUSTOMER):
        for name, value in zip(names, row, strict=True):
            table.add_row(name, shown(value))
    console.print(table)


def show_table(console: Console, title: str, headings: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    """A table of rows."""
    from rich.table import Table

    table = Table(*headings, title=title, title_justify="left")
    for row in rows:
        table.add_row(*map(shown, row))
    console.print(table)


def shown(value: Any) -> str:
    """A value for the eye."""
    from datetime import datetime
    from decimal import Decimal

    if isinstance(value, Decimal):
        return f"{value:,.2f}"
    return f"{value:%Y-%m-%d}" if isinstance(value, datetime) else "" if value is None else str(value)


def show_next(console: Console) -> None:
    """Three commands worth trying."""
    from store.project import INSTALLED

    programs, project, again = (
        ("", ' -p "$(lazi project)"', "lazi demo") if INSTALLED else (".venv/bin/", "", "make demo")
    )
    steps = {
        again: "again: nothing changed, so nothing is appended",
        f"{programs}lazi sandbox --live 2": "a ServiceTitan that changes; then `lazi sync` in another terminal",
        f"LAZI_DATA_DIR={FOLDER} {programs}sqlmesh{project} plan": "the models, as data engineers see them",
    }
    width = max(map(len, steps))
    console.print("\nNext, in this folder:")
    for command, purpose in steps.items():
        console.print(f"  {command:<{width}}  {purpose}", soft_wrap=True)
