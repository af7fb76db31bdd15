"""From the wheel alone, outside the repository, in an empty folder: init, sandbox, sync, up, and the tools beneath."""

import json
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from store.warehouse import open_warehouse
from tests.ports import free_port
from tests.wheel.contents import ROOT
from tests.wheel.installed import Desk, answers, installed

pytestmark = pytest.mark.slow

PATIENCE = 60.0  # seconds, for an answer of a machine that has other work

OWN = """
MODEL (
  name own.{name},
  kind FULL,
  description 'What customers are called.',
  grain (st_id)
);

SELECT
  c.st_id,
  UPPER(c.name) AS name
FROM master.customers AS c
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installation's programs."""
    return installed(tmp_path_factory.mktemp("installed"))


@dataclass
class Day:
    """A folder with a first sync behind it, and the ServiceTitan that it reads."""

    desk: Desk
    servicetitan: str  # its address
    first: str  # what the first sync printed

    def customers(self, table: str) -> dict[int, str]:
        """Names by key."""
        key = "customer_id" if table.startswith("crm.") else "st_id"
        with closing(open_warehouse(self.desk.settings)) as warehouse:
            return dict(warehouse.fetch(f"SELECT {key}, name FROM {table}"))

    def rename(self, key: int, name: str) -> None:
        """Rename a customer at ServiceTitan."""
        asked = {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox-secret"}
        token = httpx.post(f"{self.servicetitan}/connect/token", data=asked, timeout=PATIENCE).json()["access_token"]
        headers = {"Authorization": token, "ST-App-Key": "sandbox-app-key"}
        address = f"{self.servicetitan}/crm/v2/tenant/1/customers/{key}"
        httpx.patch(address, json={"name": name}, headers=headers, timeout=PATIENCE).raise_for_status()


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def day(request: pytest.FixtureRequest, programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """What somebody does who has nothing but the wheel."""
    desk, port = Desk(programs, tmp_path_factory.mktemp("home") / "work"), free_port()
    desk.run("lazi", "init", "--sandbox", "--port", str(port))
    if request.param == "postgres":
        with (desk.folder / ".env").open("a") as settings:
            settings.write(f"DATABASE_URL={request.getfixturevalue('make_database')()}\n")
    with desk.living("lazi", "sandbox", "--port", str(port), "--customers", "12") as sandbox:
        assert answers(f"http://127.0.0.1:{port}/sandbox/stats", sandbox), desk.said("sandbox")
        yield Day(desk, f"http://127.0.0.1:{port}", desk.run("lazi", "sync"))
        sandbox.send_signal(signal.SIGINT)
        assert sandbox.wait(30) == 0, desk.said("sandbox")


def test_nothing_is_taken_from_the_checkout(day: Day):
    """The code and the project are the installation's; no path leads to the repository."""
    found = json.loads(day.desk.run("python", "-c", PLACES))
    venv = str(day.desk.programs.parent)
    assert all(path.startswith(venv) for path in (found["code"], found["project"]))
    assert str(ROOT) not in found["path"]


PLACES = """
import json, sys
import cli.main
from pipelines.modelling import PROJECT
print(json.dumps({"code": cli.main.__file__, "project": str(PROJECT), "path": sys.path}))
"""


def test_a_sync_lands_everything_and_builds_the_models(day: Day):
    """And again it finds nothing to build; nothing was written beside the data folder."""
    assert "models planned" in day.first
    assert day.customers("crm.customer_360") == day.customers("master.customers")
    assert len(day.customers("master.customers")) == 12
    assert "models unchanged" in day.desk.run("lazi", "sync", "--entity", "customers")
    assert {path.name for path in day.desk.folder.parent.iterdir()} <= {"work", "sandbox.log", "up.log", ".sqlmesh"}
    listed = {path.name for path in day.desk.folder.iterdir()}
    assert listed <= {".dlt", ".env", ".gitignore", "config.py", "data", "logs", "models", "__pycache__", ".cache"}


def test_up_serves_until_ctrl_c(day: Day):
    """The API with a key, the operations page with its style, and an end without a word of error."""
    desk, port = day.desk, free_port()
    key = re.findall(r"lazi_\S+", desk.run("lazi", "keys", "create", "--name", "day"))[0]
    address = f"http://127.0.0.1:{port}"
    with (
        desk.living("lazi", "up", "--port", str(port)) as up,
        httpx.Client(base_url=address, timeout=PATIENCE) as client,
    ):
        assert answers(f"{address}/api/health", up), desk.said("up")
        customers = client.get("/api/v1/customers", headers={"x-api-key": key}).json()
        assert customers["meta"]["total"] == 12, customers
        page = client.get("/", follow_redirects=True)
        assert page.status_code == 200
        styles = re.findall(r'<link rel="stylesheet" href="([^"]+)"', page.text)
        assert styles
        assert all(client.get(style).status_code == 200 for style in styles)
        assert client.get("/api/docs", auth=("any", key), follow_redirects=True).status_code == 200
        up.send_signal(signal.SIGINT)
        up.wait(120)
    assert "Traceback" not in desk.said("up"), desk.said("up")


def test_dlt_knows_the_folder(day: Day):
    """`dlt pipeline run` lands, and `dlt pipeline ... info` finds what landed."""
    assert "raw.st_customers: completed" in day.desk.run("dlt", "pipeline", "run", "--entity", "customers")
    assert "completed load packages" in day.desk.run("dlt", "pipeline", "servicetitan_p1", "info")


def test_sqlmesh_knows_both_projects(day: Day):
    """Ours by its path, which finds the models as they were built; alone or beside that of the folder."""
    project = json.loads(day.desk.run("lazi", "init", "--json"))["project"]
    for paths in (["-p", project], ["-p", project, "-p", "."]):
        assert "No changes to plan" in day.desk.run("sqlmesh", *paths, "plan", "--no-prompts")


def test_models_of_ones_own_live_beside_ours(day: Day):
    """A plan makes them, each sync that lands what they read runs them, and a new version of our models leaves them be."""
    desk = day.desk
    (desk.folder / "models" / "named.sql").write_text(OWN.format(name="named"))
    assert "own.named" in desk.run("sqlmesh", "plan", "--no-prompts", "--auto-apply")
    shouted = {key: name.upper() for key, name in day.customers("master.customers").items()}
    assert day.customers("own.named") == shouted
    key = min(shouted)
    day.rename(key, "Ada Byron")
    assert "models refreshed" in desk.run("lazi", "sync", "--entity", "customers")
    assert day.customers("own.named") == {**shouted, key: "ADA BYRON"}
    model = Path(json.loads(desk.run("lazi", "init", "--json"))["project"]) / "models" / "master" / "customers.sql"
    text = model.read_text()
    try:
        model.write_text(with_a_column(text))
        day.rename(key, "Ada Lovelace")
        assert "models planned" in desk.run("lazi", "sync", "--entity", "customers")
        with closing(open_warehouse(desk.settings)) as warehouse:
            assert ("ADA LOVELACE",) in warehouse.fetch("SELECT as_installed FROM master.customers")
        assert day.customers("own.named") == {**shouted, key: "ADA LOVELACE"}
    finally:
        model.write_text(text)


@pytest.mark.parametrize("day", ["postgres"], indirect=True)  # a DuckDB file is one process's
def test_a_service_runs_models_that_were_made_while_it_lives(day: Day):
    """It needs no new start: the next rows that land are in them."""
    desk, port, key = day.desk, free_port(), min(day.customers("master.customers"))
    with desk.living("lazi", "up", "--port", str(port), **ONLY_CUSTOMERS) as up:
        assert answers(f"http://127.0.0.1:{port}/api/health", up), desk.said("up")
        day.rename(key, "Grace Hopper")
        assert comes(lambda: day.customers("master.customers")[key] == "Grace Hopper"), desk.said("up")
        (desk.folder / "models" / "later.sql").write_text(OWN.format(name="later"))
        desk.run("sqlmesh", "plan", "--no-prompts", "--auto-apply")
        day.rename(key, "Hedy Lamarr")
        assert comes(lambda: day.customers("own.later")[key] == "HEDY LAMARR"), desk.said("up")
        up.send_signal(signal.SIGTERM)
        up.wait(120)


ONLY_CUSTOMERS = {"LAZI_SCHEDULE": "1=off, 2=off, 3=off, 4=off, customers=1s", "LAZI_RECONCILE": "off"}


def comes(true: Callable[[], bool]) -> bool:
    """Whether something comes true within three minutes."""
    end = time.monotonic() + 180
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True


def with_a_column(text: str) -> str:
    """The customers' model with one more column."""
    declared, _, rest = text.partition("    name TEXT,\n")
    line = re.search(r"^    CAST\((.+) AS TEXT\) AS name,\n", rest, re.MULTILINE)
    assert line
    rest = rest.replace(line[0], f"{line[0]}    CAST(UPPER({line[1]}) AS TEXT) AS as_installed,\n")
    return f"{declared}    name TEXT,\n    as_installed TEXT,\n{rest}"


def test_generated_files_of_an_installation_stay(day: Day):
    """The commands that would change them say where to do it."""
    said = day.desk.run("lazi", "discover", "models", code=2)
    assert "in a checkout of the repository" in said
    assert str(sys.prefix) not in said


def test_what_lacks_settings_says_so(programs: Path, tmp_path: Path):
    """In a folder that nobody made ready, and in a new one: which setting, and where it may stand."""
    desk: Any = Desk(programs, tmp_path / "empty")
    assert "`lazi sandbox` prints a complete set" in desk.run("lazi", "sync", code=2)
    desk.run("lazi", "init")
    assert "SERVICE_TITAN_" in desk.run("lazi", "sync", code=2)
