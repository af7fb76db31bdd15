"""What is published from a lake to PostgreSQL is answered as the lake answers it, and asked of PostgreSQL alone."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from litestar.testing import TestClient

from api import parameters
from api.app import create_app
from api.routes import ROUTES, Kind, Route
from pipelines.definitions import defined
from pipelines.modelling import PROJECT, load_project
from pipelines.publishing import publish
from pipelines.sync import Stores, land_all
from sandbox.server import Sandbox
from sources.servicetitan.catalog import BY_NAME
from store import keys
from store.choice import READ_BY_SCREENS
from store.reader import DuckDBReader
from store.serving import served
from store.settings import Settings
from store.warehouse import open_warehouse
from tests.conftest import MakeDatabase
from tests.warehouse.same import assert_same
from tests.whole import reach

BELOW_CRM = [
    "appointments",
    "customer_contacts",
    "customers",
    "estimates",
    "invoices",
    "jobs",
    "location_contacts",
    "locations",
]
SERVING = f"crm, {', '.join(f'master.{name}' for name in BELOW_CRM)}"
NAMES = frozenset(
    {*(f"master.{name}" for name in BELOW_CRM), *(f"crm.{p.stem}" for p in (PROJECT / "models/crm").glob("*.sql"))}
)
ASKED = [route for route in ROUTES if not route.path.startswith("entities/") and route.relations <= NAMES]
ROUTES_ASKED = pytest.mark.parametrize("route", ASKED, ids=lambda route: route.path)
EXACT = json.JSONDecoder(parse_float=Decimal)


@dataclass
class Both:
    """An API on a lake before anything of it was published and one afterwards, and what the second asked of the lake."""

    settings: Settings
    stores: Stores
    of_lake: TestClient[Any]
    of_both: TestClient[Any]
    asked: list[str] = field(default_factory=list)

    def same(self, path: str, **parameters: Any) -> Any:
        """What both answer, which must be the same and come from PostgreSQL."""
        one = self.of_lake.get(f"/api/v1/{path}", params=parameters)
        assert one.status_code == 200, one.text
        self.asked.clear()
        other = self.of_both.get(f"/api/v1/{path}", params=parameters)
        assert not self.asked, path
        assert other.headers["content-type"] == one.headers["content-type"]
        if one.headers["content-type"].startswith("text/csv"):
            assert one.text == other.text
            return one.text
        found = [list(map(EXACT.decode, answer.text.strip().split("\n"))) for answer in (one, other)]
        for page in (each for answer in found for each in answer if "meta" in each):
            page["meta"].pop("next")  # each engine writes the values of a place in its own way
        assert found[0] == found[1]
        return found[0] if len(found[0]) > 1 else found[0][0]


def small_project(folder: Path) -> Path:
    """The project with all of crm and what it reads."""
    for name in ("audits", "macros", "config.py", "external_models.yaml"):
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
        copy(PROJECT / name, folder / name)
    shutil.copytree(PROJECT / "models" / "crm", folder / "models" / "crm")
    (folder / "models" / "master").mkdir()
    for name in BELOW_CRM:
        shutil.copy(PROJECT / "models" / "master" / f"{name}.sql", folder / "models" / "master")
    return folder


@pytest.fixture(scope="module")
def both(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """A lake with a small business."""
    folder = tmp_path_factory.mktemp("served")
    settings = Settings(make_database(), folder / "data", 3001, "warning", warehouse="ducklake", serving=SERVING)
    with pytest.MonkeyPatch.context() as patch, Sandbox(seed=3, customers=12) as sandbox:
        patch.setenv("LAZI_WAREHOUSE", "ducklake")
        patch.setenv("DATABASE_URL", settings.database_url)
        patch.setenv("LAZI_DATA_DIR", str(settings.data_dir))
        stores, reached = Stores.open(settings), reach(sandbox)
        operations = stores.operations
        assert land_all(stores, reached, [BY_NAME[name] for name in BELOW_CRM]).is_good
        context = load_project(settings, small_project(folder))
        context.plan(no_prompts=True, auto_apply=True, skip_tests=True)
        operations.run("start_model_run", model_run_id="1", started_at=datetime.now(UTC), fingerprint="small")
        operations.run(
            "finish_model_run", model_run_id="1", finished_at=datetime.now(UTC), status="completed", error=None
        )
        key = keys.create(
            operations, name="t", scopes=("read",), tenant_id=reached.tenants[0].tenant_id, per_minute=0, per_hour=0
        )
        with TestClient(create_app(settings, stores.warehouse)) as of_lake:
            of_lake.headers["x-api-key"] = key
            of_lake.get("/api/v1/customers")  # it knows by now that nothing is published
            patch.setattr("store.serving.KEPT_SECONDS", 3600.0)
            done = publish(settings, operations, "small", lambda names, there: defined(context, names, there))
            assert done.refused == {}
            with TestClient(create_app(settings, stores.warehouse)) as of_both:
                of_both.headers["x-api-key"] = key
                made = Both(settings, stores, of_lake, of_both)
                kept = DuckDBReader.fetch

                def asked(own: DuckDBReader, query: str, *values: Any) -> Any:
                    made.asked.append(query)
                    return kept(own, query, *values)

                patch.setattr(DuckDBReader, "fetch", asked)
                yield made
        context.close()
        stores.close()


def key_of(both: Both, route: Route) -> str:
    """A path of the route with a key that has records."""
    if "{id}" not in route.path:
        return route.path
    column, table = route.fixed[0][1], route.resource.relation.name
    [(key,)] = both.stores.warehouse.fetch(
        f'SELECT "{column}" FROM {table} WHERE "{column}" IS NOT NULL ORDER BY 1 LIMIT 1'
    )
    return route.path.replace("{id}", str(key))


def test_every_table_and_view_is_served_row_by_row(both: Both):
    """The real models: each column, every row, the types of a PostgreSQL warehouse."""
    postgres = Settings(both.settings.database_url, both.settings.data_dir, 3001, "warning", warehouse="postgres")
    with closing(open_warehouse(postgres)) as there:
        assert assert_same(both.stores.warehouse, there, tuple(sorted(NAMES))) > 100
        kinds = there.fetch(
            "SELECT DISTINCT data_type FROM information_schema.columns WHERE table_schema IN ('master', 'crm') ORDER BY 1"
        )
    assert {"jsonb", "numeric", "timestamp with time zone"} <= {kind for (kind,) in kinds}
    assert {one.name for one in served(both.stores.operations) if one.is_shown and not one.behind_since} == NAMES


@pytest.mark.slow
def test_a_name_that_is_away_is_asked_of_the_lake(both: Both):
    """At once, though it was there a moment ago."""
    operations = both.stores.operations
    with closing(psycopg2.connect(both.settings.database_url)) as connection, connection.cursor() as there:
        connection.autocommit = True
        there.execute("ALTER VIEW crm.open_estimates RENAME TO away")
        try:
            both.asked.clear()
            answer = both.of_both.get("/api/v1/crm/open-estimates")
            assert (answer.status_code, bool(both.asked)) == (200, True), answer.text
            assert answer.json()["data"] == both.of_lake.get("/api/v1/crm/open-estimates").json()["data"]
        finally:
            there.execute("ALTER VIEW crm.away RENAME TO open_estimates")
    assert {one.name for one in served(operations)} == NAMES


@ROUTES_ASKED
def test_a_route_answers_the_same(both: Both, route: Route):
    """Lists and records, as they come."""
    assert both.same(key_of(both, route))["data"]


@pytest.mark.parametrize(
    "route", [one for one in ASKED if one.kind is Kind.LIST and not one.fixed], ids=lambda one: one.path
)
def test_a_list_answers_the_same_however_it_is_asked(both: Both, route: Route):
    """Sorted both ways by columns of every kind, filtered by what a row has, searched, deleted ones too, and as lines."""
    known = parameters.list_parameters(route.resource)
    rows = both.same(route.path, limit=5)["data"]
    of_kinds = {route.resource.relation.column(name).type: name for name in known["sort"].allowed}
    for name in of_kinds.values():
        both.same(route.path, sort=name, order="desc", limit=5)
        both.same(route.path, sort=name, limit=5, offset=2)
    if "deleted" in known:
        both.same(route.path, deleted="include", fields=route.resource.relation.key[0])
    for each in route.resource.filters:
        values = [row[each.column] for row in rows if row.get(each.column) is not None and each.via is None][:1]
        for value in values:
            if not isinstance(value, list | dict):
                both.same(route.path, **{each.name: str(value).lower() if isinstance(value, bool) else value})
    if route.resource.searched:
        both.same(route.path, search="a")
    both.same(route.path, format="ndjson")


def test_customers_by_what_crm_says_of_them(both: Both):
    """A filter that asks another table, and sums."""
    for value in ("high", "medium", "low"):
        both.same("customers", value_tier=value)
    assert both.same("customers", has_open_estimates="true")["data"]
    assert both.same("crm/stats")["data"]["customers"] > 0
    assert "," in both.same("customers", format="csv", fields="st_id,name,balance,created_on,active")


def test_a_place_in_a_list_holds_on_both_sides(both: Both):
    """Whoever pages while a table begins to be served goes on behind the row where he was."""
    page = both.of_lake.get("/api/v1/jobs", params={"sort": "created_on", "order": "desc", "limit": 3}).json()
    wanted = {"sort": "created_on", "order": "desc", "limit": 100, "after": page["meta"]["next"]}
    found = [client.get("/api/v1/jobs", params=wanted).json()["data"] for client in (both.of_lake, both.of_both)]
    assert [row["st_id"] for row in found[0]] == [row["st_id"] for row in found[1]] != []


def test_what_is_not_published_is_asked_of_the_lake(both: Both):
    """Versions, a record as it was, and every table of a question of which one is not served."""
    key = key_of(both, next(route for route in ASKED if route.path == "jobs/{id}")).rpartition("/")[2]
    for path, given in ((f"entities/jobs/{key}/versions", {}), (f"jobs/{key}", {"as_of": "2100-01-01T00:00:00Z"})):
        both.asked.clear()
        assert both.of_both.get(f"/api/v1/{path}", params=given).status_code == 200
        assert both.asked


def test_screens_are_chosen_for_what_they_read():
    """The words of the setting name what the API's own routes and the pages ask of master, and nothing else."""
    pages = Path(create_app.__code__.co_filename).parent / "pages"
    named = {
        name
        for path in pages.glob("*.py")
        for name in re.findall(r"master\.(\w+)", path.read_text())
        if not path.stem.startswith("audit")  # the log is read from the lake, with whom it names
    }
    routes = {name for route in ROUTES if not route.path.startswith("entities/") for name in route.relations}
    assert {*READ_BY_SCREENS} == named | {name.removeprefix("master.") for name in routes if name.startswith("master.")}
