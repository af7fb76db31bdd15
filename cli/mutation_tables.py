"""Mutations and previews as `lazi mutations` shows them: tables for the eye, JSON for scripts."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from outbound.state import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console, RenderableType

    from outbound.preview import Preview
    from outbound.queue import Mutation

WIDE = 200  # columns where no terminal says how wide it is
COLOURS = {"completed": "green", "held": "yellow", "failed": "red", "conflict": "red", "unknown": "red"}


def whole(mutation: Mutation) -> dict[str, Any]:
    """A mutation as JSON shows it: as the API does, and whose it is."""
    from msgspec.structs import asdict

    from api.mutation_schemas import detail

    return {"tenant_id": mutation.tenant_id, **asdict(detail(mutation))}


def pretty(value: Any) -> str:
    """A value as JSON for scripts and eyes."""
    import msgspec

    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def cells(mutation: Mutation) -> tuple[Any, ...]:
    """A mutation's line in the list."""
    error = " ".join((mutation.error or "").split())
    return (
        mutation.mutation_id,
        mutation.state,
        mutation.title,
        mutation.record_id or mutation.new_id,
        mutation.initiated_by,
        age(datetime.now(UTC) - mutation.created_at),
        mutation.attempts,
        error if len(error) <= 60 else f"{error[:57]}...",  # noqa: PLR2004  a line of a terminal
    )


def facts(mutation: Mutation) -> Iterator[tuple[str, Any]]:
    """What is to be said of a mutation beside its history."""
    yield "mutation", mutation.mutation_id
    yield "state", mutation.state
    yield "what", mutation.title
    yield "record", mutation.record_id
    yield "made", mutation.new_id
    yield "error", mutation.error
    yield "payload", mutation.payload
    yield "path", mutation.places if len(mutation.places) > bool(mutation.record_id) else None
    yield "by", f"{mutation.initiated_by} (key {mutation.key_id})"
    yield "approved by", mutation.approved_by
    yield "tenant", mutation.tenant_id
    yield "queued", at(mutation.created_at)
    yield (
        "not before",
        at(mutation.run_at) if mutation.state is State.PENDING and mutation.run_at > datetime.now(UTC) else None,
    )
    yield "attempts", mutation.attempts
    yield "runner", mutation.lease_owner
    yield "sent", at(mutation.sent_at)
    yield "finished", at(mutation.finished_at)
    yield "in the copy", at(mutation.landed_at)
    yield "answer", f"{mutation.answer_status or ''} {mutation.answer or ''}".strip()
    yield "goes over what changed there", "yes" if mutation.is_forced else None
    yield "changed there, none of ours", ", ".join(mutation.merged or ())
    yield "takes back", mutation.reverts
    yield "idempotency key", mutation.idempotency_key


def changes(mutation: Mutation) -> list[tuple[Any, ...]]:
    """By wanted field its value before and after."""
    before, after, wanted = mutation.before, mutation.after, mutation.payload
    if not (isinstance(before, dict) and isinstance(after, dict) and isinstance(wanted, dict)):
        return []
    return [(name, before.get(name), after[name]) for name in wanted if name in after]


def told(shown: Preview) -> str:
    """A preview for the eye."""
    screen = console()
    with screen.capture() as captured:
        screen.print(f"{shown.method} {shown.path}", soft_wrap=True)
        if shown.body is not None:
            screen.print(text_of(shown.body), soft_wrap=True)
        show_table(("field", "old", "new"), triples(shown.changes, ("old", "new")), to=screen)
        columns = ("base", "theirs", "mine")
        show_table(("field", *columns), triples(shown.conflicts, columns), "In conflict", to=screen)
        if shown.merged:
            screen.print(f"changed there, none of ours: {', '.join(shown.merged)}", soft_wrap=True)
        for warning in shown.warnings:
            screen.print(f"warning: {warning}", soft_wrap=True)
        screen.print(f"It would come to `{shown.state}`.")
    return captured.get().rstrip("\n")


def triples(by_field: dict[str, Any] | None, columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """A line for each field; of a deleted record theirs is nothing."""
    return [(name, *(values.get(column) for column in columns)) for name, values in (by_field or {}).items()]


def console() -> Console:
    """Standard output, on which text is shown as it is."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else WIDE, markup=False, highlight=False, emoji=False)


def show_table(
    headings: tuple[str, ...], rows: Iterable[tuple[Any, ...]], title: str = "", to: Console | None = None
) -> None:
    """A table of rows; nothing where there are none."""
    from rich import box
    from rich.table import Table

    lines = [[cell(value) for value in each] for each in rows]
    if not lines:
        return
    table = Table(*headings, box=box.SIMPLE_HEAD if headings else None, show_header=bool(headings), pad_edge=False)
    for line in lines:
        table.add_row(*line)
    screen = to or console()
    if title:
        screen.print(f"\n{title}")
    screen.print(table)


def cell(value: Any) -> RenderableType:
    """A value in a table."""
    from rich.text import Text

    return Text(text_of(value), style=COLOURS.get(str(value), "") if isinstance(value, State) else "", overflow="fold")


def text_of(value: Any) -> str:
    """A value for the eye: text as it is but for what a terminal would obey, everything else as JSON."""
    import msgspec

    if value is None:
        return ""
    text = str(value) if isinstance(value, str) else msgspec.json.encode(value).decode()
    return "".join(sign if sign.isprintable() or sign == "\n" else "\N{REPLACEMENT CHARACTER}" for sign in text)


def at(value: datetime | None) -> str | None:
    """A moment for the eye."""
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if value else None


def age(passed: timedelta) -> str:
    """How long ago, roughly."""
    seconds = int(passed.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{max(seconds, 0)} s"
