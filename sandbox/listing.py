"""Lists: which positions a filter leaves, and the answer for one page of them."""

from collections.abc import Sequence

from sandbox.business import PLACE, SERIES
from sandbox.cache import Cache
from sandbox.filters import Filter
from sandbox.table import Face, Table
from sandbox.texts import guid_number

Page = tuple[int, int, bool, bool]
"""Page, page size, whether the total is wanted, whether the answer is a bare array."""


def position_of(table: Table, key: int) -> int:
    """The position of a record with a numeric id, or -1."""
    position = key - table.business.ident(table.name, 0)
    return position if 0 <= position < min(table.size, SERIES) else -1


def numeric(key: str) -> int:
    """The number that an id in a query stands for, or 0."""
    return int(key) if key.isdecimal() else guid_number(key)


def chosen(table: Table, filter_: Filter, parents: Sequence[int] | None) -> Sequence[int]:
    """The positions among which a filter looks, in order of their ids.

    `parents` holds the positions that the ids mean where these are not the records' own.
    """
    if filter_.ids is not None:
        own = (position_of(table, numeric(key)) for key in filter_.ids)
        return sorted({position for position in (own if parents is None else parents) if position >= 0})
    if filter_.modified != (None, None):
        return sorted(entry & PLACE for entry in table.between(*filter_.modified))
    return range(table.size)


def left(table: Table, filter_: Filter, positions: Sequence[int], *, hides: bool) -> Sequence[int]:
    """The positions that are neither deleted nor excluded by activity or creation.

    `hides` says that a list has no active field, so that it cannot but leave inactive records out.
    """
    if filter_.ids is not None and filter_.modified != (None, None):
        start, end = filter_.modified
        positions = table.only(positions, lambda place: within(table.moments(place)[1], start, end))
    if hides and table.has_active:
        positions = table.only(positions, lambda place: place not in table.inactive)
    elif filter_.active is not None:
        positions = table.only(positions, lambda place: (place not in table.inactive) is filter_.active)
    if table.deleted:
        positions = table.only(positions, lambda place: place not in table.deleted)
    if filter_.created != (None, None):
        start, end = filter_.created
        positions = table.only(positions, lambda place: within(table.moments(place)[0], start, end))
    return positions


def within(moment: int, start: int | None, end: int | None) -> bool:
    """Whether a moment is not before `start` and before `end`."""
    return (start is None or moment >= start) and (end is None or moment < end)


def ordered(table: Table, filter_: Filter, positions: Sequence[int]) -> Sequence[int]:
    """The positions in the wanted order."""
    if filter_.sort != "id":
        nth = int(filter_.sort == "modifiedon")
        positions = sorted(positions, key=lambda place: (table.moments(place)[nth], place))
    return positions[::-1] if filter_.descending else positions


class Listing:
    """The list answers of one entity in one tenant."""

    def __init__(self, table: Table, face: Face, pages: Cache[bytes], *, hides: bool) -> None:
        """`pages` is shared by all lists; `hides` as for `left`."""
        self.table, self.face, self.pages, self.hides = table, face, pages, hides
        self.selections: Cache[Sequence[int]] = Cache(10_000_000)

    def select(self, filter_: Filter, parents: Sequence[int] | None = None) -> Sequence[int]:
        """The positions that a filter leaves, in its order."""

        def make() -> Sequence[int]:
            table = self.table
            found = left(table, filter_, chosen(table, filter_, parents), hides=self.hides)
            return ordered(table, filter_, found)

        return self.selections.get((self.table.version, filter_), make)

    def answer(self, filter_: Filter, page: Page, first: int, parents: Sequence[int] | None = None) -> bytes:
        """The JSON of one page; `first` is the number of the first page."""
        key = (id(self), self.table.version, filter_, page)
        return self.pages.get(key, lambda: self.render(self.select(filter_, parents), page, first))

    def render(self, selection: Sequence[int], page: Page, first: int) -> bytes:
        """The JSON of one page of a selection."""
        number, size, with_total, is_bare = page
        start = 0 if is_bare else (number - first) * size
        shown = selection if is_bare else selection[start : start + size]
        data = b",".join(self.table.render(self.face, shown))
        if is_bare:
            return b"[%b]" % data
        more = b"true" if start + size < len(selection) else b"false"
        total = b"%d" % len(selection) if with_total else b"null"
        head = b'{"page":%d,"pageSize":%d,"hasMore":%b,"totalCount":%b,"data":[' % (number, size, more, total)
        return b"%b%b]}" % (head, data)
