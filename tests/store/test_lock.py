"""The right that one process at a time holds."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg2

from store.lock import held, leased_if_free
from store.operations import open_operations
from store.settings import Settings


def as_elsewhere(settings: Settings) -> Settings:
    """The same store, as another process would name it."""
    return replace(settings, database_url=f"{settings.database_url}&application_name=elsewhere")


def test_the_second_one_waits_says_so_and_then_has_it(postgres_url: str, tmp_path: Path):
    """And another right is free meanwhile."""
    settings = Settings(postgres_url, tmp_path, 3001, "warning")
    said, told, order = [], threading.Event(), []

    def second() -> None:
        with held(as_elsewhere(settings), "pipeline 1", lambda reason: (said.append(reason), told.set())):
            order.append("second")

    with held(settings, "pipeline 1"):
        thread = threading.Thread(target=second)
        thread.start()
        assert told.wait(10)
        with held(settings, "pipeline 2"):
            order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    assert said == ["another process is at work on pipeline 1; waiting for it"]


WAITING = """SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
CHILD = """
import sys
from pathlib import Path
from store.lock import held
from store.settings import Settings
with held(Settings(sys.argv[1], Path(sys.argv[2]), 3001, "warning"), "a", lambda _: print("waits", flush=True)):
    print("has it")
"""


def test_who_is_killed_while_it_waits_leaves_no_session_behind(postgres_url: str, tmp_path: Path):
    """The server lets go of it within seconds, although the right is not free."""
    settings = Settings(postgres_url, tmp_path, 3001, "warning")
    command = [sys.executable, "-c", CHILD, postgres_url, str(tmp_path)]
    with held(settings, "a"), closing(psycopg2.connect(postgres_url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True

        def waiting() -> int:
            cursor.execute(WAITING)
            return int(cursor.fetchone()[0])

        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout
            assert child.stdout.readline() == "waits\n"
            assert soon(lambda: waiting() == 1)
            child.kill()
        assert soon(lambda: waiting() == 0)


def soon(is_so: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Whether it comes to be so."""
    until = time.monotonic() + seconds
    while not is_so() and time.monotonic() < until:
        time.sleep(0.05)
    return is_so()


def test_threads_of_one_process_take_turns_on_both_stores(settings: Settings):
    """The second one waits, says so, and then has it."""
    said, told, order = [], threading.Event(), []

    def second() -> None:
        with held(settings, "a", lambda reason: (said.append(reason), told.set())):
            order.append("second")

    with held(settings, "a"):
        thread = threading.Thread(target=second)
        thread.start()
        assert told.wait(10)
        order.append("first")
    thread.join(10)
    assert (order, said) == (["first", "second"], ["another task is at work on a; waiting for it"])


def test_what_somebody_has_is_not_waited_for(settings: Settings):
    """It is had once, by whoever asks first; then by the next one."""
    open_operations(settings).close()
    had = []

    def ask() -> None:
        with leased_if_free(settings, "a turn") as is_ours:
            had.append(is_ours)

    with leased_if_free(settings, "a turn") as is_ours, leased_if_free(settings, "another") as other:
        assert is_ours
        assert other
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
    ask()
    assert had == [False, True]
