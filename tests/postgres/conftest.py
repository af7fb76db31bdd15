"""Servers of each version at hand, and poolers before them."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from store.settings import Settings
from tests.postgres import bouncer
from tests.postgres.pooler import Pooler
from tests.postgres.server import Server, bins, running, version

BINS = bins()
NUMBERS = itertools.count()
Pools = Callable[[str], int]


@pytest.fixture(scope="session", params=BINS, ids=[version(each) for each in BINS])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of our own."""
    with running(request.param) as found:
        yield found


@pytest.fixture
def role() -> str:
    """The name of a role that is to be made."""
    return f'Lazi\'s "röle" {next(NUMBERS)} %s'


@pytest.fixture
def url(server: Server, role: str) -> str:
    """The address of a database in which a role may make schemas, and nothing else anywhere."""
    return server.make(role, f"data base-{role}")


@pytest.fixture
def settings(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Its settings, also in the environment."""
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("LAZI_DATA_DIR", str(tmp_path / "data"))
    return Settings(url, tmp_path / "data", 3001, "warning")


@pytest.fixture(
    params=["stand-in", pytest.param("pgbouncer", marks=pytest.mark.skipif(not bouncer.found(), reason="none"))]
)
def pooler(request: pytest.FixtureRequest, server: Server, role: str, url: str) -> Iterator[int]:
    """The port of a pooler in transaction mode before the role's database."""
    assert url
    with ExitStack() as stack:
        if request.param == "pgbouncer":
            yield stack.enter_context(bouncer.bouncing(server, role, "transaction"))
        else:
            made = Pooler(server, role)
            stack.callback(made.close)
            yield made.port
