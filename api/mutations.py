"""The routes for changes to ServiceTitan: what can be written, queueing, looking, deciding, undoing."""

from typing import Any

from litestar import HttpMethod, Response, Router, get, post, route
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Parameter as Documented
from litestar.params import JSONBody

from api import parameters
from api.bodies import body_of
from api.deciding import SCOPES, SUMMARIES, decided, resolved
from api.handlers import MEDIA, Asking, answered, failures, in_query, operation, schema_of
from api.mutation_lists import PARAMETERS, counts, listed
from api.mutation_schemas import (
    BatchAnswer,
    MutationAnswer,
    MutationBatch,
    MutationCounts,
    MutationPage,
    MutationRequest,
    PreviewAnswer,
    Resolution,
    detail,
)
from api.parameters import Parameter
from api.previews import Clients, previewed
from api.queueing import Changes, queued
from api.reads import Freshness
from api.render import ENCODER
from api.reverting import reverted
from api.work import Work
from api.writable import WriteOperations, of_entity

LARGEST_CHANGE = 20_000_000  # bytes: an upload in base64, or a batch
MALFORMED, NONE, UNFIT = "The request is malformed", "No such mutation", "It cannot be done as asked; says why"
NOT_NOW = "It cannot be done as the mutation stands; says what can"

ENTITY = {"entity_type": PARAMETERS["entity_type"]}
IDENT = Parameter("id", "integer", "The mutation.", lowest=1)
IN_PATH = Documented(
    name="id", param_in="path", description="The mutation", required=True, schema=schema_of(IDENT.schema)
)
KEY = Documented(
    name="Idempotency-Key",
    param_in="header",
    description="The same key and request again finds the first mutation. In a batch each one's place is added: `key#3`.",
    schema=schema_of({"type": "string", "minLength": 1, "maxLength": 190, "pattern": "^[!-~]+$"}),
)


def written(body: Any, status: int, location: str = "") -> Response[Any]:
    """An answer that nobody keeps."""
    headers = {"cache-control": "no-store"} | ({"location": location} if location else {})
    return Response(ENCODER.encode(body), status_code=status, media_type=MEDIA["json"], headers=headers)


def ident(request: Asking) -> int:
    """The mutation in the path. Raises BadParameterError."""
    return int(IDENT.read(request.path_params["id"]))


def queueing(changes: Changes, clients: Clients, work: Work) -> list[HTTPRouteHandler]:
    """Routes that queue something, or say what would be."""

    @post(
        opt={"scope": "mutate", "largest_body": LARGEST_CHANGE},
        request_max_body_size=LARGEST_CHANGE,
        dto=body_of(MutationRequest | MutationBatch),
        operation_id="post_mutations",
        operation_class=operation([KEY]),
        summary="Queue a change, or up to 500 of them: all or none",
        responses={200: ResponseSpec(MutationAnswer, description="The mutation that the idempotency key stands for")}
        | failures(told={400: MALFORMED, 413: "The body is too large", 422: UNFIT}),
    )
    async def add(request: Asking, data: JSONBody[bytes] = b"") -> Response[MutationAnswer | BatchAnswer]:
        parameters.none(request.scope["query_string"])
        header = request.headers.get("idempotency-key")
        found = await work.do(queued, changes, request.auth, data, header)
        return written(found.body, 201 if found.is_new else 200, found.location)

    @post(
        "/preview",
        status_code=200,
        opt={"scope": "mutate", "largest_body": LARGEST_CHANGE},
        request_max_body_size=LARGEST_CHANGE,
        dto=body_of(MutationRequest),
        operation_id="post_mutations_preview",
        summary="What a change would do now: the request, the record in ServiceTitan, what differs. Nothing is queued",
        responses=failures(
            told={400: MALFORMED, 413: "The body is too large", 422: UNFIT, 502: "ServiceTitan does not answer"}
        ),
    )
    async def look(request: Asking, data: JSONBody[bytes] = b"") -> Response[PreviewAnswer]:
        parameters.none(request.scope["query_string"])
        return written(await work.ask_outside(previewed, changes, clients, request.auth, data), 200)

    @post(
        "/{id:str}/revert",
        opt={"scope": "mutate"},
        operation_id="post_mutation_revert",
        operation_class=operation([IN_PATH]),
        summary="Queue the inverse of a completed update: the old values, unless somebody changed them since",
        responses=failures(404, told={404: NONE, 409: "It is being reverted already", 422: UNFIT}),
    )
    async def revert(request: Asking) -> Response[MutationAnswer]:
        parameters.none(request.scope["query_string"])
        made, location = await work.do(reverted, changes, request.auth, ident(request))
        return written(made, 201, location)

    return [add, look, revert]


def looking(changes: Changes, freshness: Freshness, work: Work) -> list[HTTPRouteHandler]:
    """Routes that change nothing."""
    queue = changes.queue

    @get(
        opt={"scope": "read"},
        operation_id="list_mutations",
        operation_class=operation([*map(in_query, PARAMETERS.values())]),
        summary="Mutations, the newest first",
        responses=failures(409),
    )
    async def some(request: Asking) -> Response[MutationPage]:
        given = parameters.read(request.scope["query_string"], PARAMETERS)
        return shown(request, await work.do(listed, queue, freshness, request.auth.tenant_id, given))

    @get(
        "/summary",
        opt={"scope": "read"},
        operation_id="get_mutations_summary",
        summary="How many mutations are in each state",
        responses=failures(),
    )
    async def summary(request: Asking) -> Response[MutationCounts]:
        parameters.none(request.scope["query_string"])
        return shown(request, await work.do(counts, queue, request.auth.tenant_id))

    @get(
        "/operations",
        opt={"scope": "read"},
        operation_id="list_mutation_operations",
        operation_class=operation([*map(in_query, ENTITY.values())]),
        summary="What can be written to ServiceTitan",
        responses=failures(),
    )
    async def operations(request: Asking) -> Response[WriteOperations]:
        given = parameters.read(request.scope["query_string"], ENTITY)
        return shown(request, await work.do(of_entity, given.get("entity_type")))

    @get(
        "/{id:str}",
        opt={"scope": "read"},
        operation_id="get_mutation",
        operation_class=operation([IN_PATH]),
        summary="A mutation with its whole history",
        responses=failures(404, told={404: NONE}),
    )
    async def one(request: Asking) -> Response[MutationAnswer]:
        parameters.none(request.scope["query_string"])
        found = await work.do(queue.get, ident(request), request.auth.tenant_id)
        return shown(request, MutationAnswer(detail(found)))

    return [some, summary, operations, one]


def shown(request: Asking, body: Any) -> Response[Any]:
    """An answer with its mark."""
    return answered(request, ENCODER.encode(body))


def deciding(changes: Changes, work: Work) -> list[HTTPRouteHandler]:
    """Routes by which people decide."""

    def decision(word: str) -> HTTPRouteHandler:
        @post(
            f"/{{id:str}}/{word}",
            status_code=200,
            opt={"scope": SCOPES[word]},
            operation_id=f"post_mutation_{word}",
            operation_class=operation([IN_PATH]),
            summary=SUMMARIES[word],
            responses=failures(404, told={404: NONE, 409: NOT_NOW}),
        )
        async def decide(request: Asking) -> Response[MutationAnswer]:
            parameters.none(request.scope["query_string"])
            return written(await work.do(decided, changes.queue, request.auth, ident(request), word), 200)

        return decide

    @post(
        "/{id:str}/resolve",
        status_code=200,
        opt={"scope": "mutate"},
        dto=body_of(Resolution),
        operation_id="post_mutation_resolve",
        operation_class=operation([IN_PATH]),
        summary="Say what became of an unknown mutation, or who is right in a conflict",
        responses=failures(
            404, told={400: MALFORMED, 404: NONE, 409: NOT_NOW, 413: "The body is too large", 422: UNFIT}
        ),
    )
    async def resolve(request: Asking, data: JSONBody[bytes] = b"") -> Response[MutationAnswer]:
        parameters.none(request.scope["query_string"])
        return written(await work.do(resolved, changes.queue, request.auth, ident(request), data), 200)

    return [*map(decision, SCOPES), resolve]


@route(http_method=HttpMethod.OPTIONS, status_code=204, include_in_schema=False)
async def methods() -> Response[None]:
    """What can be done with the list; Litestar's own answer knows only the first of two handlers of one path."""
    return Response(None, status_code=204, headers={"allow": "GET, OPTIONS, POST"})


def router(changes: Changes, clients: Clients, freshness: Freshness, work: Work) -> Router:
    """The routes."""
    routes = [methods, *queueing(changes, clients, work), *looking(changes, freshness, work), *deciding(changes, work)]
    return Router("/api/v1/mutations", route_handlers=routes, tags=["mutations"])
