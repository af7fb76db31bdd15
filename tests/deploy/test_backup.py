"""`backup.sh` on a real PostgreSQL: what it makes can be put back, what it keeps, and what becomes of one that fails."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest

from tests.deploy.compose import DEPLOY, FILES, loaded
from tests.deploy.postgres import BINARIES, program

SCRIPT = DEPLOY / "backup" / "backup.sh"
DAY = 86_400
NOWHERE = "postgresql://lazi:hush-hush@127.0.0.1:1/lazi"


def run(word: str, folder: Path, url: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """The script with these settings alone."""
    return subprocess.run(
        ["/bin/bash", SCRIPT, word],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment(folder, url) | more,
    )


def environment(folder: Path, url: str) -> dict[str, str]:
    return {"PATH": f"{BINARIES}:/usr/bin:/bin", "BACKUP_FOLDER": str(folder), "DATABASE_URL": url}


@contextmanager
def living(folder: Path, url: str) -> Iterator[subprocess.Popen[str]]:
    """The script as the container has it."""
    [command] = loaded(FILES["compose.prod"], {"LAZI_HOST": "x"})["services"]["backup"]["command"]
    with subprocess.Popen(
        ["/bin/bash", SCRIPT, command], stderr=subprocess.PIPE, text=True, env=environment(folder, url)
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def says(process: subprocess.Popen[str], word: str) -> str:
    """The line in which it says a word, waited for."""
    assert process.stderr
    for line in process.stderr:
        if word in line:
            return line
    raise AssertionError(f"It ended without a word of `{word}`.")


@pytest.fixture
def url(postgres_url: str) -> str:
    """A database that holds something."""
    with closing(psycopg2.connect(postgres_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA raw")
        cursor.execute(
            "CREATE TABLE raw.st_jobs AS SELECT n AS st_id, repeat('x', 100) AS payload FROM generate_series(1, 99) AS n"
        )
        cursor.execute("CREATE TABLE public.other AS SELECT 1 AS one")
    return postgres_url


def dumps(folder: Path) -> list[Path]:
    return sorted(folder.glob("lazi-*.dump"))


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def test_what_it_makes_can_be_put_back(url: str, tmp_path: Path, make_database: Callable[[], str]):
    """By the command in its first lines, into an empty database, row by row; and `check` is content."""
    done = run("once", tmp_path, url)
    assert done.returncode == 0, done.stderr
    [dump] = dumps(tmp_path)
    assert re.fullmatch(r"lazi-\d{8}T\d{6}Z\.dump", dump.name)
    assert dump.stat().st_mode & 0o077 == 0
    other = make_database()
    [command] = re.findall(
        r"^# To put one back: pg_restore (.*) --dbname", SCRIPT.read_text(encoding="utf-8"), re.MULTILINE
    )
    put_back = [program("pg_restore"), *command.split(), "--dbname", other, dump]
    subprocess.run(put_back, check=True, capture_output=True)
    query = "SELECT COUNT(*), SUM(st_id), MIN(payload) FROM raw.st_jobs"
    assert rows(other, query) == rows(url, query)
    assert run("check", tmp_path).returncode == 0


def test_only_the_schemas_that_are_named(url: str, tmp_path: Path):
    """For who shares the database with others."""
    assert run("once", tmp_path, url, BACKUP_SCHEMAS="raw").returncode == 0
    listed = subprocess.run(
        [program("pg_restore"), "--list", *dumps(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "st_jobs" in listed.stdout
    assert "other" not in listed.stdout


def test_one_that_fails_is_told_and_leaves_the_others(url: str, tmp_path: Path):
    """Exit code 1, a reason without the password, no half of a file; `check` says so until one is good again."""
    assert run("once", tmp_path, url).returncode == 0
    before = dumps(tmp_path)
    done = run("once", tmp_path, NOWHERE)
    assert done.returncode == 1
    assert "FAILED" in done.stderr
    assert "Connection refused" in done.stderr
    assert "hush" not in done.stderr
    assert dumps(tmp_path) == before
    assert not list(tmp_path.glob(".lazi-*"))
    assert run("check", tmp_path).returncode == 1
    assert "failed" in run("check", tmp_path).stdout
    assert run("once", tmp_path, url).returncode == 0
    assert run("check", tmp_path).returncode == 0


def test_a_password_is_no_argument(tmp_path: Path):
    """Arguments of a process can be read by others; the password is decoded and given by the environment."""
    spy = tmp_path / "bin"
    spy.mkdir()
    (spy / "pg_dump").write_text(
        '#!/bin/sh\necho "$@" >> "$SEEN"; echo "$PGPASSWORD" >> "$SEEN"; exit 1\n', encoding="utf-8"
    )
    (spy / "pg_dump").chmod(0o755)
    seen = tmp_path / "seen"
    path = {"PATH": f"{spy}:/usr/bin:/bin", "SEEN": str(seen)}
    run("once", tmp_path, "postgresql://lazi:p%40ss%2Fw%3Ard@db:6543/lazi?sslmode=require", **path)
    arguments, password = seen.read_text(encoding="utf-8").splitlines()
    assert arguments.endswith("--dbname postgresql://lazi@db:6543/lazi?sslmode=require")
    assert password == "p@ss/w:rd"


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({"DATABASE_URL": "a", "DATABASE_DIRECT_URL": "b"}, "b"),
        ({"DATABASE_URL": "", "DATABASE_URL_FILE": "{folder}/url"}, "from-a-file"),
        ({"DATABASE_URL": "a", "DATABASE_DIRECT_URL_FILE": "{folder}/url"}, "from-a-file"),
    ],
)
def test_which_address_is_dumped(settings: dict[str, str], address: str, tmp_path: Path):
    """The direct one goes before the pooler's, and a file is read where one is named."""
    (tmp_path / "url").write_text("from-a-file\n", encoding="utf-8")
    (tmp_path / "pg_dump").write_text(
        f'#!/bin/sh\nfor a; do :; done; echo "$a" > {tmp_path}/seen; exit 1\n', encoding="utf-8"
    )
    (tmp_path / "pg_dump").chmod(0o755)
    values = {name: value.format(folder=tmp_path) for name, value in settings.items()}
    run("once", tmp_path, **values, PATH=f"{tmp_path}:/usr/bin:/bin")
    assert (tmp_path / "seen").read_text(encoding="utf-8").strip() == address


def old(folder: Path, *days: float) -> dict[float, Path]:
    """Backups of so many days ago."""
    found = {}
    for age in days:
        found[age] = path = folder / f"lazi-{age}.dump"
        path.touch()
        os.utime(path, times=(time.time() - age * DAY,) * 2)
    return found


def test_what_is_kept(url: str, tmp_path: Path):
    """Fourteen days; whatever their age the newest three; and nothing is removed where the new one failed."""
    made = old(tmp_path, 1, 13.9, 14.1, 30)
    assert run("once", tmp_path, NOWHERE).returncode == 1
    assert set(dumps(tmp_path)) == set(made.values())
    assert run("once", tmp_path, url).returncode == 0
    assert {path for path in made.values() if path.exists()} == {made[1], made[13.9]}
    for path in dumps(tmp_path):
        path.unlink()
    made = old(tmp_path, 40, 50, 60)
    assert run("once", tmp_path, url).returncode == 0
    assert {path for path in made.values() if path.exists()} == {made[40], made[50]}


def test_a_backup_that_is_late_is_told(tmp_path: Path):
    """By the health check: none, too old, young enough."""
    assert "no backup" in run("check", tmp_path).stdout
    old(tmp_path, 27 / 24)
    late = run("check", tmp_path)
    assert (late.returncode, late.stdout) == (1, "the newest backup is 27 hours old; there should be one a day\n")
    old(tmp_path, 25 / 24)
    assert run("check", tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("word", "more", "text", "code"),
    [
        ("once", {"DATABASE_URL": ""}, "DATABASE_URL is not set", 1),
        ("once", {"BACKUP_FOLDER": "/nonexistent"}, "/nonexistent is not there", 1),
        ("daily", {"BACKUP_AT": "midnight-ish"}, "allowed is an hour such as 02:30", 2),
        ("weekly", {}, "usage: ", 2),
    ],
)
def test_what_cannot_begin_says_why(word: str, more: dict[str, str], text: str, code: int, tmp_path: Path):
    """A line, and an exit code."""
    done = run(word, tmp_path, **{"DATABASE_URL": NOWHERE, **more})
    assert (done.returncode, text in done.stderr) == (code, True), done.stderr


def test_the_container_backs_up_at_once_and_waits_for_its_hour(url: str, tmp_path: Path):
    """Where there is none of the last day; started again it waits. A signal ends it at once."""
    for word in ("made", "the newest one is 0 hours old"):
        with living(tmp_path, url) as process:
            says(process, word)
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
    assert len(dumps(tmp_path)) == 1


def test_the_container_tries_again(tmp_path: Path):
    """What fails is told, with when it is tried again: a minute later, then twice as long."""
    with living(tmp_path, NOWHERE) as process:
        says(process, "FAILED")
        assert "tried again in 1 min" in says(process, "tried again")
    assert run("check", tmp_path).returncode == 1


def test_pg_dump_is_of_the_servers_version_or_newer():
    """Both compose services have one image; an older pg_dump refuses a newer server."""
    services = loaded(FILES["compose.prod"], {"LAZI_HOST": "x"})["services"]
    assert services["backup"]["image"] == services["postgres"]["image"]
