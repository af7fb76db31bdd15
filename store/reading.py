"""What every reader of the warehouse shares: its limits, and what engines raise as what is told."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb
import psycopg2
import psycopg2.errors

from store.exceptions import StoreError, StoreUnreachableError

Row = tuple[Any, ...]
SECONDS = 30  # that a query may take
READ_ONLY = {
    "default_transaction_read_only": "on",
    "statement_timeout": str(SECONDS * 1000),
    # a consumer that stops reading must not keep a plan from replacing a view
    "idle_in_transaction_session_timeout": str(2 * SECONDS * 1000),
}
"""Settings of a session of PostgreSQL that reads."""

LOCALLY = f"""SET LOCAL timezone = 'UTC'; SET LOCAL transaction_isolation = 'read committed';
SET LOCAL transaction_read_only = on; SET LOCAL statement_timeout = {SECONDS * 1000};
SET LOCAL idle_in_transaction_session_timeout = {2 * SECONDS * 1000}; """
"""The same for one transaction, or for the query that is sent along with it: behind a pooler sessions are shared."""

MISSING = (
    psycopg2.errors.UndefinedTable,
    psycopg2.errors.UndefinedColumn,
    psycopg2.errors.UndefinedFunction,
    psycopg2.errors.InvalidSchemaName,
    duckdb.CatalogException,
    duckdb.BinderException,
)
"""What engines raise for a table, column or function that is not there."""

ENGINES = (
    psycopg2.InternalError,  # a table that was replaced a moment ago
    psycopg2.errors.InsufficientPrivilege,
    duckdb.IOException,
    duckdb.OutOfMemoryException,
    duckdb.ConnectionException,
    duckdb.TransactionException,
)


class NotBuiltError(StoreError):
    """A table or column is not there yet."""


class TooSlowError(StoreError):
    """A query took longer than it may."""


class BusyError(StoreError):
    """As much is being read already as may be at once."""


@contextmanager
def told() -> Iterator[None]:
    """Turn what engines raise into what is told."""
    try:
        yield
    except MISSING as error:
        raise NotBuiltError("The copy has not been built yet, or is of another version. Run `lazi sync`.") from error
    except psycopg2.errors.QueryCanceled as error:
        raise TooSlowError(
            f"The query took longer than {SECONDS} s. Ask for less: filter, or sort by the key."
        ) from error
    except ENGINES as error:
        raise StoreUnreachableError(
            f"The warehouse cannot be read: {str(error).splitlines()[0]}. Is a plan replacing tables, or its disk full? "
            "Ask again."
        ) from error
