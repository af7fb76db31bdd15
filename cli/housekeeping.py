"""`lazi prune`, `backup`, `restore`, `export`."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

AGE = re.compile(r"(\d+)\s*([dwmy])")
DAYS = {"d": 1, "w": 7, "m": 30, "y": 365}


class Age(click.ParamType[timedelta]):
    """An age: `90d`, `8w`, `6m` (months of 30 days), `2y`."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """A number of days."""
        found = AGE.fullmatch(str(value).strip().lower())
        if not found or int(found[1]) * DAYS[found[2]] > 36_500:  # noqa: PLR2004  a hundred years
            self.fail(f"`{value}` is no age. Write a number with d, w, m or y, as `90d`.", param, ctx)
        return timedelta(days=int(found[1]) * DAYS[found[2]])


def errand(kind: str, **arguments: Any) -> dict[str, Any]:
    """Have an errand done, with a word of what goes on."""
    from rich.console import Console

    from pipelines.errands import run
    from store.settings import load

    with Console(stderr=True).status(f"{kind} ..."):
        return run(load(), kind, arguments, lambda text: click.echo(text, err=True))


@click.command()
@click.option("--keep", type=Age(), default="365d", show_default=True, help="Versions that landed within this stay.")
@click.option("--dry-run", is_flag=True, help="Only count.")
@click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")
def prune(*, keep: timedelta, dry_run: bool, as_json: bool) -> None:
    """Take old versions of records out of raw.

    Of each record stay the version that is shown, the two that landed last, and every one that a change is based on,
    whatever their age. Master, crm and audit are not touched; but models that are rebuilt afterwards see what is left:
    `audit.log` would then begin there. The room goes back to the engine; a backup of the embedded store is compact.

    \b
    Examples:
      lazi prune --dry-run
      lazi prune --keep 2y
    """
    found = errand("prune", before=(datetime.now(UTC) - keep).isoformat(), dry=dry_run)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for table, versions in found["versions"].items():
        click.echo(f"{table:<44} {versions:>12,}")
    total = sum(found["versions"].values())
    click.echo(f"{total:,} versions {'could go' if dry_run else 'are gone'}; all landed before {found['before'][:10]}")
    if not found["compact"]:
        click.echo(
            "Their room is not given back yet: something else was being written. DuckDB does that later by itself."
        )


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")
def backup(folder: Path, *, as_json: bool) -> None:
    """Back the embedded store up into FOLDER, which is new or empty; also while a service has it.

    Reads go on meanwhile, loads and models wait. PostgreSQL has its own tools (`pg_dump`).

    \b
    Examples:
      lazi backup /backups/lazi-$(date +%F)
    """
    found = errand("backup", folder=str(folder.resolve()))
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for name, one in found["files"].items():
        click.echo(f"{name:<24} {one['bytes']:>16,} bytes")
    click.echo(f"{folder}: `lazi restore {folder}` puts it back")


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def restore(folder: Path) -> None:
    """Put the backup in FOLDER in the place of the embedded store. What stood there is kept beside it.

    No process may have the store. A sync afterwards catches up with ServiceTitan from where the backup stands. One that
    is cut off changes nothing, or leaves a store that nothing opens: run it again then.

    \b
    Examples:
      lazi restore /backups/lazi-2026-11-01 && lazi sync
    """
    from pipelines.backup import BackupError
    from pipelines.restoring import restore as put_back
    from store.settings import load

    settings = load()
    if not settings.is_embedded:
        raise BackupError("`DATABASE_URL` is set: PostgreSQL is restored by its own tools (`pg_restore`).")
    aside = put_back(settings, folder)
    click.echo(f"restored into {settings.data_dir}" + (f"; the former store is in {aside}" if aside else ""))


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")
def export(folder: Path, *, as_json: bool) -> None:
    """Write every table and view of master and crm as Parquet: FOLDER/master/jobs.parquet and so on.

    \b
    Examples:
      lazi export /data/parquet
      duckdb -c "SELECT COUNT(*) FROM '/data/parquet/master/jobs.parquet'"
    """
    found = errand("export", folder=str(folder.resolve()))
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for name, rows in found["tables"].items():
        click.echo(f"{name:<44} {rows:>12,}")
    click.echo(f"{len(found['tables'])} files in {folder}")
