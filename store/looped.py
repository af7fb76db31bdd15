"""Reading PostgreSQL from an event loop: short queries that hold no thread while the server works.

A thread for each query costs several times what the query itself costs a client: its wake-up, the loop's, and their turns at
the interpreter. Here the loop waits for the connection's socket, and nothing else is between the two.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from typing import Any

import psycopg2.errors
import psycopg2.extensions
import psycopg2.extras

from store.exceptions import StoreUnreachableError
from store.pooler import keeps_sessions
from store.reading import LOCALLY, READ_ONLY, Row, told
from store.server import reach, reachable
from store.session import connect

CONNECTIONS = 16  # at most; further queries wait for their turn
MOST_PLANS = 100  # that a connection keeps
MARK = re.compile("%[s%]")
POOLED = (psycopg2.errors.InvalidSqlStatementName, psycopg2.errors.DuplicatePreparedStatement)
"""What is raised when a pooler between here and the server lends another of its connections each time, and was not known to."""


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


class Line:
    """A connection of one event loop, which watches its socket as long as it is open."""

    def __init__(self, connection: Any) -> None:
        """Watch this connection for the running loop."""
        self.connection, self.loop = connection, asyncio.get_running_loop()
        self.descriptor = connection.fileno()
        self.prepared: dict[str, str] = {}  # names of statements by text
        self.waiter: asyncio.Future[None] | None = None
        self.is_watched, self.is_writing = True, False
        self.loop.add_reader(self.descriptor, self.look)

    @property
    def is_usable(self) -> bool:
        """Whether it can be asked in the running loop."""
        return not self.connection.closed and self.loop is asyncio.get_running_loop()

    def look(self) -> None:
        """See how far the query is, whose socket can be read or written."""
        try:
            state = self.connection.poll()
        except psycopg2.Error as error:
            self.settle(error)
            return
        if state == psycopg2.extensions.POLL_OK:
            self.settle()
        elif (state == psycopg2.extensions.POLL_WRITE) is not self.is_writing:
            self.is_writing = not self.is_writing
            if self.is_writing:
                self.loop.add_writer(self.descriptor, self.look)
            else:
                self.loop.remove_writer(self.descriptor)

    def settle(self, error: psycopg2.Error | None = None) -> None:
        """Wake who waits; with nobody waiting an error is the connection's end."""
        if self.waiter is None or self.waiter.done():
            if error:
                self.close()
        elif error:
            self.waiter.set_exception(error)
        else:
            self.waiter.set_result(None)

    async def ask(self, cursor: Any, text: str, values: Sequence[Any] = ()) -> None:
        """Send a query and wait for its answer. Raises what the server or the connection raises."""
        self.waiter = self.loop.create_future()
        cursor.execute(text, values or None)
        self.look()
        await self.waiter

    def close(self) -> None:
        """End it, also one that the server has ended: another connection's socket may get the same number at once."""
        if self.is_watched and not self.loop.is_closed():
            self.loop.remove_reader(self.descriptor)
            self.loop.remove_writer(self.descriptor)
        self.is_watched = False
        self.connection.close()


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
        while free and not free[-1].is_usable:
            free.pop().close()
        line = free.pop() if free else Line(await asyncio.to_thread(connected, self.url, plan))
        connection = line.connection
        try:
            cursor = connection.cursor()
            await self.asked(line, cursor, question)
            return cursor.fetchall()  # type: ignore[no-any-return]
        except psycopg2.Error:
            with reachable(), told():
                raise
        finally:
            if connection.closed or connection.isexecuting():
                line.close()
            else:
                free.append(line)

    async def asked(self, line: Line, cursor: Any, question: Question) -> None:
        """Send a query, as a prepared statement where that can be, and wait for its answer."""
        if not keeps_sessions(self.url):  # known by now
            await line.ask(cursor, LOCALLY + question.text, question.values)
            return
        if question.plan and question.values and self.prepares:
            try:
                await prepared(line, cursor, question)
            except POOLED:
                self.prepares = False
            else:
                return
        await line.ask(cursor, question.text, question.values)

    def drop(self) -> None:
        """Close every connection that nobody uses."""
        for lines in self.free.values():
            while lines:
                lines.pop().close()


async def prepared(line: Line, cursor: Any, question: Question) -> None:
    """Send a query as a prepared statement and wait for its answer."""
    name = line.prepared.get(question.text)
    if name is None:
        if len(line.prepared) >= MOST_PLANS:
            await line.ask(cursor, "DEALLOCATE ALL")
            line.prepared.clear()
        name = f"lazi_{len(line.prepared)}"
        await line.ask(cursor, f"PREPARE {name} AS {numbered(question.text)}")
        line.prepared[question.text] = name
    marks = ", ".join(["%s"] * len(question.values))
    await line.ask(cursor, f"EXECUTE {name} ({marks})", question.values)


def numbered(text: str) -> str:
    """A query with its values' places as PREPARE takes them."""
    numbers = count(1)
    return MARK.sub(lambda found: f"${next(numbers)}" if found[0] == "%s" else "%", text)


def connected(url: str, plan: Plan) -> Any:
    """A new connection, waited for in a thread: names are looked up by a call that blocks."""
    if keeps_sessions(url):
        return connect(url, READ_ONLY | {"plan_cache_mode": plan.value}, waits=False)
    connection = reach(url, waits=False)
    with reachable():
        psycopg2.extras.wait_select(connection)
    return connection
