"""One row of the original's raw tables: read, judged, and made what our landing makes of a record. Pure.

Whatever stands in it comes to a `Found`, perhaps with remarks, or to a `Rejected` with its reason; never to an error.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from sources.servicetitan.catalog import SCOPE, Entity, KeyType
from sources.servicetitan.head import Head, Key, content_hash, head_reader, whole
from sources.servicetitan.landing import tombstone_hash
from sources.servicetitan.storable import is_storable, is_text, readable_bytes, storable_bytes

ROLES = ("tenant", "key", "payload", "synced", "updated", "modified", "deleted", "scope", "order")
"""What is read of a row, in this order, each as text."""

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)  # a date before ServiceTitan is no date
CLOCKS_DIFFER = timedelta(hours=12)  # less than the day that models look back
ANY: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
NO = frozenset({"", "f", "false", "n", "no", "0", "off", "null"})
SHORT_ZONE = re.compile(r"([+-]\d\d)$")
EPOCH = re.compile(r"\d{9,18}(\.\d+)?")
EPOCH_UNITS = ((10**14, 10**6), (10**11, 10**3), (0, 1))  # from which number on, so many a second
KINDS = {b"[": "an array", b'"': "a text", b"t": "a truth value", b"f": "a truth value", b"n": "JSON's null"}

NO_PAYLOAD = "the payload is NULL"
NOT_JSON = "the payload is not JSON"
NOT_OBJECT = "the payload is {}, and no record"
NO_TENANT = "there is no tenant; name it by `--tenant`"
BAD_TENANT = "the tenant is no number"
NOT_TAKEN = "the store does not take the payload"

NESTED = "the record was JSON in a text; it is taken out"
OTHER_KEY = "the payload has another id than the row; it lands under the payload's"
ROWS_KEY = "the payload has no id; the row's is taken"
NO_KEY = "there is no id; the content stands for it"
NO_DATE = "no date; it stands behind the record's other versions"
BAD_DATE = "a date that cannot be read; it stands behind the record's other versions"
FUTURE = "a date in the future; the beginning of the takeover stands for it"
LATER_MODIFIED = "modified in the future, by its own word"
REPAIRED = "characters that no store takes; U+FFFD stands for them"


class Row(NamedTuple):
    """A row's values as text; NULL also where the table has no such column."""

    tenant: str | None
    key: str | None
    payload: str | None
    synced: str | None
    updated: str | None
    modified: str | None
    deleted: str | None
    scope: str | None
    order: str | None

    @property
    def hash(self) -> str:
        """A hash of all of it."""
        digest = blake2b(digest_size=16)
        for value in self:
            digest.update(b"\0-" if value is None else b"\0+" + value.encode(errors="surrogatepass"))
        return digest.hexdigest()


@dataclass(slots=True)
class Found:
    """A record as landing takes it, when it was read (None: nobody knows), and what is odd about it."""

    tenant_id: int
    head: Head
    hash: str
    payload: bytes
    at: datetime | None
    scope: str | None
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why a row is no record."""

    reason: str


@dataclass(frozen=True, slots=True)
class Judge:
    """Reads rows for one entity.

    `begun` stands for dates that cannot be: the beginning of the first takeover, so that it is the same in each run. What
    is of much later than `now` cannot be.
    """

    entity: Entity
    begun: datetime
    now: datetime
    tenant_id: int | None = None  # for rows that name none
    is_checked: bool = True  # whether the database has seen to it that payloads are JSON
    encoding: str = "UTF8"

    def read(self, row: Row) -> Found | Rejected:
        """What a row holds."""
        tenant = self.tenant_id if not (row.tenant or "").strip() else whole(row.tenant)
        if tenant is None:
            return Rejected(BAD_TENANT if row.tenant and row.tenant.strip() else NO_TENANT)
        if row.payload is None:
            return Rejected(NO_PAYLOAD)
        remarks: list[str] = []
        record = self.record(row.payload, remarks)
        if isinstance(record, Rejected):
            return record
        hash_, scope = content_hash(msgspec.Raw(record)), self.scope(row, tenant)
        try:
            head = head_reader(self.entity).read(msgspec.Raw(record), hash_, scope)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return Rejected(NOT_JSON)
        head = self.keyed(head, row, remarks)
        if head.modified_on is None and row.modified:
            head = msgspec.structs.replace(head, modified_on=self.sane(parsed(row.modified)))
        if head.modified_on and head.modified_on > self.now + CLOCKS_DIFFER:
            remarks.append(LATER_MODIFIED)
        if not head.is_deleted and is_yes(row.deleted):
            head, hash_ = msgspec.structs.replace(head, is_deleted=True), tombstone_hash(hash_)
        return Found(tenant, head, hash_, record, self.moment(row, remarks), scope, remarks)

    def record(self, text: str, remarks: list[str]) -> bytes | Rejected:
        """A record's bytes: those of an object, as they stand."""
        record = text.strip().encode(self.encoding, "surrogatepass")
        if not is_storable(record):
            readable = self.readable(record)
            if readable != record or storable_bytes(record) != record:
                remarks.append(REPAIRED)
            record = readable
        if record[:1] == b'"':  # written by somebody who made it JSON twice
            inner = decoded(record)
            if isinstance(inner, str) and inner.lstrip()[:1] == "{":
                remarks.append(NESTED)
                return checked(inner.strip().encode(errors="surrogatepass"))
        return record if self.is_checked and record[:1] == b"{" else checked(record)

    def readable(self, record: bytes) -> bytes:
        """The same bytes, unless a strict reader of JSON does not take them."""
        return record if decoded(record) is not None else readable_bytes(record)

    def scope(self, row: Row, tenant_id: int) -> str | None:
        """What the record was read for, as landing names it."""
        if self.entity.is_set_of_tenant:
            return str(tenant_id)
        return (row.scope or None) if self.entity.is_scoped else None

    def keyed(self, head: Head, row: Row, remarks: list[str]) -> Head:
        """A head whose key is the row's where the payload has none."""
        if head.is_keyed:
            if row.key and self.is_simple and self.own_key(row.key) not in {None, head.key}:
                remarks.append(OTHER_KEY)
            return head
        key = self.own_key(row.key) if row.key and self.is_simple else None
        remarks.append(NO_KEY if key is None else ROWS_KEY)
        return head if key is None else msgspec.structs.replace(head, key=key, is_keyed=True)

    @property
    def is_simple(self) -> bool:
        """Whether one value of the record is its key."""
        return len(self.entity.key) == 1 and SCOPE not in self.entity.key

    def own_key(self, text: str) -> Key | None:
        """A row's key as the entity has keys."""
        return text if self.entity.key_type == KeyType.TEXT else whole(text)

    def moment(self, row: Row, remarks: list[str]) -> datetime | None:
        """When the record was read; None where that is not known."""
        dates = [text for text in (row.synced, row.updated) if text]
        found = next((moment for moment in map(parsed, dates) if moment), None)
        if found is None:
            remarks.append(BAD_DATE if dates else NO_DATE)
        elif found > self.now + CLOCKS_DIFFER:
            remarks.append(FUTURE)
            return self.begun
        return found

    def sane(self, moment: datetime | None) -> datetime | None:
        """A moment that is not in the future."""
        return moment if moment and moment <= self.now + CLOCKS_DIFFER else None


def checked(record: bytes) -> bytes | Rejected:
    """The same, or why it is no record."""
    try:
        value = ANY.decode(record if is_text(record) else storable_bytes(record))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return Rejected(NOT_JSON)
    return record if isinstance(value, dict) else Rejected(NOT_OBJECT.format(KINDS.get(record[:1], "a number")))


def decoded(record: bytes) -> Any:
    """What JSON means; None where it is none that a strict reader takes."""
    try:
        return ANY.decode(record)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def is_yes(text: str | None) -> bool:
    """Whether a mark is set: true, 1, or the moment at which it was."""
    return text is not None and text.strip().lower() not in NO


def parsed(text: str) -> datetime | None:
    """A date in any of the forms in which programs keep them: ISO, PostgreSQL's own, seconds or milliseconds since 1970.

    Without a zone it is UTC. None for what is no date, and for one that no record can have.
    """
    stripped = text.strip()
    try:
        found = (
            since_1970(stripped)
            if EPOCH.fullmatch(stripped)
            else datetime.fromisoformat(SHORT_ZONE.sub(r"\1:00", stripped))
        )
    except (ValueError, OverflowError, OSError):
        return None
    try:
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except OverflowError:
        return None
    return found if found >= EARLIEST else None


def since_1970(text: str) -> datetime:
    """A moment as a number."""
    number = float(text)
    unit = next(unit for least, unit in EPOCH_UNITS if number >= least)
    return datetime.fromtimestamp(number / unit, UTC)


def row_of(values: tuple[Any, ...], roles: Mapping[str, object]) -> Row:
    """A row; roles that the table does not have are NULL."""
    return Row(*(value if role in roles else None for role, value in zip(ROLES, values, strict=True)))
