"""What PostgreSQL serves is what the lake holds, whatever happened to either."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest

from cli.grant import rights
from pipelines import names_served, publishing
from pipelines.definitions import Table
from pipelines.modelling import ModelError, Models
from pipelines.publishing import PublicationError, is_due, put_back
from store.choice import chosen
from store.exceptions import SettingsError, StoreUnfitError
from store.serving import served
from store.settings import Places, load
from tests.pipelines.harbour import COLUMNS, SERVING, Harbour, asked, harbour

OTHER = (*COLUMNS[:3], ("note", "TEXT"), *COLUMNS[3:])
ODD = {
    "name": 'a,"b"\n\\N',
    "custom_fields": '{"q": "é😀", "n": [1.50, null]}',
    "share": 1e-300,
    "total": "-999999999999.999999",
}
PLACES = (
    "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('lazi_serving') AND relkind = 'r' ORDER BY 1"
)
CHILD = """
import os, signal, sys
from pathlib import Path
from cli.grant import rights
from pipelines import publishing
from tests.pipelines.harbour import Harbour, harbour
Harbour.make = lambda *_: None  # it is made already
made, kept = harbour(sys.argv[1], Path(sys.argv[2])), publishing.Run.{at}
def killed(*given, **named):
    kept(*given, **named)
    os.kill(os.getpid(), signal.SIGKILL)
publishing.Run.{at} = killed
made.publish()
"""


@pytest.fixture
def made(postgres_url: str, tmp_path: Path) -> Iterator[Harbour]:
    with closing(harbour(postgres_url, tmp_path)) as found:
        yield found


def same(made: Harbour) -> bool:
    """Whether PostgreSQL serves what the lake holds."""
    return made.served() == [row_as_served(row) for row in made.here()] and made.served("master.zones") == made.here(
        "master.zones"
    )


def row_as_served(row: tuple[object, ...]) -> tuple[object, ...]:
    """A row with its JSON as PostgreSQL writes it."""
    return tuple(
        {"[]": "[]", ODD["custom_fields"]: '{"n": [1.50, null], "q": "é😀"}'}.get(v, v) if isinstance(v, str) else v
        for v in row
    )


def zone(made: Harbour, key: int, name: str) -> None:
    """Write a zone, whose table does not tell when a row was written."""
    made.run(f"DELETE FROM master_store.zones__1 WHERE st_id = {key}")
    made.run(f"INSERT INTO master_store.zones__1 VALUES (1, {key}, '{name}')")


HAPPENS = (
    lambda made, key, tenant: made.put(key, tenant, name="x", active=None),
    lambda made, key, tenant: made.put(key, tenant, name=None),
    lambda made, key, tenant: made.put(key, tenant, **ODD),
    lambda made, key, tenant: made.put(key, tenant),  # back to what it was
    lambda made, key, tenant: made.take(key, tenant),
    lambda made, key, tenant: zone(made, key, "ab"[tenant - 1]),
    lambda made, _, __: made.rebuild(),
    lambda made, _, tenant: made.rebuild((COLUMNS, OTHER)[tenant - 1]),
    lambda made, _, __: made.run("CALL ducklake_flush_inlined_data('lake')"),
    lambda made, _, __: made.run("CALL ducklake_rewrite_data_files('lake', delete_threshold => 0.0)"),
    lambda made, _, __: made.run("CALL ducklake_expire_snapshots('lake', older_than => now())"),
)
"""What may happen to a lake, to a record of a tenant."""


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_after_whatever_happened_both_have_the_same_rows(made: Harbour, seed: int):
    """New rows, changes, changes back, rows that are gone, tables built anew with other columns or the same, maintenance."""
    chance = random.Random(seed)  # noqa: S311  no secret
    assert made.publish().refused == {}
    for _ in range(15):
        for _ in range(chance.randrange(4)):
            chance.choice(HAPPENS)(made, chance.randrange(-2, 6), chance.choice([1, 2]))
        assert made.publish().refused == {}
        assert same(made)
    assert len(asked(made.settings, PLACES)) == 2


def test_only_what_is_new_comes_over(made: Harbour):
    """Of a hundred rows the one that changed is written; of a table without news nothing is even asked."""
    for key in range(100):
        made.put(key)
    assert made.publish().changed == {"master.jobs": 100, "master.zones": 0}
    made.put(7, name="other")
    assert made.publish().changed == {"master.jobs": 1, "master.zones": 0}
    assert made.publish().changed == {"master.jobs": 0, "master.zones": 0}
    assert {one.name: one.rows for one in served(made.operations)} == {
        "master.jobs": 100,
        "master.zones": 0,
        "crm.contacts": None,
    }


def test_a_hand_in_postgresql_is_found_by_comparing_everything(made: Harbour):
    """Nothing but us writes there, so an ordinary publication does not look; a whole one mends it."""
    made.put(1)
    made.put(2)
    made.publish()
    place = asked(made.settings, PLACES)[0][0]
    asked(made.settings, f"UPDATE lazi_serving.{place} SET name = 'forged' WHERE st_id = 1")
    made.publish()
    assert not same(made)
    assert made.publish(whole=True).changed["master.jobs"] == 1
    assert same(made)


@pytest.mark.parametrize("at", ["copied", "put"])
def test_killed_in_the_middle_it_leaves_the_former_state_and_goes_on(made: Harbour, tmp_path: Path, at: str):
    """A reader sees the rows of before, all of them; the next run serves the new ones."""
    made.put(1)
    made.publish()
    before = made.served()
    made.put(1, name="changed")
    made.put(2)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", CHILD.format(at=at), made.settings.database_url, str(tmp_path)]
    child = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert made.served() == before
    assert made.publish().changed["master.jobs"] == 2
    assert same(made)


def test_names_of_a_former_warehouse_are_taken_over_and_given_back(made: Harbour):
    """What stands on SQLMesh's views stays through both, and reads what is served meanwhile."""
    url = made.settings
    made.put(1, name="of the lake")
    columns = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in COLUMNS if name != "name")
    asked(url, "CREATE SCHEMA master; CREATE SCHEMA master_store")
    asked(url, f"CREATE TABLE master_store.jobs__9 AS SELECT {columns}, 'former' AS name")
    listed = ", ".join(f'"{name}"' for name, _ in COLUMNS)
    asked(
        url,
        f"CREATE VIEW master.jobs AS SELECT {listed} FROM master_store.jobs__9; CREATE VIEW own AS SELECT name FROM master.jobs",
    )
    assert made.publish().refused == {}
    assert asked(url, "SELECT name FROM own") == [("of the lake",)]
    back = replace(made.settings, warehouse="postgres")
    assert is_due(back, made.operations, "")
    put_back(back, made.operations)
    assert asked(url, "SELECT name FROM own") == [("former",)]
    assert made.publish().refused == {}
    made.publish(serving="off")
    assert asked(url, "SELECT name FROM own") == [("former",)]
    assert asked(url, PLACES) == []
    assert not is_due(replace(made.settings, serving="off"), made.operations, "")


def test_what_is_somebody_elses_is_left_alone(made: Harbour):
    """The name is refused with what to do, everything else is served, and it is tried again until it is free."""
    made.put(1)
    asked(made.settings, "CREATE SCHEMA master; CREATE TABLE master.zones (own TEXT); CREATE SCHEMA crm")
    asked(made.settings, "CREATE VIEW crm.contacts AS SELECT 'own' AS own")
    found = made.publish()
    assert {*found.refused} == {"master.zones", "crm.contacts"}
    assert "Rename or drop it" in found.refused["master.zones"]
    assert asked(made.settings, "SELECT own FROM crm.contacts") == [("own",)]
    assert [row["name"] for row in made.operations.run("shown_publications")] == ["master.jobs"]
    assert is_due(replace(made.settings, serving=SERVING), made.operations, made.mark)
    asked(made.settings, "DROP TABLE master.zones; DROP VIEW crm.contacts")
    assert made.publish().refused == {}
    assert asked(made.settings, "SELECT contact_id FROM crm.contacts") == [(1,)]
    assert {one.refusal for one in served(made.operations)} == {None}


def test_columns_that_somebody_reads_stay_until_he_lets_go(made: Harbour):
    """His view goes on with the rows of before, the name is no longer read by the API, and the reason names the view."""
    made.put(1)
    made.publish()
    asked(made.settings, "CREATE VIEW own AS SELECT contact_id, name FROM crm.contacts")
    made.shows_names = False
    found = made.publish()
    assert "`own`" in found.refused["crm.contacts"]
    assert asked(made.settings, "SELECT contact_id FROM own") == [(1,)]
    assert "crm.contacts" not in {row["name"] for row in made.operations.run("shown_publications")}
    asked(made.settings, "DROP VIEW own")
    assert made.publish().refused == {}
    assert asked(made.settings, "SELECT * FROM crm.contacts") == [(1, 1)]


def test_a_table_that_somebody_reads_by_a_refused_view_stays_until_he_lets_go(made: Harbour):
    """Though its columns are others now: everything else is served anew, and nothing stands still."""
    made.put(1)
    made.publish()
    asked(made.settings, "CREATE VIEW own AS SELECT contact_id, name FROM crm.contacts")
    made.shows_names = False
    made.rebuild(OTHER)
    made.put(2)
    assert {*made.publish().refused} == {"crm.contacts"}
    assert len(made.served()) == 2
    assert asked(made.settings, "SELECT contact_id FROM own") == [(1,)]
    assert len(asked(made.settings, PLACES)) == 3
    asked(made.settings, "DROP VIEW own")
    assert made.publish().refused == {}
    assert len(asked(made.settings, PLACES)) == 2
    assert same(made)


def test_a_table_that_cannot_be_written_keeps_none_of_the_others_back(made: Harbour):
    """It and what reads it are left to the warehouse with why, show their former rows, and are served again once it can be."""
    made.put(1)
    made.publish()
    made.put(2, name="nothing \0 of PostgreSQL's")
    zone(made, 7, "north")
    found = made.publish()
    assert {*found.refused} == {"master.jobs", "crm.contacts"}
    assert "could not be brought up to date" in found.refused["master.jobs"]
    assert found.refused["crm.contacts"].startswith("it reads `master.jobs`")
    assert [row["name"] for row in made.operations.run("shown_publications")] == ["master.zones"]
    assert (len(made.served()), len(made.served("master.zones"))) == (1, 1)
    assert asked(made.settings, "SELECT contact_id FROM crm.contacts") == [(1,)]
    made.put(2)
    assert made.publish().refused == {}
    assert {one.refusal for one in served(made.operations)} == {None}
    assert same(made)


def test_a_table_that_is_not_built_yet_is_left_out_with_what_reads_it(made: Harbour):
    """And everything else is served."""
    made.run("DROP VIEW master.jobs")
    found = made.publish()
    assert {*found.refused} == {"master.jobs", "crm.contacts"}
    assert "not built" in found.refused["crm.contacts"]
    assert made.served("master.zones") == []


def test_names_are_not_waited_for_without_end(made: Harbour, monkeypatch: pytest.MonkeyPatch):
    """A session that reads one and does not end keeps nobody else from reading the others; the switch is made once it has."""
    made.put(1)
    made.publish()
    made.rebuild(OTHER)
    monkeypatch.setattr(names_served, "PATIENCE", 0.2)
    with closing(psycopg2.connect(made.settings.database_url)) as idle, idle.cursor() as cursor:
        cursor.execute("SELECT st_id FROM master.jobs")
        with pytest.raises(StoreUnfitError, match="idle in transaction"):
            made.publish()
        assert len(asked(made.settings, "SELECT st_id FROM crm.contacts AS c, master.zones AS st_id")) == 0
    assert made.publish().refused == {}


def test_a_clock_that_was_ahead_hides_nothing(made: Harbour):
    """What a host models whose clock is right comes over, though what another one modeled looks two days newer."""
    right, made.clock = datetime.now(UTC) - timedelta(minutes=5), datetime.now(UTC) + timedelta(days=2)
    made.put(1)
    made.publish()
    made.clock = right
    made.put(1, name="later")
    made.publish()
    assert same(made)


def test_a_former_view_that_cannot_come_back_keeps_no_model_waiting(made: Harbour, caplog: pytest.LogCaptureFixture):
    """It is told with who reads the name, which shows the lake's rows until he lets go."""
    asked(made.settings, "CREATE SCHEMA master; CREATE SCHEMA master_store")
    columns = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in COLUMNS)
    asked(made.settings, f"CREATE TABLE master_store.jobs__9 AS SELECT {columns}")
    asked(made.settings, "CREATE VIEW master.jobs AS SELECT * FROM master_store.jobs__9")
    made.put(1)
    made.publish()
    asked(made.settings, "CREATE VIEW own AS SELECT st_id FROM master.jobs; DROP TABLE master_store.jobs__9")
    back = replace(made.settings, warehouse="postgres")
    put_back(back, made.operations)
    assert "`own` reads it" in caplog.text
    assert asked(made.settings, "SELECT st_id FROM own") == [(1,)]
    asked(made.settings, "DROP VIEW own")
    put_back(back, made.operations)
    assert asked(made.settings, "SELECT to_regclass('master.jobs')") == [(None,)]


def test_what_is_refused_is_tried_again_after_growing_pauses(made: Harbour):
    """Not at each look at the models; whole again, there is no pause."""
    made.put(1)
    models = Models(replace(made.settings, serving=SERVING))
    models.define = made.define  # type: ignore[method-assign]
    asked(made.settings, "CREATE SCHEMA master; CREATE TABLE master.zones (own TEXT)")
    pauses = []
    for _ in range(9):
        models.publish(made.operations, made.mark, ran=False)
        pauses.append(models.pause)
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    asked(made.settings, "DROP TABLE master.zones")
    models.publish(made.operations, made.mark, ran=False)
    assert models.pause == 0
    assert not is_due(models.settings, made.operations, made.mark)


def test_what_was_modelled_is_served_though_another_model_fails(made: Harbour):
    """What the others made of what landed stands in the warehouse, and readers of PostgreSQL see it too."""
    now = datetime.now(UTC)
    made.operations.run("start_model_run", model_run_id="1", started_at=now, fingerprint=made.mark)
    made.operations.run("finish_model_run", model_run_id="1", finished_at=now, status="completed", error=None)
    models = Models(replace(made.settings, serving=SERVING))
    models.define = made.define  # type: ignore[method-assign]
    made.operations.run("request_models", requested_by="test", requested_at=datetime.now(UTC))

    def evaluate(*_: object, **__: object) -> None:
        made.put(1)
        raise ValueError("an audit of another model")

    models.evaluate = evaluate  # type: ignore[method-assign]
    with pytest.raises(ModelError, match="an audit of another model"):
        models.run(made.operations, made.mark)
    assert same(made)


def test_what_is_no_longer_chosen_goes(made: Harbour):
    """With its rows; what a view that stays reads, stays."""
    made.publish()
    assert not is_due(replace(made.settings, serving=SERVING), made.operations, made.mark)
    fewer = "crm.contacts, master.jobs"
    asked(made.settings, "CREATE VIEW own AS SELECT st_id FROM master.zones")
    with pytest.raises(StoreUnfitError, match="`own` reads it"):
        made.publish(serving=fewer)
    asked(made.settings, "SELECT * FROM own; DROP VIEW own")
    assert is_due(replace(made.settings, serving=fewer), made.operations, made.mark)
    made.publish(serving=fewer)
    assert {one.name for one in served(made.operations)} == {"crm.contacts", "master.jobs"}
    assert len(asked(made.settings, PLACES)) == 1
    assert not is_due(replace(made.settings, serving=fewer), made.operations, made.mark)


def test_what_cannot_be_served_is_noted(made: Harbour, monkeypatch: pytest.MonkeyPatch):
    """The error says what to do, stands in the operations store until a publication ends well, and changes nothing."""
    made.put(1)
    made.publish()
    made.put(2)
    with monkeypatch.context() as patch:
        patch.setattr(publishing.Run, "put", lambda *_: made.run("SELECT error('division by zero')"))
        with pytest.raises(PublicationError, match="lazi warehouse publish"):
            made.publish()
    assert "division by zero" in str(next(one.refusal for one in served(made.operations) if not one.name))
    assert len(made.served()) == 1
    made.publish()
    assert same(made)
    assert all(one.name for one in served(made.operations))


def test_a_reader_never_sees_half_of_it(made: Harbour):
    """One that looks while a table is written sees the rows of before."""
    made.put(1)
    made.publish()
    seen, kept = [], publishing.Run.put

    def look(run: publishing.Run, table: Table) -> tuple[int, int]:
        found = kept(run, table)
        seen.append(len(made.served()))
        return found

    made.put(2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publishing.Run, "put", look)
        made.publish()
    assert seen == [1]
    assert len(made.served()) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("crm, mastr.jobs", "Is `master.jobs` meant"),
        ("jobs", "Is `master.jobs` meant"),
        ("off, crm", "stands alone"),
        ("x", "no model"),
    ],
)
def test_a_wrong_choice_is_told_at_once(text: str, said: str):
    """With the setting's name, what is meant, and what is allowed."""
    with pytest.raises(SettingsError, match=said) as error:
        load(Places({"LAZI_SERVING": text}, Path("/nonexistent")))
    assert "LAZI_SERVING" in str(error.value)


def test_a_choice_is_words_and_names():
    """Words stand for what screens need, a name for itself, and off for nothing."""
    assert {"crm.customer_360", "master.customers"} <= chosen("crm, screens")
    assert chosen("master.zones, crm.contacts") == {"master.zones", "crm.contacts"}
    assert chosen("off") == frozenset()


def test_the_server_says_so_when_it_is_away(made: Harbour):
    """A PostgreSQL that ends the session in the middle is a message, and nothing is lost."""
    made.put(1)
    made.publish()
    made.put(2)
    kept = publishing.Run.put

    def cut(run: publishing.Run, table: Table) -> tuple[int, int]:
        asked(
            made.settings,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%coming%' AND pid <> pg_backend_pid()",
        )
        return kept(run, table)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publishing.Run, "put", cut)
        with pytest.raises(Exception, match="PostgreSQL went away") as error:
            made.publish()
    assert not isinstance(error.value, psycopg2.Error)
    assert len(made.served()) == 1
    made.publish()
    assert same(made)


def test_a_role_may_read_what_is_served(made: Harbour):
    """Now and when a view is made anew; raw, which PostgreSQL does not have, is refused with where it stands."""
    made.put(1)
    made.publish()
    role = f"reporting_{urlsplit(made.settings.database_url).path.removeprefix('/t_')}"
    asked(made.settings, f"CREATE ROLE {role}")
    try:
        rights(made.settings, role, with_raw=False, revoke=False, only_print=False)
        made.rebuild(OTHER)
        made.publish()
        assert asked(made.settings, f"SET ROLE {role}; SELECT contact_id FROM crm.contacts") == [(1,)]
        assert asked(made.settings, f"SET ROLE {role}; SELECT st_id FROM master.jobs") == [(1,)]
        with pytest.raises(StoreUnfitError, match="LAZI_SERVING"):
            rights(made.settings, role, with_raw=True, revoke=False, only_print=False)
    finally:
        asked(made.settings, f"DROP OWNED BY {role}; DROP ROLE {role}")
