"""Whether a copy is exactly what a sandbox has: keys and hashes of every entity.

A version that a change made and no read has confirmed is told by its content: its bytes are put together of what the copy had and
what was read back, and PostgreSQL gives the fields of a record back in an order of its own.
"""

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

import msgspec

from sandbox.frames import FRAMES, Told
from sandbox.server import Sandbox
from sources.servicetitan.answer import decode, decoder
from sources.servicetitan.catalog import SCOPE, Entity, Feed
from sources.servicetitan.head import content_hash, head_reader
from sources.servicetitan.reading import raw_table

Pair = tuple[int | str, str]
"""Key and hash of a version."""
EXACT: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Decimal)
ONE_ORDER = msgspec.json.Encoder(order="sorted", decimal_format="number")


def records_of(sandbox: Sandbox, entity: Entity, tenant: int | None = None) -> list[msgspec.Raw]:
    """Each record of a tenant (its first one) as the sandbox has it now."""
    texts = sandbox.texts(entity.name, tenant)
    if (entity.module, entity.path) in FRAMES and not entity.records:  # an answer is one record, stripped of names
        frame = FRAMES[entity.module, entity.path]
        texts = [frame([text], Told(0, "")) for text in texts]
        return [record for text in texts for record in decoder("")(text).data or []]
    return decode(b"[%b]" % b",".join(texts)).data or []


def heads(sandbox: Sandbox, entity: Entity, tenant: int | None = None) -> list[Pair]:
    """Key and hash of each record of a tenant (its first one) as the sandbox has it now."""
    records = records_of(sandbox, entity, tenant)
    hashes = map(content_hash, records)
    return [(head_reader(entity).read(one, hash_).key, hash_) for one, hash_ in zip(records, hashes, strict=True)]


def gone(sandbox: Sandbox, entity: Entity, tenant: int | None = None) -> set[str]:
    """The hashes of records that exports show as no longer there."""
    records = decode(b"[%b]" % b",".join(sandbox.texts(entity.name, tenant))).data or []
    return {content_hash(record) for record in records if msgspec.json.decode(record).get("active") is False}


def compared(entity: Entity, found: Iterable[Pair]) -> dict[int | str, str] | set[str]:
    """Key and hash; the hashes alone where a key begins with what the record was read for, which a sandbox does not say."""
    return {hash_ for _, hash_ in found} if entity.is_scoped or SCOPE in entity.key else dict(found)


def differences(
    sandbox: Sandbox, fetch: Callable[[str], list[tuple]], entities: Iterable[Entity], tenant: int | None = None
) -> Iterator[tuple[str, int, int]]:
    """Entities whose master is not what the sandbox has: name, records that it lacks or has otherwise, and too many.

    Of one tenant, or of the only one.
    """
    own = f" WHERE tenant_id = {tenant}" if tenant is not None else ""
    for entity in entities:
        if entity.feed is Feed.REPORT:
            continue  # rows are made of a table with a head
        rows = fetch(f"SELECT st_id, payload_hash, is_deleted FROM master.{entity.name}{own}")
        marked = gone(sandbox, entity, tenant) if any(is_deleted for *_, is_deleted in rows) else set()
        rows = [(key, hash_) for key, hash_, is_deleted in rows if not is_deleted or hash_ in marked]
        expected, found = (set(hash_of(compared(entity, some))) for some in (heads(sandbox, entity, tenant), rows))
        if entity.recent_days:  # not read for every parent
            expected &= found
        lacking, over = expected - found, found - expected
        is_confirmed = len(lacking) == len(over) and (
            contents(sandbox, entity, lacking, tenant) == pushed(fetch, entity, over)
        )
        if not is_confirmed:
            yield entity.name, len(lacking), len(over)


def contents(sandbox: Sandbox, entity: Entity, some: set[Any], tenant: int | None = None) -> list[str]:
    """The sandbox's records of these keys and hashes, or hashes."""
    hashes = hashes_of(some)
    return sorted(ordered(record) for record in records_of(sandbox, entity, tenant) if content_hash(record) in hashes)


def pushed(fetch: Callable[[str], list[tuple]], entity: Entity, some: set[Any]) -> list[str]:
    """The copy's records of these keys and hashes, or hashes, as far as changes made them."""
    hashes = ", ".join(f"'{hash_}'" for hash_ in hashes_of(some)) or "''"
    query = f"SELECT CAST(payload AS TEXT) FROM raw.{raw_table(entity).name} WHERE payload_hash IN ({hashes}) "
    return sorted(ordered(text) for (text,) in fetch(query + "AND sync_batch_id LIKE 'mutation:%'"))


def ordered(record: bytes | str) -> str:
    """A record with its fields in one order."""
    return ONE_ORDER.encode(EXACT.decode(record)).decode()


def hashes_of(some: set[Any]) -> set[str]:
    """The hashes among pairs or hashes."""
    return {one[1] if isinstance(one, tuple) else one for one in some}


def hash_of(some: dict[int | str, str] | set[str]) -> Iterable[object]:
    """Pairs or hashes, to be compared as sets."""
    return some.items() if isinstance(some, dict) else some
