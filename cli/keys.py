"""`lazi keys`: who may use the HTTP API."""

import json
from typing import Any

import click

from store.keys import SCOPES, Key


@click.group()
def keys() -> None:
    """Make, list and revoke the keys of the HTTP API.

    \b
    Examples:
      lazi keys create --name dashboard
      lazi keys create --name n8n --scope read,mutate --tenant 1234567
      lazi keys list
      lazi keys revoke abcd2345
    """


@keys.command()
@click.option("--name", required=True, help="Who uses it.")
@click.option("--scope", "scopes", default="read", show_default=True, help=f"Of {', '.join(SCOPES)}; commas between.")
@click.option("--tenant", type=click.IntRange(1), help="Whose data it opens.  [default: the only tenant there is]")
@click.option("--per-minute", type=click.IntRange(0), help="Requests a minute, 0: any number.  [default: the API's]")
@click.option("--per-hour", type=click.IntRange(0), help="Requests an hour, 0: any number.  [default: the API's]")
@click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")
def create(
    *, name: str, scopes: str, tenant: int | None, per_minute: int | None, per_hour: int | None, as_json: bool
) -> None:
    """Make a key and show it, once.

    \b
    Examples:
      lazi keys create --name dashboard
      lazi keys create --name reports --scope read --per-minute 0 --per-hour 0
    """
    from cli.api import only_tenant
    from store import keys as store
    from store.exceptions import SettingsError

    found = tenant or only_tenant()
    if found is None:
        raise SettingsError(
            "It is not clear for which tenant: none is configured and synced, or several are. Say it with `--tenant ID`."
        )
    words = tuple(each.strip() for each in scopes.split(","))
    with opened() as operations:
        namesakes = [key.key_id for key in store.every(operations) if key.name == name and key.revoked_at is None]
        text = store.create(
            operations, name=name, scopes=words, tenant_id=found, per_minute=per_minute, per_hour=per_hour
        )
    if as_json:
        click.echo(json.dumps({"key": text, "key_id": text.split("_")[1], "tenant_id": found, "scopes": words}))
    else:
        click.echo(text)
        click.echo("Keep it: it is not shown again.", err=True)
    if namesakes:
        click.echo(
            f"There is already a valid key of that name: {', '.join(namesakes)}. `lazi keys revoke ID` ends one.",
            err=True,
        )


@keys.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")
def list_(*, as_json: bool) -> None:
    """Show all keys, without their secrets.

    \b
    Examples:
      lazi keys list
      lazi keys list --json | jq '.[] | select(.revoked_at == null)'
    """
    from store import keys as store

    with opened() as operations:
        rows = [row(key) for key in store.every(operations)]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for each in rows:
        state = (
            f"revoked {each['revoked_at']}" if each["revoked_at"] else f"last used {each['last_used_at'] or 'never'}"
        )
        click.echo(
            f"{each['key_id']}  {each['name']:<24} tenant {each['tenant_id']:<12} {','.join(each['scopes']):<18} {state}"
        )
    click.echo(f"{len(rows)} keys" if rows else "There is no key yet. `lazi keys create --name NAME` makes one.")


@keys.command()
@click.argument("key_id")
def revoke(*, key_id: str) -> None:
    """Close a key for good; the API refuses it within a second.

    \b
    Examples:
      lazi keys revoke abcd2345
    """
    from store import keys as store

    with opened() as operations:
        key = store.revoke(operations, key_id)
    click.echo(f"{key.key_id} ({key.name}) is revoked.")


def opened() -> Any:
    """The operations store, closed in the end."""
    from contextlib import closing

    from store.operations import open_operations
    from store.settings import load

    return closing(open_operations(load()))


def row(key: Key) -> dict[str, Any]:
    """A key as `--json` prints it."""

    def text(value: Any) -> str | None:
        return value.isoformat(timespec="seconds") if value else None

    return {
        "key_id": key.key_id,
        "name": key.name,
        "tenant_id": key.tenant_id,
        "scopes": [scope for scope in SCOPES if scope in key.scopes],
        "per_minute": key.per_minute,
        "per_hour": key.per_hour,
        "created_at": text(key.created_at),
        "last_used_at": text(key.last_used_at),
        "revoked_at": text(key.revoked_at),
    }
