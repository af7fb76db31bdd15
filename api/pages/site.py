"""All pages, behind one door."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from litestar import Response, Router, get
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler

from alarms.condition import Condition
from api.pages import audit, customers, entities, entity, mutations, overview
from api.pages.door import Door, Visit
from api.pages.live import Live
from api.pages.look import HEADERS, HTMX, STATIC, Look
from api.pages.refused import Refused
from api.previews import Clients
from api.problems import ApiError
from api.queueing import Changes
from api.reads import Reads
from api.work import Work
from outbound.exceptions import OutboundError
from store.exceptions import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
KEPT = "public, max-age=31536000, immutable"  # pages name them with the version


@dataclass(frozen=True, slots=True)
class Site:
    """What pages are made of."""

    look: Look
    live: Live
    work: Work
    answers: Reads
    changes: Changes
    clients: Clients
    condition: Condition
    log: Any


def router(site: Site, door: Door) -> Router:
    """The routes of all pages."""
    refusal = Refused(site.look, site.log)

    async def admit(request: Visit) -> Response[Any] | None:  # Litestar copies what is no plain function, to its depths
        return await door.admit(request)

    def refused(request: Visit, error: Exception) -> Response[str]:
        return refusal(request, error)

    pages: Sequence[HTTPRouteHandler] = (
        *overview.handlers(site),
        *mutations.handlers(site),
        *customers.handlers(site),
        *entities.handlers(site),
        *entity.handlers(site),
        *audit.handlers(site),
    )
    return Router(
        "/",
        route_handlers=[*door.handlers(), *pages, site.live.handler(), *files()],
        before_request=admit,
        opt={"page": True},
        after_request=kept_safe,
        exception_handlers=dict.fromkeys((ApiError, OutboundError, StoreError, HTTPException, Exception), refused),
        include_in_schema=False,
    )


def files() -> list[HTTPRouteHandler]:
    """What pages load, from this machine alone."""
    bodies = {path.name: path.read_bytes() for path in STATIC.iterdir()} | {"htmx.min.js": HTMX.read_bytes()}

    def one(name: str, body: bytes) -> HTTPRouteHandler:
        kind = KINDS[name[name.rindex(".") :]]

        @get(f"/pages/{name}", opt={"open": True}, media_type=kind)
        async def file() -> Response[bytes]:
            return Response(body, media_type=kind, headers={"cache-control": KEPT})

        return file

    return [one(name, body) for name, body in bodies.items()]


def kept_safe(response: Response[Any]) -> Response[Any]:
    """An answer with the headers that keep it safe, also one that is no page."""
    response.headers = {**HEADERS, **response.headers}
    return response
