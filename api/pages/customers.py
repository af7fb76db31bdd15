"""The pages of customers: the search, and a customer on one page."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from litestar import MediaType, Response, get
from litestar.handlers import HTTPRouteHandler

from api import parameters
from api.pages import customer, customer_edit, customer_history, customer_search, timeline
from api.pages.comparison import changed
from api.pages.customer import key_in_path, missing
from api.pages.customer_history import Waiting
from api.pages.door import Visit
from api.pages.selection import Record
from api.pages.timeline import PARAMETERS, colour
from api.steps import Steps

if TYPE_CHECKING:
    from api.pages.site import Site

T = TypeVar("T")
EDITS = "mutate"
WORDS: dict[str, Any] = {"colour": colour, "changed": changed, "most": customer.MOST}
"""What the templates ask beside filters."""


class Customers:
    """Asks for customers, and shows them."""

    def __init__(self, site: "Site") -> None:
        """Of this site's copy."""
        self.site = site

    async def ask(self, relations: frozenset[str], steps: Callable[[str], Steps[T]]) -> T:
        """What steps come to, in the dialect of where these relations are read."""
        return await self.site.answers.ask(relations, self.site.work, lambda answers: steps(answers.dialect))

    async def search(self, request: Visit) -> Response[str]:
        """The customers that a text finds: the whole page, or for a script that asks as one types the list alone."""
        given = parameters.read(request.scope["query_string"], customer_search.SEARCH)
        text, tenant = given.get("search", "").strip(), request.auth.tenant_id
        found = await self.ask(
            SEARCHED,
            lambda dialect: (
                customer_search.searched(dialect, tenant, text)
                if text
                else customer_search.last_changed(dialect, tenant)
            ),
        )
        template = "customers/part.html" if request.headers.get("hx-target") == "found" else "customers.html"
        return self.site.look.page(request, template, search=text, found=found, mark_in=customer_search.marked, **WORDS)

    async def show(self, request: Visit) -> Response[str]:
        """A customer; only a part of the page where a script asks for another leaf of its time line or its history."""
        key, tenant = key_in_path(request), request.auth.tenant_id
        given = parameters.read(request.scope["query_string"], PARAMETERS)
        part = PARTS.get(request.headers.get("hx-target", ""))
        if part:
            values = await self.leaf(tenant, key, given)
            return self.site.look.page(request, part, customer_id=key, **values, **WORDS)
        found = await self.ask(SHOWN, lambda dialect: customer.known(dialect, tenant, key))
        if found is None:
            raise missing(key)
        values = await self.leaf(tenant, key, given)
        waiting = await self.waiting_for(tenant, key, found.identity)
        return self.site.look.page(
            request,
            "customer.html",
            customer=found,
            customer_id=key,
            waiting=waiting,
            may_edit=EDITS in request.auth.scopes,
            **values,
            **WORDS,
        )

    async def leaf(self, tenant: int, key: int, given: dict[str, Any]) -> dict[str, Any]:
        """A page of the time line and of the history, which is the log's."""
        kind, number, changes = given.get("kind", ""), given.get("page", 1), given.get("changes", 1)
        line = await self.ask(TOLD, lambda dialect: timeline.told(dialect, tenant, key, kind, number))
        history = await self.ask(LOGGED, lambda dialect: customer_history.history(dialect, tenant, key, changes))
        return {"timeline": line, "history": history}

    async def waiting_for(self, tenant: int, key: int, modeled: Record) -> Waiting:
        """Changes of ours that the page does not show yet."""
        queue = self.site.changes.queue
        return await self.site.work.do(customer_history.waiting, queue, tenant, key, modeled["modeled_at"])

    async def wait(self, request: Visit) -> Response[str]:
        """The same changes again; as soon as nothing goes on by itself, the page is to load once more."""
        key, tenant = key_in_path(request), request.auth.tenant_id
        found = await self.ask(SHOWN, lambda dialect: customer.modeled(dialect, tenant, key))
        if found is None:
            raise missing(key)
        waiting = await self.waiting_for(tenant, key, found)
        part = self.site.look.page(request, "customers/waiting.html", customer_id=key, waiting=waiting)
        if not waiting.is_moving:
            part.headers["hx-refresh"] = "true"
        return part


PARTS = {"timeline": "customers/timeline.html", "history": "customers/history.html"}
"""Templates of parts, by the id of the element that a script puts them into."""


SEARCHED = frozenset({"crm.customer_facts", "crm.customer_360", "master.customers"})
SHOWN = frozenset(
    {
        "master.customers",
        "master.locations",
        "master.payment_terms",
        "master.tag_types",
        "crm.contacts",
        "crm.customer_360",
        "crm.open_estimates",
    }
)
TOLD = frozenset({"master.estimates", "master.invoices", "master.job_types", "master.jobs"})
LOGGED = frozenset({"audit.log"})
"""What the parts of these pages are read from."""


def handlers(site: "Site") -> list[HTTPRouteHandler]:
    """The routes."""
    customers = Customers(site)

    @get("/customers", media_type=MediaType.HTML)
    async def find_customers(request: Visit) -> Response[str]:
        return await customers.search(request)

    @get("/customers/{id:str}", media_type=MediaType.HTML)
    async def show_customer(request: Visit) -> Response[str]:
        return await customers.show(request)

    @get("/customers/{id:str}/waiting", media_type=MediaType.HTML)
    async def wait_for_customer(request: Visit) -> Response[str]:
        return await customers.wait(request)

    return [find_customers, show_customer, wait_for_customer, *customer_edit.handlers(site)]
