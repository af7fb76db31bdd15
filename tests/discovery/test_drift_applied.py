"""Drift taken over in a checkout of its own: registry, models, plan, API."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.server import Sandbox
from store.settings import Settings
from tests.discovery.test_drift import GIVEN
from tests.environment import store_environment

ROOT = Path(__file__).parents[2]
PARTS = (
    ".dlt",
    "alarms",
    "api",
    "audits",
    "cli",
    "discovery",
    "macros",
    "models",
    "outbound",
    "pipelines",
    "sources",
    "store",
)
FILES = ("config.py", "external_models.yaml", "pyproject.toml")
SHOW = """
import json, sys
from litestar.testing import TestClient
from api.app import create_app
from store import keys
from store.operations import open_operations
from store.settings import load
operations = open_operations(load())
key = keys.create(operations, name="test", scopes=("read",), tenant_id=int(sys.argv[1]))
with TestClient(create_app()) as client:
    found = client.get("/api/v1/estimates", params={"limit": 1000}, headers={"x-api-key": key}).json()
    fields = client.get("/api/docs/openapi.json", headers={"x-api-key": key}).json()["components"]["schemas"]
print(json.dumps([found["data"], sorted(fields["Estimates"]["properties"])]))
"""
CUSTOMER = {"balance": "12.50 USD", "tier": {"level": 2}, "rating": 4.5, "type": "Estate"}
ODD = {
    "Owner's name": "Ada",
    "Owner's age": 36,
    "Owner's pets": ["cat"],
    "2ndPhone": "1",
    "Name": "x",
    "addressStreet": "y",
}
COLUMNS = """
import json
from store.settings import load
from store.warehouse import open_warehouse
rows = open_warehouse(load()).fetch(
    "SELECT DISTINCT owner_s_name, owner_s_age, CAST(owner_s_pets AS TEXT), _2nd_phone, name_2, address_street_2, raw_text "
    "FROM master.customers INNER JOIN audit.quarantine ON record_id = CAST(st_id AS TEXT) WHERE name <> name_2"
)
print(json.dumps([[name, int(age), json.loads(pets), *rest] for name, age, pets, *rest in rows]))
"""


class Checkout:
    """The project's code in a folder of its own, and a store."""

    def __init__(self, folder: Path, settings: Settings, sandbox: Sandbox) -> None:
        self.folder = folder
        for name in PARTS:
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "secrets.toml"))
        for name in FILES:
            shutil.copy(ROOT / name, folder / name)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(folder),
            "COLUMNS": "200",
            **sandbox.environment(),
            **store_environment(settings),
        }

    def run(self, *command: str) -> str:
        """The output of a command of this checkout, which must be good."""
        done = subprocess.run(
            [sys.executable, *command],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=self.environment,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def lines(self, path: str) -> set[str]:
        """A file's lines, without the commas at their ends."""
        return {line.rstrip(",") for line in (self.folder / path).read_text(encoding="utf-8").splitlines()}

    def lazi(self, *arguments: str) -> str:
        """The output of `lazi`."""
        return self.run("-c", "from cli.main import main; main()", *arguments)

    def sqlmesh(self, *arguments: str) -> str:
        """The output of `sqlmesh`."""
        return self.run("-c", "from sqlmesh.cli.main import cli; cli()", *arguments)


@pytest.mark.slow
def test_drift_is_taken_over_by_two_commands(settings: Settings, tmp_path: Path):
    """Told exactly; `--apply` and a plan change exactly these columns; the API serves the new one."""
    with Sandbox(seed=5, customers=12) as sandbox:
        checkout = Checkout(tmp_path / "checkout", settings, sandbox)
        checkout.lazi("sync", "--entity", "estimates")
        assert json.loads(checkout.lazi("discover", "drift", "--json")) == []
        sandbox.reshape("estimates", GIVEN, dropped=["summary"])
        for position in range(5):
            sandbox.change("estimates", position, name=f"Estimate {position}")
        said = checkout.lazi("sync", "--entity", "estimates")
        assert "drift: estimates.loyaltyCode: added string" in said
        told = json.loads(checkout.lazi("discover", "drift", "--json"))
        assert sorted((row["path"], row["kind"]) for row in told) == [
            ("budgetCodeId", "retyped"),
            ("loyaltyCode", "added"),
            ("reviewStatus", "value"),
            ("summary", "vanished"),
        ]
        before = checkout.lines("models/master/estimates.sql")
        applied = checkout.lazi("discover", "drift", "--apply")
        assert "models/master/estimates.sql" in applied
        changed = before ^ checkout.lines("models/master/estimates.sql")
        assert {line.split()[0] for line in changed} >= {"loyalty_code", "budget_code_id"}
        assert all("loyalty_code" in line or "budget_code_id" in line for line in changed), changed
        plan = checkout.sqlmesh("plan", "--no-prompts", "--auto-apply")
        assert "master.estimates" in plan
        shown = {
            sign: {
                line.strip()[1:].strip().rstrip(",")
                for line in plan.splitlines()
                if line.strip().startswith(f"{sign}  ")
            }
            for sign in "+-"
        }
        changed = shown["+"] ^ shown["-"]
        assert changed
        assert all("loyalty_code" in line or "budget_code_id" in line for line in changed), changed
        rows, fields = json.loads(checkout.run("-c", SHOW, str(sandbox.tenant_id)))
        assert {"loyalty_code", "budget_code_id", "summary"} <= set(fields)
        assert len(rows) == len(sandbox.records("estimates"))
        new_ones = [row for row in rows if row["loyalty_code"] == "A7"]
        assert len(new_ones) == 5
        assert {row["budget_code_id"] for row in new_ones} == {"P-1"}
        assert {row["review_status"] for row in new_ones} == {"Escalated"}
        assert json.loads(checkout.lazi("discover", "drift", "--json")) == []


@pytest.mark.slow
def test_a_tenant_of_other_shapes_gets_models_that_run(settings: Settings, tmp_path: Path):
    """Sampled before anything landed: what the documents do not say is proposed as a diff, taken over, planned and served."""
    with Sandbox(seed=5, customers=12) as sandbox:
        checkout = Checkout(tmp_path / "checkout", settings, sandbox)
        sandbox.reshape("estimates", GIVEN, dropped=["summary"])
        sandbox.reshape("customers", CUSTOMER | ODD)
        chosen = ("--entity", "estimates", "--entity", "customers")
        told = json.loads(checkout.lazi("discover", *chosen, "--json", "--apply"))
        differing = {(row["entity"], one["path"], one["change"]) for row in told for one in row["drift"]}
        assert len(differing) == 7 + len(ODD)
        assert {one for one in differing if one[1].isidentifier()} == {  # other names are told by look-alikes
            ("estimates", "loyaltyCode", "added"),
            ("estimates", "budgetCodeId", "retyped"),
            ("estimates", "reviewStatus", "value"),
            ("customers", "balance", "retyped"),
            ("customers", "rating", "added"),
            ("customers", "tier", "added"),
            ("customers", "type", "value"),
            *(("customers", name, "added") for name in ODD if name.isidentifier()),
        }
        written = {path.name for path in (checkout.folder / "discovery/output").rglob("*") if path.is_file()}
        assert written == {"estimates.json", "customers.json", "registry.diff", "models.diff", "types.d.ts"}
        models = (checkout.folder / "discovery/output/models.diff").read_text(encoding="utf-8")
        assert "+    loyalty_code TEXT" in models
        customers = checkout.lines("models/master/customers.sql")
        assert {"    balance NUMERIC(18,6)", "    tier JSONB", "    rating NUMERIC(18,6)"} <= customers
        assert {
            "    CAST(payload ->> 'name' AS TEXT) AS name",
            "    CAST(payload ->> 'Name' AS TEXT) AS name_2",
        } <= customers
        assert "Escalated" in (checkout.folder / "discovery/output/registry.diff").read_text(encoding="utf-8")
        checkout.lazi("sync", *chosen)
        rows, _ = json.loads(checkout.run("-c", SHOW, str(sandbox.tenant_id)))
        assert {row["loyalty_code"] for row in rows} == {"A7"}
        [shown] = json.loads(checkout.run("-c", COLUMNS))
        assert shown == ["Ada", 36, ["cat"], "1", "x", "y", "12.50 USD"]
        left = json.loads(checkout.lazi("discover", "drift", "--json"))
        assert [(row["entity"], row["path"]) for row in left] == [("customers", "balance")]
        again = json.loads(checkout.lazi("discover", *chosen, "--json"))
        assert [one["path"] for row in again for one in row["drift"]] == ["balance"]  # on which crm's models rely
