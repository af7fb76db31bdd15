"""The names by which dlt knows the pipelines: one for each priority, and where several tenants share a store, each tenant's own.

So a tenant whose reads take long holds nobody else's pipeline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sources.servicetitan.client import Client

PRIORITIES = (1, 2, 3, 4)
PIPELINES: dict[str, int] = {f"servicetitan_p{priority}": priority for priority in PRIORITIES}


def pipeline_name(priority: int, tenant_id: int | None = None) -> str:
    """The name of a priority's pipeline, or of a tenant's own."""
    name = next(name for name, number in PIPELINES.items() if number == priority)
    return name if tenant_id is None else f"{name}_{tenant_id}"


def of_all(name: str) -> str:
    """The name that a pipeline has where one tenant is alone."""
    return next(known for known in PIPELINES if name == known or name.startswith(f"{known}_"))


def tenant_of(name: str) -> str:
    """The tenant whose own pipeline this is; empty for one that is for all."""
    return name.removeprefix(of_all(name)).removeprefix("_")


def pipeline_of(client: Client, priority: int) -> str:
    """The pipeline in which a client's entities of a priority land."""
    return pipeline_name(priority, client.tenant.tenant_id if len(client.connection.tenants) > 1 else None)
