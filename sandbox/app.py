"""The sandbox as an ASGI application: tokens, lists, exports and the counters."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from threading import RLock
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from sandbox.demands import Query
from sandbox.problem import Problem
from sandbox.routes import Route, routes
from sandbox.tenant import Tenant
from sandbox.tokens import Tokens
from sandbox.traffic import Traffic

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

TOKEN_PATH = "/connect/token"  # noqa: S105  a path, no password
STATS_PATH = "/sandbox/stats"
SEGMENTS = 6
"""`/{module}/{version}/tenant/{tenant}/{path}` splits into so many parts, an empty one first."""


@dataclass(frozen=True)
class Answer:
    """Status, body and further headers."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    kind: bytes = b"application/json; charset=utf-8"


@dataclass(frozen=True)
class Request:
    """The parts of a request that anything depends on."""

    method: str
    path: str
    query: Query
    headers: dict[bytes, bytes]

    def header(self, name: bytes) -> str:
        """A header's value, or an empty string."""
        return self.headers.get(name, b"").decode("latin-1").strip()


def refusal(problem: Problem) -> Answer:
    """The answer that tells of a problem."""
    wait = ((b"retry-after", b"%d" % problem.retry_after),) if problem.retry_after else ()
    return Answer(problem.status, msgspec.json.encode(problem.body()), wait, b"application/problem+json")


async def whole_body(receive: Receive) -> bytes:
    """A request's body."""
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


class App:
    """Answers requests; `lock` is held while tenants are read or changed."""

    def __init__(self, tenants: Callable[[int], Tenant | None], tokens: Tokens, traffic: Traffic, app_key: str) -> None:
        """`tenants` gives a tenant by id, or None for one that does not exist."""
        self.tenants, self.tokens, self.traffic, self.app_key = tenants, tokens, traffic, app_key
        self.hidden: set[str] = set()
        self.lock = RLock()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        request = Request(scope["method"], scope["path"], query, dict(scope["headers"]))
        try:
            answer = await self.answer(request, receive)
        except Problem as problem:
            answer = refusal(problem)
        self.traffic.statuses[answer.status] += 1
        length = (b"content-length", b"%d" % len(answer.body))
        headers = [(b"content-type", answer.kind), length, *answer.headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def answer(self, request: Request, receive: Receive) -> Answer:
        """The answer to a request. Raises Problem."""
        if request.path == TOKEN_PATH and request.method == "POST":
            status, document = self.tokens.grant(request.header(b"content-type"), await whole_body(receive))
            return Answer(status, msgspec.json.encode(document))
        if request.path == STATS_PATH and request.method == "GET":
            return Answer(200, msgspec.json.encode(self.stats()))
        with self.lock:
            return self.data(request)

    def stats(self) -> dict[str, Any]:
        """All counters."""
        return self.traffic.report(self.tokens.issued)

    def data(self, request: Request) -> Answer:
        """A page of a list or an export. Raises Problem."""
        parts = request.path.split("/", SEGMENTS - 1)
        if len(parts) < SEGMENTS or parts[3] != "tenant":
            raise Problem(404, "There is nothing at this address.")
        _, module, version, _, tenant, path = parts
        route = routes().get((module, version, path))
        self.traffic.count(request.path if route else "unknown")
        self.admit(request, tenant)
        if route is None or route.entity.name in self.hidden:
            raise Problem(404, "There is nothing at this address.")
        if request.method != "GET":
            raise Problem(405, "This address is read only.")
        return Answer(200, self.page(route, self.tenant(tenant), request.query))

    def admit(self, request: Request, tenant: str) -> None:
        """Raise the Problem of a request without credentials or of one too many."""
        if not self.tokens.accepts(request.header(b"authorization")):
            raise Problem(401, "The access token is missing, unknown or expired.")
        if request.header(b"st-app-key") != self.app_key:
            raise Problem(401, "The application key is missing or unknown.")
        if self.traffic.is_too_much(self.app_key, tenant):
            raise Problem(429, "Rate limit is exceeded.", retry_after=1)

    def tenant(self, text: str) -> Tenant:
        """The tenant of a path. Raises Problem."""
        found = self.tenants(int(text)) if text.isascii() and text.isdigit() else None
        if found is None:
            raise Problem(403, "The application has no access to this tenant.")
        return found

    def page(self, route: Route, tenant: Tenant, query: Query) -> bytes:
        """The JSON of a page. Raises Problem."""
        if route.is_export:
            return tenant.answer_export(route.entity, query)
        return tenant.answer_list(route.entity, route.path, query)
