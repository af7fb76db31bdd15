"""What people can ask for an entity: that it is read at once. The schedule grants it; see `pipelines/wishes.py`."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from litestar import MediaType, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from api.pages.door import SEE_OTHER, Visit
from api.problems import UnfitError
from sources.servicetitan.catalog import Entity
from sources.servicetitan.census import why_not

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.pages.site import Site


@dataclass(frozen=True, slots=True)
class Action:
    """A button, and the scope that its use needs."""

    work: str
    label: str
    means: str
    scope: str


ACTIONS = (
    Action("sync", "Sync now", "Reads what is new or changed.", "mutate"),
    Action(
        "full", "Full read", "Reads every record from the beginning, which can take hours and many requests.", "admin"
    ),
    Action("reconcile", "Reconcile", "Counts every record, lands what differs and marks what is gone.", "admin"),
)
"""Each has a work that `system.wishes` knows. What costs the tenant's whole budget of requests needs more than a change does."""


def why_not_now(action: Action, entity: Entity, scopes: Collection[str]) -> str:
    """Why somebody with these scopes cannot use a button, or an empty string."""
    if action.work == "reconcile" and (why := why_not(entity)):
        return why
    return "" if action.scope in scopes else f"Needs a key with the scope {action.scope}."


def handlers(site: "Site", known: "Callable[[str], Entity]") -> list[HTTPRouteHandler]:
    """The routes of all buttons; `known` finds an entity by its name, or raises."""
    return [handler(site, known, action) for action in ACTIONS]


def handler(site: "Site", known: "Callable[[str], Entity]", action: Action) -> HTTPRouteHandler:
    """The route of one button."""

    @post(f"/entities/{{name:str}}/{action.work}", opt={"scope": action.scope}, media_type=MediaType.HTML)
    async def ask(request: Visit, name: FromPath[str]) -> Response[str]:
        entity = known(name)
        if why := why_not_now(action, entity, request.auth.scopes):
            raise UnfitError(why)
        values = {"tenant_id": request.auth.tenant_id, "entity": entity.name, "work": action.work}
        await site.work.do(site.answers.operations.run, "wish", **values, wished_at=datetime.now(UTC))
        return Response("", status_code=SEE_OTHER, headers={"location": f"/entities/{entity.name}"})

    return ask
