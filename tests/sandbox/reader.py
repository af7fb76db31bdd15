"""A small honest client of the sandbox: it knows the rules of the API and nothing of the sandbox's inside."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from urllib.parse import parse_qsl, quote

import httpx

from sandbox.server import Sandbox
from sandbox.templates import BRACES
from sources.servicetitan.catalog import BY_NAME, SCOPE, Entity, Feed
from sources.servicetitan.window import slices

DEMANDED = {"page": 1, "pageSize": 50, "descending": "false", "includeTotal": "true"}
WINDOW = {"fromUtc": "2000-01-01", "toUtc": "2100-01-01"}
NOT_FOUND = 404
Scoped = tuple[str, dict[str, Any]]
"""A record and the key of the parent for which it was read."""


class Reader:
    """Reads one tenant."""

    def __init__(self, sandbox: Sandbox, tenant: int | None = None) -> None:
        self.sandbox, self.tenant = sandbox, tenant or sandbox.tenant_id
        self.client = httpx.Client(base_url=sandbox.url, headers={"ST-App-Key": sandbox.app_key})
        self.login()

    def login(self) -> httpx.Response:
        """Ask for a token and use it from now on."""
        form = {
            "grant_type": "client_credentials",
            "client_id": self.sandbox.client_id,
            "client_secret": self.sandbox.client_secret,
        }
        answer = httpx.post(self.sandbox.token_url, data=form)
        self.client.headers["Authorization"] = answer.json()["access_token"]
        return answer

    def get(self, entity: Entity, path: str, **query: Any) -> httpx.Response:
        """One answer."""
        return self.client.get(f"{entity.base}{self.tenant}/{path}", params=query)

    def page(self, entity: Entity, **query: Any) -> httpx.Response:
        """A list with everything sent that any list demands."""
        active = dict([entity.active.split("=")]) if entity.active else {}
        return self.get(entity, entity.path, **{**DEMANDED, "page": entity.first_page, **active, **query})

    def read_list(self, entity: Entity, size: int = 5000, **query: Any) -> list[dict[str, Any]]:
        """All pages of a list."""
        found: list[dict[str, Any]] = []
        page, more = entity.first_page, True
        while more:
            answer = self.page(entity, page=page, pageSize=size, **query).raise_for_status().json()
            if isinstance(answer, list):
                return answer
            found += answer["data"]
            page, more = page + 1, answer.get("hasMore", False)
        return found

    def read_export(self, entity: Entity, start: str = "") -> tuple[list[dict[str, Any]], str]:
        """Everything behind a token, and the token behind everything."""
        found: list[dict[str, Any]] = []
        more = True
        while more:
            query = {"from": start} if start else {}
            answer = self.get(entity, entity.export_path, **query).raise_for_status().json()
            found += answer["data"]
            start, more = answer["continueFrom"], answer["hasMore"]
        return found, start

    def ask(self, entity: Entity, values: Mapping[str, str], **query: Any) -> httpx.Response:
        """One answer at an address with placeholders, by the row's own method and parameters."""
        where = BRACES.sub(lambda found: quote(values[found[1]], safe=""), entity.path)
        given = filled(f"{entity.active}&{entity.params}", values)
        if entity.method == "GET":
            return self.get(entity, where, **given, **query)
        body = {name: True if value == "true" else value for name, value in given.items()}
        return self.client.post(f"{entity.base}{self.tenant}/{where}", json=body)

    def read_all(self, entity: Entity, values: Mapping[str, str], size: int = 5000) -> list[Any]:
        """Every record at an address with placeholders; nothing where there is none."""
        found: list[Any] = []
        page, more = entity.first_page, True
        while more:
            answer = self.ask(
                entity, values, **({"page": page, "pageSize": size, "includeTotal": "true"} if entity.paged else {})
            )
            if answer.status_code == NOT_FOUND:
                return found
            sent = answer.raise_for_status().json()
            found += records_in(entity, sent)
            page, more = page + 1, isinstance(sent, dict) and sent.get("hasMore", False)
        return found

    def read_children(self, entity: Entity) -> list[Scoped]:
        """What belongs to all parents."""
        found: dict[str, list[Scoped]] = {}
        for scope, record in self.parents(entity):
            own = f"{scope}:{record['id']}" if SCOPE in BY_NAME[entity.parent].key else str(record["id"])
            for values in fillings(entity, scope, record):
                key = "".join(values.values()) if "[]" in entity.path else own
                found[key] = [(key, one) for one in self.read_all(entity, values)]
        return [one for some in found.values() for one in some]

    def parents(self, entity: Entity) -> list[Scoped]:
        """The parents of an entity, each with what it was read for itself."""
        parent = BY_NAME[entity.parent]
        if parent.feed is Feed.CHILD:
            return self.read_children(parent)
        records = self.sandbox.records(parent.name, tenant=self.tenant)
        oldest = (datetime.now(UTC) - timedelta(days=entity.recent_days or 99999)).isoformat()
        return [("", record) for record in records if record.get("modifiedOn", oldest) >= oldest]

    def read_windows(self, entity: Entity, now: datetime) -> list[Any]:
        """What is answered for all dates, for each parent where the row names one."""
        found = []
        parents = self.parents(entity) if entity.parent else [("", {})]
        for begin, end in slices(entity.window, None, now):
            dates = {"from": begin.isoformat().replace("+00:00", "Z"), "to": end.isoformat().replace("+00:00", "Z")}
            for scope, record in parents:
                for values in fillings(entity, scope, record):
                    found += self.read_all(entity, values | dates)
        return found

    def close(self) -> None:
        """Give the connections back."""
        self.client.close()


def filled(template: str, values: Mapping[str, str]) -> dict[str, str]:
    """A row's parameters with their braces filled."""
    return {name: BRACES.sub(lambda found: values[found[1]], value) for name, value in parse_qsl(template)}


def fillings(entity: Entity, scope: str, record: dict[str, Any]) -> Iterator[dict[str, str]]:
    """Every way to fill a row's braces from a parent."""
    names = [name for name in BRACES.findall(f"{entity.path} {entity.params}") if name not in {"from", "to"}]
    choices = [[scope] if name == SCOPE else [str(value) for value in within(record, name)] for name in names]
    yield from (dict(zip(names, chosen, strict=True)) for chosen in product(*choices))


def within(value: Any, path: str) -> list[Any]:
    """What stands at a path, in every element of its arrays."""
    name, _, rest = path.partition(".")
    inner = value.get(name.removesuffix("[]")) if isinstance(value, dict) else None
    parts = inner or [] if name.endswith("[]") else [inner]
    found = [one for part in parts for one in within(part, rest)] if rest else parts
    return [one for one in found if one is not None]


def records_in(entity: Entity, sent: Any) -> list[Any]:
    """The records of an answer."""
    if not entity.records:
        return [sent if isinstance(sent, dict | list) else {"value": sent}]
    return sent if isinstance(sent, list) else sent[entity.records]
