"""Pages of records, from each feed's first page to its last. Records stay the bytes that ServiceTitan sent.

Nothing here knows a cursor or a store: given where to begin, a feed yields pages until ServiceTitan says there are no
more. An answer that would make a reader go round for ever, or stop early, is a ProtocolError.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import msgspec

from sources.servicetitan.catalog import Entity
from sources.servicetitan.client import Client, Meter
from sources.servicetitan.exceptions import NotAvailableError, ProtocolError, RequestRefusedError
from sources.servicetitan.storable import is_storable, storable_bytes

IDS_AT_ONCE = 50  # ServiceTitan's limit on `ids`
WINDOW = timedelta(days=90)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)  # before ServiceTitan; some lists demand a date
WINDOWS_BEGIN = datetime(2018, 1, 1, tzinfo=UTC)

Params = dict[str, str]


class Envelope(msgspec.Struct):
    """A page as ServiceTitan wraps it, in lists and in exports."""

    data: list[msgspec.Raw] | None
    has_more: bool | None = msgspec.field(default=None, name="hasMore")
    continue_from: str | int | None = msgspec.field(default=None, name="continueFrom")
    is_repaired: bool = msgspec.field(default=False, name="")


ANSWER: msgspec.json.Decoder[Envelope | list[msgspec.Raw]] = msgspec.json.Decoder(Envelope | list[msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Page:
    """Records, when they were asked for, and where an export goes on behind them."""

    records: list[msgspec.Raw]
    asked_at: datetime
    token: str | None = None
    is_repaired: bool = False  # bytes had to be replaced before the page could be read at all


def decode(body: bytes) -> Envelope:
    """An answer's envelope; a bare array counts as the only page. Raises msgspec.DecodeError.

    A body with half a surrogate pair is no JSON to a strict reader; it is read with the pair replaced.
    """
    try:
        answer = ANSWER.decode(body)
    except msgspec.DecodeError:
        if is_storable(body):
            raise
        answer = ANSWER.decode(storable_bytes(body))
        repaired = True
    else:
        repaired = False
    envelope = Envelope(answer) if isinstance(answer, list) else answer
    envelope.is_repaired = repaired
    return envelope


@dataclass(frozen=True, slots=True)
class Reader:
    """One entity of one tenant, as pages."""

    entity: Entity
    client: Client
    meter: Meter

    def ask(self, path: str, params: Params) -> tuple[Envelope, datetime]:
        """One answer and the moment it was asked for."""
        asked_at = datetime.now(UTC)
        full_path = f"{self.entity.base}{self.client.tenant.tenant_id}/{path}"
        return self.client.get(full_path, params, decode, self.meter), asked_at

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
            more = bool(answer.has_more)
            follows = None if answer.continue_from is None else str(answer.continue_from)
            if more and follows in {None, token}:
                raise ProtocolError(
                    f"The export of `{self.entity.name}` says there is more but goes on at `{follows}`, where it was."
                )
            token = follows or token
            yield Page(answer.data or [], asked_at, token, answer.is_repaired)

    def listed(self, since: datetime | None, **extra: str) -> Iterator[Page]:
        """All pages of the list, of records modified at or after `since` when given."""
        entity = self.entity
        params = dict(parse_qsl(f"{entity.active}&{entity.params}")) | extra
        if since:
            params["modifiedOnOrAfter"] = utc_text(since)
        number, more = entity.first_page, True
        while more:
            paged = {"page": str(number), "pageSize": str(entity.page_size)} if entity.paged or number > 1 else {}
            answer, asked_at = self.ask(entity.path, params | paged)
            more = bool(answer.has_more)
            if more and not answer.data:
                raise ProtocolError(f"Page {number} of `{entity.name}` is empty and says that there is more.")
            yield Page(answer.data or [], asked_at, is_repaired=answer.is_repaired)
            number += 1

    def children(self, parents: Sequence[int | str]) -> Iterator[Page]:
        """The records of these parents, fifty parents a request."""
        for some in batched_keys(parents):
            yield from self.listed(None, ids=",".join(map(str, some)))

    def windows(self, begin: datetime | None, end: datetime) -> Iterator[Page]:
        """The records of each window of dates from `begin` (from the first when None) to `end`."""
        begin = begin or WINDOWS_BEGIN
        while begin < end:
            until = min(begin + WINDOW, end)
            yield from self.listed(None, fromUtc=utc_text(begin), toUtc=utc_text(until))
            begin = until

    def export_or_list(self, token: str | None) -> Iterator[Page]:
        """The export, or the whole list for a tenant that has no export of an entity which can be listed."""
        try:
            yield from self.export(token)
        except NotAvailableError:
            if not self.entity.path:
                raise
            yield from self.listed(LONG_AGO)


def batched_keys(keys: Sequence[int | str]) -> Iterator[tuple[int | str, ...]]:
    """Keys in groups that ServiceTitan takes at once."""
    return (tuple(keys[start : start + IDS_AT_ONCE]) for start in range(0, len(keys), IDS_AT_ONCE))


def utc_text(moment: datetime) -> str:
    """A moment as ServiceTitan takes it in a query: `2026-01-02T16:28:55.844Z`; it refuses `+00:00`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
