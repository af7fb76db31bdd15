"""What is done by itself for a tenant, and when: the catalog and a timetable made into a list. Pure.

Entities of one priority are read together, parents before what is asked for them; one with an interval of its own is read
by itself. What an unchanged timetable gives keeps its name from run to run: turns are kept by it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sources.servicetitan.catalog import BY_NAME, CATALOG, Entity, resolve
from store.timetable import Every, Timetable, When


class Work(StrEnum):
    """What a duty does."""

    SYNC = "sync"
    FULL = "full"  # a sync from the beginning, which is only done when somebody wishes for it
    RECONCILE = "reconcile"
    DATES = "dates"  # crm facts that depend on the day


@dataclass(frozen=True, slots=True)
class Duty:
    """One thing that is done again and again for one tenant; its name is unique within the tenant."""

    tenant_id: int
    name: str
    work: Work
    when: When
    entities: tuple[Entity, ...] = ()


@dataclass(frozen=True, slots=True)
class End:
    """How a duty ended. `is_failure`: it was not done at all, by reason of credentials or host if `is_locked_out`."""

    error: str = ""
    is_failure: bool = False
    is_locked_out: bool = False
    was_stopped: bool = False


def duties(timetable: Timetable, tenants: Iterable[int]) -> list[Duty]:
    """All duties, the most urgent first. Raises CatalogError for an entity that the timetable names and nobody knows."""
    own = {resolve(name).name: interval for name, interval in timetable.own.items()}
    return [duty for tenant_id in tenants for duty in of_tenant(timetable, tenant_id, own)]


def of_tenant(timetable: Timetable, tenant_id: int, own: Mapping[str, timedelta | None]) -> Iterator[Duty]:
    """The duties of a tenant; `own` are entities with intervals of their own."""
    for priority, interval in timetable.priorities.items():
        group = tuple(entity for entity in CATALOG if entity.priority == priority and entity.name not in own)
        if interval and group:
            yield Duty(tenant_id, timetable.duty(group[0].name, priority), Work.SYNC, Every(interval), group)
    for name, interval in own.items():
        if interval:
            entity = BY_NAME[name]
            yield Duty(tenant_id, timetable.duty(name, entity.priority), Work.SYNC, Every(interval), (entity,))
    if timetable.reconcile:
        yield Duty(tenant_id, "reconcile", Work.RECONCILE, timetable.reconcile, CATALOG)
    yield Duty(tenant_id, "dates", Work.DATES, timetable.midnight)
