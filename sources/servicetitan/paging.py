"""Pages of records, from each feed's first page to its last. Records stay the bytes that ServiceTitan sent.

Nothing here knows a cursor's place or a store: given where to begin, a feed yields pages until ServiceTitan says there
are no more. An answer that would make a reader go round for ever, or stop early, is a ProtocolError. So is a list that
cannot be proven whole, because it moved while it was read, however often it was read again (see `passes`).
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TypeVar

from sources.servicetitan.answer import Envelope, decoder
from sources.servicetitan.catalog import Entity
from sources.servicetitan.client import Client, Meter
from sources.servicetitan.exceptions import NotAvailableError, NotFoundError, ProtocolError, RequestRefusedError
from sources.servicetitan.filling import Filling, fillings, parameters, path, scope
from sources.servicetitan.page import Page, Records
from sources.servicetitan.passes import Passes
from sources.servicetitan.window import slices
from store.warehouse import Key, Landed

PASSES = 5  # so often a list that moves is read before the reader gives up
IDS_AT_ONCE = 50  # ServiceTitan's limit on `ids`
PARENTS_AT_ONCE, PARENTS_ASKED_FIRST = 200, 20
ASKED_TOGETHER = 8  # requests under way for one entity's parents; the budget bounds the rate

T = TypeVar("T")
Params = dict[str, str]


@dataclass(frozen=True, slots=True)
class Reader:
    """One entity of one tenant, as pages."""

    entity: Entity
    client: Client
    meter: Meter

    def ask(self, where: str, params: Params) -> tuple[Envelope, datetime]:
        """One answer and the moment it was asked for."""
        asked_at = datetime.now(UTC)
        full_path = f"{self.entity.base}{self.client.tenant.tenant_id}/{where}"
        decode = decoder(self.entity.records)
        if self.entity.method == "GET":
            return self.client.get(full_path, params, decode, self.meter), asked_at
        return self.client.ask(self.entity.method, full_path, decode, self.meter, json=as_json(params)), asked_at

    def export(self, token: str | None) -> Iterator[Page]:
        """Everything behind a continuation token, from the beginning without one.

        A token that ServiceTitan no longer takes means from the beginning again; landing drops what it has already.
        """
        more, may_restart = True, token is not None
        while more:
            params = {"includeRecentChanges": "true"} | ({"from": token} if token else {})
            try:
                answer, asked_at = self.ask(self.entity.export_path, params)
            except RequestRefusedError:
                if not may_restart:
                    raise
                token, may_restart = None, False
                continue
            may_restart = False
            more = promises_more(answer)
            follows = None if answer.continue_from is None else str(answer.continue_from)
            stands = follows in {None, token}
            if answer.has_more and stands:
                raise ProtocolError(
                    f"The export of `{self.entity.name}` says there is more but goes on at `{follows}`, where it was."
                )
            more, token = more and not stands, follows or token
            yield Page(answer.data or [], asked_at, {"token": token} if token else {}, answer.is_repaired)

    def listed(self, since: datetime | None, filling: Filling | None = None, **more_params: str) -> Iterator[Page]:
        """All pages of the list, of records modified at or after `since` when given; again when it moved meanwhile."""
        entity, filling, passes = self.entity, filling or {}, Passes(datetime.now(UTC))
        where, params = path(entity, filling), parameters(entity, filling) | more_params
        if since:
            params["modifiedOnOrAfter"] = utc_text(since)
        for _ in range(PASSES):
            passes.begin()
            yield from self.one_pass(where, params, passes)
            if passes.is_complete():
                return
        raise ProtocolError(
            f"The list of `{entity.name}` moved each of the {PASSES} times that it was read, so that rows may have been "
            "missed. What came is kept; the next run reads the same again."
        )

    def one_pass(self, where: str, params: Params, passes: Passes) -> Iterator[Page]:
        """Each page of a list once, counted where there are several."""
        entity = self.entity
        number, more = entity.first_page, True
        before: Records | None = None
        while more:
            paged = entity.paged or number > 1
            place = {"page": str(number), "pageSize": str(entity.page_size), "includeTotal": "true"} if paged else {}
            answer, asked_at = self.ask(where, params | place)
            more = self.goes_on(answer) and answer.data != before
            if more and not answer.data:
                raise ProtocolError(f"Page {number} of `{entity.name}` is empty and says that there is more.")
            total = answer.total_count if isinstance(answer.total_count, int) else None
            page = Page(answer.data or [], asked_at, is_repaired=answer.is_repaired, total=total)
            if (more or number > entity.first_page) and answer.data != before:
                passes.count(page.heads(entity)[1], total)
            yield page
            number, before = number + 1, None if answer.has_more else answer.data

    def goes_on(self, answer: Envelope) -> bool:
        """Whether another page follows; what is not paged says nothing of it."""
        return promises_more(answer) if self.entity.paged else bool(answer.has_more)

    def snapshot(self, **more_params: str) -> Iterator[Page]:
        """All pages of a list that is read whole; records without an id of their own are a set of the tenant's."""
        pages = self.listed(None, {}, **more_params)
        return self.scoped(pages, str(self.client.tenant.tenant_id)) if self.entity.is_set_of_tenant else pages

    def scoped(self, pages: Iterable[Page], scope: str, **behind: str) -> Iterator[Page]:
        """Pages that hold all there is for a scope; `behind` is the cursor behind the last one."""
        last = None
        for page in pages:
            if last:
                yield last
            last = replace(page, scopes=[scope] * len(page.records), known=[])
        if last:
            yield replace(last, closed=(scope,), state=behind)

    def by_ids(self, parents: Iterable[Landed]) -> Iterator[Page]:
        """The records of these parents, fifty parents a request."""
        for some in batches(parents, IDS_AT_ONCE):
            pages = self.listed(None, {"ids": ",".join(str(parent.key) for parent in some)})
            yield from ending(pages, {"cursor": some[-1].place})

    def children(
        self, parents: Iterable[Landed], since: datetime | None = None, newcomers: Collection[Key] = ()
    ) -> Iterator[Page]:
        """The records of each of these parents, of those modified at or after `since` when given; of newcomers all.

        A parent without an answer has none. Raises NotAvailableError when the first twenty have none: the tenant lacks
        the whole; the cursor stands behind them, so that the next run tries others.
        """
        parents = iter(parents)
        first = list(islice(parents, PARENTS_ASKED_FIRST))
        if first:
            page, answered = self.families(first, since, newcomers)
            yield page
            if not answered:
                raise NotFoundError(
                    f"`{self.entity.name}` does not exist for this tenant: {len(first)} times 404, as for "
                    f"{self.entity.parent} `{first[0].key}`."
                )
        for some in batches(parents, PARENTS_AT_ONCE):
            yield self.families(some, since, newcomers)[0]

    def families(
        self, parents: Sequence[Landed], since: datetime | None, newcomers: Collection[Key]
    ) -> tuple[Page, bool]:
        """The records of some parents as one page, and whether any of them had an answer."""
        with ThreadPoolExecutor(ASKED_TOGETHER) as pool:
            found = list(pool.map(lambda one: self.family(one, None if one.key in newcomers else since), parents))
        for meter, _, _ in found:
            self.meter.add(meter)
        pages = [page for _, pages, _ in found for page in pages]
        page = Page(
            records=[record for page in pages for record in page.records],
            asked_at=min((page.asked_at for page in pages), default=datetime.now(UTC)),
            state={"cursor": parents[-1].place},
            is_repaired=any(page.is_repaired for page in pages),
            scopes=[one for page in pages for one in page.scopes or ()],
            closed=tuple(dict.fromkeys(one for page in pages for one in page.closed)),
            pages=sum(page.pages for page in pages),
        )
        return page, any(answered for _, _, answered in found)

    def family(self, parent: Landed, since: datetime | None) -> tuple[Meter, list[Page], bool]:
        """What was read for one parent, and whether there was an answer at all (a parent that asks nothing counts)."""
        reader, asked, answered = replace(self, meter=Meter()), 0, 0
        pages: list[Page] = []
        for filling in fillings(self.entity, parent):
            asked += 1
            whose = scope(parent, filling)
            try:
                pages += reader.scoped(reader.listed(since, filling), whose)
                answered += 1
            except NotFoundError:
                pages.append(Page([], datetime.now(UTC), closed=(whose,), pages=0))
        if not asked:
            pages.append(Page([], datetime.now(UTC), closed=(str(parent.key),), pages=0))
        if since:  # what did not change is not in the answer
            pages = [replace(page, closed=()) for page in pages]
        return reader.meter, pages, answered > 0 or not asked

    def windows(self, since: datetime | None, now: datetime, parents: Callable[[], Iterable[Landed]]) -> Iterator[Page]:
        """The records of each slice of dates from the one that holds `since`, for each parent where the row names one."""
        for begin, end in slices(self.entity.window, since, now):
            dates = {"from": utc_text(begin), "to": utc_text(end)}
            pages = self.slice_pages(dates, parents)
            yield from self.scoped(pages, dates["from"], cursor=min(end, now).isoformat())

    def slice_pages(self, dates: Filling, parents: Callable[[], Iterable[Landed]]) -> Iterator[Page]:
        """The pages of one slice."""
        if not self.entity.parent:
            yield from self.listed(None, dates)
            return
        for parent in parents():
            for filling in fillings(self.entity, parent):
                yield from self.listed(None, filling | dates)

    def export_or_list(self, token: str | None) -> Iterator[Page]:
        """The export, or the whole list for a tenant that has no export of an entity which can be listed."""
        try:
            yield from self.export(token)
        except NotAvailableError:
            if not self.entity.is_listable:
                raise
            yield from self.listed(None)


def promises_more(answer: Envelope) -> bool:
    """Whether another page follows. Where an answer leaves `hasMore` out, only a page without records is the last."""
    return bool(answer.data) if answer.has_more is None else answer.has_more


def ending(pages: Iterable[Page], state: Mapping[str, str]) -> Iterator[Page]:
    """Pages of which the last one carries a cursor."""
    last = None
    for page in pages:
        if last:
            yield last
        last = page
    if last:
        yield replace(last, state=state)


def batches(things: Iterable[T], size: int) -> Iterator[list[T]]:
    """Things in groups."""
    things = iter(things)
    while some := list(islice(things, size)):
        yield some


def as_json(params: Params) -> dict[str, Any]:
    """Parameters as a body: truth values are no text there."""
    return {name: value == "true" if value in {"true", "false"} else value for name, value in params.items()}


def utc_text(moment: datetime) -> str:
    """A moment as ServiceTitan takes it in a query: `2026-01-02T16:28:55.844Z`; it refuses `+00:00`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
