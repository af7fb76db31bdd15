"""A census: one entity of one tenant read whole, to find what the copy lacks, what differs and what is gone.

A record that is not shown is marked as deleted only behind a proof. A list proves itself when the totals of its first and
last page and the number of different keys agree; without totals, when two reads in a row show the same keys. An export
read from its beginning to its end by tokens holds every record that is or was. Even then, what is not shown is only
suspected and looked for once more: by `ids` where the list takes them, else (and in an export) by another whole read,
because a page can lose a record to another that leaves in front of it. What landed after the census began is never
suspected. No cursor moves.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow as pa

from sources.servicetitan.catalog import Entity, Feed
from sources.servicetitan.exceptions import NotAvailableError
from sources.servicetitan.head import Key, content_hash, head_reader
from sources.servicetitan.page import Page
from sources.servicetitan.paging import IDS_AT_ONCE, Reader, batches
from sources.servicetitan.reading import Reading, State, raw_table
from sources.servicetitan.survey import Survey

ATTEMPTS = 3  # whole reads, while a list keeps changing
AT_ONCE = 1000  # tombstones in a table

Tables = Iterator[pa.Table]


@dataclass(slots=True)
class Findings:
    """What a census found. `reason` says why absence is not proven; then nothing is marked."""

    proof: str = ""
    reason: str = ""
    served: int = 0  # different keys in the last whole read
    in_copy: int = 0  # keys that were in the copy and not deleted
    missing_in_copy: int = 0
    vanished: int = 0  # in the copy and not shown
    marked_deleted: int = 0
    reappeared: int = 0
    differing: int = 0


def why_not(entity: Entity) -> str:
    """Why an entity cannot be counted, or an empty string."""
    if entity.feed in {Feed.EXPORT, Feed.LIST, Feed.SNAPSHOT}:
        return ""
    return f"It is read by {entity.feed}, which no read shows whole; what it has is read again by `lazi sync --full`."


def doubt(totals: list[int | None], served: int) -> str:
    """Why a list's totals do not prove that its keys are all there are, or an empty string. Needs at least one page."""
    first, last = totals[0], totals[-1]
    if first is None or last is None:
        return "The list tells no total."
    if first != last:
        return f"The list's total went from {first} to {last} while it was read."
    if first != served:
        return f"The list's total is {first} and it shows {served} different keys."
    return ""


@dataclass(slots=True)
class Census(Reading):
    """How one entity is counted. `tables` gives the rows to append, as for any reading."""

    findings: Findings = field(default_factory=Findings)

    def rows(self, state: State) -> Tables:  # noqa: ARG002  a census moves no cursor
        """What differs, then the tombstones."""
        begun, outcome, found = datetime.now(UTC), self.outcome, self.findings
        survey = Survey(
            outcome.entity,
            outcome.tenant_id,
            outcome.sync_batch_id,
            self.newest,
            is_present=True,
            tally=outcome.tally,
        )
        has_export = yield from self.whole(survey)
        found.served = len(survey.served)
        present = self.warehouse.keys_present(raw_table(outcome.entity), outcome.tenant_id, begun)
        suspects = present - survey.served
        found.in_copy, found.vanished = len(present), len(suspects)
        if suspects and found.proof:
            gone = yield from self.asked_again(survey, suspects, has_export=has_export)
            yield from self.marked(survey, gone)
        found.missing_in_copy, found.reappeared = len(survey.missing), len(survey.reappeared)
        found.differing = len(survey.differing - survey.reappeared)
        self.is_whole = True

    @property
    def reader(self) -> Reader:
        """The entity's pages."""
        return Reader(self.outcome.entity, self.client, self.outcome.meter)

    def whole(self, survey: Survey) -> Generator[pa.Table, None, bool]:
        """Everything that ServiceTitan shows. Returns whether it came from an export; findings tell the proof."""
        entity = self.outcome.entity
        if entity.feed is Feed.EXPORT:
            try:
                yield from self.landed(survey, self.reader.export(None))
            except NotAvailableError:
                if not entity.is_listable:
                    raise
            else:
                self.findings.proof = "export read to its end"
                return True
        yield from self.proven(survey)
        return False

    def list_pages(self) -> Iterator[Page]:
        """The whole list, with totals."""
        return self.reader.snapshot(includeTotal="true")

    def proven(self, survey: Survey) -> Tables:
        """A list, read until it proves itself or patience ends."""
        before: set[Key] | None = None
        for _ in range(ATTEMPTS):
            survey.begin()
            totals = yield from self.landed(survey, self.list_pages())
            reason = doubt(totals, len(survey.served))
            if not reason:
                self.findings.proof = "totals agree with the keys"
                return
            if totals[0] is None and survey.served == before:
                self.findings.proof = "two reads in a row show the same keys"
                return
            before = survey.served
        self.findings.reason = (
            f"{reason} It was read {ATTEMPTS} times; nothing is marked. Run it again at a calmer time."
        )

    def landed(self, survey: Survey, pages: Iterator[Page]) -> Generator[pa.Table, None, list[int | None]]:
        """The rows that pages add. Returns the totals that they tell."""
        totals = []
        for page in pages:
            rows = survey.rows(page)
            self.observer.progresses(self.outcome)
            totals.append(page.total)
            if rows is not None:
                yield rows
            self.stopping.heed()
        return totals

    def asked_again(
        self, survey: Survey, suspects: set[Key], *, has_export: bool
    ) -> Generator[pa.Table, None, set[Key]]:
        """The suspects that ServiceTitan shows nowhere; none where its silence proves nothing."""
        entity = self.outcome.entity
        takes_ids = entity.is_listable and entity.takes_ids
        if not (has_export or takes_ids or entity.shows_inactive):
            self.findings.reason = "What the list leaves out may be inactive only, and there is no way to ask for it."
            return set()
        if takes_ids:
            for some in batches(sorted(suspects), IDS_AT_ONCE):
                pages = self.reader.listed(None, ids=",".join(map(str, some)))
                if has_export:  # a list's records have another shape than the export's: only their keys count
                    suspects = suspects - keys_of(entity, pages)
                else:
                    yield from self.landed(survey, pages)
        if suspects and (has_export or not takes_ids):
            yield from self.landed(survey, self.reader.export(None) if has_export else self.list_pages())
        return suspects - survey.served

    def marked(self, survey: Survey, gone: set[Key]) -> Tables:
        """The tombstones."""
        table, tenant = raw_table(self.outcome.entity), self.outcome.tenant_id
        keys = sorted(gone)
        for start in range(0, len(keys), AT_ONCE):
            copies = self.warehouse.copies(table, tenant, keys[start : start + AT_ONCE])
            self.findings.marked_deleted += len(copies)
            yield survey.tombstones(copies, datetime.now(UTC), [copy.scope for copy in copies])


def keys_of(entity: Entity, pages: Iterator[Page]) -> set[Key]:
    """The keys of the records on these pages."""
    read = head_reader(entity).read
    return {read(record, content_hash(record)).key for page in pages for record in page.records}
