"""The right that one process at a time holds."""

import threading
from pathlib import Path

from store.lock import held
from store.settings import Settings


def test_the_second_one_waits_says_so_and_then_has_it(postgres_url: str, tmp_path: Path):
    """And another right is free meanwhile."""
    settings = Settings(postgres_url, tmp_path, 3001, "warning")
    said, told, order = [], threading.Event(), []

    def second() -> None:
        with held(settings, "pipeline 1", lambda reason: (said.append(reason), told.set())):
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


def test_the_embedded_store_needs_no_lock(tmp_path: Path):
    """Its file belongs to one process."""
    with held(Settings("", tmp_path, 3001, "warning"), "a"), held(Settings("", tmp_path, 3001, "warning"), "a"):
        pass
