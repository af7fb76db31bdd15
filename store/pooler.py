"""Poolers between here and PostgreSQL (PgBouncer, Supavisor and others), and which of them keep no sessions.

In transaction mode a pooler lends each transaction another of its sessions: what one holds or sets there is gone in the next.
Short queries go by such an address all the same (`store.postgres_operations`, `store.reader`, `store.looped`); what holds a
right for longer, loads, or builds models, does not.
"""

from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import Any

from store.exceptions import SettingsError, StoreSessionError
from store.server import parts, reach, reachable

TRIES = 3  # who else uses the pooler may take the session that we look for
ASKED = "SELECT pg_backend_pid()"
PLACE = """SELECT d.oid::TEXT || ' ' || d.datname || ' ' || pg_postmaster_start_time()::TEXT
FROM pg_database AS d WHERE d.datname = CURRENT_DATABASE()"""


@cache
def keeps_sessions(url: str) -> bool:
    """Whether a connection to this address is a session of its own. Asked once in a process. Raises StoreUnreachableError.

    A server tells a client the number of its process; a pooler makes one up. A pooler that keeps sessions has a process for
    each client; one that does not lends an idle client's to the next.
    """
    with closing(reach(url)) as one, reachable():
        one.autocommit = True
        process = asked(one)
        return process == one.info.backend_pid or not any(is_lent(url, one, process) for _ in range(TRIES))


def is_lent(url: str, one: Any, process: int) -> bool:
    """Whether the server's process that served a client serves another, or the same client now has another process."""
    with closing(reach(url)) as other:
        other.autocommit = True
        return bool(asked(other) == process or asked(one) != process)


def asked(connection: Any) -> int:
    """Which of the server's processes answers."""
    with connection.cursor() as cursor:
        cursor.execute(ASKED)
        return int(cursor.fetchone()[0])


@dataclass(frozen=True, slots=True)
class Way:
    """How an address leads to a server: its version, what stands between, and whether strangers can read along."""

    version: str
    has_pooler: bool
    keeps_sessions: bool
    tls: str  # the protocol, to the server or the pooler; empty: none

    @property
    def text(self) -> str:
        """In words."""
        pooler = "no pooler seen"
        if self.has_pooler:
            pooler = (
                "through a pooler that keeps sessions"
                if self.keeps_sessions
                else "through a pooler in transaction mode"
            )
        return f"version {self.version}, {pooler}, {self.tls or 'without TLS'}"


def way(url: str) -> Way:
    """How an address leads to its server. Raises SettingsError or StoreUnreachableError."""
    with closing(reach(url)) as connection, reachable():
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SHOW server_version")
            version = str(cursor.fetchone()[0]).split()[0]
        return Way(
            version=version,
            has_pooler=asked(connection) != connection.info.backend_pid,
            keeps_sessions=keeps_sessions(url),
            tls=str(connection.info.ssl_attribute("protocol") or "TLS") if connection.info.ssl_in_use else "",
        )


def check_session(url: str) -> None:
    """Raise StoreSessionError where an address leads to a pooler that keeps no sessions."""
    if keeps_sessions(url):
        return
    host = parts(url).get("host", "")
    supabase = (
        "On Supabase that is the address of the session pooler (the same host and user with port 5432), or of the direct "
        "connection."
    )
    raise StoreSessionError(
        f"PostgreSQL at `{host}` is reached through a pooler in transaction mode, which keeps no sessions; loading, models "
        "and what only one process may do at a time need one. Set `DATABASE_DIRECT_URL` to an address that leads past the "
        f"pooler, or to one in session mode; `DATABASE_URL` may stay as it is. {supabase}"
    )


@cache
def check_same(url: str, direct: str) -> None:
    """Raise SettingsError where two addresses lead to different databases."""
    if place(url) != place(direct):
        raise SettingsError(
            f"`DATABASE_URL` (at `{parts(url).get('host', '')}`) and `DATABASE_DIRECT_URL` (at "
            f"`{parts(direct).get('host', '')}`) lead to different databases. Correct one of them."
        )


def place(url: str) -> str:
    """Which database of which server an address leads to."""
    with closing(reach(url)) as connection, reachable(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO'; " + PLACE)
        return str(cursor.fetchone()[0])
