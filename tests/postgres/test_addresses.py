"""Addresses as people have them: every door reads them alike, and no error shows a password."""

from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.exceptions import SettingsError, StoreError, StoreUnreachableError
from store.operations import open_operations
from store.server import parts, reach
from store.session import connect
from store.settings import Places, Settings, load
from tests.ports import free_port
from tests.postgres.doors import DOORS
from tests.postgres.server import PASSWORD, Server

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)
WHO = "SELECT CURRENT_USER, CURRENT_DATABASE()"


@given(
    user=TEXT, password=TEXT, database=TEXT, host=st.from_regex(r"[a-z][a-z0-9-]{0,20}(\.[a-z]{2,5})?", fullmatch=True)
)
def test_whatever_is_percent_encoded_is_read_as_it_was(user: str, password: str, database: str, host: str):
    """Names and passwords of any characters, by both names of the scheme."""
    for scheme in ("postgresql", "postgres"):
        user_, password_, database_ = (quote(each, safe="") for each in (user, password, database))
        url = f"{scheme}://{user_}:{password_}@{host}:6543/{database_}?sslmode=require"
        expected = {"user": user, "password": password, "host": host, "port": "6543", "dbname": database}
        assert parts(url) == expected | {"sslmode": "require"}


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("lazi:hush@db:65536/x", "the port `65536`"),
        ("lazi:hush@db:5432,other:0/x", "the port `0`"),
        ("lazi:hush@db:-1/x", "a port"),
        ("lazi:hush", "a port"),
        ("lazi:77777", "a port"),
    ],
)
def test_a_port_that_is_none_is_told_before_anything_is_asked(address: str, told: str):
    """With what it may be; where it may be a piece of a password, without it."""
    with pytest.raises(SettingsError, match="`DATABASE_URL` has .* from 1 to 65535") as caught:
        parts(f"postgresql://{address}")
    assert told in str(caught.value)
    assert not any(word in str(caught.value) for word in ("hush", "77777"))


SECRET = st.text(st.sampled_from("ab1@:/?#%[]&= \"'\\"), min_size=4, max_size=12).map(lambda text: f"hush{text}hush")


@given(secret=SECRET)
def test_a_password_that_is_not_encoded_is_never_shown(secret: str):
    """However libpq takes such an address apart: it may take a piece of the password for a host, a port or an option."""
    url = f"postgresql://lazi:{secret}@127.0.0.1:1/lazi?connect_timeout=2"
    try:
        reach(url)
    except (SettingsError, StoreUnreachableError) as error:
        shown = str(error)
    assert "hush" not in shown
    assert secret not in shown


@pytest.mark.parametrize("text", ["lazi:hush-hush@db/lazi", "lazi:hush-hush://db", "mysql://lazi:hush-hush@db/lazi"])
def test_an_address_of_another_kind_is_told_without_its_password(text: str, tmp_path: Path):
    """By the name of the setting that has it."""
    with pytest.raises(SettingsError, match="`DATABASE_URL`") as told:
        load(Places({"DATABASE_URL": text}, tmp_path))
    assert "hush" not in str(told.value)
    with pytest.raises(SettingsError, match="`DATABASE_DIRECT_URL`") as told:
        load(Places({"DATABASE_URL": "postgresql://db", "DATABASE_DIRECT_URL": text}, tmp_path))
    assert "hush" not in str(told.value)


def test_a_wrong_password_is_told_without_it(server: Server):
    """With the role's name and the setting."""
    url = server.url(password=f"{PASSWORD}hush")
    with pytest.raises(StoreUnreachableError, match='password authentication failed for user "postgres"') as told:
        connect(url)
    assert PASSWORD not in str(told.value)
    assert "hush" not in str(told.value)


def forms(server: Server, url: str) -> dict[str, str]:
    """The same database, as people write it."""
    dead, there = free_port(), f"127.0.0.1:{server.port}"
    query = "connect_timeout=5&application_name=mine"
    folder = quote(str(server.folder), safe="")
    return {
        "postgres://": url.replace("postgresql://", "postgres://"),
        "query": f"{url}?{query}&keepalives_idle=30&target_session_attrs=any",
        "options": f"{url}?options=-c%20search_path%3Daudit%2Craw%20-c%20geqo%3Doff",
        "several hosts": url.replace(there, f"127.0.0.1:{dead},{there}"),
        "host in the query": url.replace(there, "") + f"?host=127.0.0.1&port={server.port}",
        "socket": url.replace(there, "") + f"?host={folder}&port={server.port}",
        "socket in the host": url.replace(there, f"{folder}:{server.port}"),
    }


@pytest.mark.slow
@pytest.mark.parametrize("form", forms(Server(Path(), 1, has_tls=False), ""))
def test_every_door_opens_by_every_form_of_address(
    server: Server, role: str, url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch, form: str
):
    """As the role, and in the database, that it names."""
    address = forms(server, url)[form]
    monkeypatch.setenv("DATABASE_URL", address)
    told = {name: door(Settings(address, settings.data_dir, 3001, "warning"), WHO) for name, door in DOORS.items()}
    assert told == dict.fromkeys(DOORS, (role, f"data base-{role}"))


def test_options_of_an_address_hold_beside_ours(url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """What we do not rely on stays as it is asked for; what we rely on does not."""
    address = f"{url}?options=-c%20geqo%3Doff%20-c%20timezone%3DAsia/Tokyo&application_name=mine"
    monkeypatch.setenv("DATABASE_URL", address)
    query = "SELECT CURRENT_SETTING('geqo') AS geqo, CURRENT_SETTING('timezone') AS timezone"
    told = {name: door(Settings(address, settings.data_dir, 3001, "warning"), query) for name, door in DOORS.items()}
    assert told == dict.fromkeys(DOORS, ("off", "UTC"))


def test_a_network_that_is_silent_ends_a_connection(url: str):
    """Within a minute, unless the address wants it otherwise."""
    with (
        closing(connect(url)) as plain,
        closing(connect(f"{url}?keepalives_idle=5&tcp_user_timeout=7", lost_after=1)) as own,
    ):
        told, asked = plain.info.dsn_parameters, own.info.dsn_parameters
    idle, interval, count = (int(told[f"keepalives_{name}"]) for name in ("idle", "interval", "count"))
    assert idle + interval * count <= 60
    assert "tcp_user_timeout" not in told
    assert (asked["keepalives_idle"], asked["keepalives_interval"], asked["tcp_user_timeout"]) == (
        "5",
        str(interval),
        "7",
    )


def test_addresses_of_two_databases_are_refused(server: Server, url: str, settings: Settings):
    """A direct address is of the same one."""
    server.run("CREATE DATABASE {}", other := f"other {settings.data_dir.parent.name}")
    both = Settings(url, settings.data_dir, 3001, "warning", server.url(database=other))
    with pytest.raises(SettingsError, match="lead to different databases"):
        open_operations(both)
    open_operations(Settings(url, settings.data_dir, 3001, "warning", f"{url}?application_name=other")).close()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"password": "hush"}, "password authentication failed"),
        ({"user": "nobody"}, "nobody"),
        ({"database": "nowhere"}, 'database "nowhere" does not exist'),
    ],
    ids=["password", "user", "database"],
)
def test_a_server_that_refuses_one_is_not_told_as_silent(
    server: Server, tmp_path: Path, change: dict[str, str], said: str
):
    """What it said, and what is to be looked at; not the password."""
    with pytest.raises(StoreUnreachableError, match="refuses the connection") as told:
        open_operations(Settings(server.url(**change), tmp_path, 3001, "warning"))
    assert said in str(told.value)
    assert "does not answer" not in str(told.value)
    assert "hush" not in str(told.value)


def test_nobody_at_the_address_is_told(tmp_path: Path):
    """With the host, the port and what to look at."""
    port = free_port()
    with pytest.raises(
        StoreError, match=rf"port {port} failed.*Is the server running and `DATABASE_URL` right"
    ) as told:
        open_operations(Settings(f"postgresql://lazi:hush@127.0.0.1:{port}/lazi", tmp_path, 3001, "warning"))
    assert "hush" not in str(told.value)
