"""`lazi upgrade`: bring a store up to this version, or tell what that would do."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pipelines.outlook import Outlook

SOMETHING = 1
NOT_TOLD = 2
MARKS = {True: "to do   ", False: "        ", None: "UNKNOWN "}
MOST = 12  # items of a part that are shown


@click.command()
@click.option("--check", "only_look", is_flag=True, help="Tell what it would do, and change nothing.")
@click.option(
    "--backup",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Back the embedded store up into this folder first; it is new or empty. PostgreSQL has `pg_dump` for it.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")
def upgrade(*, only_look: bool, folder: Path | None, as_json: bool) -> None:
    """Bring the store up to this version: operations tables, raw tables, SQLMesh's state, functions and models.

    A new version does most of it by itself when it starts. This does all of it at a time that you choose, and goes on where
    it was cut off. From then on processes of older versions are refused. The way back is a backup.

    Exit codes: 0 done, 1 the models could not be brought up to date, 2 could not begin. With `--check`: 0 nothing to do,
    1 something to do, 2 it could not be told.

    \b
    Examples:
      lazi upgrade --check
      lazi upgrade --backup /backups/before-0.2.0
      lazi upgrade --check --json | jq '.parts[] | select(.is_due)'
    """
    from store.settings import load

    if only_look and folder:
        raise click.UsageError("`--check` changes nothing, and `--backup` goes before changes: choose one of them.")
    if only_look:
        sys.exit(checked(load(), as_json=as_json))
    sys.exit(done(load(), folder, as_json=as_json))


def checked(settings: Any, *, as_json: bool) -> int:
    """Tell what an upgrade would do; the exit code."""
    from rich.console import Console

    from pipelines.outlook import look

    with Console(stderr=True).status("looking at the store ..."):
        found = look(settings)
    click.echo(json.dumps(asdict(found) | {"is_due": found.is_due}, indent=2) if as_json else told(found))
    return NOT_TOLD if found.is_due is None else SOMETHING if found.is_due else 0


def told(found: Outlook) -> str:
    """An outlook for the eye."""
    was = f"; `{found.found}` had the store last" if found.found else ""
    lines = [f"This is ST-LAZI `{found.version}`{was}."]
    for part in found.parts:
        lines.append(f"{MARKS[part.is_due]}{part.part:<12} {part.text}")
        if part.is_due:
            largest = sorted(part.items, key=lambda item: -(item.get("rows") or 0))
            lines += [f"{'':<22}{line(item)}" for item in largest[:MOST]]
            more = len(part.items) - MOST
            lines += [f"{'':<22}and {more:,} more; `--json` has all"] if more > 0 else []
    lines.append(f"Beside it: {found.beside}.")
    lines += [f"First: {step}." for step in found.first]
    return "\n".join(lines)


def line(item: dict[str, Any]) -> str:
    """One thing that would be done."""
    return " ".join(f"{name} {shown(value)}" for name, value in item.items() if value is not None)


def shown(value: Any) -> str:
    """A value for the eye."""
    return f"{value:,}" if isinstance(value, int) else str(value)


def done(settings: Any, folder: Path | None, *, as_json: bool) -> int:
    """Upgrade, with a word of what goes on; the exit code."""
    from rich.console import Console

    from pipelines.modelling import ModelError
    from pipelines.upgrade import upgrade as bring_up
    from store.migrating import ours

    parts: list[dict[str, Any]] = []
    error = ""
    console = Console(stderr=True)

    def say(text: str) -> None:
        status.update(f"{text} ...")
        if not console.is_terminal:
            click.echo(f"{text} ...", err=True)

    with console.status("upgrade ...") as status:
        try:
            for part in bring_up(settings, say, folder):
                parts.append(asdict(part))
                if not as_json:
                    click.echo(f"{part.part:<12} {part.text}")
        except ModelError as failure:
            error = str(failure)
    if as_json:
        click.echo(json.dumps({"version": ours(), "parts": parts, "models_error": error or None}, indent=2))
    elif not error:
        click.echo(f"The store is that of ST-LAZI {ours()}.")
    if error:
        click.echo(f"FAILED models: {error}", err=True)
    return SOMETHING if error else 0
