"""The catalog: names, paths and what is held apart from them."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sources.servicetitan.catalog import (
    BY_NAME,
    CATALOG,
    NOT_LISTABLE,
    ORIGINAL_NAMES,
    Entity,
    Feed,
    resolve,
    resolve_original,
    select,
)
from sources.servicetitan.exceptions import NotListableError, UnknownEntityError
from sources.servicetitan.exclusions import EXCLUDED
from sources.servicetitan.filling import names
from sources.servicetitan.registry import load

ROOT = Path(__file__).parents[2]

ORIGINAL = Path(__file__).with_name("original_names.txt").read_text(encoding="utf-8").split()

CORRECTED = {
    "pricebook_materials_markup": "/pricebook/v2/tenant/materialsmarkup",
    "project_sub_statuses": "/jpm/v2/tenant/project-substatuses",
    "budget_codes": "/jpm/v2/tenant/work-breakdown-structure/budget-codes",
    "deposits": "/accounting/v2/tenant/bank-deposits",
    "purchase_orders_markup": "/inventory/v2/tenant/purchase-order-markups",
    "campaign_costs": "/marketing/v2/tenant/costs",
    "location_labor_types": "/payroll/v2/tenant/locations/rates",
    "form_submissions": "/forms/v2/tenant/submissions",
    "contacts": "/crm/v2/tenant/customers/contacts",
    "calls": "/telecom/v3/tenant/calls",
}


def test_the_original_service_had_ninety_two_names():
    """The list below is whole."""
    assert len(ORIGINAL) == len(set(ORIGINAL)) == 92


@pytest.mark.parametrize("name", ORIGINAL)
def test_every_original_name_resolves(name: str):
    """To an entity, or to an error that says why it cannot be read."""
    if name in NOT_LISTABLE:
        with pytest.raises(NotListableError, match=NOT_LISTABLE[name][:30].split("(")[0]):
            resolve_original(name)
    else:
        assert resolve_original(name).name == ORIGINAL_NAMES.get(name, name)


@pytest.mark.parametrize(("name", "path"), CORRECTED.items())
def test_paths_that_the_original_had_wrong_are_right(name: str, path: str):
    """ServiceTitan's own path."""
    entity = resolve_original(name)
    assert entity.base + entity.path == path


def test_six_names_cannot_be_listed():
    """Three were withdrawn, three take POST only."""
    assert len(NOT_LISTABLE) == 6


@pytest.mark.parametrize("entity", CATALOG, ids=lambda entity: entity.name)
def test_a_row_is_complete(entity: Entity):
    """Every row can be read: a path for its feed, a parent that exists, a priority."""
    assert entity.name.isidentifier()
    assert entity.name == entity.name.lower()
    assert len(entity.raw_table) <= 63
    assert entity.path or entity.feed is Feed.EXPORT
    assert bool(entity.export_path) == (entity.feed is Feed.EXPORT)
    assert entity.priority in {1, 2, 3, 4}
    assert bool(entity.parent) or entity.feed is not Feed.CHILD
    assert not entity.parent or BY_NAME[entity.parent].generation < entity.generation
    assert not entity.polled or entity.feed is Feed.CHILD
    assert 1 <= entity.page_size <= (25_000 if entity.feed is Feed.REPORT else 5000)
    assert not names(entity) or entity.parent or entity.feed in {Feed.EXPORT, Feed.REPORT}
    assert ("{from}" in entity.params and "{to}" in entity.params) == (entity.feed is Feed.WINDOW)


def test_names_and_paths_are_unique():
    """No two rows read the same thing under two names, or two things under one."""
    assert len({entity.name for entity in CATALOG}) == len(CATALOG)
    assert len({(entity.base, entity.path or entity.export_path, entity.params) for entity in CATALOG}) == len(CATALOG)


def test_an_unknown_name_gets_the_nearest_ones():
    """The message helps."""
    with pytest.raises(UnknownEntityError, match="`jobs`.*lazi entities"):
        resolve("jbs")


def test_selection_is_by_all_criteria_together():
    """Module and priority narrow each other; an unknown module is an error."""
    assert {entity.name for entity in select(modules=("crm",), priorities=(1,))} == {"customers"}
    assert select() == CATALOG
    with pytest.raises(UnknownEntityError, match="Modules: "):
        select(modules=("crn",))


def test_the_catalog_loads_no_library():
    """Importing the catalog imports the standard library alone."""
    code = "import sys, sources.servicetitan.catalog\nprint(*sorted(m.partition('.')[0] for m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    heavy = {"dlt", "duckdb", "httpx", "msgspec", "psycopg2", "pyarrow", "sqlmesh", "litestar", "click"}
    assert heavy.isdisjoint(done.stdout.split())


def test_no_code_branches_on_an_entity():
    """Outside the catalog no reading, landing or modelling code holds an entity's name in quotes."""
    files = [
        path
        for folder in ("sources/servicetitan", "pipelines", "store", "discovery")
        for path in (ROOT / folder).glob("*.py")
        if path.name not in {"catalog.py", "exclusions.py", "choice.py"}  # the last names what screens read
    ]
    found = [
        f"{path.name}:{node.lineno} {node.value}"
        for path in files
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in BY_NAME
    ]
    allowed = {  # discovery's tables of what is not documented
        "service_agreement_custom_fields",
        "membership_custom_fields",
        "job_attachments",
    }
    assert [line for line in found if line.split()[-1] not in allowed] == []


def test_what_is_left_out_has_a_reason_and_is_not_read():
    """The exclusions contradict no row of the catalog."""
    read = {
        re.sub(r"\{[^{}]*\}", "{}", f"{e.base}{{}}/{path}") for e in CATALOG for path in (e.path, e.export_path) if path
    }
    assert read.isdisjoint(EXCLUDED)
    assert all(reason and not reason.endswith(".") for reason in EXCLUDED.values())


@pytest.mark.parametrize("entity", [row for row in CATALOG if row.is_listable], ids=lambda entity: entity.name)
def test_a_list_without_a_filter_for_inactive_records_says_so(entity: Entity):
    """Its records have `active` and nothing asks for inactive ones: what it leaves out need not be gone."""
    has_active = any(field.path == "active" and field.feed != "export" for field in load().get(entity.name, ()))
    assert entity.shows_inactive is not (has_active and not entity.active and entity.feed in {Feed.LIST, Feed.SNAPSHOT})


def test_what_is_asked_for_parents_has_one_priority():
    """Each generation of it is one run of one pipeline: runs without news cost a second, however few entities they read."""
    assert {entity.priority for entity in CATALOG if entity.parent} == {3}
