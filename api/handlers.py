"""Routes to Litestar's handlers: each one with its parameters, its answer's type and its place in the documents."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache, partial
from typing import Any

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, Schema
from litestar.openapi.spec import Parameter as Documented
from litestar.response import Stream

from api import page, parameters, reads, schemas
from api.parameters import LARGEST, Parameter
from api.problems import NotAcceptableError, Problem
from api.resources import Resource
from api.routes import V1, Kind, Route
from api.steps import Steps
from api.work import Work

MEDIA = {"json": "application/json", "ndjson": "application/x-ndjson", "csv": "text/csv"}
ACCEPTED = {
    "application/json": "json",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "text/csv": "csv",
    "application/*": "json",
    "text/*": "csv",
    "*/*": "json",
}
REMEMBERED = 64  # queries of a list: consumers ask the same ones again and again
AS_OF = Parameter("as_of", "moment", "The record as it was in the copy at this moment.")
PRIVATE = {"cache-control": "private, no-cache", "vary": "accept, x-api-key, authorization"}
Asking = Request[str, Any, State]

FAILURES = {400: "A parameter is wrong", 401: "No valid key", 403: "The key lacks the scope", 429: "Too many requests"}


def failures(*more: int, told: dict[int, str] | None = None) -> dict[int, ResponseSpec]:
    """What else may be answered; `told` are further statuses, or the same ones in other words."""
    own = told or {}
    words = FAILURES | {
        404: "No such record",
        406: "No such form of answer",
        409: "`after` is a place in another list",
        503: "The copy is not ready",
    }
    return {
        status: ResponseSpec(
            Problem,
            description=(words | own)[status],
            media_type="application/problem+json",
            generate_examples=False,
        )
        for status in (*FAILURES, *more, *own, 503)
    }


def operation(documented: list[Documented], *forms: str) -> type[Operation]:
    """An operation with these parameters, whose answer comes in these forms besides JSON."""

    @dataclass
    class Made(Operation):
        def __post_init__(self) -> None:
            self.parameters = documented  # type: ignore[assignment]
            content: Any = getattr((self.responses or {}).get("200"), "content", None)
            for form in forms if content else ():
                content[MEDIA[form]] = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING))

    return Made


def in_query(parameter: Parameter) -> Documented:
    """A parameter for the documents."""
    listed = parameter.kind == "words"
    return Documented(
        name=parameter.name,
        param_in="query",
        description=parameter.description,
        schema=schema_of(parameter.schema),
        explode=False if listed else None,
        style="form" if listed else None,
    )


def schema_of(words: dict[str, Any]) -> Schema:
    """A JSON Schema as Litestar keeps it."""
    names = {"minLength": "min_length", "maxLength": "max_length", "minItems": "min_items"}
    made = {names.get(name, name): value for name, value in words.items() if name != "items"}
    return Schema(**made, items=schema_of(words["items"]) if "items" in words else None)


def in_path(route: Route) -> list[Documented]:
    """The path's parameters for the documents."""
    found = []
    for name, column in route.fixed:
        kind = route.owner.relation.identity if route.owner else route.resource.relation.column(column)
        words: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": reads.LONGEST_KEY}
        if kind.is_number:
            words = {"type": "integer", "format": "int64", "minimum": -LARGEST, "maximum": LARGEST}
        found.append(Documented(name=name, param_in="path", required=True, schema=schema_of(words)))
    return found


def negotiated(given: dict[str, Any], request: Asking) -> str:
    """The form of an answer. Raises NotAcceptableError."""
    if "format" in given:
        return str(given["format"])
    if found := best(request.headers.get("accept") or "*/*"):
        return found
    raise NotAcceptableError("`Accept` names no form of answer that there is.", allowed=sorted(ACCEPTED))


@lru_cache(256)
def best(wanted: str) -> str | None:
    """The form that an `Accept` wants most."""
    return max(filter(None, map(weighed, wanted.split(","))), default=(0.0, 0, None))[2]


def weighed(part: str) -> tuple[float, int, str] | None:
    """How much a form is wanted, how exactly it is named, and which it is; None where it is not one of ours or not wanted."""
    name, *options = (each.strip().lower() for each in part.split(";"))
    weight = next((each.partition("=")[2] for each in options if each.startswith("q=")), "1")
    try:
        wanted = float(weight)
    except ValueError:
        return None
    return (wanted, -name.count("*"), ACCEPTED[name]) if name in ACCEPTED and wanted > 0 else None


def with_mark(steps: Steps[bytes]) -> Steps[tuple[bytes, str]]:
    """A body and its mark."""
    body = yield from steps
    return body, reads.etag(body)


def answered(request: Asking, body: bytes) -> Response[bytes]:
    """A body, or that it is the one that the consumer has."""
    return marked(request, body, reads.etag(body))


def marked(request: Asking, body: bytes, mark: str) -> Response[bytes]:
    """A body with its mark, or that it is the one that the consumer has."""
    headers = {"etag": mark, **PRIVATE}
    known = request.headers.get("if-none-match", "")
    if known and (known.strip() == "*" or mark.removeprefix("W/") in known):
        return Response(b"", status_code=304, headers=headers, media_type=MEDIA["json"])
    return Response(body, headers=headers, media_type=MEDIA["json"])


class Handlers:
    """Makes handlers that answer from these reads."""

    def __init__(self, answers: reads.Reads, work: Work) -> None:
        """Of which stores, and in which threads."""
        self.answers, self.work = answers, work

    async def last_sync(self, tenant: int, entity: str) -> datetime | None:
        """When an entity was last read without an error; looked up in a thread where it is not known."""
        freshness = self.answers.freshness
        if freshness.is_known(tenant):
            return freshness.last_sync(tenant, entity)
        return await self.work.do(freshness.last_sync, tenant, entity)

    def rows(self, route: Route) -> HTTPRouteHandler:
        """A list."""
        known = parameters.list_parameters(route.resource)
        own = {name: known[name] for name in known if name not in {name for name, _ in route.fixed}}
        work, relations = self.work, route.relations

        @lru_cache(REMEMBERED)
        def understood(query: bytes, tenant: int, **fixed: Any) -> tuple[dict[str, Any], page.Asked]:
            given = parameters.read(query, own)
            return given, page.asked(route.resource, tenant, given, fixed)

        async def handle(request: Asking) -> Response[Any]:
            fixed = reads.fixed_values(route, request.path_params)
            given, wanted = understood(request.scope["query_string"], request.auth.tenant_id, **fixed)
            form = negotiated(given, request)
            if form == "json":
                last_sync = await self.last_sync(request.auth.tenant_id, route.resource.entity)
                found = await self.answers.ask(
                    relations, work, lambda answers: with_mark(answers.rows(route, wanted, last_sync))
                )
                return marked(request, *found)
            answers = await self.answers.found(relations, work)
            lines = await work.stream(partial(answers.stream, route, wanted, form))
            return Stream(lines, media_type=MEDIA[form], headers=PRIVATE)

        kind = schemas.page(model_name(route.resource), row_type(route.resource))
        documented = [*in_path(route), *map(in_query, own.values())]
        more = (404, 406, 409) if route.owner or route.path.startswith("audit/record") else (406, 409)
        return self.made(route, handle, kind, operation(documented, "ndjson", "csv"), failures(*more))

    def record(self, route: Route) -> HTTPRouteHandler:
        """A record."""
        relation = route.resource.relation
        names = tuple(column.name for column in relation.columns)
        known = {"fields": parameters.list_parameters(route.resource)["fields"]}
        if route.has_past:
            known["as_of"] = AS_OF
        relations = route.relations

        async def handle(request: Asking) -> Response[Any]:
            given = parameters.read(request.scope["query_string"], known)
            fixed = reads.fixed_values(route, request.path_params)
            picked = given.get("fields")
            shown = (*(key for key in relation.key if key not in picked), *picked) if picked else names
            tenant, moment = request.auth.tenant_id, given.get("as_of")
            answers = self.answers.of_warehouse if moment else self.answers
            found = await answers.ask(
                relations, self.work, lambda answers: with_mark(answers.record(route, tenant, fixed, shown, moment))
            )
            return marked(request, *found)

        adds = tuple((name, row_type(other)) for name, other in route.adds)
        name = model_name(route.resource) + "".join(schemas.camel(field) for field, _ in adds)
        kind = schemas.detail(name, schemas.row(f"{name}Record" if adds else name, relation, adds))
        documented = [*in_path(route), *map(in_query, known.values())]
        return self.made(route, handle, kind, operation(documented), failures(404))

    def made(
        self,
        route: Route,
        handle: Callable[..., Any],
        kind: type,
        operation_class: type[Operation],
        responses: dict[int, ResponseSpec],
    ) -> HTTPRouteHandler:
        """A function as Litestar's handler."""
        handle.__name__ = route.name
        handle.__doc__ = route.summary
        handle.__annotations__ = {"request": Asking, "return": Response[kind]}  # type: ignore[valid-type]
        path = f"{V1}/{route.path}".replace("{id}", "{id:str}").replace("{table}", "{table:str}")
        return get(
            path,
            opt={"scope": route.scope},
            operation_class=operation_class,
            operation_id=route.name,
            summary=route.summary,
            tags=[route.path.partition("/")[0]],
            responses=responses,
        )(handle)

    def every(self, routes: tuple[Route, ...]) -> list[HTTPRouteHandler]:
        """The handlers of a table of routes."""
        return [self.record(route) if route.kind is Kind.DETAIL else self.rows(route) for route in routes]


@cache
def row_type(resource: Resource) -> type:
    """The type of a resource's rows."""
    return schemas.row(model_name(resource), resource.relation)


def model_name(resource: Resource) -> str:
    """The name of a resource's type in the documents."""
    return schemas.camel(resource.name)
