"""The faults themselves: each can be had by name, does what it says, and never more than can be survived."""

import json
from collections import Counter
from pathlib import Path
from subprocess import run
from sys import executable
from typing import Any

import httpx
import pytest

from sandbox import clock
from sandbox.faults.board import Board, FaultError, parsed
from sandbox.faults.kinds import BY_NAME, FAULTS, Layer
from sandbox.server import Sandbox
from sources.servicetitan import catalog
from tests.sandbox.reader import Reader

ROOT = Path(__file__).parents[2]
CUSTOMERS, JOBS, APPOINTMENTS = (catalog.BY_NAME[name] for name in ("customers", "jobs", "appointments"))
STATUSES = {
    "too_many": 429,
    "too_many_bare": 429,
    "server_error": 500,
    "html_503": 503,
    "maintenance": 409,
    "revoked_token": 401,
}
EVERY_FAULT = pytest.mark.parametrize("name", BY_NAME)
WIRE = [fault.name for fault in FAULTS if fault.layer is Layer.WIRE]
CONTENT = [fault.name for fault in FAULTS if fault.layer is Layer.CONTENT]


def only(sandbox: Sandbox, name: str, rate: float = 1.0, amount: float | None = None) -> None:
    """Nothing but this fault."""
    if amount is not None:
        sandbox.faults.measure(name, amount)
    sandbox.switch_faults({name: rate})


def control(sandbox: Sandbox, document: Any = None) -> httpx.Response:
    """Read or switch the faults as anybody can."""
    url = f"{sandbox.url}/sandbox/faults"
    return httpx.get(url) if document is None else httpx.put(url, json=document)


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return [row["id"] for row in rows]


@EVERY_FAULT
def test_each_fault_is_switched_by_name_and_counted(fresh: Sandbox, fresh_reader: Reader, name: str) -> None:
    """By HTTP, while the sandbox runs; it tells what is on and how often it has struck; `[]` ends it."""
    fresh.faults.measure(name, min(BY_NAME[name].amount, 0.01))
    assert name in control(fresh, {name: 1.0}).json()["active"]
    for page in (1, 2, 3):
        try:
            fresh_reader.page(CUSTOMERS, page=page, pageSize=5)
        except httpx.RemoteProtocolError:
            assert name == "cut_connection"
    told = control(fresh).json()
    assert told["known"].keys() == BY_NAME.keys()
    is_silent = name in {"ties", "lagging_exports"} or BY_NAME[name].layer is Layer.WRITE
    assert told["active"][name]["count"] > 0 or is_silent
    assert control(fresh, []).json()["active"] == {}
    fresh_reader.login()
    assert fresh_reader.page(CUSTOMERS).status_code == 200


def test_an_unknown_fault_is_a_problem_that_lists_the_known_ones(fresh: Sandbox) -> None:
    """And a rate that is none; both change nothing."""
    control(fresh, ["slow"])
    for wrong in (["slow", "flood"], {"slow": 2}, "slow", {"slow": "often"}):
        answer = control(fresh, wrong)
        assert (answer.status_code, answer.json()["status"]) == (400, 400)
    assert all(name in control(fresh, ["flood"]).text for name in BY_NAME)
    assert control(fresh).json()["active"].keys() == {"slow"}
    assert httpx.post(f"{fresh.url}/sandbox/faults").status_code == 405


def test_names_rates_and_all() -> None:
    """Names have their usual rate, `all` means every one, and 0 leaves one out."""
    board = Board(1, parsed("all, slow=0.5,ties=0"))
    assert board.active.keys() == BY_NAME.keys() - {"ties"}
    assert (board.active["slow"].rate, board.active["nul"].rate) == (0.5, BY_NAME["nul"].rate)
    assert parsed("") == {}
    for wrong in ("slow=often", "slow=7", "flood"):
        with pytest.raises(FaultError, match=wrong.partition("=")[0]):
            Board(1, parsed(wrong))


def test_a_seed_gives_the_same_faults() -> None:
    """For an address, whatever was asked for elsewhere in between; another seed gives others."""
    first, second, other = (Board(seed, ["server_error"]) for seed in (1, 1, 2))
    draws = [first.strikes("server_error", "/a") for _ in range(300)]
    mixed = [(second.strikes("server_error", "/a"), second.strikes("server_error", "/b"))[0] for _ in range(300)]
    assert draws == mixed != [other.strikes("server_error", "/a") for _ in range(300)]
    assert first.counts["server_error"] == sum(draws)
    assert 0 < sum(draws) < 40


@pytest.mark.parametrize(("name", "status"), STATUSES.items())
def test_a_refusal_has_its_status_and_ends_after_three(
    fresh: Sandbox, fresh_reader: Reader, name: str, status: int
) -> None:
    """The fourth request for an address is answered, however high the rate."""
    only(fresh, name, amount=0)
    seen = []
    for _ in range(8):
        seen.append(fresh_reader.page(CUSTOMERS).status_code)
        if seen[-1] == 401:
            fresh_reader.login()
    assert seen == [status] * 3 + [200] + [status] * 3 + [200]
    assert fresh.faults.counts[name] == 6


def test_retry_after_is_seconds_or_a_date(fresh: Sandbox, fresh_reader: Reader) -> None:
    """In turn; the other 429 has none."""
    only(fresh, "too_many", amount=2)
    values = [fresh_reader.page(CUSTOMERS).headers["retry-after"] for _ in range(2)]
    assert values[0] == "2"
    assert values[1].endswith("GMT")
    only(fresh, "too_many_bare")
    assert "retry-after" not in fresh_reader.page(JOBS).headers


def test_a_503_is_a_page_of_html_and_maintenance_says_so(fresh: Sandbox, fresh_reader: Reader) -> None:
    """No JSON in the first, ServiceTitan's own words in the second."""
    only(fresh, "html_503")
    answer = fresh_reader.page(CUSTOMERS)
    assert answer.headers["content-type"] == "text/html"
    assert answer.text.startswith("<html>")
    only(fresh, "maintenance")
    assert "maintenance" in fresh_reader.page(JOBS).json()["title"]


def test_a_token_is_revoked_only_when_it_was_of_use(fresh: Sandbox, fresh_reader: Reader) -> None:
    """After so many answers; then it is dead everywhere."""
    only(fresh, "revoked_token", amount=2)
    assert [fresh_reader.page(CUSTOMERS).status_code for _ in range(4)] == [200, 200, 401, 401]
    fresh_reader.login()
    assert fresh_reader.page(CUSTOMERS).status_code == 200


def test_a_body_is_cut_on_the_way_or_before(fresh: Sandbox, fresh_reader: Reader) -> None:
    """One breaks the connection, the other is whole and no JSON."""
    only(fresh, "cut_connection")
    with pytest.raises(httpx.RemoteProtocolError):
        fresh_reader.page(CUSTOMERS)
    only(fresh, "cut_json")
    answer = fresh_reader.page(JOBS)
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()


@pytest.mark.parametrize("name", ["cut_connection", "cut_json"])
def test_what_is_refused_is_not_cut(fresh: Sandbox, fresh_reader: Reader, name: str) -> None:
    """A refusal comes whole, and no fault counts as having struck."""
    only(fresh, name)
    assert fresh_reader.page(CUSTOMERS, modifiedOnOrAfter="noon").status_code == 400
    assert fresh.faults.counts[name] == 0


def test_a_slow_answer_is_the_right_one(fresh: Sandbox, fresh_reader: Reader) -> None:
    """It only comes later."""
    quick = fresh_reader.page(CUSTOMERS)
    only(fresh, "slow", amount=0.05)
    slow = fresh_reader.page(CUSTOMERS)
    assert slow.json() == quick.json()
    assert slow.elapsed.total_seconds() >= 0.05


def test_repeated_rows_stand_twice_and_none_is_missing(fresh: Sandbox, fresh_reader: Reader) -> None:
    """In a page or on the next one, in lists and in exports."""
    whole = set(ids(fresh_reader.read_list(CUSTOMERS)))
    only(fresh, "repeated_rows")
    for rows in (fresh_reader.read_list(CUSTOMERS, 5), fresh_reader.read_export(CUSTOMERS)[0]):
        assert set(ids(rows)) == whole
        assert len(rows) > len(whole)


def test_moving_rows_make_a_reader_of_pages_miss_some(fresh: Sandbox, fresh_reader: Reader) -> None:
    """The total stays; a page boundary skips or repeats a record; what moved stays where it is."""
    whole = ids(fresh_reader.read_list(CUSTOMERS))
    only(fresh, "moving_rows")
    moved = ids(fresh_reader.read_list(CUSTOMERS, 5))
    assert len(moved) == len(whole)
    assert len(set(whole) - set(moved)) > 0
    assert max(Counter(moved).values()) > 1
    control(fresh, [])
    still = ids(fresh_reader.read_list(CUSTOMERS, 5))
    assert sorted(still) == whole != still


def test_ties_are_real_to_filters_too(fresh: Sandbox, fresh_reader: Reader) -> None:
    """Many records share a `modifiedOn`, and asking from it gives them all, from behind it none of them."""
    only(fresh, "ties")
    rows = fresh_reader.read_list(CUSTOMERS)
    value, count = Counter(row["modifiedOn"] for row in rows).most_common(1)[0]
    assert count > 2
    later = [row for row in rows if row["modifiedOn"] >= value]
    assert ids(fresh_reader.read_list(CUSTOMERS, modifiedOnOrAfter=value)) == ids(later)
    assert len(fresh_reader.read_export(CUSTOMERS, value)[0]) == len(later)
    behind = clock.stamp(clock.parse(value) + 1)
    assert len(fresh_reader.read_list(CUSTOMERS, modifiedOnOrAfter=behind)) == len(later) - count


def test_a_lagging_export_shows_recent_changes_again_and_again(fresh: Sandbox, fresh_reader: Reader) -> None:
    """The plain feed hides them; asked for, they come, and the token stays before them until they are old."""
    only(fresh, "lagging_exports", amount=300)
    _, token = fresh_reader.read_export(CUSTOMERS)
    ident = fresh.change("customers", 3, name="Changed")["id"]
    assert fresh_reader.read_export(CUSTOMERS, token)[0] == []
    for _ in range(2):
        answer = fresh_reader.get(
            CUSTOMERS, CUSTOMERS.export_path, **{"from": token, "includeRecentChanges": "true"}
        ).json()
        assert (ids(answer["data"]), answer["hasMore"]) == ([ident], False)
        token = answer["continueFrom"]
    fresh.faults.measure("lagging_exports", 0)
    assert ids(fresh_reader.read_export(CUSTOMERS, token)[0]) == [ident]


@pytest.mark.parametrize("name", CONTENT)
def test_odd_records_are_odd_in_the_same_way_each_time(fresh: Sandbox, fresh_reader: Reader, name: str) -> None:
    """What the sandbox tells is what it serves, byte for byte and again; keys and times stay."""
    plain = {row["id"]: row for row in fresh.records("appointments")}
    only(fresh, name, rate=0.5)
    served, _ = fresh_reader.read_export(APPOINTMENTS)
    told = fresh.records("appointments")
    assert {row["id"]: row for row in served} == {row["id"]: row for row in told}
    assert told == fresh.records("appointments") == [json.loads(text) for text in fresh.texts("appointments")]
    odd = [row for row in told if row != plain[row["id"]]]
    assert 0 < len(odd) < len(told)
    for row in told:
        assert [row[field] for field in ("id", "modifiedOn", "active")] == [
            plain[row["id"]][field] for field in ("id", "modifiedOn", "active")
        ]


@pytest.mark.parametrize(
    ("name", "sign"),
    [("nul", "\x00"), ("half_pairs", "\ud83d"), ("unknown_fields", "unknownField"), ("wrong_types", "about ")],
)
def test_each_oddity_is_in_the_bytes(fresh: Sandbox, name: str, sign: str) -> None:
    """As JSON escapes where it must be one."""
    only(fresh, name)
    assert json.dumps(sign)[1:-1].encode() in b"".join(fresh.texts("customers"))


def test_an_enum_is_a_number(fresh: Sandbox) -> None:
    """Where its name was."""
    only(fresh, "integer_enums")
    assert any(isinstance(row["status"], int) for row in fresh.records("appointments"))


@EVERY_FAULT
def test_help_tells_of_each_fault(name: str, help_text: str) -> None:
    """With examples."""
    assert name in help_text
    assert "lazi sandbox --faults all" in help_text


@pytest.fixture(scope="module")
def help_text() -> str:
    command = [executable, "-c", "from cli.sandbox import sandbox; sandbox()", "--help"]
    return run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_the_command_refuses_an_unknown_fault_in_a_line() -> None:
    """With the known ones, and exit code 2."""
    command = [executable, "-c", "from cli.sandbox import sandbox; sandbox()", "--port", "0", "--faults", "flood"]
    refused = run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "`flood`" in refused.stderr
    assert "moving_rows" in refused.stderr
