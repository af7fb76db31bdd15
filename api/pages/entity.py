"""The page of an entity: how it stands, its reads, what proves that none is missing, its newest records, and its fields."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from litestar import MediaType, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from api.pages import entity_actions
from api.pages.coverage import place
from api.pages.door import Visit
from api.pages.entity_actions import ACTIONS, why_not_now
from api.pages.entity_facts import OLDER_RUNS, EntityFacts
from api.pages.fields_table import percent
from api.pages.newest import shortened
from api.problems import BadParameterError, NoRecordError
from api.text import shortened as safe
from sources.servicetitan.catalog import CATALOG, Entity, resolve
from sources.servicetitan.exceptions import CatalogError

if TYPE_CHECKING:
    from api.pages.site import Site

NOW, RUNS = "/parts/entities/{}/now", "/parts/entities/{}/runs"
LONGEST = 100  # characters of a name that is looked for
TOOLS: dict[str, Any] = {"percent": percent, "shortened": shortened, "place": place}
"""What the template says things with."""


def handlers(site: "Site") -> list[HTTPRouteHandler]:
    """The page, the older reads behind it, what acts on it, and its parts."""
    facts = EntityFacts(site)
    for entity in CATALOG:
        add_parts(site, facts, entity)
    return [page(site, facts), older(site, facts), *entity_actions.handlers(site, known)]


def add_parts(site: "Site", facts: EntityFacts, entity: Entity) -> None:
    """The parts of an entity's page that renew themselves."""

    def now(tenant: int) -> str:
        return site.look.text("entity/now.html", **facts.now(tenant, entity))

    def runs(tenant: int) -> str:
        return site.look.text("entity/runs.html", runs=facts.page_of_runs(tenant, entity).runs)

    site.live.add(NOW.format(entity.name), now)
    site.live.add(RUNS.format(entity.name), runs)


def page(site: "Site", facts: EntityFacts) -> HTTPRouteHandler:
    """The page's route."""

    @get("/entities/{name:str}", media_type=MediaType.HTML)
    async def entity_page(request: Visit, name: FromPath[str]) -> Response[str]:
        entity, tenant = known(name), request.auth.tenant_id
        addresses = [each.format(entity.name) for each in (NOW, RUNS)]
        parts = {address: await site.live.html(address, tenant) for address in addresses}
        values = await site.work.do(facts.page, tenant, entity)
        runs = await site.work.do(facts.page_of_runs, tenant, entity)
        actions = [(action, why_not_now(action, entity, request.auth.scopes)) for action in ACTIONS]
        more = {"parts": parts, "before": runs.before, "actions": actions, **TOOLS}
        return site.look.page(request, "entity.html", **values, **more)

    return entity_page


def older(site: "Site", facts: EntityFacts) -> HTTPRouteHandler:
    """The route of older reads."""

    @get("/entities/{name:str}/runs", media_type=MediaType.HTML)
    async def older_runs(request: Visit, name: FromPath[str]) -> Response[str]:
        entity, before = known(name), moment_asked(request.query_params.get("before", ""))
        found = await site.work.do(facts.page_of_runs, request.auth.tenant_id, entity, before, OLDER_RUNS)
        return site.look.page(request, "entity_runs.html", entity=entity, found=found, since=before)

    return older_runs


def known(name: str) -> Entity:
    """The entity of this name. Raises NoRecordError, with those that are meant perhaps."""
    try:
        return resolve(name[:LONGEST])
    except CatalogError as error:
        raise NoRecordError(str(error).replace(name[:LONGEST], safe(name))) from error


def moment_asked(text: str) -> datetime | None:
    """The moment of a parameter; None where none is given. Raises BadParameterError."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text.replace(" ", "+"))  # a plus in an address may have become a space
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadParameterError("before", text, "a moment such as `2026-05-01T12:00:00Z`") from None
