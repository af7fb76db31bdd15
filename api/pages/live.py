"""Parts of pages that renew themselves: one stream for each open page, which sends each part, and again when it changes.

A part is made at most once every `EVERY` seconds for each tenant, however many people look at it. Parts are known before
the first request: what is kept of them grows with the tenants that have keys, and not with what is asked for.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from api.pages.door import Visit
from api.problems import BadParameterError
from api.work import Work
from store.exceptions import StoreError
from store.reading import BusyError

EVERY = 2.0  # seconds
SIGN_OF_LIFE = 20.0  # seconds after which a silent stream says that it lives
MOST = 50  # streams
MOST_PARTS = 20  # of one stream, which is one page's
Part = Callable[[int], str]
"""Makes the HTML of a part for a tenant; called in a thread."""

Still = Callable[[], Awaitable[object]]
"""Something true as long as who looks may go on looking."""


class Live:
    """Knows every part by its address, and what it looked like last."""

    def __init__(self, work: Work) -> None:
        """No part is known yet."""
        self.work = work
        self.parts: dict[str, Part] = {}
        self.made: dict[tuple[int, str], tuple[float, str]] = {}
        self.locks: dict[tuple[int, str], asyncio.Lock] = {}
        self.streams = 0

    def add(self, address: str, part: Part) -> None:
        """A part that pages name in `data-live`."""
        self.parts[address] = part

    async def html(self, address: str, tenant: int) -> str:
        """A part as it is now, or was a moment ago."""
        place = (tenant, address)
        async with self.locks.setdefault(place, asyncio.Lock()):
            made_at, text = self.made.get(place, (-EVERY, ""))
            if time.monotonic() - made_at >= EVERY:
                text = await self.work.do(self.parts[address], tenant)
                self.made[place] = (time.monotonic(), text)
        return text

    async def follow(self, addresses: list[str], tenant: int, still: Still) -> AsyncIterator[bytes]:
        """What there is and what changes, as server-sent events: until the browser goes, its session ends or the service does."""
        if self.streams >= MOST:  # several may have been let in at once
            return
        sent: dict[str, str] = {}
        heard = time.monotonic()
        self.streams += 1
        try:
            while not is_stopping() and (goes := await going(still)) is not False:
                text = "".join([await self.event(address, tenant, sent) for address in addresses if goes])
                if not text and time.monotonic() - heard >= SIGN_OF_LIFE:
                    text = ": still here\n\n"
                if text:
                    heard = time.monotonic()
                    yield text.encode()
                await asyncio.sleep(EVERY)
        finally:
            self.streams -= 1

    async def event(self, address: str, tenant: int, sent: dict[str, str]) -> str:
        """A part as an event, when it is not as it was sent. While a store is away the page keeps what it has."""
        try:
            text = await self.html(address, tenant)
        except StoreError:
            return ""
        if sent.get(address) == text:
            return ""
        sent[address] = text
        return f"data: {msgspec.json.encode({'part': address, 'html': text}).decode()}\n\n"

    def handler(self) -> HTTPRouteHandler:
        """The route of the stream."""

        @get("/events")
        async def events(request: Visit) -> Response[Any] | Stream:
            addresses = list(dict.fromkeys(filter(None, request.query_params.getall("part", []))))
            for address in addresses:
                if address not in self.parts:
                    raise BadParameterError("part", address, "one of a page's own parts", sorted(self.parts))
            if len(addresses) > MOST_PARTS:
                raise BadParameterError("part", f"{len(addresses)} of them", f"at most {MOST_PARTS}, a page's own")
            if self.streams >= MOST:
                raise BusyError(f"{MOST} pages renew themselves already. Load this one again later.")
            headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
            followed = self.follow(addresses, request.auth.tenant_id, request.scope["state"]["still"])
            return Stream(followed, media_type="text/event-stream", headers=headers)

        return events


async def going(still: Still) -> bool | None:
    """Whether who looks may go on; None while the store of keys is away: then nothing is shown, and they stay."""
    try:
        return bool(await still())
    except StoreError:
        return None


def is_stopping() -> bool:
    """Whether uvicorn was told to stop: it waits for every answer that has begun, and a stream of ours has no end."""
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return bool(getattr(server, "should_exit", False))
