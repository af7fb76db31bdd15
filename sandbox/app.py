"""The sandbox as an ASGI application: tokens, lists, exports, writes, the counters and the faults."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import lru_cache
from threading import RLock
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from outbound.operations import Operation
from sandbox import address
from sandbox.address import Address
from sandbox.answer import Answer, Request, refusal
from sandbox.demands import Query
from sandbox.faults.board import Board, FaultError
from sandbox.faults.wire import Wire
from sandbox.problem import Problem, bad
from sandbox.routes import QUERY_TOKEN, REPORT_QUERY, REPORTS
from sandbox.templates import Values
from sandbox.tenant import Tenant
from sandbox.tokens import Tokens
from sandbox.traffic import Traffic
from sandbox.writes.write import Write

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

TOKEN_PATH = "/connect/token"  # noqa: S105  a path, no password
STATS_PATH = "/sandbox/stats"
FAULTS_PATH = "/sandbox/faults"
SEGMENTS = 6
"""`/{module}/{version}/tenant/{tenant}/{path}` splits into so many parts, an empty one first."""


@lru_cache(4096)
def parsed(query: bytes) -> Query:
    """A query's parameters, for reading only: a reader asks for every parent with the same ones."""
    return dict(parse_qsl(query.decode("latin-1")))


async def hang_up(receive: Receive, send: Send) -> None:
    """End a connection without an answer, which ASGI has no words for: `send` is a method of what holds it."""
    cycle: Any = getattr(send, "__self__", None)
    cycle.transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass


async def whole_body(receive: Receive) -> bytes:
    """A request's body. Raises Problem when the client went away before it was whole."""
    parts, more = [], True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Problem(400, "The request is not whole.")
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


class App:
    """Answers requests; `lock` is held while tenants are read or changed."""

    def __init__(
        self,
        tenants: Callable[[int], Tenant | None],
        tokens: Tokens,
        traffic: Traffic,
        app_key: str,
        *,
        faults: Board,
        written: list[Write],
        with_withdrawn: bool,
    ) -> None:
        """`tenants` gives a tenant by id, or None for one that does not exist; `written` is for counting."""
        self.tenants, self.tokens, self.traffic, self.app_key = tenants, tokens, traffic, app_key
        self.faults, self.wire = faults, Wire(faults, tokens)
        self.written, self.with_withdrawn = written, with_withdrawn
        self.hidden: set[str] = set()
        self.lock = RLock()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        query = parsed(scope["query_string"])
        request = Request(scope["method"], scope["path"], query, dict(scope["headers"]))
        try:
            answer = await self.answer(request, receive)
        except Problem as problem:
            answer = refusal(problem)
        self.traffic.statuses[answer.status] += 1
        if self.is_slow(request):
            await asyncio.sleep(self.faults.amount_of("slow"))
        if answer.delay:
            await asyncio.sleep(answer.delay)
        if answer.is_lost:
            await hang_up(receive, send)
            return
        length = (b"content-length", b"%d" % len(answer.body))
        headers = [(b"content-type", answer.kind), length, *answer.headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        shown = answer.body[: len(answer.body) // 2] if answer.is_cut else answer.body
        await send({"type": "http.response.body", "body": shown, "more_body": answer.is_cut})

    async def answer(self, request: Request, receive: Receive) -> Answer:
        """The answer to a request. Raises Problem."""
        if request.path == TOKEN_PATH and request.method == "POST":
            status, document = self.tokens.grant(request.header(b"content-type"), await whole_body(receive))
            return Answer(status, msgspec.json.encode(document))
        if request.path == STATS_PATH and request.method == "GET":
            return Answer(200, msgspec.json.encode(self.stats()))
        if request.path == FAULTS_PATH:
            return self.control(request, await whole_body(receive))
        body = await whole_body(receive) if request.method != "GET" else b""
        with self.lock:
            return self.data(request, body)

    def control(self, request: Request, body: bytes) -> Answer:
        """The faults as they are, or as a PUT makes them. Raises Problem."""
        if request.method not in {"GET", "PUT"}:
            raise Problem(405, "Faults are read by GET and switched by PUT.")
        if request.method == "PUT":
            try:
                with self.lock:
                    self.faults.switch(msgspec.json.decode(body, type=list[str] | dict[str, float]))
            except (FaultError, msgspec.DecodeError) as error:
                raise bad("faults", str(error)) from error
        return Answer(200, msgspec.json.encode(self.faults.report()))

    def is_slow(self, request: Request) -> bool:
        """Whether the answer to a request shall come late."""
        return not request.path.startswith("/sandbox/") and self.faults.strikes("slow", request.path)

    def stats(self) -> dict[str, Any]:
        """All counters."""
        return self.traffic.report(self.tokens.issued) | {"writes": len(self.written)}

    def data(self, request: Request, body: bytes) -> Answer:
        """What a tenant answers. Raises Problem."""
        parts = request.path.split("/", SEGMENTS - 1)
        if len(parts) < SEGMENTS or parts[3] != "tenant":
            raise Problem(404, "There is nothing at this address.")
        _, module, version, _, tenant, path = parts
        found = address.find(module, version, path, request.method, with_withdrawn=self.with_withdrawn)
        known = f"/{module}/{version}/tenant/{tenant}/{found.template(request.method)}" if found else "unknown"
        self.traffic.count(known)
        self.admit(request, tenant)
        if found is None or found.entity(request.method, request.query) in self.hidden:
            raise Problem(404, "There is nothing at this address.")
        if operation := found.operation(request.method):
            return self.wire.write(request, lambda: self.write(operation, found, self.tenant(tenant), request, body))
        if request.method not in found.methods:
            raise Problem(405, f"This address takes {' and '.join(found.methods)} only.")
        return self.wire.answer(request, lambda: self.page(found, self.tenant(tenant), request, body))

    @staticmethod
    def write(operation: Operation, found: Address, tenant: Tenant, request: Request, body: bytes) -> Answer:
        """What a write comes to. Raises Problem."""
        return tenant.desk.take(operation, found.places, request.header(b"content-type"), body)

    def admit(self, request: Request, tenant: str) -> None:
        """Raise the Problem of a request without credentials or of one too many."""
        if not self.tokens.accepts(request.header(b"authorization")):
            raise Problem(401, "The access token is missing, unknown or expired.")
        if request.header(b"st-app-key") != self.app_key:
            raise Problem(401, "The application key is missing or unknown.")
        if self.traffic.is_too_much(self.app_key, tenant):
            raise Problem(429, "Rate limit is exceeded.", retry_after="1")

    def tenant(self, text: str) -> Tenant:
        """The tenant of a path. Raises Problem."""
        found = self.tenants(int(text)) if text.isascii() and text.isdigit() else None
        if found is None:
            raise Problem(403, "The application has no access to this tenant.")
        return found

    def page(self, found: Address, tenant: Tenant, request: Request, body: bytes) -> Answer:
        """A page of a list or an export, a record, or a run of a report. Raises Problem."""
        route = found.route
        if route is None:
            return Answer(200, found.single(tenant, request.query))
        if route.entity is REPORTS:
            return Answer(*self.report(route.path, found.values, tenant, request, body))
        if request.method == "POST":
            return Answer(200, tenant.answer_body(route.entity, request.query, body))
        return Answer(200, tenant.answer(route, found.values, request.query))

    @staticmethod
    def report(path: str, values: Values, tenant: Tenant, request: Request, body: bytes) -> tuple[int, bytes]:
        """A run of a report, or a look at one. Raises Problem."""
        if path == QUERY_TOKEN:
            look = tenant.reports.cancel if request.method == "DELETE" else tenant.reports.look
            return look(values["token"])
        run = tenant.reports.queried if path == REPORT_QUERY else tenant.reports.paged
        return run(values, request.query, body)
