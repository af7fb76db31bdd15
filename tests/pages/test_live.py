"""Streams of what changes: what they send, and everything that ends them."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import msgspec
import pytest

from api.pages import live
from api.pages.live import Live
from api.work import Work
from sources.servicetitan.catalog import CATALOG
from store import keys
from store.exceptions import StoreUnreachableError
from store.operations import open_operations
from store.settings import Settings
from tests.pages.house import House
from tests.ports import free_port

PART = "/parts/one"


@pytest.fixture
def work() -> Iterator[Work]:
    """Threads."""
    made = Work()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look follows the last one at once."""
    monkeypatch.setattr(live, "EVERY", 0.0)


async def always() -> object:
    """Somebody who stays."""
    return True


def told(event: bytes) -> str:
    """The HTML of an event with one part."""
    [line] = event.decode().strip().splitlines()
    found: dict[str, str] = msgspec.json.decode(line.removeprefix("data: "))
    assert found["part"] == PART
    return found["html"]


def followed(work: Work, texts: list[Any], still: Any = always) -> list[str]:
    """All that a stream sends while a part becomes each of these texts; an exception among them is raised. Then it ends."""
    made, left = Live(work), iter(texts)

    def part(tenant: int) -> str:
        found = next(left)
        if isinstance(found, Exception):
            raise found
        return f"{tenant} {found}"

    made.add(PART, part)

    async def all_of() -> list[str]:
        try:
            return [told(event) async for event in ended(made.follow([PART], 7, still), left)]
        finally:
            assert made.streams == 0

    return asyncio.run(all_of())


async def ended(events: AsyncIterator[bytes], left: Iterator[Any]) -> AsyncIterator[bytes]:
    """Events until nothing is left to be told."""
    try:
        async for event in events:
            yield event
            if not left.__length_hint__():  # type: ignore[attr-defined]
                break
    finally:
        await events.aclose()  # type: ignore[attr-defined]


def test_a_stream_begins_with_what_there_is_and_goes_on_with_what_changes(work: Work):
    """So that a page which was away, or was made a moment before, shows what there is."""
    assert followed(work, ["a", "a", "b", "b", "a"]) == ["7 a", "7 b", "7 a"]


def test_a_store_that_is_away_ends_no_stream(work: Work):
    """The page keeps what it has until there is something else."""
    away = StoreUnreachableError("away")
    assert followed(work, [away, "a", away, "b"]) == ["7 a", "7 b"]


def test_a_stream_ends_when_who_looks_may_no_longer(work: Work):
    """And sends nothing while the store of keys cannot be asked."""
    answers = iter([StoreUnreachableError("away"), True, StoreUnreachableError("away"), False])

    async def still() -> object:
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    assert followed(work, ["a", "b"], still) == ["7 a"]


def test_there_is_a_bound_to_streams(work: Work, monkeypatch: pytest.MonkeyPatch):
    """One that was let in together with too many others ends at once."""
    monkeypatch.setattr(live, "MOST", 0)
    assert followed(work, ["a"]) == []


def test_what_is_kept_of_parts_does_not_grow(work: Work):
    """A part that is looked at again and again is kept once for each tenant."""
    made = Live(work)
    made.add(PART, str)

    async def asked() -> None:
        for _ in range(50):
            await asyncio.gather(*(made.html(PART, tenant) for tenant in (1, 2)))

    asyncio.run(asked())
    assert len(made.made) == len(made.locks) == 2


def test_streams_tell_nothing_of_parts_that_are_not_there(house: House):
    """Nothing is kept of them; those that are there are named."""
    found = house.ask("GET", "/events?part=/parts/none&part=/etc/passwd", house.visitor())
    assert (found.status_code, "/parts/" in found.text) == (400, True)


def test_a_stream_has_no_more_parts_than_a_page(house: House):
    """Each is made again and again, for whoever asks: one stream of all would be a load on the store."""
    every = [("part", f"/parts/entities/{entity.name}/now") for entity in CATALOG]
    found = house.ask("GET", "/events", house.visitor("read"), params=every)
    assert (found.status_code, f"at most {live.MOST_PARTS}" in found.text) == (400, True)


def test_a_service_that_is_told_to_stop_ends_its_streams(monkeypatch: pytest.MonkeyPatch):
    """Uvicorn's own handler of the signal says so."""
    server = SimpleNamespace(should_exit=False)
    monkeypatch.setattr(signal, "getsignal", lambda _: SimpleNamespace(__self__=server))
    assert not live.is_stopping()
    server.should_exit = True
    assert live.is_stopping()


@contextmanager
def let_in(client: httpx.Client, part: dict[str, str]) -> Iterator[Iterator[str]]:
    """The lines of a stream, as soon as there is room for one."""
    for _ in range(200):
        with client.stream("GET", "/events", params=part) as stream:
            if stream.status_code == 200:
                yield stream.iter_lines()
                return
        time.sleep(0.05)
    raise AssertionError(part)


SERVICE = """
import sys, uvicorn
from pathlib import Path
from api.app import create_app
from api.pages import live
from store.settings import Settings
from store.warehouse import open_warehouse
live.MOST = 1
settings = Settings("", Path(sys.argv[1]), 3001, "warning")
uvicorn.run(create_app(settings, open_warehouse(settings)), port=int(sys.argv[2]), log_level="warning")
"""


def test_a_service_stops_while_somebody_looks(tmp_path: Path):
    """It waits for answers that have begun, and an open page's never ends by itself. One that a browser left is not counted."""
    operations = open_operations(Settings("", tmp_path, 3001, "warning"))
    key = keys.create(operations, name="Ann", scopes=("read",), tenant_id=1)
    operations.close()
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", SERVICE, str(tmp_path), str(port)])
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            for _ in range(1200):
                assert process.poll() is None
                try:
                    client.get("/sign-in")
                    break
                except httpx.ConnectError:
                    time.sleep(0.05)
            client.post("/sign-in", data={"key": key})
            part = {"part": client.get("/").text.partition('data-live="')[2].partition('"')[0]}
            with let_in(client, part) as lines:
                assert next(lines).startswith("data: ")
                with client.stream("GET", "/events", params=part) as another:
                    assert another.status_code == 503
            with let_in(client, part) as lines:
                assert next(lines).startswith("data: ")
                process.send_signal(signal.SIGTERM)
                begun = time.monotonic()
                process.wait(20)
                assert time.monotonic() - begun < 10
    finally:
        process.kill()
        process.wait()
