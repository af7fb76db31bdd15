"""The generated pages and `.env.example` are as the code is, and hold what they are for."""

import io
import subprocess
import sys
from pathlib import Path

import click
import pytest
from dotenv import dotenv_values

from cli.main import COMMANDS, lazi
from discovery.reference.commands import commands_page
from discovery.reference.departures import departures, reasons
from discovery.reference.entities import entity_pages
from discovery.reference.operations import operations_page
from discovery.reference.page import MARK, table
from discovery.reference.settings import example, settings_page
from discovery.reference.writing import write
from outbound.operations import OPERATIONS
from sources.servicetitan.catalog import BY_NAME, CATALOG, Entity
from sources.servicetitan.master import master_columns
from sources.servicetitan.registry import load
from store.settings import SETTINGS
from tests.docs.fence import ROOT

GENERATED = entity_pages(load())


@click.group()
def small() -> None:
    """A program of one command."""


@small.command()
@click.option("--often", help="How | often.")
def beat(often: str) -> None:
    """Beat."""


LOOK = """
from cli.main import lazi
from discovery.reference.writing import outdated, texts
from pathlib import Path
print(*outdated(Path(), texts(lazi)))
"""


def test_generated_files_are_up_to_date():
    """`lazi discover docs` would change nothing. In a process of its own: click remembers how a command was first used."""
    done = subprocess.run([sys.executable, "-c", LOOK], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


@pytest.mark.parametrize("entity", CATALOG, ids=lambda entity: entity.name)
def test_every_entity_has_its_section(entity: Entity):
    """With its tables, its route, and every column of its master table."""
    section = GENERATED[f"{entity.module}.md"].split(f"\n## {entity.name}\n")[1].split("\n## ")[0]
    for word in (f"raw.st_{entity.name}", f"master.{entity.name}", f"/api/v1/entities/{entity.name}"):
        assert word in section
    shared = GENERATED["index.md"]
    for column in master_columns(entity, load()[entity.name]):
        assert f"| `{column.name}` | {column.type} |" in section + shared or column.name in {"tenant_id", "st_id"}


def test_departures_say_why():
    """What stands at the end of a row's lines in the catalog, and what its columns say."""
    assert "The list demands a date." in reasons()["customer_contacts"]
    told = " ".join(departures(BY_NAME["capacity"]))
    assert "It is asked for by POST." in told
    assert "A slot has no id." in told
    assert departures(BY_NAME["customers"]) == []
    assert "`leadCall.id`" in " ".join(departures(BY_NAME["calls"]))


def test_every_operation_and_every_command_is_there():
    """By name."""
    page, commands = operations_page(), commands_page(lazi)
    assert not [one for one in OPERATIONS if f"| `{one.name}` |" not in page]
    assert not [name for name in COMMANDS if f"\n## lazi {name}\n" not in commands]
    assert "\n## lazi keys create\n" in commands


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_says_what_it_is_for(setting):
    """In a sentence, on its page and in `.env.example`."""
    assert setting.about.endswith(".")
    assert f"### {setting.name}\n\n{setting.about}\n" in settings_page()
    assert f"\n{'' if setting.is_needed else '#'}{setting.name}=" in example()


def test_the_example_of_settings_can_be_read():
    """As it is, it sets nothing; with every line switched on, it sets everything."""
    plain = dotenv_values(stream=io.StringIO(example()))
    assert {name: value for name, value in plain.items() if value} == {}
    on = "\n".join(line.removeprefix("#") for line in example().splitlines() if "=" in line.partition(" ")[0])
    assert set(dotenv_values(stream=io.StringIO(on))) == {setting.name for setting in SETTINGS}


def test_a_cell_keeps_its_place():
    """Whatever ends cells and lines elsewhere."""
    assert table(("a",), [("x|y\nz",)]).splitlines()[2] == "| x\\|y z |"
    assert table(("a",), []) == ""


def test_files_are_written_once_and_those_of_others_are_left(tmp_path: Path):
    """A second time nothing changes; a page that is no longer made goes, one that a person owns stays."""
    mine, gone = (tmp_path / "docs" / "reference" / name for name in ("settings.md", "gone.md"))
    mine.parent.mkdir(parents=True)
    mine.write_text("# Mine\n")
    gone.write_text(f"{MARK}\n")
    changed = write(tmp_path, small)
    assert Path(".env.example") in changed
    assert Path("docs/reference/gone.md") in changed
    assert not gone.exists()
    assert mine.read_text() == "# Mine\n"
    assert "How | often." in (tmp_path / "docs" / "reference" / "commands.md").read_text()
    assert write(tmp_path, small) == []
