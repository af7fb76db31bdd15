"""What an address offers: what is read there, what is written, and the methods for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from outbound.operations import ADD, OPERATIONS, Operation
from sandbox import details, routes
from sandbox.demands import Query
from sandbox.problem import Problem
from sandbox.routes import Route
from sandbox.templates import Place, Templates, Values, blank
from sandbox.tenant import Tenant
from sandbox.writes.target import target_of
from sources.servicetitan.catalog import Entity

Methods = Mapping[str, Operation]
NOTHING: Methods = {}


@dataclass(frozen=True)
class Address:
    """An address. `values` are those of a read's placeholders, `places` of a write's, in order.

    Where a read and a write have the same method, it is the read. What can be added below a record (`adds`) is also read
    there.
    """

    route: Route | None
    detail: Entity | None
    adds: Operation | None
    writes: Methods
    values: Values
    places: tuple[str, ...]

    @property
    def reads(self) -> tuple[str, ...]:
        """The methods that read."""
        return self.route.methods if self.route else ("GET",) if self.detail or self.adds else ()

    @property
    def methods(self) -> list[str]:
        """All methods."""
        return sorted({*self.reads, *self.writes})

    def operation(self, method: str) -> Operation | None:
        """What a method writes here; None where it reads."""
        return None if method in self.reads else self.writes.get(method)

    def template(self, method: str) -> str:
        """The path with its placeholders."""
        operation = self.operation(method) or next(iter(self.writes.values()), None)
        if self.route and not self.operation(method):
            return self.route.path
        if self.detail and not self.operation(method):
            return f"{self.detail.path}/{{id}}"
        return operation.path if operation else ""

    def entity(self, method: str, query: Mapping[str, str]) -> str:
        """The name of the entity that a request is about."""
        if operation := self.operation(method):
            return operation.entity
        if self.route:
            return self.route.wanted(query).name
        return self.detail.name if self.detail else self.adds.entity if self.adds else ""

    def single(self, tenant: Tenant, query: Query) -> bytes:
        """One record, or what stands below one. Raises Problem."""
        if self.detail:
            return details.one(tenant, self.detail, self.values["id"], query)
        target, places = (target_of(self.adds), self.places_of(self.adds)) if self.adds else (None, {})
        if target is None or target.own is None or target.owner is None or self.adds is None:
            raise Problem(404, "There is nothing at this address.")
        return details.below(tenant, target.own, target.owner, places[self.adds.record], query)

    def places_of(self, operation: Operation) -> Values:
        """The values of an operation's placeholders."""
        return dict(zip(operation.placeholders, self.places, strict=True))


@cache
def writes(*, with_withdrawn: bool) -> Templates[Methods]:
    """The write operations by address and method."""
    found: dict[Place, dict[str, Operation]] = {}
    for operation in OPERATIONS:
        if with_withdrawn or not operation.is_withdrawn:
            _, module, version, _ = operation.base.split("/", 3)
            found.setdefault((module, version, blank(operation.path)), {})[operation.method] = operation
    named = {(*place[:2], next(iter(methods.values())).path): methods for place, methods in found.items()}
    return Templates(named)


def is_withdrawn(module: str, version: str, path: str, method: str) -> bool:
    """Whether an operation stood at an address that is withdrawn."""
    found = writes(with_withdrawn=True).find(module, version, path)
    return found is not None and method in found[0] and found[0][method].is_withdrawn


@cache
def has_list(operation: Operation) -> bool:
    """Whether what an operation adds below a record can be read there."""
    target = target_of(operation)
    return operation.kind is ADD and target.own is not None and target.owner is not None


def find(module: str, version: str, path: str, method: str, *, with_withdrawn: bool) -> Address | None:
    """What an address offers; None where there is nothing, or what `method` did there is withdrawn.

    Writes are left out where it reads a list.
    """
    read = routes.find(module, version, path)
    if read and method in read[0].methods:
        return Address(read[0], None, None, NOTHING, read[1], ())
    one = None if read else details.find(module, version, path)
    written = writes(with_withdrawn=with_withdrawn).find(module, version, path)
    if not (read or one or written) or (not with_withdrawn and is_withdrawn(module, version, path, method)):
        return None
    methods, places = written or (NOTHING, {})
    return Address(
        route=read[0] if read else None,
        detail=one[0] if one else None,
        adds=next((operation for operation in methods.values() if not read and has_list(operation)), None),
        writes=methods,
        values=(read or one or ("", {}))[1],
        places=tuple(places.values()),
    )
