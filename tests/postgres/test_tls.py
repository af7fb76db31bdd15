"""Certificates: what an address demands of the connection holds at every door."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlmesh.utils.errors import SQLMeshError

from store.exceptions import StoreUnreachableError
from store.pooler import way
from store.settings import Settings
from tests.postgres.certificates import Authority
from tests.postgres.conftest import BINS
from tests.postgres.doors import DOORS
from tests.postgres.front import Front
from tests.postgres.server import Server, allowed, running, version

RULES = "local all all trust\nhostnossl all all 127.0.0.1/32 reject\nhostssl all all 127.0.0.1/32 scram-sha-256\n"


@pytest.fixture(scope="module", params=BINS, ids=[version(each) for each in BINS])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One whose name is `localhost`, and which takes nothing but TLS; binaries that do not know it stand behind a front."""
    authority = Authority(tmp_path_factory.mktemp("authority")).make()
    certificate, key = authority.sign("localhost")
    with running(request.param) as found:
        shutil.copy(authority.certificate, found.folder / "authority.crt")
        if found.has_tls:
            encrypt(found, certificate, key)
            yield found
        else:
            front = Front(found.port, certificate, key)
            yield replace(found, tcp=front.port)
            front.close()


def encrypt(server: Server, certificate: Path, key: Path) -> None:
    """Have a server take TLS alone."""
    for made, name in ((certificate, "server.crt"), (key, "server.key")):
        allowed(Path(shutil.copy(made, server.folder / "data" / name))).chmod(0o600)
    server.run("ALTER SYSTEM SET ssl = on")
    (server.folder / "data" / "pg_hba.conf").write_text(RULES)
    server.run("SELECT pg_reload_conf()")
    while not server.run("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")[0][0]:
        pass


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The certificate of an authority that signed nothing here."""
    return Authority(tmp_path).make().certificate


def at(settings: Settings, monkeypatch: pytest.MonkeyPatch, host: str, query: str) -> Settings:
    """The settings with another host and a query."""
    address = settings.database_url.replace("127.0.0.1", host) + f"?{query}"
    monkeypatch.setenv("DATABASE_URL", address)
    return Settings(address, settings.data_dir, 3001, "warning")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["prefer", "require", "verify-ca", "verify-full"])
def test_every_door_opens_by_tls(server: Server, settings: Settings, monkeypatch: pytest.MonkeyPatch, mode: str):
    """In every mode that may be, with a certificate to trust where the mode asks for one; nothing else is let through."""
    trusted = "" if mode in {"prefer", "require"} else f"&sslrootcert={server.folder}/authority.crt"
    asked = at(settings, monkeypatch, "localhost", f"sslmode={mode}{trusted}")
    assert {name: door(asked, "SELECT 1 AS one") for name, door in DOORS.items()} == dict.fromkeys(DOORS, (1,))
    assert way(asked.database_url).tls.startswith("TLSv1.")


@pytest.mark.parametrize(
    ("host", "query", "told"),
    [
        ("localhost", "sslmode=verify-ca&sslrootcert={other}", "certificate verify failed"),
        ("localhost", "sslmode=require&sslrootcert={other}", "certificate verify failed"),
        ("127.0.0.1", "sslmode=verify-full&sslrootcert={ours}", 'does not match host name "127.0.0.1"'),
        (
            "localhost",
            "sslmode=verify-full&sslrootcert=/nowhere.crt",
            '"/nowhere.crt" does not exist.*sslrootcert=system',
        ),
        ("localhost", "sslmode=disable", "no encryption"),
    ],
)
def test_a_server_that_is_not_proven_is_refused_at_every_door(
    server: Server, settings: Settings, monkeypatch: pytest.MonkeyPatch, other: Path, host: str, query: str, told: str
):
    """With libpq's reason; none of them goes on with less than was asked for."""
    asked = at(settings, monkeypatch, host, query.format(other=other, ours=server.folder / "authority.crt"))
    for door in DOORS.values():
        with pytest.raises((StoreUnreachableError, SQLMeshError), match=told):
            door(asked, "SELECT 1 AS one")
