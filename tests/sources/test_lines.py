"""HTTP connections that are lent out."""

import threading
from collections.abc import Iterator

import httpx
import pytest

from sources.servicetitan.lines import Lines


@pytest.fixture
def lines() -> Iterator[Lines]:
    made = Lines(most=2)
    yield made
    made.close()


def test_what_is_lent_out_is_nobody_elses(lines: Lines):
    """Two borrowers have two clients; what is given back is lent again before another one is made."""
    with lines.one() as first, lines.one() as second:
        assert first is not second
    with lines.one() as again:
        assert again in {first, second}
    assert len(lines.idle) == 2


def test_a_client_comes_back_from_a_failure(lines: Lines):
    """An error in a request does not lose its connection's place."""
    for _ in range(5):
        with pytest.raises(httpx.ConnectError), lines.one() as http:
            http.get("http://127.0.0.1:1/")
    assert len(lines.idle) == 1


def test_no_more_than_allowed_are_lent_at_once(lines: Lines):
    """A third borrower waits until one of two comes back."""
    got = threading.Event()

    def borrow() -> None:
        with lines.one():
            got.set()

    third = threading.Thread(target=borrow)
    with lines.one():
        with lines.one():
            third.start()
            assert not got.wait(0.05)
        assert got.wait(10)
    third.join()
