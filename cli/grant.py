"""`lazi grant`: rights to read the copy, for a role of PostgreSQL."""

from __future__ import annotations

import json
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from store.grants import Grant
    from store.settings import Settings


@click.command()
@click.argument("role")
@click.option("--raw", "with_raw", is_flag=True, help="The schema raw too. With --revoke: that one alone.")
@click.option("--revoke", is_flag=True, help="Take the rights away again, those on raw included.")
@click.option("--print", "only_print", is_flag=True, help="Show the SQL, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")
def grant(*, role: str, with_raw: bool, revoke: bool, only_print: bool, as_json: bool) -> None:
    """Let ROLE, which is there already, read master, crm and audit in PostgreSQL.

    It may read what is there and what will be made later: plans replace views and rebuild tables. It gets no right to the
    schemas system and outbound, where secrets stand. Doing it twice changes nothing.

    \b
    Examples:
      lazi grant reporting
      lazi grant reporting --raw
      lazi grant reporting --print | psql "$ADMINISTRATORS_ADDRESS"
      lazi grant reporting --revoke
    """
    from store.settings import load

    found = rights(load(), role, with_raw=with_raw, revoke=revoke, only_print=only_print)
    if as_json:
        told = {"role": found.role, "schemas": found.schemas, "statements": found.statements, "notes": found.notes}
        click.echo(json.dumps({**told, "done": not only_print}, indent=2))
        return
    if only_print:
        click.echo("\n".join(f"{statement};" for statement in found.statements))
    else:
        what = "may no longer read" if revoke else "may read"
        listed = ", ".join(found.schemas) or "anything; it had no rights"
        click.echo(f"`{found.role}` {what} {listed}.")
    for note in found.notes:
        click.echo(note, err=True)


def rights(settings: Settings, role: str, *, with_raw: bool, revoke: bool, only_print: bool) -> Grant:
    """Give or take a role's rights, or only say how. Raises StoreError."""
    from store.choice import chosen
    from store.exceptions import StoreUnfitError
    from store.grants import RAW, READ, carry_out, given, look, taken
    from store.lock import held
    from store.server import reachable
    from store.session import connect

    if settings.is_embedded:
        raise StoreUnfitError(
            "`lazi grant` is for PostgreSQL, and `DATABASE_URL` is not set. The embedded store has no roles: whoever may read "
            f"the files in `{settings.data_dir}` may read all of it. `lazi export` writes master and crm for others."
        )
    if settings.serves and (with_raw or not chosen(settings.serving)):
        raise StoreUnfitError(
            f"`lazi grant` is about PostgreSQL, and `LAZI_WAREHOUSE` is `{settings.engine}`: of its tables PostgreSQL has those "
            f"of master and crm that `LAZI_SERVING` names. All others are files in `{settings.lake_files}`: who may read those "
            "and the schema `lake_catalog` of the database may read all of it."
        )
    schemas: tuple[str, ...] = (RAW,) if revoke and with_raw else (*READ, RAW) if revoke or with_raw else READ
    if settings.serves:
        schemas = READ[:2]  # the log stays in the lake
    # a plan would replace views meanwhile
    turn = nullcontext() if only_print else held(settings, "the models", lambda text: click.echo(text, err=True))
    with closing(connect(settings.session_url)) as connection, reachable(), turn:
        facts = look(connection, role, schemas)
        found = taken(facts, schemas) if revoke else given(facts, schemas)
        if not only_print:
            carry_out(connection, found)
    return found
