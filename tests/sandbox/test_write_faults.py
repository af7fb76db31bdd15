"""What can go wrong with a write: done or not, the answer tells nothing, and the record tells all."""

import time
from itertools import pairwise

import httpx
import pytest

from outbound.operations import BY_TITLE
from sandbox.faults.kinds import BY_NAME, FAULTS, Layer
from sandbox.server import Sandbox
from sources.servicetitan import catalog
from tests.sandbox.reader import Reader
from tests.sandbox.sender import Sender

UPDATE, CUSTOMERS = BY_TITLE["customers:update"], catalog.BY_NAME["customers"]
OF_WRITES = [fault.name for fault in FAULTS if fault.layer is Layer.WRITE]
BEFORE = ["write_failed_before", "server_error", "html_503", "too_many", "too_many_bare", "maintenance"]


def rename(sender: Sender, name: str) -> httpx.Response:
    """A change of the first customer."""
    ident = sender.sandbox.known(None).record(CUSTOMERS, 0)["id"]
    return sender.send(UPDATE, {"name": name}, {"id": str(ident)})


def name_now(sandbox: Sandbox) -> str:
    return str(sandbox.records("customers")[0]["name"])


def only(sandbox: Sandbox, name: str, amount: float = 0.01) -> None:
    """Nothing but this fault, always."""
    sandbox.faults.measure(name, amount)
    sandbox.switch_faults({name: 1.0})


@pytest.mark.parametrize("name", BEFORE)
def test_a_failure_before_leaves_nothing_behind(fresh: Sandbox, fresh_sender: Sender, name: str) -> None:
    """Three times in a row; the fourth request is done."""
    only(fresh, name)
    before = name_now(fresh)
    for _ in range(3):
        assert rename(fresh_sender, "New").status_code >= 400
    assert (name_now(fresh), fresh.written) == (before, [])
    assert rename(fresh_sender, "New").status_code == 200
    assert (name_now(fresh), len(fresh.written), fresh.faults.counts[name]) == ("New", 1, 3)


def test_a_token_that_ends_leaves_nothing_behind(fresh: Sandbox, fresh_sender: Sender) -> None:
    """401, and with the next token it is done."""
    only(fresh, "revoked_token")
    rename(fresh_sender, "First")
    assert rename(fresh_sender, "Second").status_code == 401
    fresh_sender.reader.login()
    assert name_now(fresh) == "First"


def test_a_failure_after_says_500_of_what_is_done(fresh: Sandbox, fresh_sender: Sender) -> None:
    """A reader sees it, and so does the log."""
    only(fresh, "write_failed_after")
    answer = rename(fresh_sender, "New")
    assert (answer.status_code, answer.json()["status"]) == (500, 500)
    assert (name_now(fresh), fresh.written[0].status) == ("New", 200)


def test_a_connection_can_end_without_an_answer(fresh: Sandbox, fresh_sender: Sender) -> None:
    """Not even a status comes, and the write is done; the next connection is answered."""
    only(fresh, "write_cut_after")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        rename(fresh_sender, "New")
    assert name_now(fresh) == "New"
    fresh.switch_faults([])
    assert rename(fresh_sender, "Newer").status_code == 200


def test_a_late_answer_comes_behind_what_is_done(fresh: Sandbox, fresh_sender: Sender) -> None:
    """Whoever does not wait for it does not know; whoever does gets the right one."""
    only(fresh, "write_slow_after", amount=0.3)
    fresh_sender.reader.client.timeout = httpx.Timeout(0.1)
    with pytest.raises(httpx.ReadTimeout):
        rename(fresh_sender, "New")
    latest = time.monotonic() + 10
    while name_now(fresh) != "New" and time.monotonic() < latest:  # a busy machine may still be at it
        time.sleep(0.01)
    assert name_now(fresh) == "New"
    fresh_sender.reader.client.timeout = httpx.Timeout(5)
    start = time.monotonic()
    assert rename(fresh_sender, "Newer").json()["name"] == "Newer"
    assert time.monotonic() - start >= 0.3


@pytest.mark.parametrize("name", ["cut_connection", "cut_json"])
def test_half_an_answer_comes_behind_what_is_done(fresh: Sandbox, fresh_sender: Sender, name: str) -> None:
    """The wire cuts answers to writes as it cuts others."""
    only(fresh, name)
    if name == "cut_connection":
        with pytest.raises(httpx.RemoteProtocolError):
            rename(fresh_sender, "New")
    else:
        assert rename(fresh_sender, "New").status_code == 200
    assert (name_now(fresh), fresh.faults.counts[name]) == ("New", 1)


@pytest.mark.parametrize("name", OF_WRITES)
def test_reads_and_refusals_meet_no_fault_of_writes(fresh: Sandbox, fresh_sender: Sender, name: str) -> None:
    """A list and a record are answered, and a refusal after the check counts for none."""
    only(fresh, name)
    assert fresh_sender.reader.page(CUSTOMERS).status_code == 200
    assert fresh.faults.counts[name] == 0
    answer = fresh_sender.send(UPDATE, {"name": 1}, {"id": "5"})
    assert answer.status_code == (500 if name == "write_failed_before" else 400)
    assert fresh.faults.counts[name] == (name == "write_failed_before")


@pytest.mark.parametrize("name", OF_WRITES)
def test_three_in_a_row_and_no_more(fresh: Sandbox, fresh_sender: Sender, name: str) -> None:
    """For one method and path, whatever is read meanwhile."""
    only(fresh, name)
    counts = [0]
    for turn in range(8):
        try:
            rename(fresh_sender, f"Name {turn}")
        except httpx.RemoteProtocolError:
            assert name == "write_cut_after"
        fresh_sender.reader.page(CUSTOMERS)
        counts.append(fresh.faults.counts[name])
    assert [after - before for before, after in pairwise(counts)] == [1, 1, 1, 0, 1, 1, 1, 0]


def test_a_seed_gives_the_same_faults_to_the_same_writes() -> None:
    """So that a run that failed can be had again."""
    seen = []
    for _ in range(2):
        with Sandbox(seed=9, customers=5, faults={"write_failed_after": 0.5}) as sandbox:
            sender = Sender(Reader(sandbox))
            seen.append([rename(sender, "New").status_code for _ in range(12)])
            sender.reader.close()
    assert seen[0] == seen[1]
    assert {200, 500} == set(seen[0])


def test_their_amounts_and_names_are_told() -> None:
    """By the table, for the command's help."""
    assert BY_NAME["write_slow_after"].text.endswith("2 seconds later")
