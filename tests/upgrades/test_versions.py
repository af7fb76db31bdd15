"""Two versions on one store: the older one is refused, when it opens the store and when it was at work meanwhile."""

import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from store import migrating
from store.migrating import NewerStoreError, newest, overtaken
from store.operations import open_operations
from store.settings import Settings
from tests.upgrades.tables import NOON, looking
from tests.upgrades.test_migrations import as_newer, settled

NEXT = newest() + 1
MORE = [(NEXT, "CREATE TABLE system.additions (n BIGINT);")]
MESSAGE = (
    rf"`99\.0\.0` has upgraded this store: .* migration {NEXT}\. .* up to {NEXT - 1} .* Install `99\.0\.0` or later"
)


def note(operations: Any, entity: str = "jobs") -> None:
    operations.run("note_landed", entity=entity, now=NOON)


def noted(settings: Settings) -> set[str]:
    with looking(settings) as tables:
        return {entity for (entity,) in tables.fetch("SELECT entity FROM system.stale_entities")}


@pytest.mark.parametrize("more", [MORE, []], ids=["with other tables", "with the same tables"])
def test_an_older_version_that_opens_the_store_is_refused(
    more: list[tuple[int, str]], settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    """Also where the tables are the same: the models are not. It says what it found, what it knows and what to do."""
    settled(settings)
    with as_newer(monkeypatch, more):
        settled(settings)
    with pytest.raises(NewerStoreError, match=MESSAGE if more else r"`99\.0\.0` has upgraded this store") as caught:
        settled(settings)
    assert settings.database_url not in str(caught.value) or settings.is_embedded
    assert not overtaken.is_set()
    with as_newer(monkeypatch, more):
        settled(settings)


@pytest.mark.parametrize("way", ["run", "run_all"])
def test_an_older_version_at_work_reads_on_and_writes_nothing(
    way: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    """The upgrade came while it had the store open; its process is told, so that it ends."""
    with closing(open_operations(settings)) as older:
        note(older)
        with as_newer(monkeypatch, MORE):
            settled(settings)
        with pytest.raises(NewerStoreError, match=MESSAGE):
            if way == "run_all":
                older.run_all("note_landed", [{"entity": "leads", "now": NOON}, {"entity": "calls", "now": NOON}])
            else:
                note(older, "leads")
        assert overtaken.is_set()
        assert [row["entity"] for row in older.run("stale_entities")] == ["jobs"]
    assert noted(settings) == {"jobs"}


def test_the_newer_version_and_others_like_it_go_on(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """The guard is for the older ones alone."""
    settled(settings)
    with (
        as_newer(monkeypatch, MORE),
        closing(open_operations(settings)) as one,
        closing(open_operations(settings)) as other,
    ):
        note(one)
        note(other, "leads")
    assert noted(settings) == {"jobs", "leads"}


def test_an_upgrade_waits_for_a_write_at_work_and_keeps_it(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """A write that had begun is whole before the tables change; what comes meanwhile waits, and is refused."""
    begun, go_on, written, seen = threading.Event(), threading.Event(), list[bool](), list[set[str]]()
    older, late = open_operations(settings), open_operations(settings)

    def values() -> Iterator[dict[str, Any]]:
        yield {"entity": "jobs", "now": NOON}
        begun.set()
        assert go_on.wait(60)
        yield {"entity": "leads", "now": NOON}

    def write() -> None:
        older.run_all("note_landed", values())  # type: ignore[arg-type]  one after another, as they come
        written.append(True)

    def upgrade() -> None:
        settled(settings)
        seen.append(noted(settings))  # which thread ends first tells nothing: both go on at the write's commit

    with as_newer(monkeypatch, MORE):
        writer, upgrader = threading.Thread(target=write), threading.Thread(target=upgrade)
        writer.start()
        assert begun.wait(60)
        upgrader.start()
        upgrader.join(0.5)
        assert upgrader.is_alive()
        go_on.set()
        writer.join()
        upgrader.join()
    assert written
    assert seen == [{"jobs", "leads"}]
    with pytest.raises(NewerStoreError):
        note(late, "calls")
    for one in (older, late):
        one.close()


def test_a_write_that_comes_during_an_upgrade_waits_and_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """It cannot slip in between the change of the tables and the word of it."""
    older, ends = open_operations(settings), list[str]()

    def write() -> None:
        try:
            note(older)
            ends.append("written")
        except NewerStoreError:
            ends.append("refused")

    writer = threading.Thread(target=write)
    applied = migrating.apply

    def slowly(number: int, text: str, execute: Any) -> None:
        applied(number, text, execute)
        writer.start()
        writer.join(0.5)
        assert writer.is_alive()

    with as_newer(monkeypatch, MORE):
        monkeypatch.setattr(migrating, "apply", slowly)
        settled(settings)
    writer.join()
    older.close()
    assert ends == ["refused"]
    assert noted(settings) == set()
