"""Whether a list was read whole although it may have moved while its pages were read.

A page number is a position. When a row before an edge between two pages leaves, or is moved to the end, everything
behind it shifts, and the row at the edge stands on a page that was read already: no page shows it any more. The next
run's overlap does not help, because that row was not modified; only others were. `sort` does not help either:
ServiceTitan's sorted lists are reported not to be sorted.

So rows are counted. A pass that began with a total of N and saw the total rise by R in all has met everything that
ever stood in the list when it brought N + R different keys. Fewer mean that a row was missed (or left before it was
reached), and the list is read again; the keys of all passes count together. An ordinary read costs not one request
more: a list of one page cannot move, and a list that held still is proven by the pages that had to be read anyway.

A busy list may never hold still, and some totals are wrong. So a further pass is also the last one when all that it
brought for the first time was modified since the read began: such rows are the next run's, whose cursor stands before.

What this cannot see is a row that leaves and another one that comes between the very same two requests; a reconcile
finds what was missed then.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc

from sources.servicetitan.head import Head


@dataclass(slots=True)
class Pass:
    """What one reading of all pages brought."""

    totals: list[int] = field(default_factory=list)  # as the pages told them, where they did
    keys: list[pa.Array] = field(default_factory=list)  # of each page
    settled: list[pa.Array] = field(default_factory=list)  # the keys of rows not modified since the read began

    @property
    def expected(self) -> int:
        """How many different keys must have come: without totals as many as rows, repeated ones included."""
        return grown(self.totals) if len(self.totals) == len(self.keys) else sum(map(len, self.keys))


@dataclass(slots=True)
class Passes:
    """All passes over one list, the first of which began at `begun`."""

    begun: datetime
    passes: list[Pass] = field(default_factory=list)

    def begin(self) -> None:
        """Begin a pass."""
        self.passes.append(Pass())

    def count(self, heads: Sequence[Head], total: object) -> None:
        """Count a page of the current pass. A total that is no number counts as none."""
        current = self.passes[-1]
        current.keys.append(pa.array([head.key for head in heads]))
        current.settled.append(pa.array([head.key for head in heads if not self.is_recent(head)]))
        if isinstance(total, int):
            current.totals.append(total)

    def is_recent(self, head: Head) -> bool:
        """Whether a row was modified since the read began."""
        return head.modified_on is not None and head.modified_on >= self.begun

    def is_complete(self) -> bool:
        """Whether the passes so far prove that nothing was missed. A pass without counted pages could not miss."""
        *earlier, last = self.passes
        if not last.keys or different(last.keys) >= last.expected:
            return True
        if not earlier:
            return False
        before = [page for one in earlier for page in one.keys]
        totals = [total for one in self.passes for total in one.totals]
        met = different([*before, *last.keys])
        return (bool(totals) and met >= grown(totals)) or different([*before, *last.settled]) == different(before)


def different(pages: Iterable[pa.Array]) -> int:
    """How many different keys these pages hold."""
    filled = [page for page in pages if len(page)]
    return pc.count_distinct(pa.chunked_array(filled)).as_py() if filled else 0


def grown(totals: Sequence[int]) -> int:
    """The first total and everything by which it rose."""
    return totals[0] + sum(max(0, after - before) for before, after in pairwise(totals))
