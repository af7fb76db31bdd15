"""The README's calls, made as they stand there, to a real server."""

import re
import shlex
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from api.app import create_app
from tests.api.conftest import Api

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
CALLS = re.findall(r"^curl (.+)$", README, re.MULTILINE)


@pytest.fixture(scope="module")
def port(api: Api) -> Iterator[int]:
    """A server with this API, and where it listens."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    app = create_app(api.whole.stores.settings, api.whole.stores.warehouse)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join()


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.rpartition("/v1/")[2][:30])
def test_the_readmes_calls_work(api: Api, port: int, call: str):
    """Each finds something."""
    _, header, url = shlex.split(call.replace("$KEY", api.key("read")).replace(":3001", f":{port}"))
    name, _, value = header.partition(": ")
    found = httpx.get(url, headers={name: value})
    assert found.status_code == 200, found.text
    assert found.json()["data"]


def test_there_are_five_of_them():
    """The commonest ones."""
    assert len(CALLS) == 5
