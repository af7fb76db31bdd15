"""Whether a database of PostgreSQL is one that we can work in, found out before any work, and what to do where it is not."""

from pathlib import Path
from typing import Any

from store.exceptions import StoreRightsError, StoreUnfitError

OLDEST = 15  # of the versions that the tests run on
LISTED = 20  # statements in a message
SCHEMAS = (
    "raw",
    "master",
    "crm",
    "audit",
    "master_store",
    "crm_store",
    "audit_store",
    "sqlmesh_state",
    "sqlmesh_state_lake",
    "lake_catalog",
    "lazi_serving",
    "system",
    "outbound",
)
"""All of ours."""
FITNESS = Path(__file__).parent / "fitness.sql"


def check_fit(cursor: Any) -> None:
    """Raise StoreUnfitError or StoreRightsError, which says what the database's owner can do. One query."""
    cursor.execute(FITNESS.read_text(encoding="utf-8"), {"schemas": list(SCHEMAS)})
    names = [column.name for column in cursor.description]
    row = cursor.fetchone()
    found = dict(row) if isinstance(row, dict) else dict(zip(names, row, strict=True))
    if reason := unfit(found):
        raise StoreUnfitError(reason)
    missing = [*found["on_database"], *found["on_schemas"], *found["on_relations"]]
    if missing:
        more = len(missing) - LISTED
        listed = "".join(f"\n  {statement};" for statement in missing[:LISTED])
        raise StoreRightsError(
            f"The role {found['role']} lacks rights in the database {found['database']}. Its owner {found['owner']}, or an "
            f"administrator, can give them:{listed}"
            + (f"\nand likewise for {more} more tables and views." if more > 0 else "")
        )


def unfit(found: dict[str, Any]) -> str:
    """What is wrong with the database itself, or nothing."""
    if found["version"] < OLDEST:
        return f"PostgreSQL is of version {found['version']}; {OLDEST} or later is needed. Upgrade it, or use another server."
    if found["encoding"] != "UTF8":
        return (
            f"The database {found['database']} is encoded as `{found['encoding']}`, which cannot hold every text of "
            "ServiceTitan's. Make one with `CREATE DATABASE lazi ENCODING 'UTF8' TEMPLATE template0` and name it in "
            "`DATABASE_URL`."
        )
    if found["is_standby"]:
        return (
            "PostgreSQL is a standby, which can only be read. Name the primary in `DATABASE_URL`; of several hosts, "
            "`?target_session_attrs=read-write` finds it."
        )
    if not found["has_plain_strings"]:
        return (
            "PostgreSQL takes backslashes in texts for marks (`standard_conforming_strings` is off). Run `ALTER ROLE "
            f"{found['role_quoted']} SET standard_conforming_strings = on`."
        )
    return ""
