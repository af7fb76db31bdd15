"""Which child belongs to which parent, both ways, without a list of either."""

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Share:
    """In every block of `parents` parents, the child at place `i` belongs to the parent `owners[i]`.

    `owners` ascends, so that the children of the first parents are the first children.
    """

    parents: int
    owners: tuple[int, ...]

    @cached_property
    def firsts(self) -> tuple[int, ...]:
        """For each parent of a block, and one more, how many children come before its own."""
        return tuple(sum(owner < place for owner in self.owners) for place in range(self.parents + 1))

    def count(self, parents: int) -> int:
        """How many children so many parents have."""
        blocks, rest = divmod(parents, self.parents)
        return blocks * len(self.owners) + self.firsts[rest]

    def parent(self, child: int) -> int:
        """The position of a child's parent."""
        block, place = divmod(child, len(self.owners))
        return block * self.parents + self.owners[place]

    def children(self, parent: int) -> range:
        """The positions of a parent's children, in order."""
        block, place = divmod(parent, self.parents)
        start = block * len(self.owners)
        return range(start + self.firsts[place], start + self.firsts[place + 1])


JOBS = Share(10, (0,) * 6 + (1,) * 4 + (2,) * 3 + (3,) * 2 + (4, 5, 6, 7, 8))
"""Of ten customers one has six jobs and one has none yet."""
LOCATIONS = Share(5, (0, 0, 1, 2, 3, 4))
CUSTOMER_CONTACTS = Share(5, (0, 0, 0, 1, 1, 2, 2, 3, 4))
LOCATION_CONTACTS = Share(6, (0, 0, 1, 1, 2, 3, 4))
APPOINTMENTS = Share(5, (0, 0, 1, 2, 3, 4))
ESTIMATES = Share(5, (0, 1, 2))
ESTIMATE_ITEMS = Share(2, (0, 0, 0, 1, 1))
ONE_EACH = Share(1, (0,))
INVOICE_ITEMS = Share(2, (0, 0, 0, 1, 1))
PAYMENTS = Share(5, (0, 1, 2))
CANCELED_JOBS = Share(10, (8,))
HELD_JOBS = Share(30, (9, 29))

# what is read for each parent; of every kind of parent some have none, and the first has some
ATTACHMENTS = Share(6, (0, 0, 0, 3))
BOOKED_LOGS = Share(10, (0, 1, 2, 3, 4, 5, 6, 7, 8))
BOOKING_CONTACTS = Share(3, (0, 0, 1))
BUDGET_CODES = Share(2, (0, 0, 0))
CUSTOMER_NOTES = Share(4, (0, 0, 1))
DEPOSITED = Share(3, (0, 0, 1))
FINDING_ATTACHMENTS = Share(2, (0,))
INVOICE_TASKS = Share(6, (0,))
JOB_NOTES = Share(5, (0, 0, 2))
JOURNAL_LINES = Share(4, (0, 0, 0, 1, 1, 2, 2, 2))
"""Where an entry has three lines, the last two are alike."""
LEAD_NOTES = Share(3, (0,))
LOCATION_NOTES = Share(5, (0, 2))
MEMBERSHIP_CHANGES = Share(3, (0, 0, 1))
OF_MEMBERSHIP_TYPE = Share(3, (0, 0, 1))
PROJECT_NOTES = Share(3, (0, 0))
PROJECT_SEGMENTS = Share(2, (0, 0))
PROJECT_SEGMENT_ITEMS = Share(2, (0, 0, 0, 0, 1, 1))
RELATIONSHIPS = Share(4, (0, 0, 1))
REPORTS = Share(4, (0, 0, 0, 1, 1, 2))
SEGMENT_ITEMS = Share(3, (0, 0, 0, 0, 1, 1))
SESSIONS = Share(2, (0,) * 20 + (1,) * 3)
STATUS_CHANGES = Share(3, (0, 0, 1))
