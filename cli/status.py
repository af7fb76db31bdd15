"""`lazi status`: how things are, how fresh each entity is, and the proof that nothing was skipped."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from sources.servicetitan.catalog import resolve, select

if TYPE_CHECKING:
    from alarms.finding import Finding
    from store.chain import Chain
    from store.operations import Operations
    from store.settings import Settings

SHOWN = 44  # characters of a cursor's place
MOST_NAMES = 3  # of entities in a line
NOT_PROVEN = 1
CRITICAL = 1
COULD_NOT_BEGIN = 2


@click.command()
@click.option("--coverage", "name", metavar="ENTITY", help="The chain of reads of this entity, or the hole in it.")
@click.option("--check", is_flag=True, help="Only what is wrong; exit code 1 where something of it is critical.")
@click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")
def status(*, name: str | None, check: bool, as_json: bool) -> None:
    """Show what is wrong, when each entity was last read, how it went, and whether its reads cover everything.

    Exit codes: 0 all read and covered, 1 a failure, a hole, or nothing read yet, 2 could not begin. With `--check`: 0 healthy
    or degraded, 1 critical, 2 could not begin. Where there is no store at all yet it says so, makes none, and the code is 1,
    with `--check` 2.

    \b
    Examples:
      lazi status
      lazi status --coverage jobs
      lazi status --check || echo "look at it"
      lazi status --json | jq '.[] | select(.covered | not)'
    """
    from store.operations import open_operations
    from store.settings import load

    if check and name:
        raise click.UsageError("`--check` is about everything, and `--coverage` about one entity: choose one of them.")
    settings = load()
    if not has_store(settings):
        if as_json and not check:
            click.echo("{}" if name else "[]")
        click.echo(nothing_there(settings), err=as_json)
        sys.exit(COULD_NOT_BEGIN if check else NOT_PROVEN)
    operations = open_operations(settings)
    try:
        if check:
            sys.exit(checked(operations, settings, as_json=as_json))
        code = one(operations, name, as_json=as_json) if name else every(operations, settings, as_json=as_json)
    finally:
        operations.close()
    sys.exit(code)


def has_store(settings: Settings) -> bool:
    """Whether there is a store; a look makes none. Raises StoreUnreachableError."""
    from contextlib import closing

    from store.operations import operations_as_they_are

    operations = operations_as_they_are(settings)
    if operations is None:
        return False
    with closing(operations):
        return operations.standing().number > 0


def nothing_there(settings: Settings) -> str:
    """What is said where there is no store."""
    folder = f"the data folder `{settings.data_dir.absolute()}` has no store"
    where = folder if settings.is_embedded else "the database of `DATABASE_URL` has no tables of ours"
    return (
        f"There is nothing here yet: {where}. Is this the right folder, with its `.env`? Then `lazi doctor` says whether the "
        "settings are right, and `lazi sync` begins. Without settings `lazi init` makes a place for them."
    )


def checked(operations: Operations, settings: Settings, *, as_json: bool) -> int:
    """Tell what is wrong and nothing else; the exit code."""
    from alarms.finding import Level, worst

    found = wrong(operations, settings)
    rows = [{"level": str(one.level), "check": one.check, "subject": one.subject, "text": one.text} for one in found]
    report = {"condition": str(worst(found)), "findings": rows}
    click.echo(json.dumps(report, indent=2) if as_json else condition(operations, settings))
    return CRITICAL if any(one.level is Level.CRITICAL for one in found) else 0


def wrong(operations: Operations, settings: Settings) -> list[Finding]:
    """What is wrong. The warehouse stays closed: a process may hold it."""
    from alarms.checks import findings
    from alarms.facts import read
    from alarms.limits import limits
    from store.settings import known_tenants
    from store.timetable import timetable

    return findings(read(operations, None, settings.data_dir, known_tenants()), limits(), timetable())


def condition(operations: Operations, settings: Settings) -> str:
    """What is wrong, for the eye."""
    from alarms.finding import worst

    found = wrong(operations, settings)
    lines = [f"{one.level}: {' '.join(filter(None, (one.check, one.subject)))}. {one.text}" for one in found]
    remedies = ["What to do about each says docs/alarms.md, under its name."] if found else []
    served = serving(operations) if settings.serves else []
    return "\n".join([*lines, *remedies, *served, f"The service is {worst(found)}."])


def serving(operations: Operations) -> list[str]:
    """How far what PostgreSQL serves of another warehouse is, for the eye."""
    from store.serving import served

    found = [one for one in served(operations) if one.is_shown]
    late = [one for one in found if one.behind_since]
    if not found:
        return []
    since = min((one.behind_since for one in late if one.behind_since), default=None)
    how = f"{len(late)} of them behind since {since:%Y-%m-%d %H:%M:%S}" if since else "all as the models show"
    return [f"PostgreSQL serves {len(found)} tables and views, {how}."]


def chains(operations: Operations, name: str) -> dict[int, tuple[dict[str, Any], Chain]]:
    """By tenant the newest run of an entity, and the chain of all its runs."""
    from store.chain import chain_of

    by_tenant: dict[int, list[dict[str, Any]]] = {}
    for batch in operations.run("batches_of_entity", entity=name):
        by_tenant.setdefault(int(batch["tenant_id"]), []).append(batch)
    return {tenant: (batches[-1], chain_of(batches)) for tenant, batches in by_tenant.items()}


def one(operations: Operations, name: str, *, as_json: bool) -> int:
    """Show an entity's chain for each tenant; the exit code."""
    entity = resolve(name)
    found = chains(operations, entity.name)
    if as_json:
        rows = {t: asdict(chain) | {"is_whole": chain.is_whole} for t, (_, chain) in found.items()}
        click.echo(json.dumps(rows, indent=2, default=str))
    elif not found:
        click.echo(f"`{entity.name}` was never read here. `lazi sync --entity {entity.name}` reads it.")
    else:
        for tenant, (_, chain) in found.items():
            click.echo(told(entity.name, tenant, chain))
    return 0 if found and all(chain.is_whole for _, chain in found.values()) else NOT_PROVEN


def told(name: str, tenant: int, chain: Chain) -> str:
    """A chain for the eye."""
    lines = [f"{name}, tenant {tenant}"]
    if chain.hole:
        lines.append(f"  HOLE: nothing is known of what lies before {shown(chain.hole)}")
    for link in chain.links:
        moved = f"{shown(link.begin) or 'the beginning'} -> {shown(link.end)}"
        lines.append(
            f"  {link.started_at:%Y-%m-%d %H:%M:%S}  {link.status:<11} {moved}  {link.pages:,} pages, "
            f"{link.fetched:,} read, {link.appended:,} new, {link.bytes:,} bytes"
        )
    again = f"NOT PROVEN; `lazi sync --entity {name} --full` reads from the beginning again"
    lines.append("  no gap since the read from the beginning" if chain.is_whole else f"  {again}")
    return "\n".join(lines)


def every(operations: Operations, settings: Settings, *, as_json: bool) -> int:
    """Show every entity's newest run, and what is wrong; the exit code."""
    rows = [
        row(entity.name, tenant, batch, chain)
        for entity in select()
        for tenant, (batch, chain) in sorted(chains(operations, entity.name).items())
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2, default=str))
    else:
        for each in rows:
            mark = "covered" if each["covered"] else "NOT PROVEN"
            age = datetime.now(UTC) - each["started_at"]
            click.echo(
                f"{each['entity']:<40} {each['tenant_id']:>9}  {each['status']:<11} "
                f"{age.total_seconds() / 60:>8.1f} min ago  {mark}"
            )
        click.echo(f"{len(rows)} entities were read" if rows else "Nothing was read yet. `lazi sync` begins.")
        for line in reasons(rows):
            click.echo(line)
        if rows or wrong(operations, settings):  # what was never read is not healthy
            click.echo(condition(operations, settings))
    return 0 if rows and all(each["covered"] and each["status"] != "failed" for each in rows) else NOT_PROVEN


def reasons(rows: list[dict[str, Any]]) -> list[str]:
    """Why newest runs failed, each reason once with what it kept from being read."""
    failed: dict[str, list[str]] = {}
    for each in rows:
        if each["status"] == "failed":
            failed.setdefault(each["error"] or "no reason is known", []).append(each["entity"])
    return [
        f"failed: {', '.join(names[:MOST_NAMES])}{f' and {len(names) - MOST_NAMES} more' * (len(names) > MOST_NAMES)}. {error}"
        for error, names in failed.items()
    ]


def row(name: str, tenant: int, batch: dict[str, Any], chain: Chain) -> dict[str, Any]:
    """One entity's state."""
    return {
        "entity": name,
        "tenant_id": tenant,
        "status": batch["status"],
        "started_at": batch["started_at"],
        "appended": batch["appended"],
        "covered": chain.is_whole or batch["status"] == "unavailable",
        "runs": len(chain.links),
        "hole": chain.hole or None,
        "error": batch["error"],
    }


def shown(place: str) -> str:
    """A cursor's place, shortened."""
    return place if len(place) <= SHOWN else f"{place[: SHOWN - 3]}..."
