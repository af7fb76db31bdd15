"""Records as ServiceTitan has them now."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from outbound.marks import APPLICATION_GUID, EXTERNAL_KEY
from outbound.queue import DECODER, now
from sources.servicetitan.answer import decoder
from sources.servicetitan.catalog import Entity, Feed
from sources.servicetitan.client import Client, Meter
from sources.servicetitan.exceptions import NotFoundError
from sources.servicetitan.filling import parameters
from sources.servicetitan.head import content_hash, head_reader
from sources.servicetitan.paging import Reader

PAGE, MOST_PAGES = 500, 100  # of what stands below a record
SKEW = timedelta(minutes=5)  # by which clocks may differ


@dataclass(frozen=True, slots=True)
class Found:
    """A record's own bytes, and what they say."""

    text: bytes
    values: dict[str, Any]
    key: str
    is_keyed: bool  # it shows a key; else `key` is made of its content
    asked_at: datetime  # when it was asked for: what changed later may not be in it

    @property
    def is_active(self) -> bool:
        """Whether it is in use, as far as it says."""
        return self.values.get("active") is not False


@dataclass(frozen=True, slots=True)
class Live:
    """One tenant's ServiceTitan, read record by record."""

    client: Client
    meter: Meter

    def record(self, entity: Entity, key: str) -> Found | None:
        """A record by its key, in whatever case; None where there is none (or no longer). Raises ServiceTitanError."""
        wanted = key.casefold()
        return next((found for found in self.candidates(entity, key) if found.key.casefold() == wanted), None)

    def candidates(self, entity: Entity, key: str) -> Iterator[Found]:
        """Records among which the one with a key is, if there is one."""
        if entity.takes_ids:
            params = parameters(entity, {"ids": key}) | {"ids": key} | first_page(entity)
            return self.at(entity, entity.list_path, params)
        if entity.has_detail:
            return self.detail(entity, key)
        return self.everything(entity)

    def detail(self, entity: Entity, key: str) -> Iterator[Found]:
        """The record at its own address."""
        where, asked_at = f"{entity.base}{self.client.tenant.tenant_id}/{entity.list_path}/{key}", now()
        try:
            answer = self.client.get(where, {}, decoder(""), self.meter)
        except NotFoundError:
            return
        yield from (found(entity, raw, asked_at) for raw in answer.data or [])

    def everything(self, entity: Entity) -> Iterator[Found]:
        """All records of a list that can be asked for none by itself."""
        reader = Reader(entity, self.client, self.meter)
        for page in reader.snapshot() if entity.feed is Feed.SNAPSHOT else reader.listed(None):
            yield from (found(entity, raw, page.asked_at) for raw in page.records)

    def at(self, entity: Entity, where: str, params: dict[str, str]) -> Iterator[Found]:
        """The records of one answer."""
        path, asked_at = f"{entity.base}{self.client.tenant.tenant_id}/{where}", now()
        answer = self.client.get(path, params, decoder(entity.records), self.meter)
        yield from (found(entity, raw, asked_at) for raw in answer.data or [])

    def below(self, entity: Entity, base: str, where: str) -> list[Found]:
        """What stands at an address below a record; empty where the record is gone."""
        path, records = f"{base}{self.client.tenant.tenant_id}/{where}", list[Found]()
        for page in range(1, MOST_PAGES + 1):
            params, asked_at = {"page": str(page), "pageSize": str(PAGE)}, now()
            try:
                answer = self.client.get(path, params, decoder("data"), self.meter)
            except NotFoundError:
                return []
            met = [found(entity, raw, asked_at) for raw in answer.data or []]
            if page > 1 and met[:1] and met[0].key == records[0].key:  # a list that knows no pages
                break
            records += met
            if len(met) < PAGE:
                break
        return records

    def with_external(self, entity: Entity, ref: str) -> list[Found]:
        """The records of a list that may carry a mark in their external data, which they show."""
        params = {
            "externalDataApplicationGuid": APPLICATION_GUID,
            "externalDataKey": EXTERNAL_KEY,
            "externalDataValues": ref,
        }
        page = first_page(entity) | {"pageSize": str(entity.page_size)}
        return list(self.at(entity, entity.list_path, parameters(entity, {"ids": ""}) | params | page))

    def made_since(self, entity: Entity, moment: datetime) -> list[Found]:
        """The records of a list that were made since a moment, clocks allowed for."""
        since = (moment - SKEW).astimezone(UTC)
        reader = Reader(entity, self.client, self.meter)
        pages = reader.snapshot() if entity.feed is Feed.SNAPSHOT else reader.listed(since)
        records = [found(entity, raw, page.asked_at) for page in pages for raw in page.records]
        return [one for one in records if is_since(one.values.get("createdOn"), since)]


def first_page(entity: Entity) -> dict[str, str]:
    """The parameters of a list's first page."""
    return {"page": str(entity.first_page), "pageSize": "50"} if entity.paged else {}


def found(entity: Entity, raw: msgspec.Raw, asked_at: datetime) -> Found:
    """A record's bytes as a record."""
    head = head_reader(entity).read(raw, content_hash(raw))
    values = DECODER.decode(raw)
    shown = values if isinstance(values, dict) else {"value": values}
    return Found(bytes(raw), shown, str(head.key), head.is_keyed, asked_at)


def is_since(text: Any, moment: datetime) -> bool:
    """Whether a moment in a record is not before another one; True where it tells none."""
    try:
        return msgspec.convert(text, datetime) >= moment
    except (msgspec.ValidationError, TypeError):
        return True
