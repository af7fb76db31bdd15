"""`lazi discover`: documents to the field registry, the registry to models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sources.servicetitan.catalog import select

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from discovery.drift import Drift
    from discovery.sampling import Sample
    from sources.servicetitan.catalog import Entity
    from sources.servicetitan.registry import Field


@click.group(invoke_without_command=True)
@click.option("--entity", "names", multiple=True, help="Only this entity; may be repeated. `lazi entities` lists them.")
@click.option("--module", "modules", multiple=True, help="Only this module's entities; may be repeated.")
@click.option("--priority", "priorities", multiple=True, type=click.IntRange(1, 4), help="Only this priority.")
@click.option("--tenant", type=int, help="Which tenant.  [default: the first of the settings]")
@click.option("--records", type=click.IntRange(1, 5000), default=200, show_default=True, help="So many of each entity.")
@click.option("--redact/--no-redact", default=True, show_default=True, help="Replace personal data by look-alikes.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Where to.  [default: discovery/output]")
@click.option("--apply", "is_applied", is_flag=True, help="Take what differs over: into the registry and the models.")
@click.option("--dry-run", is_flag=True, help="Write nothing; only tell what would be.")
@click.option("--json", "as_json", is_flag=True, help="A summary as JSON.")
@click.pass_context
def discover(context: click.Context, /, **options: Any) -> None:
    """Sample a tenant, and generate the field registry and the master models.

    Without a subcommand it asks for some records of each entity and writes `samples/*.json` (personal data replaced),
    `analysis/*.json` (for each field its types, nulls, examples, values, formats), `registry.diff` and `models.diff` (what
    the samples say beyond the field registry) and `types.d.ts`.

    \b
    Examples:
      lazi discover --priority 1 --dry-run
      lazi discover --module crm --out /tmp/shapes
      lazi discover --entity jobs --apply && sqlmesh plan
      lazi discover openapi ~/Downloads/servicetitan-openapi
      lazi discover models
      lazi discover types --ts > servicetitan.d.ts
      lazi discover docs
      lazi discover drift
    """
    if context.invoked_subcommand is None:
        sampled(**options)


def sampled(
    *,
    names: tuple[str, ...],
    modules: tuple[str, ...],
    priorities: tuple[int, ...],
    tenant: int | None,
    records: int,
    redact: bool,
    out: Path | None,
    is_applied: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Sample, analyse, propose."""
    import json

    from discovery.findings import Findings
    from sources.servicetitan.registry import load
    from store.project import CODE, INSTALLED, need_checkout

    entities = select(names, modules, priorities)
    if not entities:
        raise click.UsageError("No entity fits all of these options together. `lazi entities` lists them.")
    if is_applied and dry_run:
        raise click.UsageError("`--apply` writes and `--dry-run` does not; choose one.")
    if is_applied:
        need_checkout("`lazi discover --apply`")
    found = Findings(load(), is_redacted=redact)
    for sample in samples(entities, tenant, records):
        found.add(sample)
    if as_json:
        click.echo(json.dumps(found.summary(), indent=2))
    else:
        click.echo("\n".join(found.told()))
    if not dry_run:
        folder = out or (Path() if INSTALLED else CODE) / "discovery" / "output"
        written = found.write(folder)
        click.echo(f"{written} files in {folder}", err=True)
    if is_applied:
        applied(found.drift, to_stderr=as_json)


def samples(entities: tuple[Entity, ...], tenant: int | None, records: int) -> Iterator[Sample]:
    """A sample of each entity, with progress. Raises ClickException where the tenant cannot be asked."""
    from contextlib import closing

    from rich.console import Console
    from rich.progress import track

    from discovery.sampling import Sampler
    from pipelines.sync import client_for
    from sources.servicetitan.exceptions import ServiceTitanError
    from store.rate_budget import open_budget_store
    from store.settings import connection, load

    servicetitan = connection()
    chosen = [one for one in servicetitan.tenants if tenant in {None, one.tenant_id}]
    if not chosen:
        known = ", ".join(str(one.tenant_id) for one in servicetitan.tenants)
        raise click.UsageError(f"There is no tenant `{tenant}` in the settings, which have {known}.")
    with closing(open_budget_store(load())) as budgets, closing(client_for(servicetitan, chosen[0], budgets)) as client:
        try:
            client.authenticate()
            sampler = Sampler(client, records)
            for entity in track(entities, "Sampling", console=Console(stderr=True), transient=True):
                yield sampler.sample(entity)
        except ServiceTitanError as error:
            raise click.ClickException(str(error)) from error


@discover.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def openapi(folder: Path) -> None:
    """Read ServiceTitan's OpenAPI documents in FOLDER and regenerate both registries and the models.

    The registries are of the fields that records hold, and of those that the bodies of write operations take. In a checkout.
    """
    from discovery.bodies import discover_bodies, write_bodies
    from discovery.openapi import DocumentError, Documents, discover_all, write_registry
    from sources.servicetitan.registry import load
    from store.project import need_checkout

    need_checkout("`lazi discover openapi`")
    try:
        documents = Documents(folder)
        found = discover_all(documents)
    except DocumentError as error:
        raise click.UsageError(str(error)) from None
    changed = write_registry(found)
    click.echo(
        f"{sum(map(len, found.values()))} fields of {len(found)} entities; {len(changed)} registry files changed"
    )
    bodies = discover_bodies(documents)
    changed = write_bodies(bodies)
    click.echo(
        f"{sum(map(len, bodies.fields.values()))} body fields of {len(bodies.fields)} write operations; "
        f"{len(changed)} registry files changed; {len(bodies.kept)} operations are not in the documents and stay as they are"
    )
    load.cache_clear()
    regenerate(load())  # with what drift taught


@discover.command()
def models() -> None:
    """Regenerate the models from the field registry as it is. In a checkout."""
    from sources.servicetitan.registry import load
    from store.project import need_checkout

    need_checkout("`lazi discover models`")
    regenerate(load())


@discover.command()
def docs() -> None:
    """Regenerate the reference below `docs/`, and `.env.example`, from the tables of settings, entities, operations, commands.

    In a checkout.

    \b
    Examples:
      lazi discover docs && git diff --stat docs
    """
    from cli.main import lazi
    from discovery.reference.writing import write
    from store.project import CODE, need_checkout

    need_checkout("`lazi discover docs`")
    changed = write(CODE, lazi)
    for path in changed:
        click.echo(f"changed {path}")
    click.echo(f"{len(changed)} files changed")


@discover.command()
@click.option("--ts", "as_typescript", is_flag=True, required=True, help="TypeScript.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="The file to write.  [default: print]")
def types(*, as_typescript: bool, out: Path | None) -> None:  # noqa: ARG001  the only language so far
    """Write types for consumers of the HTTP API: an interface for each entity, and what each path takes and answers.

    \b
    Examples:
      lazi discover types --ts > servicetitan.d.ts
      lazi discover types --ts --out web/src/servicetitan.d.ts
    """
    from api.app import document
    from discovery.typescript import types

    text = types(document())
    if out is None:
        click.echo(text, nl=False)
        return
    out.write_text(text, encoding="utf-8")
    click.echo(f"{out}: {text.count('export interface')} interfaces")


@discover.command()
@click.option("--apply", "is_applied", is_flag=True, help="Take it over: into the field registry and the models.")
@click.option(
    "--path", "named", multiple=True, metavar="ENTITY.PATH", help="Give up this field's type; may be repeated."
)
@click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")
def drift(*, is_applied: bool, named: tuple[str, ...], as_json: bool) -> None:
    """Show where landed records differ from the field registry: added, vanished, retyped, new values, no value.

    Each sync looks at what it appended. Nothing is lost by drift: raw has every record whole. `--apply` widens the
    registry and regenerates the models, and `sqlmesh plan` shows the columns; what vanished keeps its column. It works in a
    checkout.

    A field of another type is taken over only where at least 5 % of the values that were looked at are of it, or where
    `--path` names the field: a few bad records cost no column its type. Until then they stand in `audit.quarantine`.

    \b
    Examples:
      lazi discover drift
      lazi discover drift --json | jq '.[] | select(.kind == "added")'
      lazi discover drift --apply && sqlmesh plan
      lazi discover drift --apply --path jobs.completedOn
    """
    import json

    from discovery.applying import place
    from discovery.drift import of_rows
    from store.operations import open_operations
    from store.project import need_checkout
    from store.settings import load as load_settings

    if is_applied:
        need_checkout("`lazi discover drift --apply`")
    operations = open_operations(load_settings())
    try:
        rows = operations.run("drift")
        found = of_rows(rows)
        if unknown := sorted({*named} - set(map(place, found))):
            known = ", ".join(sorted(set(map(place, found)))) or "nothing"
            raise click.UsageError(f"Nothing differs at `{unknown[0]}`, only at: {known}.")
        if as_json:
            click.echo(json.dumps(rows, indent=2, default=str))
        else:
            for one in found:
                click.echo(f"{one}  ({one.records:,} records)")
            click.echo(f"{len(found):,} differences" if found else "Everything that landed is as the registry says.")
        if is_applied and found:
            taken = {
                (one.entity, one.path, str(one.change), one.detail) for one in applied(found, named, to_stderr=as_json)
            }
            places = [{name: row[name] for name in ("entity", "path", "kind", "detail")} for row in rows]
            operations.run_all("forget_drift", [place for place in places if tuple(place.values()) in taken])
    finally:
        operations.close()


def applied(found: Sequence[Drift], named: Sequence[str] = (), *, to_stderr: bool) -> list[Drift]:
    """Take differences over into the registry and the models; which, and a word of the others."""
    from discovery.applying import divided, relied_on, take_over
    from pipelines.modelling import PROJECT
    from sources.servicetitan.registry import load

    taken, left = divided(found, load(), relied_on(PROJECT / "models"), named)
    for reason in left:
        click.echo(reason, err=True)
    if taken:
        regenerate(take_over(load(), taken), to_stderr=to_stderr)
    return taken


def regenerate(registry: dict[str, tuple[Field, ...]], *, to_stderr: bool = False) -> None:
    """Write the models and say what changed."""
    from discovery.models import write_models
    from pipelines.modelling import PROJECT

    changed = write_models(registry, PROJECT)
    for path in changed:
        click.echo(f"changed {path.relative_to(PROJECT)}", err=to_stderr)
    click.echo(f"{len(changed)} model files changed; `sqlmesh plan` shows what that means", err=to_stderr)
