"""One sandbox for tests that only read, and a fresh one for tests that change something."""

from collections.abc import Iterator

import pytest

from sandbox.server import Sandbox
from tests.sandbox.reader import Reader


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(seed=7, customers=60, tenants=(1, 2), report_interval=0) as running:
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
