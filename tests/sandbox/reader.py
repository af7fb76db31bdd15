"""A small honest client of the sandbox: it knows the rules of the API and nothing of the sandbox's inside."""

from typing import Any

import httpx

from sandbox.server import Sandbox
from sources.servicetitan.catalog import Entity

DEMANDED = {"page": 1, "pageSize": 50, "descending": "false", "includeTotal": "true"}
WINDOW = {"fromUtc": "2000-01-01", "toUtc": "2100-01-01"}


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
            page, more = page + 1, answer["hasMore"]
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

    def close(self) -> None:
        """Give the connections back."""
        self.client.close()
