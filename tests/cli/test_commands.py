"""`lazi` and `dlt` as a user starts them: messages, exit codes, no traceback, no secret."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from cli.init import sandbox_settings
from cli.progress import Bars
from cli.sandbox import needed
from pipelines.sync import begin, written
from sandbox.server import Sandbox
from sources.servicetitan.catalog import BY_NAME, CATALOG
from sources.servicetitan.reading import Outcome
from store.operations import open_operations, operations_as_they_are
from store.settings import Settings, Tenant
from tests.environment import store_environment
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
NOWHERE = {
    "SERVICE_TITAN_CLIENT_ID": "cid",
    "SERVICE_TITAN_CLIENT_SECRET": "hush-secret",
    "SERVICE_TITAN_APP_KEY": "hush-key",
    "SERVICE_TITAN_TENANT_ID": "1",
    "SERVICE_TITAN_API_URL": "http://127.0.0.1:1",
    "SERVICE_TITAN_AUTH_URL": "http://127.0.0.1:1/connect/token",
}


def run(*command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command of this environment, with only these settings."""
    program = Path(sys.executable).parent / command[0]
    settings = {"PATH": os.environ["PATH"], "HOME": str(folder), "LAZI_DATA_DIR": str(folder / "data"), **environment}
    return subprocess.run([program, *command[1:]], capture_output=True, text=True, cwd=ROOT, env=settings, check=False)


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "text"),
    [
        (["sync", "--entity", "jbs"], NOWHERE, 2, "Did you mean `jobs`"),
        (["sync", "--entity", "suppressions"], NOWHERE, 2, "withdrew"),
        (["sync", "--module", "crn"], NOWHERE, 2, "Modules:"),
        (["sync", "--priority", "7"], NOWHERE, 2, "1<=x<=4"),
        (["sync", "--entity", "jobs", "--priority", "4"], NOWHERE, 2, "No entity fits"),
        (["reconcile", "--entity", "jbs"], NOWHERE, 2, "Did you mean `jobs`"),
        (["reconcile", "--entity", "jobs", "--priority", "4"], NOWHERE, 2, "No entity fits"),
        (["reconcile", "--dry-run"], NOWHERE, 2, "No usable answer from http://127.0.0.1:1/connect/token"),
        (["sync"], {}, 2, "SERVICE_TITAN_TENANT_ID"),
        (["sync"], {**NOWHERE, "SERVICE_TITAN_TENANT_ID": "acme"}, 2, "`acme`"),
        (
            ["sync"],
            {**NOWHERE, "DATABASE_URL": "postgresql://u:hush-pw@127.0.0.1:1/x"},
            2,
            "PostgreSQL does not answer",
        ),
        (["sync"], {**NOWHERE, "DATABASE_URL": "mysql://u:hush-pw@127.0.0.1/x"}, 2, "postgresql://"),
        (["sync"], {**NOWHERE, "LAZI_DATA_DIR": "/dev/null/data"}, 2, "LAZI_DATA_DIR"),
        (["sync"], NOWHERE, 2, "does `lazi sandbox` run there?"),
        (["snyc"], {}, 2, "Did you mean 'sync'?"),
        (["discover", "openapi", "tests"], {}, 2, "No OpenAPI document"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_begin_says_why_and_what_to_do(arguments, environment, code, text, tmp_path: Path):
    """One screen of text, exit code 2, no traceback, no secret."""
    done = run("lazi", *arguments, folder=tmp_path, **environment)
    assert done.returncode == code, done.stderr
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert "hush" not in done.stderr + done.stdout
    assert len(done.stderr.splitlines()) < 24


def test_debug_shows_the_traceback(tmp_path: Path):
    """For those who look for the cause in the code; the exit code is the same."""
    done = run("lazi", "sync", folder=tmp_path, LOG_LEVEL="debug")
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert "SettingsError" in done.stderr


def test_a_held_file_says_who_holds_it(tmp_path: Path):
    """The test itself does."""
    (tmp_path / "data").mkdir()
    holder = duckdb.connect(tmp_path / "data" / "lazi.duckdb")
    done = run("lazi", "sync", folder=tmp_path, **NOWHERE)
    holder.close()
    assert done.returncode == 2
    assert f"held by process {os.getpid()}" in done.stderr


@pytest.mark.slow
def test_sqlmesh_says_in_a_line_what_keeps_it_from_the_warehouse(tmp_path: Path):
    """A held file and a PostgreSQL that is down, before any model is touched; a warehouse that is new is no error."""
    (tmp_path / "data").mkdir()
    holder = duckdb.connect(tmp_path / "data" / "lazi.duckdb")
    held = run("sqlmesh", "plan", "--no-prompts", folder=tmp_path)
    holder.close()
    down = run("sqlmesh", "plan", "--no-prompts", folder=tmp_path, DATABASE_URL="postgresql://u:hush-pw@127.0.0.1:1/x")
    assert f"held by process {os.getpid()}" in held.stdout
    assert "PostgreSQL does not answer" in down.stdout
    for done in (held, down):
        said = done.stdout + done.stderr
        assert done.returncode == 1
        assert "Traceback" not in said
        assert "hush" not in said
        assert len(said.splitlines()) < 24


def test_wrong_credentials_are_said_to_be_wrong(tmp_path: Path):
    """With the settings to check."""
    with Sandbox() as sandbox:
        done = run("lazi", "sync", folder=tmp_path, **{**sandbox.environment(), "SERVICE_TITAN_CLIENT_SECRET": "hush"})
    assert done.returncode == 2
    assert "refused the credentials" in done.stderr
    assert "hush" not in done.stderr


def test_entities_are_listed_for_the_eye_and_for_scripts(tmp_path: Path):
    """The same rows."""
    rows = json.loads(run("lazi", "entities", "--json", folder=tmp_path).stdout)
    assert [row["name"] for row in rows] == [entity.name for entity in CATALOG]
    assert {"feed", "priority", "cursor", "path"} <= rows[0].keys()
    text = run("lazi", "entities", "--module", "crm", folder=tmp_path).stdout
    assert "/crm/v2/tenant/{tenant}/export/customers" in text


@pytest.mark.parametrize("command", ["", "sync", "reconcile", "entities", "discover", "sandbox", "demo"])
def test_help_has_examples(command: str, tmp_path: Path):
    """Each command shows how it is used."""
    done = run("lazi", *filter(None, [command]), "--help", folder=tmp_path)
    assert done.returncode == 0
    assert "Examples:" in done.stdout


def test_a_sync_reports_as_json_and_some_failed_is_one(tmp_path: Path):
    """Standard output is the report alone; an entity that fails makes the exit code 1 and stops no other."""
    with Sandbox(customers=10) as sandbox:
        good = run(
            "lazi", "sync", "--entity", "customers", "--no-models", "--json", folder=tmp_path, **sandbox.environment()
        )
        sandbox.hide("zones")
        gone = run(
            "lazi", "sync", "--entity", "zones", "--no-models", "--json", folder=tmp_path, **sandbox.environment()
        )
    assert good.returncode == 0, good.stderr
    report = json.loads(good.stdout)
    assert (report["status"], report["totals"]["appended"]) == ("ok", 10)
    assert gone.returncode == 0
    assert json.loads(gone.stdout)["entities"][0]["status"] == "unavailable"


def test_a_reconciliation_reports_for_the_eye_and_as_json(tmp_path: Path):
    """What would be marked in a dry run, then what was; and what was not counted, with the reason."""
    with Sandbox(customers=10) as sandbox:
        options = ("--entity", "zones", "--entity", "attributed_leads", "--no-models")
        environment = sandbox.environment()
        run("lazi", "sync", *options, folder=tmp_path, **environment)
        sandbox.delete("zones", 0)
        tried = run("lazi", "reconcile", *options, "--dry-run", folder=tmp_path, **environment)
        done = run("lazi", "reconcile", *options, "--json", folder=tmp_path, **environment)
    assert tried.returncode == 0, tried.stderr
    assert "1 rows would be appended, 1 records would be marked as deleted" in tried.stdout
    assert "not counted: attributed_leads: It is read by window" in tried.stdout
    report = json.loads(done.stdout)
    assert (report["status"], report["totals"]["marked_deleted"]) == ("ok", 1)
    assert {row["entity"]: row["status"] for row in report["entities"]} == {
        "attributed_leads": "skipped",
        "zones": "completed",
    }


def test_dlt_runs_a_pipeline_and_shows_it(tmp_path: Path):
    """`dlt pipeline run NAME --entity E`, `dlt pipeline NAME info`; an unknown pipeline is an error with the known ones."""
    with Sandbox(customers=10) as sandbox:
        landed = run(
            "dlt",
            "pipeline",
            "run",
            "servicetitan_p1",
            "--entity",
            "customers",
            folder=tmp_path,
            **sandbox.environment(),
        )
    assert landed.returncode == 0, landed.stderr
    assert "raw.st_customers: completed, 10 appended of 10 read" in landed.stdout
    assert "servicetitan_p1" in run("dlt", "pipeline", "servicetitan_p1", "info", folder=tmp_path).stdout
    unknown = run("dlt", "pipeline", "run", "nope", folder=tmp_path)
    assert unknown.returncode == 2
    assert "servicetitan_p4" in unknown.stdout + unknown.stderr


def test_status_proves_that_nothing_was_skipped(tmp_path: Path):
    """Nothing read is no proof; two runs are a chain; a lost one is a hole; a full read closes it."""
    with Sandbox(customers=10) as sandbox:
        settings = sandbox.environment()
        before = run("lazi", "status", "--coverage", "jobs", folder=tmp_path)
        assert (before.returncode, "nothing here yet" in before.stdout) == (1, True)
        for _ in range(3):
            sandbox.change("jobs", sandbox.records("jobs")[0]["id"], summary="another")
            assert run("lazi", "sync", "--no-models", "--entity", "jobs", folder=tmp_path, **settings).returncode == 0
        whole = run("lazi", "status", "--coverage", "jobs", folder=tmp_path)
        assert (whole.returncode, "no gap" in whole.stdout, whole.stdout.count(" pages, ")) == (0, True, 3)
        with closing(sqlite3.connect(tmp_path / "data" / "lazi-ops.sqlite")) as operations:
            second = "SELECT sync_batch_id FROM system_sync_batches ORDER BY started_at LIMIT 1 OFFSET 1"
            operations.execute(f"DELETE FROM system_sync_batches WHERE sync_batch_id = ({second})")
            operations.commit()
        hole = run("lazi", "status", "--coverage", "jobs", "--json", folder=tmp_path)
        (chain,) = json.loads(hole.stdout).values()
        assert (hole.returncode, chain["is_whole"], bool(chain["hole"])) == (1, False, True)
        (row,) = json.loads(run("lazi", "status", "--json", folder=tmp_path).stdout)
        assert (row["entity"], row["covered"]) == ("jobs", False)
        run("lazi", "sync", "--no-models", "--full", "--entity", "jobs", folder=tmp_path, **settings)
        assert run("lazi", "status", folder=tmp_path).returncode == 0


def test_status_says_once_why_reads_failed(tmp_path: Path):
    """With some of the entities that did, and how many more; none of those that are well again."""
    settings, names = (
        Settings("", tmp_path / "data", 3001, "warning"),
        ("calls", "customers", "forms", "invoices", "jobs"),
    )
    (tmp_path / "data").mkdir()
    with closing(open_operations(settings)) as operations:
        for name in (*names, "jobs"):
            outcome = begin(operations, Tenant(1, "", "", ""), BY_NAME[name])
            outcome.end("completed" if name == "forms" else "failed", "" if name == "forms" else "It was stopped.")
            operations.run("finish_batch", **written(outcome))
    done = run("lazi", "status", folder=tmp_path)
    assert done.returncode == 1
    [line] = [line for line in done.stdout.splitlines() if line.startswith("failed: ")]
    assert line.endswith(" and 1 more. It was stopped."), line
    assert "forms" not in line
    assert sum(name in line for name in names) == 3


def test_coverage_by_the_catalog_fails_on_an_unknown_endpoint(tmp_path: Path):
    """Exit code 1 and the address; a folder without documents is a usage error."""
    document = {
        "servers": [{"url": "https://api.servicetitan.io/crm/v2"}],
        "paths": {"/tenant/{tenant}/novelties": {"get": {"responses": {"200": {}}}}},
        "components": {"schemas": {}},
    }
    assert run("lazi", "entities", "--coverage", str(tmp_path), folder=tmp_path).returncode == 2
    (tmp_path / "crm-v2.json").write_text(json.dumps(document))
    done = run("lazi", "entities", "--coverage", str(tmp_path), folder=tmp_path)
    assert (done.returncode, "UNKNOWN  /crm/v2/tenant/{}/novelties" in done.stdout) == (1, True)


def test_status_says_by_its_exit_code_whether_something_is_critical(tmp_path: Path):
    """With `--check` alone: a store in which nothing was read is not critical, and one whose runners died of a change is."""
    open_operations(Settings("", tmp_path / "data", 3001, "warning")).close()
    done = run("lazi", "status", folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "Nothing was read yet. `lazi sync` begins.\n")
    done = run("lazi", "status", "--check", "--json", folder=tmp_path)
    assert (done.returncode, json.loads(done.stdout)["condition"]) == (0, "healthy")
    file = tmp_path / "data" / "lazi-ops.sqlite"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            "INSERT INTO system_turns (tenant_id, duty, due_at, begun_at, ended_at, error, is_locked_out) "
            "VALUES (1, 'sync priority 1', :now, :now, :now, 'refused the credentials', 1)",
            {"now": datetime.now(UTC).isoformat(timespec="microseconds")},
        )
    done = run("lazi", "status", "--check", folder=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "The service is critical.")
    done = run("lazi", "status", "--check", "--coverage", "jobs", folder=tmp_path)
    assert (done.returncode, "choose one" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "code", "printed"),
    [([], 1, None), (["--json"], 1, "[]\n"), (["--coverage", "jobs", "--json"], 1, "{}\n"), (["--check"], 2, None)],
    ids=["all", "all as JSON", "one as JSON", "check"],
)
def test_status_where_there_is_no_store_says_so_and_makes_none(
    arguments: list[str], code: int, printed: str | None, settings: Settings, tmp_path: Path
):
    """What to do is said, nothing is called healthy, and a script still gets its JSON."""
    place = store_environment(settings)
    done = run("lazi", "status", *arguments, folder=tmp_path, **place)
    said = done.stderr if printed else done.stdout
    assert (done.returncode, "healthy" in done.stdout) == (code, False)
    assert (f"`{settings.data_dir}` has no store" in said) == settings.is_embedded
    assert all(word in said for word in ("There is nothing here yet", "`lazi doctor`", "`lazi sync` begins"))
    assert printed in {None, done.stdout}
    found = operations_as_they_are(settings)
    assert found is None if settings.is_embedded else found is not None and found.standing().number == 0


def test_a_sandbox_says_where_its_settings_are_not_needed():
    """In a folder of `lazi init --sandbox` with the same port; one of other tenants has settings of its own."""
    port = free_port()
    command = [sys.executable, "-m", "cli.main", "sandbox", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr
        told = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        printed = process.communicate(timeout=60)[0]
    assert f"not needed in a folder of `lazi init --sandbox --port {port}`" in told
    assert printed == "".join(f"export {name}={value}\n" for name, value in sandbox_settings(port).items())
    assert "`lazi init --sandbox`," in needed(Sandbox(port=8765))
    assert "init" not in needed(Sandbox(port=8765, tenants=(7,)))


def test_a_sync_without_a_terminal_says_when_the_models_begin(capsys: pytest.CaptureFixture):
    """Behind the entities there may be minutes in which nothing else is told."""
    with Bars(1) as bars:
        bars.says("Models")
    assert capsys.readouterr().err == "0 of 1 entities read ...\nModels ...\n"


@pytest.mark.parametrize(("every", "lines"), [(0.0, (0, 1, 2)), (3600.0, (0,))])
def test_a_sync_without_a_terminal_tells_how_far_it_is(
    every: float, lines: tuple[int, ...], capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    """A line now and then, not one for each entity."""
    monkeypatch.setattr("cli.progress.EVERY", every)
    outcomes = [Outcome(entity, 1, entity.name, datetime.now(UTC)) for entity in CATALOG[:2]]
    with Bars(2) as bars:
        for one in outcomes:
            bars.begins(one)
            bars.ends(one)
    assert capsys.readouterr().err == "".join(f"{number} of 2 entities read ...\n" for number in lines)


def test_what_failed_does_not_count_as_read(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    """It is told apart."""
    monkeypatch.setattr("cli.progress.EVERY", 0.0)
    outcomes = [Outcome(entity, 1, entity.name, datetime.now(UTC)) for entity in CATALOG[:2]]
    with Bars(2) as bars:
        for one, status in zip(outcomes, ("failed", "completed"), strict=True):
            bars.begins(one)
            one.end(status)
            bars.ends(one)
    told = ("0 of 2 entities read", "0 of 2 entities read, 1 failed", "1 of 2 entities read, 1 failed")
    assert capsys.readouterr().err == "".join(f"{line} ...\n" for line in told)
