"""One record before it is written: where it stands in the business, and what its fields are drawn from."""

from dataclasses import dataclass

from sandbox.business import Business
from sandbox.chance import GOLDEN, SHIFT


@dataclass(slots=True)
class Row:
    """The position of a record and everything that its fields share."""

    business: Business
    name: str
    position: int
    number: int
    created: int
    modified: int
    active: bool
    near: dict[str, int]
    """Positions of the records that this one belongs to, by entity."""

    @property
    def ident(self) -> int:
        """The record's own id."""
        return self.business.ident(self.name, self.position)

    def position_of(self, name: str, grain: int) -> int:
        """The position of the related record: the one nearby, or any."""
        near = self.near.get(name)
        if near is not None:
            return near
        return ((self.number ^ grain) * GOLDEN >> SHIFT) % self.business.sizes[name]

    def id_of(self, name: str, grain: int) -> int:
        """The id of the related record."""
        return self.business.bases[name] + self.position_of(name, grain)

    def name_of(self, name: str, grain: int) -> str:
        """The name of the related record."""
        return self.business.called(name, self.position_of(name, grain))

    def chance(self, limit: int, grain: int) -> int:
        """A number from 0 to `limit` - 1."""
        return ((self.number ^ grain) * GOLDEN >> SHIFT) % limit
