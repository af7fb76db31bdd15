"""What the README and the documentation name exists: commands with their options, settings, routes, tables, columns, files."""

import re
from functools import cache

import click
import pytest
import sqlglot
from sqlglot import exp

from api.app import document
from api.relations import Relation, master, model, versions
from cli.main import lazi
from sources.servicetitan.catalog import BY_NAME
from store.settings import SETTINGS, environment_name
from store.warehouse import ENVELOPE
from tests.docs import named
from tests.docs.fence import QUERY, ROOT, Fence, Page, pages

PAGES = pages()
OWN = [page for page in PAGES if not page.is_generated]
COMMANDS = sorted({one for page in PAGES for one in named.commands(page)}, key=lambda one: (one.page, one.words))
QUERIES = [fence for page in PAGES for fence in page.fences if fence.language == QUERY]
FOLDERS = {path.name for path in ROOT.iterdir() if path.is_dir()} - {"build", "data", ".venv"}
MADE = {"deploy/.env", "discovery/output", ".dlt/secrets.toml", "sources/servicetitan/registry/seen.csv"}
"""What a command or a reader makes."""
OPEN = {"/api", "/api/docs", "/api/v1"}
"""Addresses beside the routes that the API's document has."""


def name_of(page: Page) -> str:
    return page.name


@pytest.mark.parametrize("one", COMMANDS, ids=lambda one: f"{one.page}: {' '.join(one.words)}"[:90])
def test_commands_exist_with_their_options(one: named.Named):
    """As click parses them; a number or a word out of a choice is one of those that are allowed."""
    words, command, context = list(one.words), lazi, click.Context(lazi, info_name="lazi", **lazi.context_settings)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        below = command.get_command(context, words[0])
        assert below is not None, words
        command, context = below, click.Context(below, info_name=words.pop(0), parent=context)
    given, rest, _ = command.make_parser(context).parse_args(words)
    for param in command.params:
        value = given.get(param.name)
        if isinstance(param.type, click.Choice | click.IntRange | click.FloatRange) and isinstance(value, str):
            param.type.convert(value, param, context)
        for name in value if param.name == "names" and isinstance(value, list) else []:
            assert name in {*BY_NAME, "ENTITY", "crew_roles"}, words
    needed = [param for param in command.params if param.required and given.get(param.name) is None]
    assert not (one.is_typed and needed), needed
    assert not rest or isinstance(command, click.Group), rest


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_settings_exist(page: Page):
    """Ours, dlt's, and either from a file."""
    known = {name for setting in SETTINGS for name in (setting.name, environment_name(setting.dlt))}
    assert {name.removesuffix("_FILE") for name in named.settings(page)} <= known


@cache
def addresses() -> re.Pattern[str]:
    """Every address that is answered at."""
    paths = [re.sub(r"\{[^}]*\}", "[^/]+", path) for path in document()["paths"]]
    return re.compile("|".join(f"{path}/?" for path in [*paths, *OPEN]))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_routes_exist(page: Page):
    """Whatever stands for an id or a name."""
    known = addresses()
    found = {route.replace("{name}", "jobs").replace("<name>", "jobs") for route in named.routes(page)}
    assert not [route for route in found if not known.fullmatch(route)]


def relation(schema: str, table: str) -> Relation | None:
    """A table of the warehouse, or None."""
    if schema == "master" and table in BY_NAME:
        return master(table)
    if schema == "raw" and table.removeprefix("st_") in BY_NAME:
        return versions(table.removeprefix("st_"))
    path = ROOT / "models" / schema / f"{table}.sql"
    return model(f"{schema}.{table}") if schema in {"crm", "audit"} and path.exists() else None


def operations_tables() -> set[tuple[str, str]]:
    """The tables and views of the operations store."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "store" / "migrations").glob("*.sql"))
    return set(re.findall(r"CREATE (?:TABLE|VIEW)(?: IF NOT EXISTS)? (system|outbound)\.(\w+)", text))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_tables_exist(page: Page):
    """In the warehouse or the operations store."""
    known = operations_tables()
    assert not [one for one in named.tables(page) if one not in known and relation(*one) is None]


@pytest.mark.parametrize("fence", QUERIES, ids=lambda fence: fence.place)
def test_columns_exist(fence: Fence):
    """Those that a query takes from our tables."""
    query = sqlglot.parse_one(fence.text, read="postgres")
    relations = [found for table in query.find_all(exp.Table) if (found := relation(table.db, table.name))]
    known = {column.name for one in relations for column in one.columns} | {name for name, *_ in ENVELOPE}
    aliases = {alias.alias for alias in query.find_all(exp.Alias)}
    used = {column.name for column in query.find_all(exp.Column)}
    assert not relations or used <= known | aliases


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_exist(page: Page):
    """Those of the repository."""
    wanted = {name for name in named.files(page) if name.partition("/")[0] in FOLDERS} - MADE
    assert not [name for name in wanted if not any(ROOT.glob(name.rstrip("/")))]


@pytest.mark.parametrize("page", OWN, ids=name_of)
def test_targets_of_make_exist(page: Page):
    """Every one that is named."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert set(re.findall(r"(?:^|`|&& )make ([a-z-]+)", named.code(page), re.MULTILINE)) <= targets


def test_what_is_named_is_found():
    """The search finds commands, settings, routes, tables and files where they stand; nothing else."""
    text = (
        "Use `lazi sync --entity jobs` and `LAZI_ALARMS`, not lazily.\n\n"
        "```sh\nDATABASE_URL=x lazi grant me --print | psql\n# lazi nothing\nexport KEY=$(lazi keys list) # lazi no\n```\n"
        "`GET /api/v1/jobs/{id}` reads `master.jobs` by `store/raw.py`."
    )
    page = Page("page.md", text)
    assert {one.words for one in named.commands(page)} == {
        ("sync", "--entity", "jobs"),
        ("grant", "me", "--print"),
        ("keys", "list"),
    }
    assert named.settings(page) == {"LAZI_ALARMS", "DATABASE_URL"}
    assert named.routes(page) == {"/api/v1/jobs/{id}"}
    assert named.tables(page) == {("master", "jobs")}
    assert named.files(page) == {"store/raw.py"}
