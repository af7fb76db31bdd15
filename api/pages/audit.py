"""The audit page: who changed what when."""

from typing import TYPE_CHECKING

from litestar import MediaType, Response, get
from litestar.handlers import HTTPRouteHandler

from api.pages.audit_filters import ACTORS, FILTERS, typed
from api.pages.audit_list import listing
from api.pages.customer_history import DID
from api.pages.door import Visit
from api.pages.look import words
from api.steps import Asker

if TYPE_CHECKING:
    from api.pages.site import Site


def handlers(site: "Site") -> list[HTTPRouteHandler]:
    """The page."""
    asker = Asker(site.answers.reader, site.work)

    @get("/audit", media_type=MediaType.HTML)
    async def audit(request: Visit) -> Response[str]:
        texts = typed(request.scope["query_string"])
        found = await asker.ask(listing(site.answers.dialect, request.auth.tenant_id, texts))
        entities = [(name, words(name)) for name in FILTERS["entity"].allowed]
        return site.look.page(
            request, "audit.html", found.status, found=found, entities=entities, operations=DID, actors=ACTORS
        )

    return [audit]
