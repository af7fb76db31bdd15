"""Lists: which positions a filter leaves, and the answer for one page of them."""

from collections.abc import Sequence

from sandbox.business import PLACE, SERIES
from sandbox.cache import Cache
from sandbox.filters import Filter
from sandbox.table import Face, Table
from sandbox.texts import guid_number

Page = tuple[int, int, bool]
"""Page, page size, whether the total is wanted."""
Ranks = dict[int, int]


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
    if filter_.ids is not None:
        positions = changed(table, filter_, positions)
    if hides and table.has_active:
        positions = table.only(positions, lambda place: place not in table.inactive)
    elif filter_.active is not None:
        positions = table.only(positions, lambda place: (place not in table.inactive) is filter_.active)
    if gone := table.deleted | table.purged:
        positions = table.only(positions, lambda place: place not in gone)
    if lookup := filter_.external:
        positions = table.only(positions, lambda place: table.external.fits(place, lookup))
    if filter_.created != (None, None):
        start, end = filter_.created
        positions = table.only(positions, lambda place: within(table.moments(place)[0], start, end))
    return positions


def changed(table: Table, filter_: Filter, positions: Sequence[int]) -> Sequence[int]:
    """The positions of records that were modified in the wanted time."""
    start, end = filter_.modified
    if (start, end) == (None, None):
        return positions
    return table.only(positions, lambda place: within(table.moments(place)[1], start, end))


def within(moment: int, start: int | None, end: int | None) -> bool:
    """Whether a moment is not before `start` and before `end`."""
    return (start is None or moment >= start) and (end is None or moment < end)


def ordered(table: Table, filter_: Filter, positions: Sequence[int], ranks: Ranks) -> Sequence[int]:
    """The positions in the wanted order. Rows that were moved stand by their ranks instead of their ids."""
    if filter_.sort == "id" and ranks:
        positions = sorted(positions, key=lambda place: ranks.get(place, place))
    if filter_.sort != "id":
        nth = int(filter_.sort == "modifiedon")
        positions = sorted(positions, key=lambda place: (table.moments(place)[nth], place))
    return positions[::-1] if filter_.descending else positions


def enveloped(shown: Sequence[bytes], page: Page, count: int, first: int) -> bytes:
    """A page of records, of so many in all, in ServiceTitan's envelope."""
    number, size, with_total = page
    more = b"true" if (number - first + 1) * size < count else b"false"
    total = b"%d" % count if with_total else b"null"
    head = b'{"page":%d,"pageSize":%d,"hasMore":%b,"totalCount":%b,"data":[' % (number, size, more, total)
    return b"%b%b]}" % (head, b",".join(shown))


def repeated(shown: Sequence[int], before: Sequence[int], number: int) -> list[int]:
    """What is shown with one row more: the last one of the page before, where there is one, or a second time its own."""
    if not shown:
        return []
    return [*before, *shown] if before and number % 2 else [*shown, shown[number % len(shown)]]


class Listing:
    """The list answers of one entity in one tenant."""

    def __init__(self, table: Table, face: Face, pages: Cache[bytes], *, hides: bool) -> None:
        """`pages` is shared by all lists; `hides` as for `left`."""
        self.table, self.face, self.pages, self.hides = table, face, pages, hides
        self.address = f"{table.business.tenant}/{face[0]}"
        self.selections: Cache[Sequence[int]] = Cache(10_000_000)
        self.ranks: Ranks = {}
        self.moves = 0

    def select(self, filter_: Filter, parents: Sequence[int] | None = None) -> Sequence[int]:
        """The positions that a filter leaves, in its order."""

        def make() -> Sequence[int]:
            table = self.table
            found = left(table, filter_, chosen(table, filter_, parents), hides=self.hides)
            return ordered(table, filter_, found, self.ranks)

        return self.selections.get((self.table.version, self.moves, filter_), make)

    def answer(self, filter_: Filter, page: Page, first: int, parents: Sequence[int] | None = None) -> bytes:
        """The JSON of one page; `first` is the number of the first page."""
        faults = self.table.faults
        start = (page[0] - first) * page[1]
        if start > 0 and faults.strikes("moving_rows", self.address):
            self.move(self.select(filter_, parents), start)
        if faults.strikes("repeated_rows", self.address):
            return self.render(self.select(filter_, parents), page, first, filter_, faults.counts["repeated_rows"])
        key = (id(self), self.table.version, self.moves, filter_, page)
        return self.pages.get(key, lambda: self.render(self.select(filter_, parents), page, first, filter_))

    def children(self, filter_: Filter, page: Page, first: int, positions: Sequence[int]) -> bytes:
        """The JSON of one page of the records at some positions."""
        found = changed(self.table, filter_, positions)
        return self.render(left(self.table, filter_, found, hides=self.hides), page, first, filter_)

    def records(self, filter_: Filter, positions: Sequence[int] | None) -> list[bytes]:
        """All records that a filter leaves, or of those at some positions."""
        chosen_ = self.select(filter_) if positions is None else left(self.table, filter_, positions, hides=self.hides)
        return self.table.render_for(self.face, chosen_, filter_.external)

    def render(self, selection: Sequence[int], page: Page, first: int, filter_: Filter, repeats: int = 0) -> bytes:
        """The JSON of one page of a filter's selection; `repeats` numbers the times that a row stands there once more."""
        number, size, _ = page
        start = (number - first) * size
        shown = selection[start : start + size]
        if repeats:
            shown = repeated(shown, selection[max(start - 1, 0) : start], repeats)
        return enveloped(self.table.render_for(self.face, shown, filter_.external), page, len(selection), first)

    def move(self, selection: Sequence[int], start: int) -> None:
        """Move a row across the edge at `start`: one before it to the end, or one behind it to the beginning."""
        if start >= len(selection):
            return
        self.moves += 1
        if self.moves % 2:
            self.ranks[selection[self.moves * start // 3 % start]] = PLACE + self.moves
        else:
            self.ranks[selection[start + self.moves % (len(selection) - start)]] = -self.moves
