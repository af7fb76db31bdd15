"""Threads for what would keep the event loop: stores are asked by blocking calls, but for PostgreSQL's short reads."""

import asyncio
from collections.abc import AsyncIterator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import ParamSpec, TypeVar

from store.exceptions import StoreError
from store.reading import BusyError

P = ParamSpec("P")
T = TypeVar("T")
THREADS, STREAM_THREADS, DOOR_THREADS, OUTER_THREADS = 16, 4, 2, 4
MOST_STREAMS = 8
Pieces = Generator[bytes, None, None]


class Work:
    """Pools of threads: for answers, for what can take long (streams, ServiceTitan), and for keys, which never wait for those."""

    def __init__(self) -> None:
        """No thread runs yet."""
        sizes = (THREADS, STREAM_THREADS, DOOR_THREADS, OUTER_THREADS)
        self.pool, self.slow, self.door, self.outer = map(pool, sizes)
        self.streams = 0

    async def do(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in a thread."""
        return await in_pool(self.pool, partial(function, *args, **kwargs))

    async def admit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in a thread that only keys use."""
        return await in_pool(self.door, partial(function, *args, **kwargs))

    async def ask_outside(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in a thread that only questions to ServiceTitan use."""
        return await in_pool(self.outer, partial(function, *args, **kwargs))

    async def stream(self, make: Callable[[], tuple[bytes, Pieces]]) -> AsyncIterator[bytes]:
        """What `make` begins, as it comes. Raises what the first piece raises, and BusyError when there are too many."""
        if self.streams >= MOST_STREAMS:
            raise BusyError(f"{MOST_STREAMS} streams are being read already. Try again in a moment.")
        self.streams += 1
        try:
            first, pieces = await in_pool(self.slow, make)
        except BaseException:
            self.streams -= 1
            raise
        return self.each(first, pieces)

    async def each(self, first: bytes, pieces: Pieces) -> AsyncIterator[bytes]:
        """All pieces; in the end the query is ended, whatever happened, behind the piece that is being made."""
        making: asyncio.Future[bytes | None] | None = None
        try:
            yield first
            while True:
                making = asyncio.ensure_future(in_pool(self.slow, partial(next, pieces, None)))
                piece = await asyncio.shield(making)
                if piece is None:
                    break
                yield piece
        finally:
            self.streams -= 1
            await asyncio.shield(self.end(making, pieces))

    async def end(self, making: "asyncio.Future[bytes | None] | None", pieces: Pieces) -> None:
        """Wait for what is being made, and let go of the rest."""
        if making is not None:
            with suppress(StoreError):
                await making
        await in_pool(self.slow, pieces.close)

    def close(self) -> None:
        """End the threads."""
        for each in (self.door, self.pool, self.slow, self.outer):
            each.shutdown(wait=True, cancel_futures=True)


def pool(threads: int) -> ThreadPoolExecutor:
    """So many threads."""
    return ThreadPoolExecutor(threads, thread_name_prefix="lazi-api")


async def in_pool(threads: ThreadPoolExecutor, function: Callable[[], T]) -> T:
    """Call a function in one of these threads."""
    return await asyncio.get_running_loop().run_in_executor(threads, function)
