"""A PostgreSQL server: how it is reached, and what is said when it cannot be had. Nothing here shows a password."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
import psycopg2.errors
from psycopg2.extensions import parse_dsn

from store.exceptions import SettingsError, StoreRightsError, StoreUnreachableError
from store.settings import HIGHEST_PORT

SECONDS = 10  # to connect
PASSWORDS = re.compile(r"(\w+://[^\s:/@]*:)[^\s/@]*(?=@)|(\bpassword=)('[^']*'|[^\s&\"']+)")
KEPT_ALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""Has a minute's silence of the network end a connection, which systems otherwise notice after two hours."""
LOST = (psycopg2.OperationalError, psycopg2.InterfaceError)
"""What psycopg2 raises for a connection that is lost; in the middle of an answer also its `DatabaseError`, and no kind of it."""

ADDRESS = "postgresql://user:password@host:5432/database"
ENCODED = "In a password all but letters, digits, `-`, `.`, `_` and `~` is written as `%` and its number: `@` is `%40`."


def hushed(text: str) -> str:
    """A text without the passwords of addresses in it, as DuckDB quotes the one that it could not reach."""
    return PASSWORDS.sub(r"\1\2...", text)


def parts(url: str) -> dict[str, str]:
    """What an address says, by libpq's names. Raises SettingsError, which shows nothing of the password."""
    rest = url.partition("://")[2]
    if rest.count("@") > 1 or (
        "@" in rest and "/" in rest.partition("@")[0]
    ):  # libpq would show a piece of the password
        raise SettingsError(f"The address of PostgreSQL has a `@` or `/` that is none of its own. {ENCODED}")
    try:
        found: dict[str, str] = parse_dsn(url)
    except (psycopg2.ProgrammingError, UnicodeDecodeError) as error:
        reason = str(error).strip().splitlines()[0].partition('"')[0].strip(" :")
        raise SettingsError(f"`DATABASE_URL` cannot be read ({reason}). Write it as `{ADDRESS}`. {ENCODED}") from None
    for port in found.get("port", "").split(","):  # of several hosts, each one's
        if port and not (port.isascii() and port.isdigit() and 1 <= int(port) <= HIGHEST_PORT):
            is_one = port.isdigit() and "@" in rest.partition("?")[0]  # else it may be a piece of the password
            shown = f"the port `{port}`" if is_one else "a port"
            raise SettingsError(
                f"`DATABASE_URL` has {shown} that is no whole number from 1 to {HIGHEST_PORT}. Write it as `{ADDRESS}`."
            )
    return found


def reach(url: str, *, waits: bool = True, lost_after: int = 0) -> Any:
    """A connection as the server gives it, and one whose calls return at once unless it `waits`.

    `lost_after`, in seconds, bounds how long what was sent may go unconfirmed. It is not for who sends much: a server that is too
    busy to read for so long is taken for lost. What the address sets goes before what is set here. Raises SettingsError or
    StoreUnreachableError, without the password.
    """
    known = parts(url)
    own: dict[str, Any] = {"connect_timeout": SECONDS, **KEPT_ALIVE}
    if lost_after:
        own["tcp_user_timeout"] = lost_after * 1000
    if "," in known.get("host", ""):
        own["target_session_attrs"] = "read-write"  # of several servers, the one that can be written
    own = {name: value for name, value in own.items() if name not in known} | {"client_encoding": "UTF8"}
    try:
        return psycopg2.connect(url, fallback_application_name="lazi", async_=0 if waits else 1, **own)
    except (psycopg2.OperationalError, psycopg2.ProgrammingError) as error:
        raise StoreUnreachableError(unreachable(reason(error))) from None


def unreachable(said: str) -> str:
    """What is told of a server that does not let one in, by what libpq said; whether it did answer, where its words are known."""
    if REFUSED_ENTRY.search(said):
        return f"PostgreSQL refuses the connection: {said}. Are the user, the password and the database of `DATABASE_URL` right?"
    return (
        f"PostgreSQL does not answer: {said}. Is the server running and `DATABASE_URL` right? Without `DATABASE_URL` the "
        "embedded DuckDB store is used."
    )


REFUSED_ENTRY = re.compile(
    r"FATAL: +(?:password authentication failed|no pg_hba\.conf entry|(?:role|database) \".*\" does not exist)"
)


def reason(error: BaseException) -> str:
    """What libpq says, in one line without its questions; of several hosts, about each."""
    return ASKS.sub("", " ".join(str(error).split())).rstrip(".")


ASKS = re.compile(r" Is the server running [^?]*\?")


@contextmanager
def reachable() -> Iterator[None]:
    """Turn a PostgreSQL that went away into a StoreUnreachableError, and one that refuses into a StoreRightsError."""
    try:
        yield
    except psycopg2.errors.InsufficientPrivilege as error:
        raise StoreRightsError(refusal(error)) from error
    except (psycopg2.InterfaceError, psycopg2.DatabaseError) as error:
        if not isinstance(error, LOST) and type(error) is not psycopg2.DatabaseError:
            raise
        told = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise StoreUnreachableError(
            f"PostgreSQL went away: {told}. What was written whole is kept; the next run goes on where this one stopped."
        ) from error


REFUSED = re.compile(
    r"(?:permission denied for|must be owner of) (?P<kind>database|schema|table|view|function|sequence) (?P<name>.+)"
)
GRANTS = {
    "database": "GRANT CREATE ON DATABASE {name} TO {role}",
    "schema": "GRANT USAGE, CREATE ON SCHEMA {name} TO {role}",
}
OWNING = "ALTER {kind} {name} OWNER TO {role}"
"""By what a role lacks a right to, what gives it."""


def refusal(error: psycopg2.Error) -> str:
    """What the server refuses, and which statement would allow it, where its words are known."""
    told = str(error).strip().splitlines()[0]
    cursor = getattr(error, "cursor", None)
    user = cursor.connection.info.user if cursor is not None else None  # none of a session that ended
    role = quoted(user) if user else "the role of `DATABASE_URL`"
    found = REFUSED.search(told)
    if not found:
        return f"PostgreSQL refuses: {told}. Its owner, or an administrator, can allow it to {role}."
    statement = GRANTS.get(found["kind"], OWNING)
    remedy = statement.format(kind=found["kind"].upper(), name=quoted(found["name"]), role=role)
    return f"PostgreSQL refuses: {told}. Its owner, or an administrator, can allow it: `{remedy}`."


def quoted(name: str) -> str:
    """An identifier in quotes."""
    return '"' + name.replace('"', '""') + '"'
