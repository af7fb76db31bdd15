"""The server around the data: credentials, limits, counters, changes and the command."""

import socket
from pathlib import Path
from subprocess import PIPE, Popen, run
from sys import executable
from threading import Event
from typing import Any

import httpx
import pytest

from sandbox.live import Live
from sandbox.server import Sandbox
from sandbox.traffic import Traffic
from sources.servicetitan.catalog import BY_NAME
from tests.sandbox.reader import Reader

ROOT = Path(__file__).parents[2]
CUSTOMERS, JOBS = BY_NAME["customers"], BY_NAME["jobs"]
PROBLEM = {"type", "title", "status", "traceId", "errors", "data"}


def test_a_token_is_bearer_and_lives_as_long_as_said(fresh_reader: Reader) -> None:
    """The token endpoint answers as ServiceTitan's does."""
    answer = fresh_reader.login()
    assert answer.status_code == 200
    assert answer.json().keys() == {"access_token", "expires_in", "token_type", "scope"}
    assert (answer.json()["expires_in"], answer.json()["token_type"]) == (900, "Bearer")


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"json": {"grant_type": "client_credentials"}}, "invalid_request"),
        ({"data": {"grant_type": "password"}}, "unsupported_grant_type"),
        (
            {"data": {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "no"}},
            "invalid_client",
        ),
    ],
)
def test_wrong_token_requests_are_refused(sandbox: Sandbox, request_: dict[str, Any], error: str) -> None:
    """JSON bodies, other grants and other secrets give 400."""
    answer = httpx.post(sandbox.token_url, **request_)
    assert (answer.status_code, answer.json()) == (400, {"error": error})


@pytest.mark.parametrize("word", ["", "Bearer "])
def test_the_word_bearer_is_optional(reader: Reader, word: str) -> None:
    """Authorization takes the token with or without it."""
    header = {"Authorization": word + reader.client.headers["Authorization"]}
    assert reader.client.get("/crm/v2/tenant/1/customers", headers=header).status_code == 200


@pytest.mark.parametrize("header", [{"Authorization": "Bearer no"}, {"Authorization": ""}, {"ST-App-Key": "no"}])
def test_unknown_credentials_are_a_problem(reader: Reader, header: dict[str, str]) -> None:
    """Without token or app key there is a 401 with a problem's body."""
    answer = reader.client.get("/crm/v2/tenant/1/customers", headers=header)
    assert answer.status_code == answer.json()["status"] == 401
    assert answer.json().keys() == PROBLEM


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/crm/v2/tenant/9/customers", 403),
        ("/crm/v2/tenant/x/customers", 403),
        ("/crm/v2/tenant/1/nothing", 404),
        ("/crm/v3/tenant/1/customers", 404),
        ("/nothing", 404),
    ],
)
def test_unknown_addresses_are_problems(reader: Reader, path: str, status: int) -> None:
    """Strange tenants are forbidden and strange paths not found."""
    answer = reader.client.get(path)
    assert answer.status_code == status
    assert answer.json().keys() == PROBLEM


def test_tokens_expire(fresh: Sandbox, fresh_reader: Reader) -> None:
    """An expired token is refused, and a new one is not."""
    assert fresh_reader.page(CUSTOMERS).status_code == 200
    fresh.expire_tokens()
    assert fresh_reader.page(CUSTOMERS).status_code == 401
    fresh_reader.login()
    assert fresh_reader.page(CUSTOMERS).status_code == 200


def test_a_lifetime_is_kept() -> None:
    """A token without lifetime is dead at once."""
    with Sandbox(token_lifetime=0) as sandbox:
        reader = Reader(sandbox)
        assert reader.page(CUSTOMERS).status_code == 401
        reader.close()


def test_a_hidden_module_is_not_found(fresh: Sandbox, fresh_reader: Reader) -> None:
    """A tenant without a module gets 404 for it, and only for it."""
    fresh.hide("jobs")
    assert fresh_reader.page(JOBS).status_code == 404
    assert fresh_reader.get(JOBS, JOBS.export_path).status_code == 404
    assert fresh_reader.page(CUSTOMERS).status_code == 200


def test_too_many_requests_must_wait() -> None:
    """Beyond the limit there is a 429 that tells how long; the counters show it."""
    with Sandbox(rps=5) as sandbox:
        sandbox.app.traffic.clock = lambda: 0.0
        reader = Reader(sandbox)
        answers = [reader.page(CUSTOMERS, pageSize=1) for _ in range(8)]
        reader.close()
        assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 3
        assert answers[-1].headers["retry-after"] == "1"
        assert sandbox.stats()["limited"] == 3


def test_the_limit_holds_in_any_second() -> None:
    """A window that slides: no second, wherever it starts, sees more than the limit."""
    times = iter([0.0, 0.4, 0.8, 1.01, 1.02, 1.41])
    traffic = Traffic(3, lambda: next(times))
    assert [traffic.is_too_much("key", "1") for _ in range(6)] == [False, False, False, False, True, False]


def test_counters_tell_what_was_asked(fresh: Sandbox, fresh_reader: Reader) -> None:
    """Requests are counted by path and second, tokens and refusals on their own."""
    fresh_reader.page(CUSTOMERS)
    fresh_reader.page(CUSTOMERS)
    fresh_reader.client.get("/crm/v2/tenant/1/customers", headers={"ST-App-Key": "no"})
    stats = httpx.get(fresh.stats_url).json()
    assert stats["paths"] == {"/crm/v2/tenant/1/customers": 3}
    assert sum(stats["per_second"].values()) == stats["requests"] == 3
    assert (stats["tokens"], stats["unauthorized"], stats["limited"]) == (1, 1, 0)


def test_the_environment_points_here(fresh: Sandbox) -> None:
    """The variables name this sandbox and its credentials."""
    variables = fresh.environment()
    assert variables["SERVICE_TITAN_API_URL"] == fresh.url
    assert variables["SERVICE_TITAN_AUTH_URL"] == f"{fresh.url}/connect/token"
    assert variables["SERVICE_TITAN_TENANT_ID"] == "1"
    assert all(name.startswith("SERVICE_TITAN_") for name in variables)


def test_changes_show_at_once(fresh: Sandbox, fresh_reader: Reader) -> None:
    """A change, a creation and a deletion reach the list although its pages are cached."""
    before = fresh_reader.read_list(CUSTOMERS)
    ident, gone = before[4]["id"], before[5]["id"]
    fresh.change("customers", ident, name="Ñandú 🐦")
    made = fresh.create("customers", name="New")
    fresh.delete("customers", gone)
    after = {record["id"]: record for record in fresh_reader.read_list(CUSTOMERS)}
    assert after[ident]["name"] == "Ñandú 🐦"
    assert after[made["id"]]["name"] == "New"
    assert gone not in after
    since = fresh_reader.read_list(CUSTOMERS, modifiedOnOrAfter=before[0]["modifiedOn"][:4] + "-01-01")
    assert {ident, made["id"]} <= {record["id"] for record in since}


@pytest.mark.parametrize(
    ("name", "key"),
    [("technician_ratings", ("technicianId", "jobId")), ("payroll_settings", ("employeeId", "employeeType"))],
)
def test_composite_keys_find_their_record(fresh: Sandbox, name: str, key: tuple[str, ...]) -> None:
    """A tuple of the key's values means that record."""
    record = fresh.records(name)[5]
    wanted = tuple(record[part] for part in key)
    assert tuple(fresh.change(name, wanted)[part] for part in key) == wanted


@pytest.mark.parametrize(("name", "key"), [("jobs", 5), ("contacts", ""), ("technician_skills", ""), ("calls", -1)])
def test_unknown_records_are_told(fresh: Sandbox, name: str, key: object) -> None:
    """A key that means nothing is an error that names it; a position always means something."""
    if key == 5:
        assert fresh.change(name, key)
        return
    with pytest.raises(LookupError, match=name):
        fresh.change(name, key)


def test_text_keys_find_their_record(fresh: Sandbox) -> None:
    """So do GUIDs and other text ids."""
    for name in ("contacts", "technician_skills", "schedulers"):
        ident = fresh.records(name)[2]["id"]
        assert fresh.change(name, ident)["id"] == ident


def test_life_goes_on() -> None:
    """A round of events makes customers, jobs and changes whose references resolve."""
    sandbox = Sandbox(customers=10)
    live = Live(sandbox)
    for _ in range(20):
        live.step()
    customers = {record["id"] for record in sandbox.records("customers")}
    jobs = {record["id"]: record for record in sandbox.records("jobs")}
    assert len(customers) == 12
    assert len(jobs) == 22
    assert {job["customerId"] for job in jobs.values()} <= customers
    assert {job["invoiceId"] for job in jobs.values()} <= {record["id"] for record in sandbox.records("invoices")}


def test_life_ends_when_told() -> None:
    """The background task stops at once."""
    stopping = Event()
    stopping.set()
    Live(Sandbox()).run(1.0, stopping)


def test_starting_makes_nothing() -> None:
    """Nothing is generated before it is asked for, whatever the size."""
    with Sandbox(customers=1_000_000) as sandbox:
        assert not sandbox.tenants
        reader = Reader(sandbox)
        assert reader.page(CUSTOMERS, pageSize=1).status_code == 200
        reader.close()
        assert list(sandbox.known(None).tables) == ["customers"]


def test_the_command_says_how_to_use_it() -> None:
    """It prints the variables, and a taken port is one line and exit code 2."""
    start = "from cli.sandbox import sandbox; sandbox()"
    command = [executable, "-u", "-c", start, "--port", "0"]
    with Popen(command, cwd=ROOT, stdout=PIPE, stderr=PIPE, text=True) as running:
        assert running.stdout is not None
        lines = [running.stdout.readline() for _ in range(6)]
        running.terminate()
    assert all(line.startswith("export SERVICE_TITAN_") for line in lines)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused = run([executable, "-c", start, "--port", port], cwd=ROOT, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert port in refused.stderr
