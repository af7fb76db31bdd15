"""`lazi warehouse`: what the warehouse is, copying it to another engine, publishing from a lake, and looking after it."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from cli.housekeeping import Age
from store.settings import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from pipelines.copying import Progress
    from store.settings import Settings


@click.group()
def warehouse() -> None:
    """The warehouse, where raw and the models stand: `duckdb`, `postgres`, `ducklake` or `spark` (LAZI_WAREHOUSE).

    \b
    Examples:
      lazi warehouse show
      lazi warehouse copy --to ducklake --dry-run
      lazi warehouse publish
      lazi warehouse maintain --keep 7d
    """


@warehouse.command()
@click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")
def show(*, as_json: bool) -> None:
    """Tell which engine the warehouse is, where it stands, what it lacks and what it holds.

    Numbers of rows are about right: the engine tells them without counting.

    \b
    Examples:
      lazi warehouse show
      lazi warehouse show --json | jq .lake.snapshots
    """
    from pipelines.showing import show as shown
    from store.settings import load

    found = shown(load())
    if as_json:
        click.echo(json.dumps(asdict(found), indent=2))
        return
    click.echo(f"{found.engine}: {found.place}")
    click.echo(f"lacks: {', '.join(found.lacks) or 'nothing'}")
    for name, one in found.schemas.items():
        sizes = [f"{one.tables:,} tables", f"{one.rows:>12,} rows"]
        sizes += [f"{one.bytes:>16,} bytes"] if one.bytes is not None else []
        sizes += [f"{one.files:>8,} files"] if one.files is not None else []
        click.echo(f"{name:<8} " + "  ".join(sizes))
    for name, count in found.lake.items():
        click.echo(f"{name.replace('_', ' '):<26} {count:>16,}")
    for each in found.served:
        click.echo(served_line(each))


def served_line(one: dict[str, Any]) -> str:
    """How far a table or view is that PostgreSQL serves, for the eye."""
    what = f"{one['rows']:,} rows" if one["rows"] is not None else "view"
    how = f"behind since {one['behind_since']}" if one["behind_since"] else "shows what the models show"
    state = f"NOT SERVED: {one['refusal']}" if one["refusal"] else how if one["is_shown"] else "not served yet"
    return f"served {one['name'] or '(all)':<36} {what:>16}  {state}"


@warehouse.command()
@click.option(
    "--to", "engine", required=True, type=click.Choice([str(one) for one in Engine]), help="The other engine."
)
@click.option("--lake", default="", help="Where the files of the lake stand, if LAZI_LAKE does not say it yet.")
@click.option("--dry-run", is_flag=True, help="Only count.")
@click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")
def copy(*, engine: str, lake: str, dry_run: bool, as_json: bool) -> None:
    """Copy all records and cursors to the other warehouse of this installation, so that it can be switched.

    Between `postgres` and `ducklake`, with one DATABASE_URL. The present warehouse is not changed. Stop all processes first;
    one that is at work is refused. Whatever cuts it off, the next one goes on. At the end both are compared. Models are not
    copied: the first sync with the new LAZI_WAREHOUSE builds them.

    \b
    Examples:
      lazi warehouse copy --to ducklake --dry-run
      lazi warehouse copy --to ducklake && LAZI_WAREHOUSE=ducklake lazi sync
      lazi warehouse copy --to ducklake --lake s3://bucket/lake
    """
    from pipelines.copying import copy as copied
    from pipelines.copying import other
    from store.settings import known_tenants, load

    settings = load()
    to = other(settings, Engine(engine), lake)
    if not dry_run:
        check_nobody_lives(settings)
    with progress() as told:
        found = copied(settings, to, dry=dry_run, tenants=known_tenants(), progress=told)
    if as_json:
        click.echo(json.dumps({"to": engine, "done": not dry_run, **asdict(found)}, indent=2))
        return
    rows = sum(found.tables.values())
    click.echo(
        f"{rows:,} rows in {len(found.tables)} tables, of which {found.rows:,} {'differ' if dry_run else 'were copied'}"
    )
    if not dry_run:
        click.echo("Both warehouses hold the same. Switch: set these, and `lazi sync` builds the models there.")
        click.echo(f"  LAZI_WAREHOUSE={engine}" + (f"\n  LAZI_LAKE={lake}" if lake else ""))


def check_nobody_lives(settings: Settings) -> None:
    """Raise CopyError where a process of this machine is at work: it would go on with the warehouse that it knows."""
    from cli.alive import NAMES
    from cli.sign import signs
    from pipelines.copying import CopyError

    living = [f"`lazi {NAMES[sign.name]}` (pid {sign.pid})" for sign in signs(settings.data_dir) if sign.name != "api"]
    if living:
        raise CopyError(
            f"{', '.join(living)} would go on landing in the present warehouse. Stop it, copy, set the new `LAZI_WAREHOUSE`, and "
            "start it again."
        )


@contextmanager
def progress(doing: str = "comparing") -> Iterator[Progress]:
    """A bar on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bars:
        line = bars.add_task(doing, total=None)
        yield lambda table, done, total: bars.update(line, description=table or doing, completed=done, total=total)


@warehouse.command()
@click.option("--full", is_flag=True, help="Compare every row, not only those that are new in the lake.")
@click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")
def publish(*, full: bool, as_json: bool) -> None:
    """Publish what screens need from a lake to PostgreSQL, under the same names: LAZI_SERVING says what.

    Whoever brings the models up to date does so right behind them; this is for when something was in its way, and with
    `--full` for when somebody else has written there. Each table is published in one transaction. Exit codes: 0 all is
    served, 1 something cannot be, 2 could not begin.

    \b
    Examples:
      lazi warehouse publish
      lazi warehouse publish --full
      lazi warehouse publish --json | jq .changed
    """
    from pipelines.modelling import publish_now
    from store.settings import load

    settings = load()
    if not settings.serves:
        click.echo(f"The warehouse is `{settings.engine}`, which answers by itself: nothing is published from it.")
        return
    with progress("publishing") as told:
        found = publish_now(settings, whole=full, progress=told, waits=lambda text: click.echo(text, err=True))
    if as_json:
        click.echo(json.dumps(asdict(found), indent=2))
    else:
        for name, count in found.changed.items():
            click.echo(f"{name:<40} {count:>12,} rows written, of {found.rows.get(name, 0):,}")
        click.echo(f"{len(found.rows)} tables are served from PostgreSQL." if found.rows else "Nothing is served.")
        for name, reason in found.refused.items():
            click.echo(f"{name} is not served: {reason}", err=True)
    sys.exit(1 if found.refused else 0)


@warehouse.command()
@click.option("--keep", type=Age(), default="7d", show_default=True, help="Snapshots of this age stay.")
@click.option("--dry-run", is_flag=True, help="Only count.")
@click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")
def maintain(*, keep: timedelta, dry_run: bool, as_json: bool) -> None:
    """Look after a lake: merge small files, expire old snapshots, delete files that nothing shows.

    Once a day is enough. Loads go on meanwhile; models wait. Files that were replaced stay for an hour, and those that
    nothing names for a day: somebody may be reading or writing them. The other engines look after themselves.

    \b
    Examples:
      lazi warehouse maintain --dry-run
      lazi warehouse maintain --keep 30d --json
    """
    from pipelines.maintaining import NOTHING
    from pipelines.maintaining import maintain as maintained
    from store.settings import load

    settings = load()
    found = maintained(settings, keep, dry=dry_run, waits=lambda text: click.echo(text, err=True))
    if as_json:
        click.echo(json.dumps({"engine": str(settings.engine), "dry": dry_run, "steps": found}, indent=2))
        return
    click.echo("\n".join(f"{count:>12,} {name}" for name, count in found.items()) or NOTHING[settings.engine])
