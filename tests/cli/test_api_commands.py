"""`lazi keys`, `lazi api`, `lazi openapi` and `lazi discover types` as a user starts them."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.cli.test_commands import ROOT, run
from tests.ports import free_port

TENANT = ("--tenant", "7")


def test_keys_are_made_listed_and_revoked(tmp_path: Path):
    """The key is shown once, on stdout alone; the list never shows it."""
    made = run("lazi", "keys", "create", "--name", "n8n", "--scope", "read,mutate", *TENANT, folder=tmp_path)
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    assert re.fullmatch(r"lazi_[a-z0-9]{8}_[A-Za-z0-9_-]{43}", key)
    listed = run("lazi", "keys", "list", "--json", folder=tmp_path)
    (row,) = json.loads(listed.stdout)
    assert (row["name"], row["scopes"], row["tenant_id"], row["revoked_at"]) == ("n8n", ["read", "mutate"], 7, None)
    assert key.split("_", 2)[2] not in listed.stdout
    assert "already" not in made.stderr
    again = run("lazi", "keys", "create", "--name", "n8n", *TENANT, folder=tmp_path)
    assert f"already a valid key of that name: {row['key_id']}." in again.stderr
    done = run("lazi", "keys", "revoke", row["key_id"], folder=tmp_path)
    assert "is revoked" in done.stdout
    assert "revoked" in run("lazi", "keys", "list", folder=tmp_path).stdout
    as_json = run("lazi", "keys", "create", "--name", "x", "--json", *TENANT, folder=tmp_path)
    assert json.loads(as_json.stdout)["key"].startswith("lazi_")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["keys", "create", "--name", "x"], "`--tenant ID`"),
        (["keys", "create", "--name", "x", "--scope", "write", *TENANT], "read, mutate, admin"),
        (["keys", "create", "--name", "", *TENANT], "1 to 100"),
        (["keys", "revoke", "nonsense"], "There is no key `nonsense`"),
        (["api", "--workers", "2"], "belongs to one process"),
        (["api", "--port", "70000"], "65535"),
        (["discover", "types"], "--ts"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_says_why(arguments: list[str], text: str, tmp_path: Path):
    """One message, exit code 2, no traceback."""
    done = run("lazi", *arguments, folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert text in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["api", "up"])
def test_a_port_that_is_taken_is_told_with_what_chooses_another(command: str, tmp_path: Path):
    """Before anything is announced, made or read."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run("lazi", command, "--port", str(taken.getsockname()[1]), folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "Address already in use" in done.stderr
    assert "`--port`" in done.stderr
    assert "The operations page" not in done.stderr
    assert command == "api" or not list(tmp_path.iterdir())


@pytest.mark.parametrize("host", ["999.1.1.1", "192.0.2.1"], ids=["no address", "of another machine"])
def test_a_host_that_is_not_of_this_machine_is_told_as_that(host: str, tmp_path: Path):
    """The port is not what is wrong."""
    done = run("lazi", "api", folder=tmp_path, LAZI_API_HOST=host)
    assert done.returncode == 2, done.stderr
    assert f"cannot listen at `{host}`" in done.stderr
    assert "LAZI_API_HOST" in done.stderr
    assert "port" not in done.stderr.partition("lazi: ")[2]


def test_the_document_needs_no_store(tmp_path: Path):
    """`lazi openapi` prints it, and types can be made of it."""
    done = run("lazi", "openapi", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["openapi"].startswith("3.1")
    out = tmp_path / "types.d.ts"
    done = run("lazi", "discover", "types", "--ts", "--out", str(out), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "export interface Customers {" in out.read_text()
    assert not (tmp_path / "data").exists()


def test_the_api_starts_on_an_empty_store_and_says_what_is_missing(tmp_path: Path):
    """Alive at once; reading is a 503 that says what to do; an interrupt ends it."""
    program, port = Path(sys.executable).parent / "lazi", free_port()
    settings = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LAZI_DATA_DIR": str(tmp_path / "data")}
    key = run("lazi", "keys", "create", "--name", "x", *TENANT, folder=tmp_path).stdout.strip()
    with subprocess.Popen(
        [program, "api", "--port", str(port)], cwd=ROOT, env=settings, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            address = f"http://127.0.0.1:{port}/api"
            assert alive(f"{address}/health", process) == {"status": "healthy"}
            found = httpx.get(f"{address}/v1/customers", headers={"x-api-key": key})
            assert (found.status_code, "lazi sync" in found.json()["detail"]) == (503, True), found.text
            assert httpx.get(f"{address}/v1/customers").status_code == 401
        finally:
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=30)[1]
    assert "Traceback" not in said


def alive(address: str, process: subprocess.Popen[str]) -> object:
    """What it answers as soon as it does."""
    for _ in range(600):
        try:
            return httpx.get(address).json()
        except httpx.TransportError:
            assert process.poll() is None, process.communicate()
            time.sleep(0.1)
    raise AssertionError(address)
