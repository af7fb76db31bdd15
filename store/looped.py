"""Reading PostgreSQL from an event loop: short queries that hold no thread while the server works.

A thread for each query costs several times what the query itself costs a client: its wake-up, the loop's, and their turns at
the interpreter. Here the loop waits for the connection's socket, and nothing else is between the two.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from typing import Any

import psycopg2.errors
import psycopg2.extensions
import psycopg2.extras

from store.exceptions import StoreUnreachableError
from store.operations import connect, reachable
from store.reading import SECONDS, Row, told

CONNECTIONS = 16  # at most; further queries wait for their turn
MOST_PLANS = 100  # that a connection keeps
OPTIONS = f"-c default_transaction_read_only=on -c statement_timeout={SECONDS * 1000} -c plan_cache_mode="
MARK = re.compile("%[s%]")
POOLED = (psycopg2.errors.InvalidSqlStatementName, psycopg2.errors.DuplicatePreparedStatement)
"""What is raised when a pooler between here and the server lends another of its connections each time."""


class Plan(StrEnum):
    """How PostgreSQL plans a prepared statement, in its own words.

    It would choose by itself after five times; but what fits most values of a filter can be a thousand times too slow for
    the rest.
    """

    SHARED = "force_generic_plan"  # one for all values: a record by its key
    OWN = "force_custom_plan"


@dataclass(frozen=True, slots=True)
class Question:
    """A query, and how it is planned; None when it cannot be a prepared statement, as one without values never is."""

    text: str
    values: Sequence[Any] = ()
    plan: Plan | None = None


@dataclass(slots=True)
class Line:
    """A connection, and the names of the statements that it has prepared, by text."""

    connection: Any
    prepared: dict[str, str] = field(default_factory=dict)


class LoopReader:
    """Connections to PostgreSQL for one event loop. They can only read."""

    def __init__(self, url: str) -> None:
        """Nothing is connected yet."""
        self.url = url
        self.free: dict[Plan, list[Line]] = {plan: [] for plan in Plan}
        self.turns = asyncio.Semaphore(CONNECTIONS)
        self.prepares = True

    async def fetch(self, question: Question) -> list[Row]:
        """All rows. Raises as Reader.fetch. A connection that was lost while nobody used it is replaced once."""
        async with self.turns:
            try:
                return await self.once(question)
            except StoreUnreachableError:
                self.drop()
                return await self.once(question)

    async def once(self, question: Question) -> list[Row]:
        """All rows of a query, on one connection. One that was left in the middle of a query is closed."""
        plan = question.plan or Plan.OWN
        free = self.free[plan]
        line = free.pop() if free else await asyncio.to_thread(connected, self.url, plan)
        connection = line.connection
        try:
            cursor = connection.cursor()
            await self.asked(line, cursor, question)
            return cursor.fetchall()  # type: ignore[no-any-return]
        except psycopg2.Error:
            with reachable(), told():
                raise
        finally:
            if not connection.closed and connection.isexecuting():
                connection.close()
            if not connection.closed:
                free.append(line)

    async def asked(self, line: Line, cursor: Any, question: Question) -> None:
        """Send a query, as a prepared statement where that can be, and wait for its answer."""
        if question.plan and question.values and self.prepares:
            try:
                await prepared(line, cursor, question)
            except POOLED:
                self.prepares = False
            else:
                return
        cursor.execute(question.text, question.values or None)
        await settled(line.connection)

    def drop(self) -> None:
        """Close every connection that nobody uses."""
        for lines in self.free.values():
            while lines:
                lines.pop().connection.close()


async def prepared(line: Line, cursor: Any, question: Question) -> None:
    """Send a query as a prepared statement and wait for its answer."""
    name = line.prepared.get(question.text)
    if name is None:
        if len(line.prepared) >= MOST_PLANS:
            cursor.execute("DEALLOCATE ALL")
            await settled(line.connection)
            line.prepared.clear()
        name = f"lazi_{len(line.prepared)}"
        cursor.execute(f"PREPARE {name} AS {numbered(question.text)}")
        await settled(line.connection)
        line.prepared[question.text] = name
    marks = ", ".join(["%s"] * len(question.values))
    cursor.execute(f"EXECUTE {name} ({marks})", question.values)
    await settled(line.connection)


def numbered(text: str) -> str:
    """A query with its values' places as PREPARE takes them."""
    numbers = count(1)
    return MARK.sub(lambda found: f"${next(numbers)}" if found[0] == "%s" else "%", text)


def connected(url: str, plan: Plan) -> Line:
    """A new connection, waited for in a thread: names are looked up by a call that blocks."""
    connection = connect(url, OPTIONS + plan, waits=False)
    with reachable():
        psycopg2.extras.wait_select(connection)
    return Line(connection)


async def settled(connection: Any) -> None:
    """Wait until the query that was sent is answered. Raises what the server or the connection raises."""
    loop, descriptor = asyncio.get_running_loop(), connection.fileno()
    done: asyncio.Future[None] = loop.create_future()
    is_writing = False

    def look() -> None:
        nonlocal is_writing
        if done.done():
            return
        try:
            state = connection.poll()
        except psycopg2.Error as error:
            done.set_exception(error)
            return
        if state == psycopg2.extensions.POLL_OK:
            done.set_result(None)
        elif (state == psycopg2.extensions.POLL_WRITE) is not is_writing:
            is_writing = not is_writing
            if is_writing:
                loop.add_writer(descriptor, look)
            else:
                loop.remove_writer(descriptor)

    loop.add_reader(descriptor, look)
    try:
        look()
        await done
    finally:
        loop.remove_reader(descriptor)
        if is_writing:
            loop.remove_writer(descriptor)
