"""The models behind a takeover show its history, also where they were built long before it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sandbox.server import Sandbox
from store.settings import Settings
from tests.environment import store_environment
from tests.legacy.conftest import Takeover
from tests.legacy.original import Original

ROOT = Path(__file__).parents[2]


def lazi(settings: Settings, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command on a store."""
    ours = store_environment(settings)
    kept = {"PATH": os.environ["PATH"], "HOME": str(settings.data_dir.parent)}
    command = [sys.executable, "-m", "cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=kept | ours | environment, check=False)


def history(original: Original, sandbox: Sandbox) -> list[int]:
    """A history of the sandbox's zones, the newest version as it is there now, and a zone that is gone; the keys."""
    original.table("zones", "JSON")
    keys = []
    for text in sandbox.texts("zones"):
        record = json.loads(text)
        keys.append(record["id"])
        old = {**record, "name": "old name", "modifiedOn": "2020-01-01T00:00:00Z"}
        original.add("zones", record["id"], old, "2024-01-01 10:00+00", tenant=1)
        original.add("zones", record["id"], text.decode(), "2024-06-01 10:00+00", tenant=1)
    original.add("zones", 77, {"id": 77, "name": "gone", "modifiedOn": "2020-01-01T00:00:00Z"}, "2024-01-01", tenant=1)
    return keys


LOG = "SELECT record_id, operation, CAST(changed_fields AS TEXT), synced_at < '2025-01-01' FROM audit.log WHERE entity = 'zones'"


def logged(takeover: Takeover) -> list[tuple[Any, ...]]:
    """What the log of changes says of zones."""
    return sorted(takeover.fetch(LOG))


@pytest.mark.slow
def test_a_copy_that_lives_gets_a_past(takeover: Takeover) -> None:
    """Modelled first, then taken over: master has what only the original knew, and the log tells the changes of then."""
    with Sandbox(seed=4, customers=5) as sandbox:
        environment = dict(sandbox.environment())
        done = lazi(takeover.settings, "sync", "--entity", "zones", "--entity", "teams", **environment)
        assert done.returncode == 0, done.stderr
        keys = history(takeover.original, sandbox)
        before = takeover.fetch("SELECT COUNT(*) FROM master.teams")
        done = lazi(takeover.settings, "import-legacy", "--from", takeover.original.url, "--json", **environment)
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        assert report["models"] == "rebuilt"
        again = json.loads(
            lazi(takeover.settings, "import-legacy", "--from", takeover.original.url, "--json", **environment).stdout
        )
        synced = lazi(takeover.settings, "sync", "--entity", "zones", "--json", **environment)
    [table] = report["tables"]
    assert table["landed_now"] == 2 * len(keys) + 1
    assert (again["models"], again["tables"][0]["landed_now"]) == ("unchanged", 0)
    assert json.loads(synced.stdout)["totals"]["appended"] == 0
    assert takeover.fetch("SELECT COUNT(*) FROM master.teams") == before
    shown = dict(takeover.fetch("SELECT st_id, name FROM master.zones"))
    assert shown.keys() == {*keys, 77}
    assert "old name" not in shown.values()
    own = [row[1:] for row in logged(takeover) if row[0] == str(keys[0])]
    assert own[0][0] == "insert"
    assert any(operation == "update" and "name" in json.loads(fields) and of_then for operation, fields, of_then in own)


@pytest.mark.slow
def test_an_empty_store_is_built_whole_by_the_command(takeover: Takeover) -> None:
    """Takeover first, sync behind it: the first sync reads everything whole, appends nothing that is there, and the rest."""
    with Sandbox(seed=4, customers=5) as sandbox:
        environment = dict(sandbox.environment())
        keys = history(takeover.original, sandbox)
        done = lazi(takeover.settings, "import-legacy", "--from", takeover.original.url, **environment)
        assert done.returncode == 0, done.stderr
        assert "models planned" in done.stdout
        assert "raw.st_zones" in done.stdout
        synced = json.loads(lazi(takeover.settings, "sync", "--entity", "zones", "--json", **environment).stdout)
    assert synced["totals"]["appended"] == 0
    assert synced["totals"]["fetched"] == len(keys)
    assert {key for (key,) in takeover.fetch("SELECT st_id FROM master.zones")} == {*keys, 77}


def test_the_command_says_what_would_be_done_and_what_is_wrong(original: Original, tmp_path: Path) -> None:
    """`--dry-run` shows tables and mapping; a wrong address is one sentence and exit code 2; a refused table is 1."""
    settings = Settings("", tmp_path / "data", 3001, "warning")
    original.table("zones")
    original.add("zones", 1, {"id": 1}, "2024-01-01")
    done = lazi(settings, "import-legacy", "--from", original.url, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "raw.st_zones: payload is `payload`, key is `st_id`" in done.stdout
    assert "master.contacts" in done.stdout
    wrong = lazi(settings, "import-legacy", "--from", "postgresql://me:hush-pw@127.0.0.1:1/x")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("lazi: The original's database does not answer")
    assert "Traceback" not in wrong.stderr
    assert "hush-pw" not in wrong.stderr
    original.run("CREATE TABLE raw.st_teams (id BIGINT, tenant_id BIGINT)")
    refused = lazi(settings, "import-legacy", "--from", original.url, "--no-models")
    assert refused.returncode == 1
    assert "FAILED raw.st_teams: which column holds the record cannot be told" in refused.stdout
    assert "1 versions landed now" in refused.stdout
    helped = lazi(settings, "import-legacy", "--help")
    assert "lazi import-legacy --from" in helped.stdout
