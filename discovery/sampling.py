"""Samples of a tenant: the first records of each entity, as its API gives them. Nothing is written to any store."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice

import msgspec

from sources.servicetitan.catalog import BY_NAME, Entity, Feed
from sources.servicetitan.client import Client, Meter
from sources.servicetitan.exceptions import (
    CredentialsError,
    NotAvailableError,
    ServiceTitanError,
    StoppedError,
    UnreachableError,
)
from sources.servicetitan.head import content_hash, head_reader
from sources.servicetitan.page import Page
from sources.servicetitan.paging import Reader
from store.raw import Landed

MOST = 200  # records of an entity
PARENTS = 20  # that are asked for their records
SHUT_OUT = (CredentialsError, UnreachableError, StoppedError)
LATELY = timedelta(days=60)  # for what is read by slices of dates


@dataclass(frozen=True, slots=True)
class Sample:
    """Some records of an entity, as bytes of JSON. `note` says why there are none."""

    entity: Entity
    records: Sequence[msgspec.Raw] = ()
    requests: int = 0
    note: str = ""


@dataclass(slots=True)
class Sampler:
    """Asks one tenant; what children are asked for is sampled once."""

    client: Client
    most: int = MOST
    known: dict[str, Sample] = field(default_factory=dict)

    def sample(self, entity: Entity) -> Sample:
        """A sample of an entity. Raises CredentialsError and UnreachableError; what concerns the entity alone is noted."""
        if entity.name not in self.known:
            self.known[entity.name] = self.asked(entity)
        return self.known[entity.name]

    def asked(self, entity: Entity) -> Sample:
        """Ask for it."""
        if entity.feed is Feed.REPORT:
            return Sample(entity, note="is made of the reports that are configured")
        parents: list[Landed] = []
        if entity.parent:
            above = self.sample(BY_NAME[entity.parent])
            parents = [landed(above.entity, record) for record in islice(above.records, PARENTS)]
            if not parents:
                return Sample(entity, note=f"has no `{entity.parent}` to be asked for")
        reader = Reader(replace(entity, page_size=min(entity.page_size, self.most)), self.client, Meter())
        try:
            records = list(islice(flat(pages(reader, parents)), self.most))
        except NotAvailableError as error:
            return Sample(entity, requests=reader.meter.requests, note=f"is not available: {error}")
        except SHUT_OUT:
            raise
        except ServiceTitanError as error:
            return Sample(entity, requests=reader.meter.requests, note=f"failed: {error}")
        return Sample(entity, records, reader.meter.requests, "" if records else "has no records")


def landed(entity: Entity, record: msgspec.Raw) -> Landed:
    """A record as those see it that are asked for below it."""
    head = head_reader(entity).read(record, content_hash(record))
    return Landed(head.key, None, bytes(record).decode("utf-8", "replace"), head.modified_on, datetime.now(UTC))


def pages(reader: Reader, parents: Sequence[Landed]) -> Iterator[Page]:
    """The pages of an entity from their beginning."""
    entity, now = reader.entity, datetime.now(UTC)
    match entity.feed:
        case Feed.EXPORT:
            return reader.export_or_list(None)
        case Feed.LIST:
            return reader.listed(None)
        case Feed.WINDOW:
            return reader.windows(now - LATELY, now, lambda: parents)
        case Feed.CHILD if entity.is_batched:
            return reader.by_ids(parents)
        case Feed.CHILD:
            return reader.children(parents)
    return reader.snapshot()


def flat(some: Iterable[Page]) -> Iterator[msgspec.Raw]:
    """The records of pages."""
    for page in some:
        yield from page.records
