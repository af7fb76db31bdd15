"""Exports: tokens lose nothing, skip nothing and are nobody else's."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.export import entry_of, token
from sandbox.problem import Problem
from sandbox.server import Sandbox
from sources.servicetitan.catalog import BY_NAME
from tests.sandbox.reader import Reader

CUSTOMERS, JOBS, ORDERS = (BY_NAME[name] for name in ("customers", "jobs", "purchase_orders"))
ONCE = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(entry=st.integers(-1, 1 << 80), scope=st.text(max_size=20))
def test_a_token_gives_its_entry_back(entry: int, scope: str) -> None:
    """Tokens survive the way there and back."""
    assert entry_of(token(entry, scope), scope) == entry


@given(text=st.text(min_size=1, max_size=40))
def test_garbage_is_no_token(text: str) -> None:
    """What is neither a date nor one of our tokens is refused, whatever it is."""
    with pytest.raises(Problem) as refused:
        entry_of(f"?{text}", "1:jobs")
    assert refused.value.status == 400


@pytest.mark.parametrize("text", ["garbage", "2026-13-01", token(5, "1:jobs"), token(5, "2:customers")])
def test_foreign_tokens_are_refused(fresh_reader: Reader, text: str) -> None:
    """Garbage, days that do not exist, and tokens of another feed or tenant give 400."""
    answer = fresh_reader.get(CUSTOMERS, CUSTOMERS.export_path, **{"from": text})
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["from"]


@ONCE
@given(size=st.integers(1, 50), touched=st.lists(st.integers(0, 19), max_size=6))
def test_changes_while_reading_are_not_lost(size: int, touched: list[int]) -> None:
    """However pages are cut and whatever changes between them, the newest state of every record is read."""
    with Sandbox(customers=20, export_page_size=size) as sandbox:
        reader = Reader(sandbox)
        seen, start, more, waiting = {}, "", True, list(touched)
        while more or waiting:
            answer = reader.get(CUSTOMERS, CUSTOMERS.export_path, **{"from": start}).json()
            seen |= {record["id"]: record for record in answer["data"]}
            start, more = answer["continueFrom"], answer["hasMore"]
            if waiting:
                sandbox.change("customers", waiting.pop(), name=f"Changed {len(waiting)}")
        seen |= {record["id"]: record for record in reader.read_export(CUSTOMERS, start)[0]}
        reader.close()
        assert seen == {record["id"]: record for record in sandbox.records("customers")}


def test_a_token_gives_the_same_page_again(fresh_reader: Reader) -> None:
    """Repeating a request repeats its answer."""
    start = fresh_reader.get(JOBS, JOBS.export_path).json()["continueFrom"]
    first, again = (fresh_reader.get(JOBS, JOBS.export_path, **{"from": start}).json() for _ in range(2))
    assert first == again
    assert len(first["data"]) == 7


def test_the_last_token_gives_what_changed_since(fresh: Sandbox, fresh_reader: Reader) -> None:
    """A change, a creation and a deletion come once each, in their order."""
    found, last = fresh_reader.read_export(JOBS)
    kept, gone = found[0]["id"], found[1]["id"]
    fresh.change("jobs", kept, summary="new")
    made = fresh.create("jobs", customerId=found[0]["customerId"])
    fresh.delete("jobs", gone)
    news, last = fresh_reader.read_export(JOBS, last)
    assert [(record["id"], record["active"]) for record in news] == [(kept, True), (made["id"], True), (gone, False)]
    assert news[0]["summary"] == "new"
    assert fresh_reader.read_export(JOBS, last)[0] == []


def test_recent_changes_show_on_request() -> None:
    """A plain export lags behind; `includeRecentChanges` does not, and the lagging token loses nothing."""
    with Sandbox(customers=10, export_lag=3600) as sandbox:
        reader = Reader(sandbox)
        _, last = reader.read_export(CUSTOMERS)
        sandbox.change("customers", 2, name="Now")
        assert reader.read_export(CUSTOMERS, last) == ([], last)
        query = {"from": last, "includeRecentChanges": "true"}
        assert [record["name"] for record in reader.get(CUSTOMERS, CUSTOMERS.export_path, **query).json()["data"]] == [
            "Now"
        ]
        reader.close()


def test_deletion_without_an_active_field_is_a_status(fresh: Sandbox) -> None:
    """Purchase orders cannot be inactive: a deleted one is canceled."""
    ident = fresh.records(ORDERS.name)[0]["id"]
    fresh.delete(ORDERS.name, ident)
    (order,) = [record for record in fresh.records(ORDERS.name) if record["id"] == ident]
    assert order["status"] == "Canceled"
