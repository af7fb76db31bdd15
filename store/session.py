"""Sessions of PostgreSQL: whatever a server, a database, a role or a host sets by default, ours are alike."""

from collections.abc import Mapping
from typing import Any

import psycopg2.extras

from store.pooler import check_session
from store.server import reach, reachable

RELIED_ON = {
    "timezone": "UTC",
    "statement_timeout": "0",  # hosts set one that a first build of the models does not keep to
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",  # or rights that a session holds would go with it
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "datestyle": "ISO, MDY",
    "extra_float_digits": "1",  # or numbers are rounded on their way to us
}
"""Settings of every session that writes; what one does not name is the server's business."""

WRITING = """SET LOCAL timezone = 'UTC'; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0;
SET LOCAL transaction_isolation = 'read committed'; SET LOCAL transaction_read_only = off; """
"""The same for one transaction, or for the statements that are sent along with it: behind a pooler sessions are shared."""

LIMITS_TRANSACTIONS = 17_00_00  # the first version that has `transaction_timeout`


def connect(url: str, own: Mapping[str, str] | None = None, *, waits: bool = True, lost_after: int = 0) -> Any:
    """A session with the settings that we rely on, and `own` ones; it waits, and is lost, as `reach` says.

    Raises StoreUnreachableError, and StoreSessionError where a pooler between here and the server keeps no sessions.
    """
    check_session(url)
    connection = reach(url, waits=waits, lost_after=lost_after)
    with reachable():
        if waits:
            connection.autocommit = True
        else:
            psycopg2.extras.wait_select(connection)
        with connection.cursor() as cursor:
            cursor.execute(as_set(RELIED_ON | timeouts(connection) | dict(own or {})))
            if not waits:
                psycopg2.extras.wait_select(connection)
    if waits:
        connection.autocommit = False
    return connection


def timeouts(connection: Any) -> dict[str, str]:
    """What newer servers have besides."""
    return {"transaction_timeout": "0"} if connection.server_version >= LIMITS_TRANSACTIONS else {}


def as_set(settings: Mapping[str, str]) -> str:
    """Statements that set these settings for a session."""
    return "; ".join(f"SET {name} = '{value}'" for name, value in settings.items())
