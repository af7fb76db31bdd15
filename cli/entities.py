"""`lazi entities`: the catalog, for the eye and for scripts."""

import json

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
        "child": "parent's version",
    }.get(str(entity.feed), "window of dates")


@click.command()
@click.option("--module", "modules", multiple=True, help="Only this module; may be repeated.")
@click.option("--priority", "priorities", multiple=True, type=click.IntRange(1, 4), help="Only this priority.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array for scripts.")
def entities(modules: tuple[str, ...], priorities: tuple[int, ...], *, as_json: bool) -> None:
    """List what can be read from ServiceTitan.

    \b
    Examples:
      lazi entities
      lazi entities --module crm
      lazi entities --json | jq -r '.[].name'
    """
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
