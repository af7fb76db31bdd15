"""Every request gets an id, a line in the log and a place in the metrics; every answer the headers that keep it safe."""

import re
import secrets
import time
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import unquote

import msgspec
import structlog
from litestar.enums import ScopeType
from prometheus_client import CollectorRegistry, Counter, Histogram

from api.reads import SLASH

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
SAFE_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)
SERVER_ERROR = 500


def logger(stream: TextIO) -> Any:
    """A log of events: a line of JSON each, or for a terminal coloured text. Every request stands in it."""
    for_people = stream.isatty()
    renderer: Any = structlog.dev.ConsoleRenderer() if for_people else structlog.processors.JSONRenderer(encoded)
    return structlog.wrap_logger(
        structlog.PrintLogger(stream),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        cache_logger_on_first_use=True,
    )


def encoded(event: Any, **_: Any) -> str:
    """An event as JSON."""
    return msgspec.json.encode(event, enc_hook=str).decode()


class Requests:
    """The metrics of requests."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """None yet."""
        labels = ("method", "route", "status")
        self.seconds = Histogram(
            "lazi_http_request_seconds", "How long requests took", labels, registry=registry, buckets=BUCKETS
        )
        self.errors = Counter("lazi_http_errors", "Answers with a status from 500 on", ("route",), registry=registry)
        self.children: dict[tuple[str, str, int], Any] = {}

    def note(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        place = (method, route, status)
        child = self.children.get(place)
        if child is None:
            child = self.children[place] = self.seconds.labels(method, route, str(status))
        child.observe(seconds)
        if status >= SERVER_ERROR:
            self.errors.labels(route).inc()


class Watch:
    """Around the whole application, so that what finds no route is seen too."""

    def __init__(self, app: "ASGIApp", requests: Requests, log: Any) -> None:
        """Watch this application."""
        self.app, self.requests, self.log = app, requests, log

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass a request on and note what became of it."""
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return
        request_id, method = identified(scope["headers"]), known_method(str(scope["method"]))
        scope["state"]["request_id"] = request_id
        keep_slashes(scope)
        begun, status = time.perf_counter(), SERVER_ERROR

        async def sending(message: "Message") -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = {name for name, _ in message["headers"]}
                safe = [header for header in SAFE_HEADERS if header[0] not in own]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode()), *safe]
            await send(message)

        try:
            await self.app(scope, receive, sending)
        finally:
            seconds = time.perf_counter() - begun
            route = str(scope.get("path_template") or "none")
            self.requests.note(method, route, status, seconds)
            self.log.info(
                "request",
                request_id=request_id,
                method=method,
                route=route,
                status=status,
                ms=round(seconds * 1000, 2),
                key=scope.get("user"),
            )


def keep_slashes(scope: Any) -> None:
    """Let a slash in a key, which comes as `%2F`, not divide the path."""
    raw = scope.get("raw_path") or b""
    if b"%2f" in raw.partition(b"?")[0].lower():
        parts = raw.partition(b"?")[0].decode("latin-1").split("/")
        scope["path"] = "/".join(unquote(part).replace("/", SLASH) for part in parts)


def known_method(method: str) -> str:
    """A method as a label: strangers may send any word."""
    return method if method in {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"} else "other"


def identified(headers: Any) -> str:
    """The id that the request brings, when it is a plain one, or a new one."""
    for name, value in headers:
        if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
            return str(value.decode())
    return secrets.token_hex(8)
