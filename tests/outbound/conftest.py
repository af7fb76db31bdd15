"""A sandbox and a desk for each test."""

from collections.abc import Iterator

import pytest

from sandbox.server import Sandbox
from store.settings import Settings
from tests.outbound.desk import Desk, desk


@pytest.fixture
def town() -> Iterator[Sandbox]:
    """A small ServiceTitan."""
    with Sandbox(seed=5, customers=20) as sandbox:
        yield sandbox


@pytest.fixture
def office(settings: Settings, town: Sandbox) -> Iterator[Desk]:
    """A desk, with all faults off."""
    town.switch_faults(())
    town.written.clear()
    with desk(settings, town) as made:
        yield made
    town.switch_faults(())
