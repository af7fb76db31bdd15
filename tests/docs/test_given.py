"""What a page's blocks need comes about as it says: the wanted state, under the wanted id, in a real queue."""

import os
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from outbound.queue import Mutation, Queue
from outbound.state import CANCELLED, CONFLICT, FAILED, UNKNOWN
from sandbox.server import Sandbox
from store.operations import open_operations
from store.settings import Settings
from tests.docs.fence import ROOT, Fence, fences, pages
from tests.docs.given import DOCUMENTS, MissingError, bring, read
from tests.docs.terminal import Desk, WrongError

GIVEN = [(fence, value) for page in pages() for fence in page.fences for value in fence.all("given")]


@pytest.fixture
def town() -> Iterator[Sandbox]:
    """A small ServiceTitan."""
    with Sandbox(seed=5, customers=20) as sandbox:
        yield sandbox


@pytest.fixture
def desk(tmp_path: Path, town: Sandbox) -> Iterator[Desk]:
    """A desk in a folder whose settings lead to the sandbox."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in town.environment().items()))
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    made = Desk(folder, {"PATH": programs, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path / "home")}, tmp_path / "state")
    yield made
    made.drop()


def block(mark: str) -> Fence:
    """A block that needs something."""
    return fences("page.md", f"<!-- test: {mark} -->\n```sh\nlazi mutations list\n```\n")[0]


def queued(desk: Desk) -> dict[int, Mutation]:
    """The page's queue, by id."""
    settings = Settings(database_url="", data_dir=desk.folder / "data", port=3001, log_level="warning")
    with closing(open_operations(settings)) as operations:
        return {mutation.mutation_id: mutation for mutation in Queue(operations).some()}


def test_changes_come_to_their_states(desk: Desk, town: Sandbox):
    """Each under its id, by what ServiceTitan did; others were given up unsent, and nothing goes wrong any more."""
    bring(desk, block("given failed 2; given conflict 3; given unknown 5, 6"))
    found = queued(desk)
    states = {1: CANCELLED, 2: FAILED, 3: CONFLICT, 4: CANCELLED, 5: UNKNOWN, 6: UNKNOWN}
    assert {number: mutation.state for number, mutation in found.items()} == states
    assert "Unknown business unit" in str(found[2].error)
    assert found[3].conflict == {
        "name": {"base": found[3].base["name"], "theirs": "Grace Hopper", "mine": "Ada Lovelace"}
    }  # type: ignore[index]
    assert [write.title for write in town.written] == ["customers:update", "invoice_templates:create"]
    assert not town.faults.active


def test_an_id_that_is_gone_is_an_error(desk: Desk):
    """Rather than a page that speaks of another change."""
    bring(desk, block("given failed 1"))
    with pytest.raises(WrongError, match="mutation 1, and 1 is there already"):
        bring(desk, block("given conflict 1"))


def test_documents_are_put_where_the_page_looks(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where the reader's browser would have put them; without any the block is left out."""
    folder = tmp_path / "documents"
    folder.mkdir()
    monkeypatch.setenv(DOCUMENTS, str(folder))
    with pytest.raises(MissingError, match=DOCUMENTS):
        bring(desk, block("given documents"))
    (folder / "crm-v2.json").write_text("{}")
    for _ in range(2):
        bring(desk, block("given documents"))
        assert desk.type("ls ~/Downloads/servicetitan-openapi\n") == ("crm-v2.json\n", 0)


@pytest.mark.parametrize("value", ["pending 3", "failed", "failed 3, 2", "failed 2, 2", "documents 3", "failed x"])
def test_what_cannot_be_given_is_an_error(value: str):
    """An unknown state, no ids, ids that do not rise."""
    with pytest.raises(ValueError, match=r"given|invalid literal"):
        read(value)


@pytest.mark.parametrize(("fence", "value"), GIVEN, ids=[f"{fence.place} {value}" for fence, value in GIVEN])
def test_blocks_name_what_they_are_given(fence: Fence, value: str):
    """A change's id stands in the block, or all of its state are listed there."""
    name, numbers = read(value)
    listed = f"lazi mutations list --state {name}" in fence.text
    assert listed or all(f" {number} " in f"{fence.text} ".replace("\n", " ") for number in numbers)
