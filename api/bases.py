"""The version of a record that a change is made on: the one that whoever wants it names, else the newest in the copy."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from api.text import shortened
from outbound.exceptions import BadMutationError
from outbound.operations import ACTION, REMOVE, UPDATE
from outbound.request import Prepared
from sources.servicetitan.catalog import Entity, KeyType
from store.raw import SHOWN_FIRST, Key
from store.reader import Reader
from store.reading import NotBuiltError

BASED = frozenset({UPDATE, ACTION, REMOVE})
"""Effects on a record that is there already."""

HASH = "based_on_payload_hash"
INTEGER = re.compile(r"\d{1,18}", re.ASCII)

QUERY = """
SELECT v.st_id, v.payload_hash, CAST(v.payload AS TEXT), v.place
FROM (
  SELECT st_id, payload_hash, payload, ROW_NUMBER() OVER (PARTITION BY st_id ORDER BY {order}) AS place
  FROM raw.{table}
  WHERE tenant_id = {mark} AND st_id IN ({keys})
) AS v
WHERE v.place = 1 OR v.payload_hash IN ({hashes})
ORDER BY v.place
"""


@dataclass(frozen=True, slots=True)
class Base:
    """A version of a record."""

    hash: str
    payload: msgspec.Raw  # the record's own JSON


class Bases:
    """The bases of several changes of a tenant, those of each entity by one query."""

    def __init__(self, reader: Reader, tenant: int, wanted: Iterable[tuple[Prepared, str | None]]) -> None:
        """Look them up; a change comes with the hash that it names. Raises StoreError."""
        keys: dict[Entity, set[Key]] = defaultdict(set)
        hashes: dict[Entity, set[str]] = defaultdict(set)
        for ready, hash_ in wanted:
            if place := place_of(ready):
                keys[place[0]].add(place[1])
                hashes[place[0]].add((hash_ or "").replace("\0", ""))
        self.newest: dict[tuple[Entity, Key], Base] = {}
        self.named: dict[tuple[Entity, Key, str], Base] = {}
        for entity, own in keys.items():
            for key, found, payload, number in versions(reader, entity, tenant, own, hashes[entity]):
                base = Base(found, msgspec.Raw(payload.encode()))
                self.named[entity, key, found] = base
                if number == 1:
                    self.newest[entity, key] = base

    def of(self, ready: Prepared, hash_: str | None) -> Base | None:
        """The base of a change; None where there is none in the copy. Raises BadMutationError for an unknown hash."""
        place = place_of(ready)
        if hash_ is None:
            found = self.newest.get(place) if place else None
        elif place is None:
            raise BadMutationError(
                f"`{ready.operation.title}` is made on no version of a record: leave `based_on_payload_hash` out.", HASH
            )
        else:
            found = self.named.get((*place, hash_))
            if found is None:
                raise unknown(hash_, place, self.newest.get(place))
        return found if found and bytes(found.payload).lstrip().startswith(b"{") else None


def place_of(ready: Prepared) -> tuple[Entity, Key] | None:
    """The entity and the key in the copy of the record that a change is made on."""
    entity = ready.operation.subject
    if entity is None or ready.record_id is None or ready.operation.kind not in BASED:
        return None
    if entity.key_type is KeyType.TEXT:
        return entity, ready.record_id
    return (entity, int(ready.record_id)) if INTEGER.fullmatch(ready.record_id) else None


def versions(
    reader: Reader, entity: Entity, tenant: int, keys: set[Key], hashes: set[str]
) -> list[tuple[Key, str, str, int]]:
    """Key, hash, payload and place of the newest version of each record, and of those with one of the hashes."""
    mark = "%s" if reader.dialect == "postgres" else "?"
    query = QUERY.format(
        order=SHOWN_FIRST,
        table=entity.raw_table,
        mark=mark,
        keys=", ".join([mark] * len(keys)),
        hashes=", ".join([mark] * len(hashes)),
    )
    try:
        return reader.fetch(query, [tenant, *keys, *hashes])
    except NotBuiltError:  # nothing of this entity ever landed
        return []


def unknown(hash_: str, place: tuple[Entity, Key], newest: Base | None) -> BadMutationError:
    """The error for a version that the copy does not have."""
    entity, key = place
    has = f"its newest has `{newest.hash}`. Look at it, and name that one" if newest else "it has none of this record"
    return BadMutationError(
        f"`{HASH}` is `{shortened(hash_)}`; the copy has no such version of `{entity.name}` {key}: {has}, or leave it out.",
        HASH,
    )
