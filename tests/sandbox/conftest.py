"""One sandbox for tests that only read, and a fresh one for tests that change something."""

from collections.abc import Iterator
from itertools import count

import pytest

from sandbox.server import Sandbox
from tests.sandbox.reader import Reader
from tests.sandbox.sender import Sender

TENANTS = count(1)
LONG = 86_400.0  # seconds that a token holds: a reader that lives as long as the process gets one


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(seed=7, customers=60, tenants=(1, 2), report_interval=0, token_lifetime=LONG) as running:
        yield running


@pytest.fixture(scope="session")
def reader(sandbox: Sandbox) -> Iterator[Reader]:
    found = Reader(sandbox)
    yield found
    found.close()


@pytest.fixture
def fresh() -> Iterator[Sandbox]:
    with Sandbox(seed=3, customers=20, export_page_size=7) as running:
        yield running


@pytest.fixture
def fresh_reader(fresh: Sandbox) -> Iterator[Reader]:
    found = Reader(fresh)
    yield found
    found.close()


@pytest.fixture(scope="session")
def many() -> Iterator[Reader]:
    with Sandbox(seed=5, customers=20, tenants=range(1, 10_000), token_lifetime=LONG) as running:
        found = Reader(running)
        yield found
        found.close()


@pytest.fixture
def sender(many: Reader) -> Sender:
    """To a tenant of the test's own, all of them on one server."""
    many.tenant = next(TENANTS)
    return Sender(many)


@pytest.fixture
def fresh_sender(fresh_reader: Reader) -> Sender:
    return Sender(fresh_reader)
