"""Migrations of the operations tables: forward, in one transaction, by whichever process of a new version comes first.

A store remembers each version that had it. A process of an older one is refused when it opens the store and, where it was
at work meanwhile, when it writes next: it does not know what its rows would mean. There is no way back but a backup.
Nothing here opens a store by itself.
"""

import re
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path
from typing import Any

import psycopg2

from store.exceptions import StoreError
from store.named_queries import Row

FOLDER = Path(__file__).parent / "migrations"
KNOWS_VERSIONS = 15  # the migration with which a store begins to remember the versions that had it
Statement = Callable[[str], object]
Once = Callable[[str, Row], list[Row]]
"""Runs a named query with its values."""


class NewerStoreError(StoreError):
    """A newer version has upgraded the store; this one writes nothing there."""


class MigrationError(StoreError):
    """A migration cannot be applied; the store is as it was."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a store's operations tables are. All zero: there are none yet."""

    number: int = 0  # of the newest migration that was applied
    upgrade_id: int = 0  # of the newest row of `system.upgrades`
    version: str = ""  # in that row


class Overtaking(threading.Event):
    """Set once a write of this process was refused because a newer version has upgraded the store."""

    error: NewerStoreError | None = None  # which it was refused by

    def told(self, error: NewerStoreError) -> NewerStoreError:
        """The same error, noted."""
        self.error = error
        self.set()
        return error


overtaken = Overtaking()


def ours() -> str:
    """The version of this program."""
    return version("st-lazi")


def order(text: str) -> tuple[int, ...]:
    """A version's numbers, to tell which of two is newer: `0.10.1` is (0, 10, 1); what stands behind them does not count."""
    found = re.match(r"\d+(\.\d+)*", text)
    return tuple(map(int, found[0].split("."))) if found else ()


def migrations(after: int) -> list[tuple[int, str]]:
    """Number and text of each migration behind `after`."""
    numbered = [(int(path.name.partition("_")[0]), path.read_text(encoding="utf-8")) for path in files()]
    return [(number, text) for number, text in numbered if number > after]


def files() -> list[Path]:
    """The migrations' files, in order."""
    return sorted(FOLDER.glob("*.sql"))


def newest() -> int:
    """The number of the newest migration that this version knows."""
    return int(files()[-1].name.partition("_")[0])


def statements(text: str) -> list[str]:
    """The statements of a migration, comments taken out; migrations hold no semicolon in a literal or beside code."""
    code = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    return [statement for statement in code.split(";") if statement.strip()]


def purpose(text: str) -> str:
    """What a migration is for: the first sentence of the comment with which it begins."""
    comment = takewhile(lambda line: line.startswith("-- "), text.splitlines())
    return re.split(r"(?<=[.:;])\s", " ".join(line.removeprefix("-- ") for line in comment))[0].rstrip(".:;")


def check(found: Standing) -> None:
    """Raise NewerStoreError where a newer version had the store."""
    if found.number > newest() or order(found.version) > order(ours()):
        raise refusal(found)


def is_current(found: Standing) -> bool:
    """Whether there is nothing to migrate and nothing to note."""
    return found.number == newest() and found.version == ours()


def standing(number: int, once: Once) -> Standing:
    """How far tables are, by the number of their newest migration and the row of their newest upgrade, if there is one."""
    rows = once("newest_upgrade", {}) if number >= KNOWS_VERSIONS else []
    return Standing(number, rows[0]["upgrade_id"], rows[0]["version"]) if rows else Standing(number)


def noted(found: Standing, once: Once) -> int:
    """Note that this version has the store, where its tables know of versions; the newest upgrade's id, or 0."""
    if found.number < KNOWS_VERSIONS or is_current(found):
        return found.upgrade_id
    upgrade_id = found.upgrade_id + 1
    row = {"upgrade_id": upgrade_id, "version": ours(), "number": found.number, "done_at": datetime.now(UTC)}
    once("note_upgrade", row)
    return upgrade_id


def refusal(found: Standing) -> NewerStoreError:
    """The error for a store that a newer version had."""
    who = f"ST-LAZI `{found.version}`" if found.version else "a newer ST-LAZI"
    wanted = f"`{found.version}` or later" if found.version else "the newer version"
    return NewerStoreError(
        f"{who} has upgraded this store: its operations tables are at migration {found.number}. This is ST-LAZI `{ours()}`, "
        f"which knows migrations up to {newest()} and writes nothing there. Install {wanted} here and start again. The way "
        "back is the backup that was made before the upgrade."
    )


def refused(found: Standing) -> NewerStoreError:
    """The error for a write to a store that was upgraded while this process had it open; remembered in `overtaken`."""
    return overtaken.told(refusal(found))


def apply(number: int, text: str, execute: Statement) -> None:
    """Execute a migration's statements. Raises MigrationError, or what the driver raises for a lost connection."""
    for place, statement in enumerate(statements(text), 1):
        try:
            execute(statement)
        except (sqlite3.Error, psycopg2.Error) as error:
            if is_lost(error):
                raise
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise MigrationError(
                f"Migration {number} of the operations tables cannot be applied, because of its statement {place}: {reason}. "
                "Nothing was changed, and the version that was here before goes on with this store. Mend the cause and "
                "start again; tables, columns and indexes in `system` and `outbound` that are not ours may be it."
            ) from error


def is_lost(error: Exception) -> bool:
    """Whether an error is about the connection rather than the statement."""
    code = getattr(error, "pgcode", None)
    return isinstance(error, psycopg2.Error) and (code is None or code[:2] in {"08", "57"})


REQUIRE = """
CREATE OR REPLACE FUNCTION system.require(known BIGINT) RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
  newest RECORD;
BEGIN
  SELECT * INTO newest FROM system.upgrades ORDER BY upgrade_id DESC LIMIT 1;
  IF newest.upgrade_id > known THEN
    RAISE EXCEPTION 'a newer version has upgraded the store' USING DETAIL = newest.number || ' ' || newest.version;
  END IF;
END $$
"""
"""Refuses, in the transaction of a write, who does not know of the newest upgrade. Reading `system.upgrades` there makes an
upgrade, which locks that table first of all, wait for the write, and the write for the upgrade."""

GUARDED = "SELECT system.require({upgrade_id});\n"
"""Goes before a write, in the same message to the server."""


def told_by(error: Any) -> Standing:
    """What `system.require` told in refusing."""
    number, _, found = (error.diag.message_detail or "0 ").partition(" ")
    return Standing(int(number), version=found)
