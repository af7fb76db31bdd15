"""What a mutation would do: asked of ServiceTitan when somebody wants to know, with the credentials of the key's tenant."""

import threading
from dataclasses import fields
from typing import TYPE_CHECKING

from api.bases import Bases
from api.digits import decoded, exact
from api.mutation_schemas import MutationPreview, PreviewAnswer
from api.problems import ElsewhereError, NotReadyError
from api.queueing import Changes, read
from api.render import DECODER
from outbound.preview import preview
from outbound.secrets import redacted_preview
from sources.servicetitan.client import Client, Patience
from sources.servicetitan.exceptions import ServiceTitanError
from store.exceptions import SettingsError
from store.keys import Key
from store.rate_budget import RateBudget, application_name, open_budget_store
from store.settings import Connection, Settings, Tenant, connection

if TYPE_CHECKING:
    from store.operations import Operations

BRIEF = Patience(attempts=3, seconds=15.0, longest_wait=3.0)
"""Somebody waits for the answer."""


class Clients:
    """A client of ServiceTitan for each tenant, made when it is first needed and kept."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is looked up yet; `settings` say where the rate budget is."""
        self.settings, self.lock = settings, threading.Lock()
        self.known: dict[int, Client] = {}
        self.budgets: Operations | None = None

    def of(self, tenant_id: int) -> Client:
        """A tenant's client. Raises NotReadyError where its credentials are not set."""
        with self.lock:
            if tenant_id not in self.known:
                self.known[tenant_id] = self.made(*credentials(tenant_id))
            return self.known[tenant_id]

    def made(self, reached: Connection, tenant: Tenant) -> Client:
        """A client within the budget that all processes share."""
        self.budgets = self.budgets or open_budget_store(self.settings)
        name = application_name(tenant.app_key)
        budget = RateBudget(self.budgets, name, tenant.tenant_id, reached.requests_per_second)
        return Client(reached, tenant, budget, BRIEF)

    def close(self) -> None:
        """Let go of them."""
        for client in self.known.values():
            client.close()
        if self.budgets:
            self.budgets.close()


def credentials(tenant_id: int) -> tuple[Connection, Tenant]:
    """What opens ServiceTitan for a tenant, as the settings have it. Raises NotReadyError."""
    try:
        reached = connection()
    except SettingsError as error:
        raise NotReadyError(f"ServiceTitan cannot be asked: {error}") from None
    for tenant in reached.tenants:
        if tenant.tenant_id == tenant_id:
            return reached, tenant
    raise NotReadyError(
        f"ServiceTitan cannot be asked: no credentials of tenant `{tenant_id}`, the key's, are configured. Set them as "
        "`SERVICE_TITAN_TENANT_ID` and what belongs to it, or as a row of `[[sources.servicetitan.tenants]]`."
    )


def previewed(changes: Changes, clients: Clients, key: Key, body: bytes) -> PreviewAnswer:
    """What the mutation in a body would do. Raises ApiError, OutboundError or StoreError."""
    asked = read(decoded(body))
    ready, hash_ = changes.readied(asked).ready, asked.based_on_payload_hash
    base = Bases(changes.reader, key.tenant_id, [(ready, hash_)]).of(ready, hash_)
    client = clients.of(key.tenant_id)
    try:
        shown = preview(client, ready, DECODER.decode(base.payload) if base else None)
    except ServiceTitanError as error:
        raise ElsewhereError(f"Asking ServiceTitan for the record failed: {error}") from error
    shown = redacted_preview(ready.operation.title, shown)
    values = exact({field.name: getattr(shown, field.name) for field in fields(shown)})
    needs = changes.needs_approval(ready)
    return PreviewAnswer(
        MutationPreview(**values, needs_approval=needs, based_on_payload_hash=base.hash if base else None)
    )
