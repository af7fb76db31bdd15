"""The application: everything put together. `litestar --app api.app:create_app run` and `lazi api` start it."""

import gc
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from difflib import get_close_matches
from functools import partial
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
from litestar import Litestar, Request, Response, Router, get
from litestar._openapi.plugin import OpenAPIPlugin
from litestar.config.compression import CompressionConfig
from litestar.config.cors import CORSConfig
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, SwaggerRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.static_files import create_static_files_router
from prometheus_client import CollectorRegistry

from alarms.condition import Condition
from alarms.facts import read
from alarms.limits import limits
from alarms.seldom import Seldom
from api import crm, health, metrics, mutations, parameters, query, tracing, webhooks
from api.documents import DecimalSchemas, RowSchemas
from api.gate import LARGEST_BODY, Gate, Keyring, Throttle
from api.handlers import Asking, Handlers, answered, failures
from api.head import Head
from api.page import Totals
from api.pages import site
from api.pages.door import Door
from api.pages.live import Live
from api.pages.look import Look
from api.pages.refused import Refused, accepts_pages, is_for_people
from api.pages.session import Sessions
from api.previews import Clients
from api.problems import ApiError, NoKeyError, NotReadyError, Problem, told
from api.queueing import Changes
from api.reads import Freshness, Reads, Serving
from api.render import ENCODER
from api.routes import ROUTES, V1
from api.watch import Requests, Watch, logger
from api.work import Work
from outbound.exceptions import OutboundError
from outbound.queue import Queue
from sources.servicetitan.catalog import CATALOG
from store.exceptions import StoreError
from store.operations import Operations, open_operations
from store.reader import PostgresReader, Reader, open_reader
from store.reading import BusyError, NotBuiltError, TooSlowError
from store.serving import Shown
from store.settings import (
    ApiSettings,
    OutboundSettings,
    Places,
    Settings,
    WebhookSettings,
    api_settings,
    known_tenants,
    load,
    outbound_settings,
    webhook_settings,
)
from store.timetable import timetable
from store.warehouse import DuckDB, Postgres

PROBLEM = "application/problem+json"
DOCS = "/api/docs"
DESCRIPTION = """Reads of a ServiceTitan tenant's copy, and changes to ServiceTitan itself.

Lists answer `{"data": [...], "meta": {...}}`, details `{"data": {...}}`, errors problem details (RFC 9457) with the id
that the log has too. Names are ServiceTitan's in snake_case.

**Numbers** keep every digit: money has six decimals, keys are whole numbers of up to 64 bits. JavaScript rounds whole
numbers beyond 2^53: ServiceTitan's keys stay below, and only records that have no key in ServiceTitan get one beyond.
Moments are in UTC.

**Form**: JSON, or `format=ndjson` and `format=csv`, which without `limit` stream everything that matches.
"""


class EntityName(msgspec.Struct):
    """An entity that can be read."""

    name: str
    module: str
    feed: str
    key_type: str


class EntityNames(msgspec.Struct):
    """All entities."""

    data: list[EntityName]


def create_app(settings: Settings | None = None, warehouse: DuckDB | Postgres | None = None) -> Litestar:
    """The application on the store of these settings; the environment's by default.

    `warehouse` is the embedded store when this process has it open already. Raises StoreError.
    """
    settings = settings or load()
    operations, places = open_operations(settings), Places()
    own, outbound = api_settings(places), outbound_settings(places)
    reader = open_reader(settings, warehouse)
    serving = Serving(PostgresReader(settings.database_url), Shown(operations)) if settings.serves else None
    facts = partial(read, operations, Seldom(reader.fetch, operations), settings.data_dir, known_tenants(places))
    condition = Condition(facts, limits(places), timetable(places))
    clients, hooks = Clients(settings), webhook_settings(places)
    return assembled(reader, operations, own, outbound, clients, condition, hooks, serving)


def document() -> dict[str, Any]:
    """The OpenAPI document, made without a store."""
    nothing: Any = None
    places = Places({}, Path("/nonexistent"))
    own, outbound = api_settings(places), outbound_settings(places)
    return assembled(
        nothing, nothing, own, outbound, Clients(load(places)), nothing, webhook_settings(places)
    ).openapi_schema.to_schema()


def assembled(  # noqa: PLR0917  one thing of each kind
    reader: Reader,
    operations: Operations,
    own: ApiSettings,
    outbound: OutboundSettings,
    clients: Clients,
    condition: Condition,
    hooks: WebhookSettings,
    serving: Serving | None = None,
) -> Litestar:
    """The application on these stores, which it closes in the end."""
    work, log = Work(), logger(sys.stderr)
    answers = Reads(reader, operations, Totals(), Freshness(operations), serving)
    registry = CollectorRegistry()
    registry.register(metrics.Lag(operations))
    registry.register(metrics.Depth(operations))
    changes = Changes(reader, Queue(operations), outbound)
    keyring, look = Keyring(operations, work), Look()
    door = Door(keyring, Sessions(operations), look, work)
    pages = site.Site(look, Live(work), work, answers, changes, clients, condition, log)

    page_of = Refused(look, log)

    def lost(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
        return page_of(request, error) if is_for_people(request) else refused(request, error)

    def strange(request: Request[Any, Any, Any], error: NoKeyError) -> Response[Any]:
        is_document = request.scope["route_handler"].opt.get("for_people")
        return door.led_in(request) if is_document and accepts_pages(request) else wrong(request, error)

    @asynccontextmanager
    async def living(_: Litestar) -> AsyncIterator[None]:
        for each in (reader, serving.reader) if serving else (reader,):
            await work.do(query.warm, each.dialect)
        gc.collect()
        gc.freeze()  # what is there now stays: looking through it again and again takes a twentieth of a busy service's time
        try:
            yield
        finally:
            gc.unfreeze()
            work.close()
            with suppress(StoreError):
                reader.close()
                if serving:
                    serving.reader.close()
            clients.close()
            operations.close()

    app = Litestar(
        [
            *Handlers(answers, work).every(ROUTES),
            entities(),
            health.router(answers, work, condition),
            webhooks.router(operations, hooks, work),
            crm.router(answers, work),
            mutations.router(changes, clients, answers.freshness, work),
            metrics.handler(registry, work),
            documents(),
            site.router(pages, door),
        ],
        middleware=[Gate(keyring, Throttle(own.per_minute, own.per_hour), door.guest)],
        exception_handlers={
            NoKeyError: strange,
            ApiError: wrong,
            OutboundError: unfit,
            StoreError: NotReady(log),
            HTTPException: lost,
            Exception: Unexpected(log),
        },
        openapi_config=openapi(work),
        cors_config=CORSConfig(
            allow_origins=list(own.origins),
            allow_headers=["x-api-key", "authorization", "content-type"],
            expose_headers=["etag", "x-request-id", "retry-after"],
        )
        if own.origins
        else None,
        compression_config=CompressionConfig("gzip", gzip_compress_level=1, minimum_size=1000, exclude=["^/events$"]),
        request_max_body_size=LARGEST_BODY,
        lifespan=[living],
        plugins=[RowSchemas(), DecimalSchemas(), *tracing.plugins()],
        logging_config=None,
    )
    app.asgi_handler = Watch(Head(app.asgi_handler), Requests(registry), log)
    return app


def entities() -> Any:
    """The route that lists what can be read."""
    body = ENCODER.encode(EntityNames([EntityName(e.name, e.module, str(e.feed), str(e.key_type)) for e in CATALOG]))

    @get(
        f"{V1}/entities",
        opt={"scope": "read"},
        operation_id="list_entity_names",
        summary="The entities that can be read",
        tags=["entities"],
        responses=failures(),
    )
    async def names(request: Asking) -> Response[EntityNames]:
        parameters.none(request.scope["query_string"])
        return answered(request, body)  # type: ignore[return-value]

    return names


def openapi(work: Work) -> OpenAPIConfig:
    """The document and its pages, which need no internet. Who is signed in at the operations page sees them."""

    async def made(request: Request[Any, Any, Any]) -> None:
        await work.do(request.app.plugins.get(OpenAPIPlugin).provide_openapi_schema)  # takes seconds, the first time

    assets = f"{DOCS}/assets"
    swagger = SwaggerRenderPlugin(
        js_url=f"{assets}/swagger-ui-bundle.js",
        css_url=f"{assets}/swagger-ui.css",
        standalone_preset_js_url=f"{assets}/swagger-ui-standalone-preset.js",
        favicon=f'<link rel="icon" type="image/png" href="{assets}/favicon-32x32.png">',
        path="/",
    )
    return OpenAPIConfig(
        "ST-LAZI",
        version("st-lazi"),
        description=DESCRIPTION,
        openapi_router=Router(
            DOCS,
            route_handlers=[],
            opt={"scope": "read", "for_people": True},
            before_request=made,
            include_in_schema=False,
        ),
        render_plugins=[swagger, JsonRenderPlugin(path="/openapi.json")],
        security=[{"key": []}],
        components=Components(
            security_schemes={"key": SecurityScheme(type="apiKey", name="x-api-key", security_scheme_in="header")}
        ),
    )


def documents() -> Router:
    """The files of the documents' page."""
    folder = str(files("swagger_ui") / "static")
    return create_static_files_router(
        f"{DOCS}/assets", [folder], opt={"scope": "read", "for_people": True}, include_in_schema=False
    )


def request_id(request: Request[Any, Any, Any]) -> str:
    """The request's id."""
    return str(request.scope["state"].get("request_id", ""))


def answer(problem: Problem, headers: dict[str, str] | None = None) -> Response[bytes]:
    """A problem as an answer."""
    body = msgspec.json.encode(problem)
    return Response(body, status_code=problem.status, media_type=PROBLEM, headers=headers or {})


READ_ERRORS = (NotBuiltError, TooSlowError, BusyError)


def wrong(request: Request[Any, Any, Any], error: ApiError) -> Response[bytes]:
    """What is wrong with the request."""
    return answer(error.problem(request_id(request)), error.headers)


def unfit(request: Request[Any, Any, Any], error: OutboundError) -> Response[bytes]:
    """What is wrong with a change."""
    return wrong(request, told(error))


class NotReady:
    """What is wrong with a store: what a consumer can do about it, or that the log has the cause under the answer's id."""

    def __init__(self, log: Any) -> None:
        """Where it is written."""
        self.log = log

    def __call__(self, request: Request[Any, Any, Any], error: StoreError) -> Response[bytes]:
        """Write it down and answer."""
        self.log.warning("store", request_id=request_id(request), error=str(error))
        is_told = isinstance(error, READ_ERRORS)
        detail = str(error) if is_told else "A store does not answer. The log has the cause under this request's id."
        return answer(NotReadyError(detail).problem(request_id(request)), {"Retry-After": "5"})


def refused(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """What Litestar refused: no such route or method, a body too large or malformed."""
    title = {404: "Not found", 405: "Method not allowed", 413: "Too large"}.get(error.status_code, "Bad request")
    hint = f"{near(request)} The routes are listed at {DOCS}." if error.status_code in {404, 405} else ""
    problem = Problem(
        "about:blank", title, error.status_code, f"{error.detail.rstrip('.')}.{hint}", request_id(request)
    )
    return answer(problem, dict(error.headers or {}))


def near(request: Request[Any, Any, Any]) -> str:
    """A question for a route whose last part is much like the one that was asked for; empty where there is none."""
    parent, _, last = request.url.path.rstrip("/").rpartition("/")
    known = (route.path.rpartition("/") for route in request.app.routes)
    names = [name for place, _, name in known if place == parent and "{" not in name]
    found = get_close_matches(last[:60], names, n=1, cutoff=0.75)
    return f" Is {parent}/{found[0]} meant?" if found and found[0] != last else ""


class Unexpected:
    """What nobody foresaw: the log has it whole, the answer has the id to find it by."""

    def __init__(self, log: Any) -> None:
        """Where it is written."""
        self.log = log

    def __call__(self, request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        """Write it down and answer."""
        self.log.error("failure", request_id=request_id(request), error=repr(error), exc_info=error)
        detail = "Something went wrong here. The log has the cause under this request's id."
        return answer(Problem("about:blank", "Internal error", 500, detail, request_id(request)))
