"""`lazi reconcile`: find what the copy lacks and what is gone, and make the copy agree."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from sources.servicetitan.catalog import Entity, select

if TYPE_CHECKING:
    from pipelines.reconcile import Reconciliation, Result

SOME_FAILED = 1
TOTALS = ("missing_in_copy", "differing", "reappeared", "vanished", "marked_deleted", "appended", "requests")


@click.command()
@click.option("--entity", "names", multiple=True, help="Only this entity; may be repeated. `lazi entities` lists them.")
@click.option("--module", "modules", multiple=True, help="Only this module's entities; may be repeated.")
@click.option("--priority", "priorities", multiple=True, type=click.IntRange(1, 4), help="Only this priority.")
@click.option("--dry-run", is_flag=True, help="Only count and report; write nothing.")
@click.option("--no-models", is_flag=True, help="Land raw rows and leave the models as they are.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON on standard output.")
def reconcile(
    names: tuple[str, ...],
    modules: tuple[str, ...],
    priorities: tuple[int, ...],
    *,
    dry_run: bool,
    no_models: bool,
    as_json: bool,
) -> None:
    """Read entities whole, fetch what the copy lacks, and mark what ServiceTitan no longer shows as deleted.

    Nothing is marked unless the read is proven complete: totals and keys agree, or two reads agree where there are no
    totals. What each entity's read found stands in `system.reconciliations`. It costs as much as `lazi sync --full`:
    once a night or a week is often enough.

    Exit codes: 0 all good, 1 some entity or model failed, 2 could not begin (usage, settings, store, credentials).

    \b
    Examples:
      lazi reconcile
      lazi reconcile --entity zones --dry-run
      lazi reconcile --module dispatch --no-models
      lazi reconcile --priority 4 --json > report.json
    """
    entities = select(names, modules, priorities)
    if not entities:
        raise click.UsageError("No entity fits all of these options together. `lazi entities` lists them.")
    report = reconciled(entities, dry_run=dry_run, models=not (no_models or dry_run))
    click.echo(json.dumps(as_dict(report), indent=2) if as_json else summary(report, dry_run=dry_run))
    if not report.is_good:
        sys.exit(SOME_FAILED)


def reconciled(entities: tuple[Entity, ...], *, dry_run: bool, models: bool) -> Reconciliation:
    """Count, land and model, with progress."""
    from cli.progress import Bars
    from pipelines.modelling import ModelError, refresh
    from pipelines.reconcile import reconcile as count
    from pipelines.sync import Stores
    from sources.servicetitan.census import why_not
    from store.settings import connection, load

    settings, servicetitan = load(), connection()
    stores = Stores.open(settings)
    try:
        with Bars(sum(not why_not(entity) for entity in entities) * len(servicetitan.tenants)) as bars:
            report = count(stores, servicetitan, entities, dry_run=dry_run, observer=bars)
            if models:
                bars.says("Models")
                try:
                    report.models = refresh(settings, stores.operations)
                except ModelError as error:
                    report.models, report.models_error = "failed", str(error)
    finally:
        stores.close()
    return report


def as_dict(report: Reconciliation) -> dict[str, object]:
    """The report as `--json` prints it."""
    rows = [row(result) for result in report.results]
    return {
        "status": "ok" if report.is_good else "failed",
        "models": report.models,
        "models_error": report.models_error or None,
        "totals": {name: sum(int(str(r[name])) for r in rows) for name in TOTALS},
        "entities": rows,
        "tenants_not_reached": {str(tenant): reason for tenant, reason in report.locked_out.items()},
    }


def row(result: Result) -> dict[str, object]:
    """One entity's line of the report."""
    outcome = result.outcome
    return {
        "entity": outcome.entity.name,
        "tenant_id": outcome.tenant_id,
        "status": result.status,
        **asdict(result.findings),
        "appended": outcome.tally.appended,
        **asdict(outcome.meter),
        "seconds": round(outcome.seconds, 3),
        "proof": result.findings.proof or None,
        "reason": result.reason or None,
    }


def summary(report: Reconciliation, *, dry_run: bool) -> str:
    """The report for the eye: differences, then doubts, then what went wrong."""
    lines = [line(result) for result in report.results if result.outcome.tally.appended or result.findings.vanished]
    rows = [row(result) for result in report.results]
    totals = {name: sum(int(str(r[name])) for r in rows) for name in TOTALS}
    would = "would be " if dry_run else ""
    counted = [result for result in report.results if result.status in {"completed", "unproven"}]
    lines.append(
        f"{len(counted)} entities counted with {totals['requests']:,} requests; {totals['appended']:,} rows {would}appended, "
        f"{totals['marked_deleted']:,} records {would}marked as deleted; models {report.models}"
    )
    lines += [f"not counted: {r.outcome.entity.name}: {r.reason}" for r in report.results if r.status == "skipped"]
    lines += [f"not proven: {r.outcome.entity.name}: {r.reason}" for r in report.results if r.status == "unproven"]
    lines += [
        f"not available to this tenant: {r.outcome.entity.name}" for r in report.results if r.status == "unavailable"
    ]
    lines += [f"FAILED {result.outcome.entity.name}: {result.reason}" for result in report.failed]
    lines += [f"FAILED tenant {tenant}: {reason}" for tenant, reason in report.locked_out.items()]
    lines += [f"FAILED models: {report.models_error}"] * bool(report.models_error)
    return "\n".join(lines)


def line(result: Result) -> str:
    """One entity's differences."""
    found = result.findings
    parts = {
        "missing": found.missing_in_copy,
        "differing": found.differing,
        "back again": found.reappeared,
        "not shown": found.vanished,
        "marked as deleted": found.marked_deleted,
    }
    told = ", ".join(f"{count:,} {what}" for what, count in parts.items() if count)
    return f"{result.outcome.entity.name:<40} {told} of {found.in_copy:,}"
