"""Backups of the embedded store: its three files as of one moment, made while it is used.

All are copied while nothing is loaded or modelled; what the API queues meanwhile goes to the operations file, which SQLite
itself copies. This process never opens a DuckDB file by hand: a POSIX lock ends when any descriptor of its file closes.
"""

import hashlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipelines.pushed import RIGHT
from store.embedded import DuckDB
from store.exceptions import StoreError
from store.folder import prepare_folder
from store.lock import held, memory_held
from store.settings import Settings
from store.sqlite_operations import writable

WAREHOUSE, STATE, OPERATIONS = "lazi.duckdb", "lazi-state.duckdb", "lazi-ops.sqlite"
DUCKDB_FILES = (WAREHOUSE, f"{WAREHOUSE}.wal", STATE, f"{STATE}.wal")
MANIFEST = "backup.json"
COPY = "import shutil, sys; shutil.copyfile(*sys.argv[1:])"


class BackupError(StoreError):
    """A backup cannot be made, or is none."""


def backup(settings: Settings, warehouse: DuckDB, folder: Path) -> dict[str, Any]:
    """Copy the store into a new folder; what stands in its manifest. Raises BackupError or StoreUnwritableError."""
    if folder.exists() and any(folder.iterdir()):
        raise BackupError(f"`{folder}` is not empty. Name a new folder for each backup.")
    prepare_folder(folder)
    data = settings.data_dir
    with standing_still(settings):
        warehouse.cursor().execute("CHECKPOINT")
        for name in DUCKDB_FILES:
            if (data / name).exists():
                copy_elsewhere(data / name, folder / name)
        copy_operations(data / OPERATIONS, folder / OPERATIONS)
    found = {
        "made_at": datetime.now(UTC).isoformat(),
        "version": version("st-lazi"),
        "files": {
            path.name: {"bytes": path.stat().st_size, "sha256": digest(path)} for path in sorted(folder.iterdir())
        },
    }
    (folder / MANIFEST).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return found


@contextmanager
def standing_still(settings: Settings) -> Iterator[None]:
    """Nothing is landed or loaded and no model runs in this process. In the order in which others take these rights."""
    with held(settings, RIGHT), held(settings, "the models"), memory_held(settings):
        yield


def copy_elsewhere(source: Path, target: Path) -> None:
    """Copy a file in a process of its own, so that this one keeps its lock on it. Raises BackupError."""
    command = [sys.executable, "-I", "-c", COPY, str(source), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  our own words
    if done.returncode:
        reason = (done.stderr.strip() or f"its process ended with {done.returncode}").splitlines()[-1]
        raise BackupError(f"`{source}` could not be copied to `{target}`: {reason}. Make room and name a new folder.")


def copy_operations(source: Path, target: Path) -> None:
    """Copy a SQLite file as of one moment; SQLite looks after its own locks. Raises StoreUnwritableError."""
    with writable(target), closing(sqlite3.connect(source)) as whole, closing(sqlite3.connect(target)) as copy:
        whole.backup(copy)


def digest(path: Path) -> str:
    """A file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
