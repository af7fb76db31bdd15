"""`lazi doctor`: each part of a configuration is examined, and what is wrong is said by name, without a secret."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipelines.sync import Stores
from sandbox.server import Sandbox
from sources.servicetitan.catalog import CATALOG
from store.settings import Settings
from tests.cli.test_commands import NOWHERE, run
from tests.environment import store_environment

MODULES = {entity.module for entity in CATALOG if entity.is_listable and entity.method == "GET"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(seed=5, customers=12) as running:
        yield running


def examine(
    settings: Settings, **environment: str
) -> tuple[subprocess.CompletedProcess[str], dict[str, dict[str, str]]]:
    """The command's end, and its verdicts by what was examined."""
    place = store_environment(settings)
    done = run("lazi", "doctor", "--json", folder=settings.data_dir.parent, **place, **environment)
    assert "Traceback" not in done.stderr
    assert "hush" not in done.stdout + done.stderr
    return done, {one["examined"]: one for one in json.loads(done.stdout)}


def test_a_configuration_that_works_is_well(settings: Settings, sandbox: Sandbox):
    """From the settings to each module; nothing but the disk's room may be a warning."""
    done, found = examine(settings, **sandbox.environment())
    assert done.returncode == 0, done.stdout
    bad = {name for name, one in found.items() if one["status"] != "ok"}
    assert bad <= {"disk"}
    asked = {name.partition(",")[0] for name, one in found.items() if one["text"].endswith("answers")}
    assert asked == MODULES
    assert ("PostgreSQL" in found) != settings.is_embedded
    if not settings.is_embedded:
        assert re.fullmatch(r"version \d+\.\d+, no pooler seen, without TLS", found["PostgreSQL"]["text"])
    assert found["clock"]["text"] in {f"{seconds} s from ServiceTitan's" for seconds in range(5)}
    told = "of the 5 scopes that the token names, 5 let this application read a part of ServiceTitan and 0 let it change one"
    assert found["scopes, tenant 1"]["text"] == told


def test_a_service_at_work_is_no_fault(settings: Settings, sandbox: Sandbox):
    """The embedded store belongs to one process, which may be the service."""
    with closing(Stores.open(settings)):
        done, found = examine(settings, **sandbox.environment())
    assert done.returncode == 0, done.stdout
    assert found["store"]["status"] == "ok"
    assert ("in use" in found["store"]["text"]) == settings.is_embedded


def test_wrong_credentials_are_said(settings: Settings, sandbox: Sandbox):
    """And that is all: the store and the clock are well."""
    done, found = examine(settings, **{**sandbox.environment(), "SERVICE_TITAN_CLIENT_SECRET": "hush-wrong"})
    assert done.returncode == 1
    assert [name for name, one in found.items() if one["status"] == "failed"] == ["token, tenant 1"]


def test_a_module_that_is_not_open_is_a_warning(settings: Settings):
    """By the entity that was asked for; the others are asked nevertheless."""
    with Sandbox(seed=5, customers=12) as sandbox:
        for entity in CATALOG:
            if entity.module == "telecom":
                sandbox.hide(entity.name)
        done, found = examine(settings, **sandbox.environment())
    assert done.returncode == 0, done.stdout
    assert found["telecom, tenant 1"]["status"] == "warning"
    assert "scope" in found["telecom, tenant 1"]["text"]


@pytest.mark.parametrize(
    ("environment", "failed", "text"),
    [
        (NOWHERE, "token, tenant 1", "No usable answer from"),
        ({}, "ServiceTitan's settings", "SERVICE_TITAN_TENANT_ID"),
        ({**NOWHERE, "LAZI_SCHEDULE": "jbs=5m"}, "schedule, alarms, API", "Did you mean `jobs`"),
        ({**NOWHERE, "LAZI_ALARMS": "stale=often"}, "schedule, alarms, API", "LAZI_ALARMS"),
        ({**NOWHERE, "DATABASE_URL": "postgresql://u:hush-pw@127.0.0.1:1/x"}, "store", "PostgreSQL does not answer"),
        ({**NOWHERE, "LAZI_DATA_DIR": "/dev/null/data"}, "data folder", "/dev/null/data"),
    ],
    ids=["host", "no settings", "entity", "alarms", "database", "folder"],
)
def test_what_is_wrong_is_said(environment: dict[str, str], failed: str, text: str, tmp_path: Path):
    """What was examined, and what to do; exit code 1, no traceback, no secret."""
    done = run("lazi", "doctor", "--json", folder=tmp_path, **environment)
    found = {one["examined"]: one for one in json.loads(done.stdout)}
    assert done.returncode == 1
    assert found[failed]["status"] == "failed"
    assert text in found[failed]["text"]
    assert "Traceback" not in done.stderr
    assert "hush" not in done.stderr + done.stdout


def test_one_fault_is_told_once(tmp_path: Path):
    """What fails for the same reason refers to it."""
    done = run("lazi", "doctor", folder=tmp_path, DATABASE_URL="postgresql://u:hush-pw@127.0.0.1:1/x")
    assert done.returncode == 1
    assert done.stdout.count("PostgreSQL does not answer") == 1
    assert re.search(r"^FAILED +state +as `store`$", done.stdout, re.MULTILINE)
