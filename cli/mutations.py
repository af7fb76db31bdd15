"""`lazi mutations`: the changes on their way to ServiceTitan, to look at and to decide on.

It works on the operations store, which several processes share, and never opens the embedded warehouse: it may be used
while the service runs.
"""

from __future__ import annotations

import getpass
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click

from cli.mutation_tables import at, cells, changes, facts, pretty, show_table, told, triples, whole
from outbound.state import State

if TYPE_CHECKING:
    from outbound.queue import Mutation, Queue
    from outbound.request import Prepared
    from sources.servicetitan.client import Client
    from store.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

PAGE = 500  # mutations read at once
AGO = re.compile(r"(\d{1,5})([mhd])", re.ASCII)
UNITS = {"m": "minutes", "h": "hours", "d": "days"}
BY_ANOTHER = ("approve", "reject")  # than who initiated it


@click.group()
def mutations() -> None:
    """Look at the changes on their way to ServiceTitan, and decide on those that wait for somebody.

    It may be used while the service runs. `lazi outbound` or `lazi up` sends them.

    \b
    Examples:
      lazi mutations list --state failed
      lazi mutations show 12
      lazi mutations approve 12
      lazi mutations resolve 13 --as done --note "seen in ServiceTitan"
      lazi mutations export --since 7d --out week.ndjson
    """


def moment(_: click.Context, __: click.Parameter, text: str | None) -> datetime | None:
    """A moment, as a date or as long ago as `30m`, `12h` or `7d` say."""
    if text is None:
        return None
    if ago := AGO.fullmatch(text):
        return datetime.now(UTC) - timedelta(**{UNITS[ago[2]]: int(ago[1])})
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"`{text}` is neither a moment like 2026-05-01 nor a time like 30m, 12h or 7d."
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def filtered(command: F) -> F:
    """The options that choose mutations."""
    for option in (
        click.option("--since", callback=moment, help="Queued since 2026-05-01, or 30m, 12h, 7d ago."),
        click.option("--by", "initiated_by", help="Whoever initiated it."),
        click.option("--id", "record_id", help="About the record with this id."),
        click.option("--operation", help="ServiceTitan's name; with --entity also the short one, such as `approve`."),
        click.option("--entity", help="For example `customers`."),
        click.option("--state", type=click.Choice([str(state) for state in State]), help="Only these."),
    ):
        command = option(command)
    return command


def deciding(command: F) -> F:
    """What every decision takes: which mutation, why, and how it is told."""
    for part in (
        click.option("--json", "as_json", is_flag=True, help="The mutation as JSON."),
        click.option("--note", default="", help="Why; it stands in the history."),
        click.argument("mutation_id", metavar="ID", type=int),
    ):
        command = part(command)
    return command


@mutations.command(name="list")
@filtered
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")
def list_(*, limit: int, as_json: bool, **chosen: Any) -> None:
    """Show mutations, the newest first.

    \b
    Examples:
      lazi mutations list
      lazi mutations list --state conflict --since 7d
      lazi mutations list --entity jobs --operation add-note --by n8n
      lazi mutations list --state failed --json | jq '.[].mutation_id' | xargs -n 1 lazi mutations retry
    """
    with opened() as queue:
        found = queue.some(**named(chosen), most=limit)
    if as_json:
        click.echo(pretty([whole(mutation) for mutation in found]))
        return
    if not found:
        click.echo("No mutation fits.")
        return
    show_table(("id", "state", "entity:operation", "record", "by", "age", "attempts", "error"), map(cells, found))
    if len(found) == limit:
        click.echo(f"{limit} are shown, there may be older ones: `--limit` shows more, `lazi mutations export` all.")


@mutations.command()
@click.argument("mutation_id", metavar="ID", type=int)
@click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")
def show(*, mutation_id: int, as_json: bool) -> None:
    """Show one mutation with all that happened to it.

    \b
    Examples:
      lazi mutations show 12
      lazi mutations show 12 --json | jq .conflict
    """
    from outbound.secrets import redacted_mutation

    with opened() as queue:
        mutation = redacted_mutation(queue.get(mutation_id))
    if as_json:
        click.echo(pretty(whole(mutation)))
        return
    show_table((), [(name, value) for name, value in facts(mutation) if value not in (None, "")])
    changed = changes(mutation)
    show_table(("field", "before", "after"), changed, "What it changed")
    for heading, columns, by_field in (
        ("In conflict", ("base", "theirs", "mine"), mutation.conflict),
        ("Not taken over by ServiceTitan", ("wanted", "found"), mutation.not_applied),
    ):
        show_table(("field", *columns), triples(by_field, columns), heading)
    steps = [(at(step.at), step.by, step.did, step.said) for step in mutation.history]
    show_table(("at", "by", "what", "said"), steps, "History")


@mutations.command()
@click.option("--entity", required=True, help="For example `customers`.")
@click.option("--operation", required=True, help="For example `update`.")
@click.option("--id", "record_id", help="The record that it is about, where it is about one.")
@click.option("--payload", help="The body as JSON, `@FILE`, or `-` for standard input.")
@click.option("--path-param", "path_params", multiple=True, metavar="NAME=VALUE", help="A further id of the path.")
@click.option("--tenant", type=click.IntRange(1), help="Whose record.  [default: the only tenant there is]")
@click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")
def preview(
    *,
    entity: str,
    operation: str,
    record_id: str | None,
    payload: str | None,
    path_params: tuple[str, ...],
    tenant: int | None,
    as_json: bool,
) -> None:
    """Show what a change would do, without queueing or sending it.

    It reads the live record from ServiceTitan. On PostgreSQL it is also compared with the copy's version, as it would be
    when it is sent; the embedded copy belongs to the service.

    \b
    Examples:
      lazi mutations preview --entity customers --operation update --id 5 --payload '{"name": "x"}'
      lazi mutations preview --entity jobs --operation cancel --id 7 --payload @reason.json --json
      lazi mutations preview --entity customers --operation delete-contact --id 5 --path-param contactId=9
    """
    from cli.outbound import clients
    from outbound.preview import preview as looked
    from outbound.request import Asked, prepared
    from outbound.secrets import check_shown, redacted_preview
    from store.settings import load, outbound_settings

    asked = Asked(
        entity_type=entity,
        operation=operation,
        entity_id=record_id,
        path_params=dict(pair(text) for text in path_params),
        payload=body_of(payload),
    )
    ready, settings = prepared(asked, with_withdrawn=outbound_settings().with_withdrawn), load()
    check_shown(ready.operation.title, ready.body)
    with clients(settings) as known:
        client = chosen_client(known, tenant)
        shown = looked(client, ready, base_of(settings, ready, client.tenant.tenant_id))
    shown = redacted_preview(ready.operation.title, shown)
    click.echo(pretty(shown) if as_json else told(shown))


@mutations.command()
@deciding
def approve(*, mutation_id: int, note: str, as_json: bool) -> None:
    """Let a held mutation go. Whoever initiated it cannot.

    \b
    Examples:
      lazi mutations list --state held
      lazi mutations approve 12 --note "agreed by phone"
    """
    decide(mutation_id, "approve", note, as_json=as_json)


@mutations.command()
@deciding
def reject(*, mutation_id: int, note: str, as_json: bool) -> None:
    """Refuse a held mutation. Whoever initiated it cancels it instead.

    \b
    Examples:
      lazi mutations reject 12 --note "the price is from last year"
    """
    decide(mutation_id, "reject", note, as_json=as_json)


@mutations.command()
@deciding
def retry(*, mutation_id: int, note: str, as_json: bool) -> None:
    """Queue a failed mutation once more.

    \b
    Examples:
      lazi mutations retry 12
      lazi mutations list --state failed --since 1d --json | jq '.[].mutation_id' | xargs -n 1 lazi mutations retry
    """
    decide(mutation_id, "retry", note, as_json=as_json)


@mutations.command()
@deciding
def cancel(*, mutation_id: int, note: str, as_json: bool) -> None:
    """Give a mutation up that was not sent, failed, or is in conflict.

    \b
    Examples:
      lazi mutations cancel 12
    """
    decide(mutation_id, "cancel", note, as_json=as_json)


@mutations.command()
@deciding
@click.option(
    "--as",
    "outcome",
    type=click.Choice(["done", "not_done", "mine", "theirs"]),
    required=True,
    help="Of an unknown one: whether ServiceTitan shows it. Of a conflict: whose values stay.",
)
@click.option("--new-id", help="With `--as done`: the id of what it made.")
def resolve(*, mutation_id: int, outcome: str, new_id: str | None, note: str, as_json: bool) -> None:
    """Say what became of an unknown mutation, or who wins a conflict.

    An unknown one may have been done: look into ServiceTitan, then say `done`, or `not_done` to have it sent again. Of a
    conflict `mine` sends it over what changed there, `theirs` gives it up.

    \b
    Examples:
      lazi mutations resolve 13 --as done --new-id 4711
      lazi mutations resolve 13 --as not_done
      lazi mutations resolve 14 --as mine --note "the customer called again"
    """
    from outbound.request import checked

    if new_id is not None and outcome != "done":
        raise click.UsageError("`--new-id` goes with `--as done`: nothing else made a record.")
    made = None if new_id is None else checked("new_id", new_id)
    decide(mutation_id, f"resolve {outcome}", note, as_json=as_json, new_id=made)


@mutations.command()
@filtered
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="A file.  [default: standard output]")
def export(*, out: Path | None, **chosen: Any) -> None:
    """Write mutations as lines of JSON, the newest first.

    \b
    Examples:
      lazi mutations export > mutations.ndjson
      lazi mutations export --since 30d --out month.ndjson
      lazi mutations export --state completed | jq -r '[.mutation_id, .initiated_by, .finished_at] | @csv'
    """
    filters = named(chosen)
    with opened() as queue:
        if out is None:
            write(sys.stdout.buffer, pages(queue, filters))
            return
        try:
            with out.open("wb") as file:
                written = write(file, pages(queue, filters), says=sys.stderr.isatty())
        except OSError as error:
            raise click.BadParameter(f"`{out}` cannot be written: {error.strerror}.", param_hint="--out") from None
    click.echo(f"{written:,} mutations are in {out}.", err=True)


@contextmanager
def opened() -> Iterator[Queue]:
    """The queue of the operations store, closed in the end."""
    from cli.keys import opened as store
    from outbound.queue import Queue

    with store() as operations:
        yield Queue(operations)


def named(chosen: dict[str, Any]) -> dict[str, Any]:
    """The filters that are set, with the names that mutations have. Raises OutboundError for an unknown one."""
    from outbound.operations import find, names_of

    entity, operation = (chosen["entity"] or "").strip().replace("-", "_"), chosen["operation"]
    if entity and (operation or not names_of(entity)):
        found, _ = find(entity, operation or "")
        chosen |= {"entity": found.entity, "operation": found.name}
    elif entity:
        chosen["entity"] = entity
    return {name: value for name, value in chosen.items() if value is not None}


def pages(queue: Queue, filters: dict[str, Any]) -> Iterator[list[Mutation]]:
    """All mutations that fit, some at a time, the newest first."""
    page = queue.some(**filters, most=PAGE)
    while page:
        yield page
        page = queue.some(**filters, most=PAGE, behind=page[-1].mutation_id)


def write(file: IO[bytes], found: Iterable[list[Mutation]], *, says: bool = False) -> int:
    """Write a line for each mutation; how many. `says` it on a terminal on the way."""
    import msgspec

    written = 0
    for page in found:
        file.writelines(msgspec.json.encode(whole(mutation)) + b"\n" for mutation in page)
        written += len(page)
        if says:
            click.echo(f"\r{written:,} mutations", nl=False, err=True)
    if says:
        click.echo("\r", nl=False, err=True)
    return written


def decide(mutation_id: int, by: str, note: str, *, as_json: bool, new_id: str | None = None) -> None:
    """Decide in the name of whoever is logged in, and tell what came of it. Raises OutboundError."""
    from outbound.policy import check_approver

    login = login_name()
    actor = f"lazi:{login}"
    with opened() as queue:
        mutation = queue.get(mutation_id)
        for name in (actor, login) if by in BY_ANOTHER and mutation.state is State.HELD else ():
            check_approver(mutation, key_id=actor, name=name)
        approved_by = actor if by == "approve" else None
        after = queue.decide(mutation, by, actor, note, new_id=new_id, approved_by=approved_by)
    what = f"{after.title} {after.record_id or ''}".rstrip()
    click.echo(pretty(whole(after)) if as_json else f"Mutation {mutation_id} ({what}) is {after.state}.")


def login_name() -> str:
    """Who is logged in."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user without a name
        return "somebody"


def chosen_client(known: dict[int, Client], tenant: int | None) -> Client:
    """The client of the tenant that is named, or of the only one. Raises click.UsageError."""
    if tenant is None and len(known) == 1:
        return next(iter(known.values()))
    if tenant in known:
        return known[tenant]
    listed = ", ".join(f"`{each}`" for each in known)
    raise click.UsageError(f"Say with `--tenant` which of these tenants is meant: {listed}.")


def base_of(settings: Settings, ready: Prepared, tenant_id: int) -> dict[str, Any] | None:
    """The record as the copy has it, where this process may look: on PostgreSQL."""
    import msgspec

    from api.bases import Bases
    from store.reader import open_reader

    if settings.is_embedded:
        return None
    with closing(open_reader(settings)) as reader:
        base = Bases(reader, tenant_id, [(ready, None)]).of(ready, None)
    return msgspec.json.decode(base.payload) if base else None


def body_of(text: str | None) -> Any:
    """A body from an option: JSON, `@FILE` or `-`. Raises click.BadParameter."""
    import msgspec

    try:
        if text == "-":
            text = sys.stdin.read()
        elif text and text.startswith("@"):
            text = Path(text[1:]).read_text(encoding="utf-8")
        return None if text is None else msgspec.json.decode(text)
    except OSError as error:
        raise click.BadParameter(f"`{text}` cannot be read: {error.strerror}.", param_hint="--payload") from None
    except ValueError as error:  # msgspec's, and of a file that is no text
        raise click.BadParameter(f"It is not JSON: {error}.", param_hint="--payload") from None


def pair(text: str) -> tuple[str, str]:
    """Name and value. Raises click.BadParameter."""
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise click.BadParameter(f"`{text}` is not NAME=VALUE.", param_hint="--path-param")
    return name, value
