"""The pages on an empty store, asked by people with keys and by strangers, without a browser."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from httpx import Response
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.testing import TestClient

from api.app import create_app
from outbound.queue import Mutation, Queue, Wanted
from store import keys
from store.operations import Operations, open_operations
from store.settings import Settings
from store.warehouse import open_warehouse

HOST = "lazi.test"
WANTED = Wanted(
    tenant_id=1,
    entity="customers",
    operation="update",
    record_id="5",
    places={"id": "5"},
    payload={"name": "New"},
    lane=None,
    initiated_by="anna",
    key_id="k1",
    request_hash="h",
    base={"id": 5, "name": "Old"},
    base_hash="b",
    is_held=True,
)


@dataclass(frozen=True)
class Visitor:
    """Somebody in a browser: a cookie, and what their forms show."""

    key: str
    cookie: str = ""
    token: str = ""


@dataclass
class House:
    """The application, and the store behind it."""

    settings: Settings
    operations: Operations
    app: Litestar
    client: TestClient[Any]

    def key(self, *scopes: str, tenant: int = 1) -> str:
        """A new key."""
        return keys.create(self.operations, name="Ann", scopes=scopes or keys.SCOPES, tenant_id=tenant)

    def visitor(self, *scopes: str, tenant: int = 1) -> Visitor:
        """Somebody new who signed in."""
        return self.enter(self.key(*scopes, tenant=tenant))

    def enter(self, key: str) -> Visitor:
        """A new session with a key."""
        found = self.ask("POST", "/sign-in", data={"key": key})
        assert found.status_code == 303, found.text
        visitor = Visitor(key, found.cookies["lazi_session"])
        page = self.ask("GET", "/", visitor).text
        return replace(visitor, token=page.partition('data-token="')[2].partition('"')[0])

    def ask(self, method: str, path: str, visitor: Visitor | None = None, **more: Any) -> Response:
        """An answer; nothing is kept between two questions, and no redirection is followed."""
        self.client.cookies.clear()
        headers = more.pop("headers", {})
        if visitor:
            headers = {"cookie": f"lazi_session={visitor.cookie}", **headers}
        return self.client.request(method, path, headers=headers, follow_redirects=False, **more)

    def act(self, path: str, visitor: Visitor, **headers: str) -> Response:
        """A form of theirs, sent as a browser sends it."""
        sent = {"origin": f"http://{HOST}", "sec-fetch-site": "same-origin", **headers}
        return self.ask("POST", path, visitor, data={"token": visitor.token}, headers=sent)

    def mutation(self, tenant: int) -> Mutation:
        """A new change, which somebody must approve."""
        return Queue(self.operations).add(replace(WANTED, tenant_id=tenant))[0]

    def pages(self) -> list["Way"]:
        """Every route of the pages."""
        return [
            Way(method, route.path_components, handler)
            for route in self.app.routes
            for handler in getattr(route, "route_handlers", ())
            for method in sorted(handler.http_methods - {"OPTIONS"})
            if handler.opt.get("page")
        ]

    def closed(self, method: str) -> list["Way"]:
        """Those that need a session."""
        return [way for way in self.pages() if way.method == method and not way.is_open]


@dataclass(frozen=True)
class Way:
    """A method, a path and who answers."""

    method: str
    components: list[Any]
    handler: HTTPRouteHandler

    @property
    def is_open(self) -> bool:
        """Whether it says that it needs no session."""
        return bool(self.handler.opt.get("open"))

    @property
    def scope(self) -> str:
        """What a key must have."""
        return str(self.handler.opt.get("scope", "read"))

    @property
    def path(self) -> str:
        """With an entity's name, or the number of a record that there is not, for each parameter."""
        return self.to(987_654_321)

    @property
    def is_of_a_mutation(self) -> bool:
        """Whether it names one."""
        return self.components[:1] == ["mutations"] and any(not isinstance(part, str) for part in self.components)

    def to(self, record: int) -> str:
        """With this record in the path."""
        own = "customers" if self.components[:1] == ["entities"] else str(record)
        return "/" + "/".join(part if isinstance(part, str) else own for part in self.components)


@contextmanager
def opened(settings: Settings) -> Iterator[House]:
    """The application on new, empty stores."""
    warehouse, operations = open_warehouse(settings), open_operations(settings)
    app = create_app(settings, warehouse)
    with TestClient(app, raise_server_exceptions=False, base_url=f"http://{HOST}") as client:
        yield House(settings, operations, app, client)
    operations.close()
    warehouse.close()


def is_page(found: Response) -> bool:
    """Whether an answer is a whole page."""
    return found.headers["content-type"].startswith("text/html") and "</html>" in found.text
