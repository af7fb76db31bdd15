"""`lazi import-legacy`: take over a database of the original ST-LAZI."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

    from pipelines.legacy.report import MutationReport, NameReport, Odd, Report, TableReport

SOME_FAILED = 1
SHOWN = 12  # lines of one kind
WIDE = 150  # characters of a line that goes into a file


@click.command("import-legacy")
@click.option(
    "--from", "dsn", required=True, metavar="DSN", help="The original's database: postgresql://user@host:5432/name."
)
@click.option(
    "--tenant",
    "tenant_id",
    type=click.IntRange(min=1),
    help="Of rows that name no tenant.  [default: the only one in the settings]",
)
@click.option(
    "--table", "names", multiple=True, help="Only this table, as `customers`, and no changes; may be repeated."
)
@click.option("--dry-run", is_flag=True, help="Only count, and say what would be taken for what; write nothing.")
@click.option("--no-models", is_flag=True, help="Leave the models as they are; run it again without, later.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON on standard output.")
def import_legacy(
    *, dsn: str, tenant_id: int | None, names: tuple[str, ...], dry_run: bool, no_models: bool, as_json: bool
) -> None:
    """Take over a database of the original ST-LAZI: its history, and the changes that wait in it.

    The original's database is opened read only and stays as it is. Each version of each record of its `raw.st_*` lands in
    ours with the original's dates, unless it is the one before it once more. Changes that are pending there are held here
    until somebody approves them, failed ones are failed here; nothing is sent. What cannot be taken over is counted with its
    reason and kept in `system.legacy_rejects`. It may be cut off and run again, also while the original still works: only
    what is new lands.

    The password may stand in PGPASSWORD or ~/.pgpass instead of in the DSN, where other users of the machine see it.

    Exit codes: 0 all good, 1 a table or the models failed, 2 could not begin (usage, settings, a store, the original's database).

    \b
    Examples:
      lazi import-legacy --from postgresql://lazi@old:5432/lazi --dry-run
      lazi import-legacy --from postgresql://lazi@old:5432/lazi
      lazi import-legacy --from postgresql://lazi@old:5432/lazi --table customers --table jobs --no-models
      lazi import-legacy --from postgresql://lazi@old:5432/lazi --tenant 1234567 --json > report.json
    """
    from pipelines.legacy.importing import Wishes, take_over
    from store.settings import load, outbound_settings

    wishes = Wishes(
        tenant_id=tenant_id or only_tenant(),
        is_dry=dry_run,
        with_models=not no_models,
        with_withdrawn=outbound_settings().with_withdrawn,
        only=names,
    )
    with Bar() as bar:
        report = take_over(load(), dsn, wishes, bar)
    if as_json:
        click.echo(json.dumps(report.as_dict(), indent=2))
    else:
        shown(report)
    if not report.is_good:
        sys.exit(SOME_FAILED)


def only_tenant() -> int | None:
    """The tenant of the settings, where they have one and no more."""
    from store.settings import known_tenants

    known = known_tenants()
    return next(iter(known)) if len(known) == 1 else None


class Bar:
    """Progress on standard error: a bar on a terminal, a line for each table elsewhere."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self.is_terminal = sys.stderr.isatty()
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not self.is_terminal,
        )
        self.task = self.progress.add_task("The original's database", total=None)

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def begins(self, name: str, rows: int) -> None:
        """A table."""
        self.progress.reset(self.task, description=name, total=rows)
        if not self.is_terminal:
            click.echo(f"{name}: {rows:,} rows", err=True)

    def progresses(self, rows: int) -> None:
        """Some rows of it."""
        self.progress.advance(self.task, rows)

    def says(self, text: str) -> None:
        """What happens now."""
        self.progress.reset(self.task, description=text, total=None)
        if not self.is_terminal:
            click.echo(text, err=True)


def shown(report: Report) -> None:
    """The report for the eye."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else WIDE
    console = Console(soft_wrap=True, highlight=False, markup=False, width=width)
    console.print(f"The original's database: {report.source}")
    console.print(table(report))
    for line in lines(report):
        console.print(line)


def table(report: Report) -> Any:
    """A line for each table."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD)
    made.add_column("table", overflow="fold")
    for head in ("rows", "versions", "repeats", "rejected", "equal", "differ", "only there", "only here"):
        made.add_column(head, justify="right", no_wrap=True)
    for one in report.tables:
        tally = one.tally
        counts = (
            tally.versions,
            tally.repeats,
            tally.refused,
            tally.equal,
            tally.differing,
            tally.only_there,
            one.only_here,
        )
        rest = [f"{count:,}" for count in counts] if one.status == "read" else [one.status]
        made.add_row(named(one), f"{tally.rows:,}", *rest)
    return made


def named(one: TableReport) -> str:
    """A table's name, and its entity's where that is another one."""
    is_same = not one.entity or one.table.endswith(f".st_{one.entity}")
    return one.table if is_same else f"{one.table} ({one.entity})"


def lines(report: Report) -> Iterator[str]:
    """What a table does not show."""
    for one in report.tables:
        yield from of_table(one, is_dry=report.is_dry)
    if report.others:
        yield f"tables of raw that hold no records, left alone: {', '.join(report.others)}"
    yield from of_mutations(report.mutations)
    yield from of_names(report.names)
    if not report.is_dry:
        landed = sum(one.landed_now for one in report.tables)
        yield f"{landed:,} versions landed now; models {report.models}"
    if report.models_error:
        yield f"FAILED models: {report.models_error}"


def of_table(one: TableReport, *, is_dry: bool) -> Iterator[str]:
    """What is odd about a table."""
    if one.reason:
        yield f"{'FAILED ' if one.is_bad else ''}{one.table}: {one.reason}"
    if one.columns and is_dry:
        yield f"{one.table}: {', '.join(f'{role} is `{column}`' for role, column in one.columns.items())}"
    for reason, odd in one.tally.rejected.items():
        yield f"{one.table}: {odd.rows:,} rows rejected: {reason}{examples(odd)}"
    for text, odd in one.tally.remarks.items():
        yield f"{one.table}: {odd.rows:,} rows with a remark: {text}{examples(odd)}"
    if one.tally.differing:
        yield f"{one.table}: {one.tally.differing:,} records are newer here, as {', '.join(one.tally.examples)}"


def examples(odd: Odd) -> str:
    """Some of the rows."""
    return f" (as {', '.join(odd.examples)})" if odd.examples else ""


def of_mutations(found: MutationReport) -> Iterator[str]:
    """What became of changes."""
    if not found.table:
        yield f"changes: {found.reason}"
        return
    states = ", ".join(f"{count:,} {word}" for word, count in found.by_status.items()) or "none"
    yield (
        f"changes in {found.table}: {states}; here {found.held:,} held, {found.failed:,} failed, {found.unknown:,} in doubt "
        f"({found.new:,} of them new)"
    )
    if found.error:
        yield f"FAILED {found.table}: {found.error}"
    if found.held:
        yield "held changes are sent when somebody approves them: `lazi mutations list --state held`"
    for reason, odd in list(found.refused.items())[:SHOWN]:
        yield f"not taken over: {odd.rows:,} changes{examples(odd)}: {reason}"
    if len(found.refused) > SHOWN:
        yield f"not taken over for {len(found.refused) - SHOWN} further reasons: `--json` lists them"


def of_names(names: list[NameReport]) -> Iterator[str]:
    """What consumers of master have to know."""
    whole = sum(1 for one in names if one.here == one.name and not (one.missing or one.other_type))
    if names:
        yield f"master: {whole} of {len(names)} names have all their columns here"
    for one in names:
        if one.reason:
            yield f"master.{one.name}: {one.reason}"
        if one.missing:
            yield f"master.{one.name}: not here: {', '.join(one.missing)}"
        if one.other_type:
            yield f"master.{one.name}: of another type: {'; '.join(one.other_type)}"
