"""A page that says something false fails: terminals tell exit codes, what is shown, and what does not come."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.fence import Fence, fences
from tests.docs.terminal import Desk, WrongError, last_as_exec


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk in an empty folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    made = Desk(folder, {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, tmp_path / "state")
    yield made
    made.drop()


def block(text: str, mark: str = "") -> Fence:
    """A block of a page."""
    return fences("page.md", f"<!-- test: {mark} -->\n```sh\n{text}\n```\n" if mark else f"```sh\n{text}\n```\n")[0]


def test_a_terminal_remembers(desk: Desk):
    """Folder and exported variables last from block to block; others do not reach programs."""
    desk.do(block('mkdir a\ncd a\nexport KEY="it\'s $((1 + 1))"\nOTHER=3'))
    assert desk.do(block('pwd; echo "$KEY"; env | grep -c OTHER || true')) == f"{desk.folder}/a\nit's 2\n0\n"


@pytest.mark.parametrize(
    ("text", "mark", "told"),
    [
        ("false", "", "exit code 1, the page says 0"),
        ("false\ntrue", "", "exit code 1"),
        ("false | cat", "", "exit code 1"),
        ("no-such-program", "", "exit code 127"),
        ("true", "exit 2", "the page says 2"),
        ("echo good", "shows 'better'", "does not show `better`"),
        ("true", "background; until 'never'", "did not come to `never`"),
        ("true", "stop lazi up", "No terminal runs `lazi up`"),
    ],
)
def test_what_is_false_is_an_error(desk: Desk, text: str, mark: str, told: str):
    """It names the place and what came instead."""
    with pytest.raises(WrongError, match=told):
        desk.do(block(text, mark))


def test_what_is_true_is_none(desk: Desk):
    """An exit code that the page tells, and words that it shows."""
    assert desk.do(block("echo well; exit 3", "exit 3; shows 'well'")) == "well\n"


def test_another_terminal_begins_anew_and_ends_at_ctrl_c(desk: Desk):
    """It knows nothing that was exported in the first one, and SIGINT reaches its program."""
    desk.do(block("export KEY=first"))
    program = (
        "import signal; signal.signal(signal.SIGINT, lambda *_: exit(0)); print('there', flush=True); signal.pause()"
    )
    desk.do(block(f'echo "key ${{KEY:-none}}"\npython3 -c "{program}"', "background; until 'there'; shows 'key none'"))
    [running] = desk.running
    desk.do(block("true", "stop python3"))
    assert running.process.returncode == 0
    assert desk.running == []


@pytest.mark.parametrize(("text", "told"), [("sleep 100", "ended with -2"), ("true", "had ended by itself")])
def test_what_ends_badly_is_an_error(desk: Desk, text: str, told: str):
    """By the signal itself, or before anybody ended it."""
    desk.do(block(f"echo there\n{text}", "background; until 'there'"))
    if text == "true":
        desk.running[0].process.wait()
    with pytest.raises(WrongError, match=told):
        desk.leave()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("lazi up", "exec lazi up"),
        ("cd a\nlazi up", "cd a\nexec lazi up"),
        ('A="1=2m, 4=1h" B=2 lazi up --port 1', 'export A="1=2m, 4=1h" B=2 \nexec lazi up --port 1'),
        ("lazi \\\n  up", "exec lazi    up"),
    ],
)
def test_the_last_command_takes_the_shells_place(text: str, wanted: str):
    """With the settings before it."""
    assert last_as_exec(text) == wanted
