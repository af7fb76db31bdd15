"""The reference below `docs/`, and `.env.example`: written from the tables of the code, and compared with them."""

from pathlib import Path

import click

from discovery.reference.commands import commands_page
from discovery.reference.entities import entity_pages
from discovery.reference.operations import operations_page
from discovery.reference.page import MARK
from discovery.reference.settings import EXAMPLE_MARK, example, settings_page
from sources.servicetitan.registry import load

FOLDER = Path("docs") / "reference"
MARKS = (MARK, EXAMPLE_MARK)


def texts(program: click.Group) -> dict[Path, str]:
    """Every generated file's text, by its path below the project."""
    pages = {
        "settings.md": settings_page(),
        "commands.md": commands_page(program),
        "operations.md": operations_page(),
        **{f"entities/{name}": text for name, text in entity_pages(load()).items()},
    }
    return {FOLDER / name: text for name, text in pages.items()} | {Path(".env.example"): example()}


def outdated(project: Path, wanted: dict[Path, str]) -> list[Path]:
    """Generated files that are not as they should be, or should not be at all; those that a person owns are left out."""
    there = {path.relative_to(project): path.read_text(encoding="utf-8") for path in (project / FOLDER).rglob("*.md")}
    there |= {name: (project / name).read_text(encoding="utf-8") for name in wanted if (project / name).exists()}
    return sorted(
        name
        for name in {*there, *wanted}
        if there.get(name) != wanted.get(name) and (name not in there or there[name].startswith(MARKS))
    )


def write(project: Path, program: click.Group) -> list[Path]:
    """Bring the generated files up to date; which of them changed."""
    wanted = texts(program)
    changed = outdated(project, wanted)
    for name in changed:
        if name in wanted:
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            (project / name).write_text(wanted[name], encoding="utf-8")
        else:
            (project / name).unlink()
    return changed
