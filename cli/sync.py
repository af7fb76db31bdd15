"""`lazi sync`: land what changed and bring the models up to date."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from cli.drifting import look, told
from sources.servicetitan.catalog import Entity, select

if TYPE_CHECKING:
    from discovery.drift import Drift
    from pipelines.sync import Report
    from sources.servicetitan.reading import Outcome

SOME_FAILED = 1


@click.command()
@click.option("--entity", "names", multiple=True, help="Only this entity; may be repeated. `lazi entities` lists them.")
@click.option("--module", "modules", multiple=True, help="Only this module's entities; may be repeated.")
@click.option("--priority", "priorities", multiple=True, type=click.IntRange(1, 4), help="Only this priority.")
@click.option("--full", is_flag=True, help="Read from the beginning; still appends only what differs.")
@click.option("--no-models", is_flag=True, help="Land raw rows and leave the models as they are.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON on standard output.")
@click.option("--schedule", "by_schedule", is_flag=True, help="Do not end: sync by the timetable until interrupted.")
def sync(
    names: tuple[str, ...],
    modules: tuple[str, ...],
    priorities: tuple[int, ...],
    *,
    full: bool,
    no_models: bool,
    as_json: bool,
    by_schedule: bool,
) -> None:
    """Land what changed in ServiceTitan and bring the models up to date.

    With `--schedule` each priority is read at its interval (LAZI_SCHEDULE), everything is reconciled daily
    (LAZI_RECONCILE), and models follow what lands, until Ctrl-C or SIGTERM. On PostgreSQL several may run at once: each
    turn is taken by one. `lazi up` does the same inside the service.

    Exit codes: 0 all good, 1 some entity or model failed, 2 could not begin (usage, settings, store, credentials).

    \b
    Examples:
      lazi sync
      lazi sync --entity jobs --entity appointments
      lazi sync --priority 1 --no-models
      lazi sync --full --json > report.json
      lazi sync --schedule
    """
    if by_schedule:
        if names or modules or priorities or full or no_models or as_json:
            raise click.UsageError("`--schedule` goes alone. What is read when stands in LAZI_SCHEDULE.")
        live_by_schedule()
        return
    entities = select(names, modules, priorities)
    if not entities:
        raise click.UsageError("No entity fits all of these options together. `lazi entities` lists them.")
    report, drift = synchronize(entities, full=full, models=not no_models)
    if as_json:
        click.echo(json.dumps(as_dict(report) | {"drift": [asdict(one) for one in drift]}, indent=2))
    else:
        click.echo("\n".join([summary(report), *told(drift)]))
    if not report.is_good:
        sys.exit(SOME_FAILED)


def live_by_schedule() -> None:
    """Sync by the timetable until interrupted."""
    from cli.living import live
    from store.settings import load

    live(load())


def synchronize(entities: tuple[Entity, ...], *, full: bool, models: bool) -> tuple[Report, list[Drift]]:
    """Land and model, with progress; also how what landed differs from the registry."""
    from cli.progress import Bars
    from pipelines.modelling import ModelError, refresh
    from pipelines.sync import Stores, land_all
    from store.exceptions import StoreError
    from store.settings import connection, load

    settings, servicetitan = load(), connection()
    stores = Stores.open(settings)
    try:
        with Bars(len(entities) * len(servicetitan.tenants)) as bars:
            report = land_all(stores, servicetitan, entities, full=full, observer=bars)
            drift = look(stores, report.outcomes)
            if models:
                bars.says("Models")
                try:
                    report.models = refresh(settings, stores.operations)
                except ModelError as error:
                    report.models, report.models_error = "failed", str(error)
    except StoreError as error:
        raise click.ClickException(str(error)) from error
    finally:
        with suppress(Exception):  # a store that went away was told of above
            stores.close()
    return report, drift


def as_dict(report: Report) -> dict[str, object]:
    """The report as `--json` prints it."""
    rows = [row(outcome) for outcome in report.outcomes]
    totals = {
        name: sum(int(str(r[name])) for r in rows)
        for name in ("fetched", "appended", "unchanged", "requests", "retries")
    }
    return {
        "status": "ok" if report.is_good else "failed",
        "models": report.models,
        "models_error": report.models_error or None,
        "totals": totals,
        "entities": rows,
        "tenants_not_reached": {str(tenant): reason for tenant, reason in report.locked_out.items()},
    }


def row(outcome: Outcome) -> dict[str, object]:
    """One entity's line of the report."""
    return {
        "entity": outcome.entity.name,
        "tenant_id": outcome.tenant_id,
        "status": outcome.status,
        "feed": str(outcome.entity.feed),
        **asdict(outcome.tally),
        **asdict(outcome.meter),
        "seconds": round(outcome.seconds, 3),
        "error": outcome.error or None,
    }


def summary(report: Report) -> str:
    """The report for the eye: what landed, then what went wrong. Tenants are named when there are several."""
    several = len({outcome.tenant_id for outcome in report.outcomes}) > 1

    def named(outcome: Outcome) -> str:
        return f"{outcome.tenant_id} {outcome.entity.name}" if several else outcome.entity.name

    landed = [outcome for outcome in report.outcomes if outcome.tally.appended]
    lines = [
        f"{named(outcome):<40} {outcome.tally.appended:>9,} new of {outcome.tally.fetched:,} read" for outcome in landed
    ]
    appended = sum(outcome.tally.appended for outcome in report.outcomes)
    requests = sum(outcome.meter.requests for outcome in report.outcomes)
    lines.append(
        f"{appended:,} rows appended from {len(report.outcomes)} entities with {requests:,} requests; models {report.models}"
    )
    lines += [f"not available to this tenant: {named(o)}" for o in report.outcomes if o.status == "unavailable"]
    lines += [f"FAILED {named(outcome)}: {outcome.error}" for outcome in report.failed]
    lines += [f"FAILED tenant {tenant}: {reason}" for tenant, reason in report.locked_out.items()]
    lines += [f"FAILED models: {report.models_error}"] * bool(report.models_error)
    return "\n".join(lines)
