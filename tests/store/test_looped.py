"""Reading PostgreSQL from an event loop: many at once on few connections, each answer its own, and nothing written."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import psycopg2
import pytest

from store.exceptions import StoreUnreachableError
from store.looped import CONNECTIONS, MOST_PLANS, LoopReader, Plan, Question
from store.reading import NotBuiltError, TooSlowError

PLANS = [None, *Plan]


@pytest.fixture
def reader(postgres_url: str) -> Iterator[LoopReader]:
    found = LoopReader(postgres_url)
    yield found
    found.drop()


def run(work: Callable[[], Awaitable[Any]]) -> Any:
    """What the work comes to, in a loop of its own."""
    return asyncio.run(work())  # type: ignore[arg-type]


def others(url: str, statement: str) -> list[Any]:
    """What another connection finds."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(statement)
        found = cursor.fetchall() if cursor.description else []
    connection.close()
    return found


OURS = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = CURRENT_DATABASE() AND pid <> pg_backend_pid()"


@pytest.mark.parametrize("plan", PLANS)
def test_many_at_once_get_their_own_answers_on_few_connections(
    reader: LoopReader, postgres_url: str, plan: Plan | None
):
    """Of every size up to some megabytes, in whatever order the server answers."""

    async def work() -> list[Any]:
        text = "SELECT %s, LENGTH(REPEAT(%s, 7)), REPEAT('x', %s * 20000)"
        asked = [Question(text, (number, "%ü" * number, number), plan) for number in range(100)]
        return await asyncio.gather(*map(reader.fetch, asked))

    found = run(work)
    assert [(int(rows[0][0]), rows[0][1], len(rows[0][2])) for rows in found] == [
        (number, number * 14, number * 20000) for number in range(100)
    ]
    assert 0 < others(postgres_url, OURS)[0][0] <= CONNECTIONS


@pytest.mark.parametrize("plan", PLANS)
def test_a_query_larger_than_the_sockets_buffers_is_sent_whole(reader: LoopReader, plan: Plan | None):
    """The loop waits until the server has read it."""
    text = "ä" * 5_000_000
    assert run(lambda: reader.fetch(Question("SELECT LENGTH(CAST(%s AS TEXT))", (text,), plan))) == [(len(text),)]


@pytest.mark.parametrize("plan", PLANS)
def test_errors_are_told_and_the_connection_goes_on(reader: LoopReader, postgres_url: str, plan: Plan | None):
    """As other readers tell them; nothing can be written."""

    async def work() -> Any:
        with pytest.raises(NotBuiltError, match="lazi sync"):
            await reader.fetch(Question("SELECT * FROM master.nothing WHERE 1 = %s", (1,), plan))
        with pytest.raises(psycopg2.errors.DivisionByZero):
            await reader.fetch(Question("SELECT 1 / CAST(%s AS INT)", (0,), plan))
        with pytest.raises(StoreUnreachableError, match="read-only transaction"):
            await reader.fetch(Question("CREATE TABLE public.t (n int)"))
        await reader.fetch(Question("SELECT SET_CONFIG('statement_timeout', '50', FALSE)"))
        with pytest.raises(TooSlowError, match="Ask for less"):
            await reader.fetch(Question("SELECT PG_SLEEP(5)"))
        return await reader.fetch(Question("SELECT %s", (2,), plan))

    assert [int(row[0]) for row in run(work)] == [2]
    assert others(postgres_url, OURS)[0][0] <= 2


@pytest.mark.parametrize("plan", PLANS)
def test_a_connection_that_was_lost_is_replaced(reader: LoopReader, postgres_url: str, plan: Plan | None):
    """While nobody used it; one that is lost in the middle of a query is told when it is lost again."""
    question = Question("SELECT CAST(%s AS INT)", (7,), plan)
    everyone = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"

    async def work() -> Any:
        await reader.fetch(question)
        (line,) = [line for lines in reader.free.values() for line in lines]
        await asyncio.to_thread(others, postgres_url, everyone)
        await asyncio.sleep(0.3)
        assert (bool(line.connection.closed), line.is_watched) == (
            True,
            False,
        )  # or its socket would wake the loop for ever
        return await reader.fetch(question)

    async def cut() -> None:
        asked = asyncio.ensure_future(reader.fetch(Question("SELECT PG_SLEEP(20)")))
        while not asked.done():
            await asyncio.sleep(0.05)
            await asyncio.to_thread(others, postgres_url, everyone)
        await asked

    assert run(work) == [(7,)]
    with pytest.raises(StoreUnreachableError, match="went away"):
        run(cut)


def test_a_query_that_nobody_waits_for_leaves_no_connection_behind(reader: LoopReader):
    """Its answer can never be taken for that of the next."""

    async def work() -> Any:
        asked = asyncio.ensure_future(reader.fetch(Question("SELECT PG_SLEEP(%s)", (20,), Plan.OWN)))
        await asyncio.sleep(0.3)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        return await reader.fetch(Question("SELECT CAST(%s AS INT)", (5,), Plan.OWN))

    assert run(work) == [(5,)]
    assert sum(len(lines) for lines in reader.free.values()) == 1


def test_statements_are_prepared_once_and_few_are_kept(reader: LoopReader):
    """Many texts one after the other: the server keeps as many as it may, and each answer is right."""

    async def work() -> tuple[list[int], int]:
        texts = [f"SELECT {number} + CAST(%s AS INT)" for number in range(MOST_PLANS * 2 + 5)] * 2
        found = [(await reader.fetch(Question(text, (1000,), Plan.SHARED)))[0][0] for text in texts]
        [(kept,)] = await reader.fetch(
            Question("SELECT COUNT(*) FROM pg_prepared_statements WHERE 1 = %s", (1,), Plan.SHARED)
        )
        return found, kept

    found, kept = run(work)
    assert found == [number + 1000 for number in range(MOST_PLANS * 2 + 5)] * 2
    assert 1 <= kept <= MOST_PLANS


def test_behind_a_pooler_queries_go_unprepared(reader: LoopReader):
    """Where the statement that was prepared is gone, or is another's, the query is asked as it stands."""

    async def work() -> list[Any]:
        question = Question("SELECT CAST(%s AS INT)", (3,), Plan.OWN)
        first = await reader.fetch(question)
        (line,) = reader.free[Plan.OWN]
        await line.ask(line.connection.cursor(), "DEALLOCATE ALL")
        return [first, await reader.fetch(question), await reader.fetch(question)]

    assert run(work) == [[(3,)]] * 3
    assert not reader.prepares


def test_another_loop_gets_connections_of_its_own(reader: LoopReader, postgres_url: str):
    """Those of a loop that has ended are closed."""
    question = Question("SELECT CAST(%s AS INT)", (3,), Plan.OWN)

    async def work() -> list[Any]:
        return await asyncio.gather(*[reader.fetch(question) for _ in range(3)])

    for _ in range(4):
        assert run(work) == [[(3,)]] * 3
    assert others(postgres_url, OURS)[0][0] <= 3
