"""The README's calls, made as they stand there, to a real server."""

import re
import shlex
from pathlib import Path

import httpx
import pytest

from tests.api.conftest import Api

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
CALLS = re.findall(r"^curl (.+)$", README, re.MULTILINE)


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
