"""Rights to read the copy, for a role of PostgreSQL that reports from it.

Never on `system` and `outbound`: what signs sessions and what mutations carry stands there. Views are made anew by plans, so a
right holds for what will be made, too. Views read their tables by their owner's rights: `master_store` needs none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import psycopg2.extras

from store.exceptions import StoreRightsError, StoreUnfitError
from store.server import quoted

READ = ("master", "crm", "audit")
RAW = "raw"
SECRET = ("system", "outbound")
FACTS = Path(__file__).parent / "grants.sql"
NAMED = 10  # roles in a message


@dataclass(frozen=True, slots=True)
class Facts:
    """What the database says of a role; see `grants.sql`."""

    owner: str
    database: str
    role: str | None  # none: there is no such role
    can_log_in: bool | None
    is_owner: bool
    can_connect: bool | None
    can_let_connect: bool
    known_schemas: list[str]
    secret_schemas: list[str]
    of_others: list[str]
    ours: list[str]
    roles: list[str]  # which may be meant: no superusers, who read everything anyway


@dataclass(frozen=True, slots=True)
class Grant:
    """What gives a role its rights or takes them, and what somebody should know besides."""

    role: str
    schemas: tuple[str, ...]
    statements: tuple[str, ...]
    notes: tuple[str, ...]


def look(connection: Any, role: str, schemas: Sequence[str]) -> Facts:
    """What the database says of a role. Raises StoreUnfitError where there is no such role, or it is our own."""
    with connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
        values = {"role": role, "schemas": list(schemas), "secret": list(SECRET)}
        cursor.execute(FACTS.read_text(encoding="utf-8"), values)
        found = Facts(**cursor.fetchone())
    if found.role is None:
        raise StoreUnfitError(unknown(role, found.roles))
    if found.is_owner:
        raise StoreUnfitError(
            f"`{role}` is the role that owns the copy, and may read all of it. Name the one that reports."
        )
    return found


def unknown(role: str, roles: Sequence[str]) -> str:
    """What is said of a role that there is not."""
    near = get_close_matches(role, roles, n=1)
    guess = f" Is `{near[0]}` meant?" if near else ""
    there_are = ", ".join(f"`{name}`" for name in roles[:NAMED]) + (", ..." if len(roles) > NAMED else "")
    return (
        f"There is no role `{role}` in PostgreSQL.{guess} There are: {there_are or 'none but our own and superusers'}. An "
        f"administrator makes one with `CREATE ROLE {quoted(role)} LOGIN PASSWORD '...'`."
    )


def given(facts: Facts, schemas: Sequence[str]) -> Grant:
    """The statements that let a role read these schemas, now and later. Giving twice changes nothing."""
    role, owner, listed = quoted(str(facts.role)), quoted(facts.owner), ", ".join(schemas)
    made = [f"CREATE SCHEMA {schema} AUTHORIZATION {owner}" for schema in schemas if schema not in facts.known_schemas]
    connect = f"GRANT CONNECT ON DATABASE {quoted(facts.database)} TO {role}"
    if not facts.can_connect and facts.can_let_connect:
        made.append(connect)
    made += [
        f"GRANT USAGE ON SCHEMA {listed} TO {role}",
        *on_tables("GRANT SELECT ON {tables} TO " + role, facts, listed),
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {listed} GRANT SELECT ON TABLES TO {role}",
    ]
    notes = [note for note in (left_out(facts), on_secrets(facts)) if note]
    if not facts.can_connect and not facts.can_let_connect:
        notes.append(f"It may not connect to the database, and that is its owner's to allow: `{connect}`.")
    if not facts.can_log_in:
        notes.append(f"It cannot log in: grant it to a role that can, or run `ALTER ROLE {role} LOGIN`.")
    return Grant(str(facts.role), tuple(schemas), tuple(made), tuple(notes))


def taken(facts: Facts, schemas: Sequence[str]) -> Grant:
    """The statements that take these rights away. Whether it may connect is left as it is."""
    role = quoted(str(facts.role))
    known = [schema for schema in schemas if schema in facts.known_schemas]
    listed = ", ".join(known)
    made = [
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {quoted(facts.owner)} IN SCHEMA {listed} REVOKE SELECT ON TABLES FROM {role}",
        *on_tables("REVOKE SELECT ON {tables} FROM " + role, facts, listed),
        f"REVOKE USAGE ON SCHEMA {listed} FROM {role}",
    ]
    notes = [note for note in (left_out(facts), on_secrets(facts)) if note]
    return Grant(str(facts.role), tuple(known), tuple(made) if known else (), tuple(notes))


def on_tables(statement: str, facts: Facts, schemas: str) -> list[str]:
    """A statement on all tables and views of schemas; on ours alone where others have some there."""
    if not facts.of_others:
        return [statement.format(tables=f"ALL TABLES IN SCHEMA {schemas}")]
    return [statement.format(tables=", ".join(facts.ours))] if facts.ours else []


def left_out(facts: Facts) -> str:
    """A word on tables that are not ours."""
    if not facts.of_others:
        return ""
    return f"Left out, because another role owns them: {', '.join(facts.of_others[:NAMED])}."


def on_secrets(facts: Facts) -> str:
    """A word on a role that may see what is kept from those that report."""
    if not facts.secret_schemas:
        return ""
    named = " and ".join(f"`{name}`" for name in facts.secret_schemas)
    return (
        f"It may use the schema {named} by other rights, as an administrator or a "
        "member of another role. What signs sessions stands there: do not report with it."
    )


def carry_out(connection: Any, grant: Grant) -> None:
    """Run the statements in one transaction. Raises StoreRightsError."""
    with connection, connection.cursor() as cursor:
        for statement in grant.statements:
            try:
                cursor.execute(statement)
            except psycopg2.errors.InsufficientPrivilege as error:
                told = str(error).strip().splitlines()[0]
                raise StoreRightsError(
                    f"PostgreSQL refuses `{statement}`: {told}. Have an administrator run what `--print` shows."
                ) from error
