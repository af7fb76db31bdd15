"""What is refused before anything is written, in words that help and hold no password."""

from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg2
import pytest
from psycopg2 import sql

from pipelines.legacy.database import Database
from pipelines.legacy.exceptions import LegacyError
from pipelines.legacy.importing import Wishes, take_over
from pipelines.sync import Stores
from store.settings import Settings
from tests.conftest import MakeDatabase
from tests.legacy.conftest import Heard, Takeover
from tests.legacy.original import Original
from tests.ports import free_port

SECRET = "hunter2secret"


def refusal(dsn: str, settings: Settings, **wishes: object) -> str:
    """Why a takeover is refused."""
    with pytest.raises(LegacyError) as caught:
        take_over(settings, dsn, Wishes(tenant_id=7, **wishes), Heard())  # type: ignore[arg-type]
    return str(caught.value)


@pytest.fixture
def embedded(tmp_path: Path) -> Settings:
    """An embedded store."""
    return Settings("", tmp_path / "data", 3001, "warning")


@pytest.mark.parametrize(
    ("dsn", "why"),
    [
        ("", "`--from` is empty"),
        ("mysql://me:hunter2secret@host/db", "`--from` begins with `mysql://`, which is no address of a PostgreSQL"),
        ("me:hunter2secret@host://db", "`--from` does not begin with `postgresql://`"),
        ("postgresql://me:hunter2secret@host:none/db", "`--from`"),
        ("hunter2secret", "cannot be read"),
        ("host=127.0.0.1 password=hunter2secret nonsense=1", "cannot be read"),
    ],
)
def test_what_is_no_address_is_refused_without_showing_it(embedded: Settings, dsn: str, why: str) -> None:
    """The message says how one is written, and nothing of what stood there but its scheme."""
    told = refusal(dsn, embedded)
    assert SECRET not in told
    assert "`--from`" in told
    assert why in told
    assert not embedded.data_dir.exists()


def test_a_server_that_does_not_answer_is_named_without_the_password(embedded: Settings) -> None:
    """Nobody listens: the port is said, the password is not."""
    port = free_port()
    told = refusal(f"postgresql://me:{SECRET}@127.0.0.1:{port}/lazi", embedded)
    assert "does not answer" in told
    assert str(port) in told
    assert SECRET not in told


def test_a_database_without_raw_tables_is_refused(embedded: Settings, make_database: MakeDatabase) -> None:
    """Another program's database is told by what it has."""
    told = refusal(make_database(), embedded)
    assert "has no tables `raw.st_*`" in told
    assert "`public`" in told or "none" in told
    assert not embedded.data_dir.exists()


def test_our_own_database_is_refused(takeover: Takeover, make_database: MakeDatabase, tmp_path: Path) -> None:
    """A warehouse of this program is no original."""
    url = make_database()
    Stores.open(Settings(url, tmp_path / "other", 3001, "warning")).close()
    assert "is a database of this ST-LAZI already" in refusal(url, takeover.settings)


def test_the_same_database_is_refused_however_it_is_written(original: Original, tmp_path: Path) -> None:
    """Where `DATABASE_URL` leads to the original's own database nothing is made in it."""
    original.table("zones")
    before = sorted(Database(original.url).tables)
    other = (
        original.url + "&application_name=other" if "?" in original.url else original.url + "?application_name=other"
    )
    settings = Settings(other, tmp_path / "data", 3001, "warning")
    assert "are the same database" in refusal(original.url, settings)
    assert sorted(Database(original.url).tables) == before


def test_a_table_that_is_not_there_is_named(original: Original, embedded: Settings) -> None:
    """`--table` takes what there is."""
    original.table("zones")
    assert "no table `raw.st_zonse`. There are st_zones" in refusal(original.url, embedded, only=("zonse",))


def test_the_original_cannot_be_written_to(original: Original) -> None:
    """Its server itself refuses every change in the transactions that we read in."""
    original.table("zones")
    with Database(original.url).snapshot() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW transaction_isolation")
        assert cursor.fetchone() == ("repeatable read",)
        with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
            cursor.execute(sql.SQL("INSERT INTO raw.st_zones (st_id) VALUES (1)"))


def test_a_takeover_leaves_the_original_as_it_was(takeover: Takeover) -> None:
    """Row by row, system columns among them, nothing has changed."""
    takeover.original.table("zones")
    takeover.original.add("zones", 1, {"id": 1}, "2024-01-01")
    takeover.original.mutation("zones", "update", 1, {"name": "x"}, "pending")
    look = (
        "SELECT xmin::TEXT, xmax::TEXT, ctid::TEXT, z::TEXT FROM raw.st_zones AS z "
        "UNION ALL SELECT xmin::TEXT, xmax::TEXT, ctid::TEXT, m::TEXT FROM outbound.mutations AS m"
    )
    before = takeover.original.run(look)
    takeover.run()
    assert takeover.original.run(look) == before


def test_a_password_of_the_original_is_told_nowhere(takeover: Takeover) -> None:
    """Not in the report, not in our store, not on our side of the connection."""
    takeover.original.table("zones")
    takeover.original.add("zones", 1, {"id": 1}, "2024-01-01")
    parts = urlsplit(takeover.original.url)
    user, _, host = parts.netloc.rpartition("@")
    takeover.original.url = urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}:{SECRET}@{host}"))
    report = takeover.run()
    assert report.is_good
    assert SECRET not in str(report.as_dict())
    assert SECRET not in repr(Database(takeover.original.url))
    [kept] = takeover.operations("legacy_import", source=report.source)
    assert SECRET not in str(kept)
    assert kept["report"]


def test_a_dry_run_writes_nothing(takeover: Takeover) -> None:
    """It counts, and says which column of which table is taken for what."""
    takeover.original.table("zones")
    takeover.original.add("zones", 1, {"id": 1}, "2024-01-01")
    takeover.original.mutation("customers", "update", 1, {"name": "x"}, "pending")
    report = takeover.run(is_dry=True)
    [table] = report.tables
    assert (table.status, table.tally.rows, table.landed_now) == ("counted", 1, 0)
    assert table.columns == {
        "payload": "payload",
        "key": "st_id",
        "tenant": "tenant_id",
        "modified": "modified_on",
        "synced": "synced_at",
        "deleted": "is_deleted",
        "order": "id",
    }
    assert (report.mutations.held, report.mutations.new) == (1, 0)
    assert not takeover.settings.data_dir.exists()
    if url := takeover.settings.database_url:
        assert Database(url).tables == {}
