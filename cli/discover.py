"""`lazi discover`: documents to the field registry, the registry to models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sources.servicetitan.registry import Field


@click.group()
def discover() -> None:
    """Generate the field registry and the master models.

    \b
    Examples:
      lazi discover openapi ~/Downloads/servicetitan-openapi
      lazi discover models
      lazi discover types --ts > servicetitan.d.ts
    """


@discover.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def openapi(folder: Path) -> None:
    """Read ServiceTitan's OpenAPI documents in FOLDER and regenerate both registries and the models.

    The registries are of the fields that records hold, and of those that the bodies of write operations take.
    """
    from discovery.bodies import discover_bodies, write_bodies
    from discovery.openapi import DocumentError, Documents, discover_all, write_registry

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
    regenerate(found)


@discover.command()
def models() -> None:
    """Regenerate the models from the field registry as it is."""
    from sources.servicetitan.registry import load

    regenerate(load())


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


def regenerate(registry: dict[str, tuple[Field, ...]]) -> None:
    """Write the models and say what changed."""
    from discovery.models import write_models
    from pipelines.modelling import PROJECT

    changed = write_models(registry, PROJECT)
    for path in changed:
        click.echo(f"changed {path.relative_to(PROJECT)}")
    click.echo(f"{len(changed)} model files changed; `sqlmesh plan` shows what that means")
