"""`lazi entities`: the catalog, for the eye and for scripts."""

import json
import sys
from pathlib import Path

import click

from sources.servicetitan.catalog import Entity, select


def described(entity: Entity) -> dict[str, str | int | list[str]]:
    """A row as `--json` prints it."""
    return {
        "name": entity.name,
        "module": entity.module,
        "feed": str(entity.feed),
        "priority": entity.priority,
        "cursor": cursor(entity),
        "key": list(entity.key),
        "path": f"{entity.base}{{tenant}}/{entity.export_path or entity.path}",
    }


def cursor(entity: Entity) -> str:
    """What a sync goes on from."""
    return {
        "export": "continuation token",
        "list": entity.cursor,
        "snapshot": "content",
        "child": f"version of {entity.parent}",
        "report": "content",
    }.get(str(entity.feed), "slice of dates")


@click.command()
@click.option("--module", "modules", multiple=True, help="Only this module; may be repeated.")
@click.option("--priority", "priorities", multiple=True, type=click.IntRange(1, 4), help="Only this priority.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array for scripts.")
@click.option(
    "--coverage",
    "documents",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Compare with ServiceTitan's OpenAPI documents in this folder; exit 1 for an endpoint that nobody knows.",
)
def entities(modules: tuple[str, ...], priorities: tuple[int, ...], *, as_json: bool, documents: Path | None) -> None:
    """List what can be read from ServiceTitan.

    \b
    Examples:
      lazi entities
      lazi entities --module crm
      lazi entities --json | jq -r '.[].name'
      lazi entities --coverage ~/Downloads/servicetitan-openapi
    """
    if documents:
        sys.exit(show_coverage(documents, as_json=as_json))
    rows = [described(entity) for entity in select(modules=modules, priorities=priorities)]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    columns = ("name", "feed", "priority", "cursor", "path")
    widths = {name: max(len(name), *(len(str(row[name])) for row in rows)) for name in columns}
    click.echo("  ".join(name.upper().ljust(widths[name]) for name in columns).rstrip())
    for row in rows:
        click.echo("  ".join(str(row[name]).ljust(widths[name]) for name in columns).rstrip())
    click.echo(f"{len(rows)} entities")


def show_coverage(folder: Path, *, as_json: bool) -> int:
    """Set the catalog against the documents in a folder; the exit code."""
    from dataclasses import asdict

    from discovery.coverage import compare
    from discovery.openapi import DocumentError, Documents
    from sources.servicetitan.exclusions import EXCLUDED

    try:
        found = compare(Documents(folder))
    except DocumentError as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        click.echo(json.dumps(asdict(found) | {"reasons": EXCLUDED}, indent=2))
        return 0 if found.is_clean else 1
    for path in found.excluded:
        click.echo(f"left out  {path}: {EXCLUDED[path]}")
    for path in found.gone:
        click.echo(f"not in the documents  {path}")
    for path in found.unknown:
        click.echo(f"UNKNOWN  {path}: add a row to the catalog, or a reason to the exclusions")
    click.echo(
        f"{len(found.read)} addresses are read, {len(found.detail)} are details of these, {len(found.excluded)} are left "
        f"out with a reason, {len(found.unknown)} are unknown"
    )
    return 0 if found.is_clean else 1
