"""The head of a record: the few values that landing needs from it. The rest of the record stays unread bytes."""

import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from typing import Any

import msgspec

from sources.servicetitan.catalog import SCOPE, Entity, KeyType
from sources.servicetitan.registry import Field, load
from sources.servicetitan.storable import storable_bytes

BUCKETS = 64
LARGEST = 2**63 - 1
Key = int | str
Tree = dict[str, Any]

PLAIN = [int | str | float | None, datetime | None, bool | None]
"""What most entities' heads are: a key, a moment and perhaps `active`, none of them inside an object."""
LENIENT: msgspec.json.Decoder[Any] = msgspec.json.Decoder()


def content_hash(record: msgspec.Raw) -> str:
    """The hash of a record's own bytes: 128 bits, 32 hexadecimal digits."""
    return blake2b(record, digest_size=16).hexdigest()


def bucket(tenant_id: int, key: Key) -> int:
    """A number from 0 to 63 that spreads keys evenly, for engines that partition."""
    return zlib.crc32(f"{tenant_id}:{key}".encode()) % BUCKETS


class Head(msgspec.Struct, frozen=True, gc=False):
    """What landing knows of a record. `is_keyed` is False when the record had no key and its content became one."""

    key: Key
    modified_on: datetime | None
    is_deleted: bool
    is_keyed: bool = True


class HeadReader:
    """Reads heads of one entity's records; odd values never stop it, they only take the slower way."""

    def __init__(self, entity: Entity) -> None:
        self.entity = entity
        self.key_paths = tuple(tuple(path.split(".")) for path in entity.key if path != SCOPE)
        self.begins_with_scope = SCOPE in entity.key or (entity.is_scoped and not entity.key)
        self.is_whole = (
            SCOPE in entity.key and not entity.records
        )  # the answer is the record: what it is read for is enough
        self.cursor_path = tuple((entity.cursor or "modifiedOn").split("."))
        self.has_tombstones = bool(entity.path) and shows_deletion(load().get(entity.name, ()))
        tree: Tree = {}
        for path in self.key_paths:
            plant(tree, path, PLAIN[0])
        plant(tree, self.cursor_path, PLAIN[1])
        if self.has_tombstones:
            plant(tree, ("active",), PLAIN[2])
        self.decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(grown(entity.name, tree))
        self.is_plain = list(tree.values()) == PLAIN[: len(tree)] and entity.key_type == KeyType.BIGINT

    def read(self, record: msgspec.Raw, hash_: str, scope: str | None = None) -> Head:
        """The head of a record whose content hash is `hash_` and which was read for `scope`."""
        try:
            value = self.decoder.decode(record)
        except msgspec.DecodeError:
            return self.read_closely(LENIENT.decode(record), hash_, scope)
        except UnicodeDecodeError:  # msgspec does not wrap it
            return self.read_closely(LENIENT.decode(storable_bytes(bytes(record))), hash_, scope)
        if self.is_plain and type(value.f0) is int and -LARGEST <= value.f0 <= LARGEST:
            return Head(value.f0, moment(value.f1), self.has_tombstones and value.f2 is False)
        return self.read_closely(value, hash_, scope)

    def read_closely(self, value: Any, hash_: str, scope: str | None) -> Head:
        """The head of a record whose key or shape is not the usual one."""
        parts = [part for path in self.key_paths if isinstance(part := at(value, path), int | str | float | list)]
        is_keyed = bool(parts) or not self.key_paths or self.is_whole
        own = parts if is_keyed and self.entity.key else [self.content_key(hash_)]
        key = self.key_of([scope, *own] if self.begins_with_scope and scope else own)
        return Head(
            key=self.content_key(hash_) if key is None else key,
            modified_on=moment(at(value, self.cursor_path)),
            is_deleted=self.has_tombstones and at(value, ("active",)) is False,
            is_keyed=(is_keyed and key is not None) or not self.entity.key,
        )

    def key_of(self, parts: list[Any]) -> Key | None:
        """The key made of its parts, or None where they do not make one."""
        if self.entity.key_type == KeyType.TEXT:
            return ":".join(map(key_text, parts)).replace("\0", "\ufffd") or None  # no store takes NUL
        return whole(parts[0]) if parts else None

    def content_key(self, hash_: str) -> Key:
        """The key of a record without one: from its content, negative where keys are numbers, so that it meets no real one."""
        return f"~{hash_}" if self.entity.key_type == KeyType.TEXT else -int(hash_[:15], 16) - 1


def key_text(part: Any) -> str:
    """A part of a key that is text; a list as JSON."""
    return msgspec.json.encode(part).decode() if isinstance(part, list) else str(part)


@cache
def head_reader(entity: Entity) -> HeadReader:
    """The reader of an entity, made once."""
    return HeadReader(entity)


def shows_deletion(record: Iterable[Field]) -> bool:
    """Whether `active` is known to the export alone: there false means deleted, elsewhere it means inactive.

    Says nothing about entities without a list: of those ServiceTitan does not tell the two apart.
    """
    return any(field.path == "active" and field.feed == "export" for field in record)


def plant(tree: Tree, path: tuple[str, ...], kind: Any) -> None:
    """Put a type at a path of a tree of structs to be."""
    for part in path[:-1]:
        tree = tree.setdefault(part, {})
    tree.setdefault(path[-1], kind)


def grown(name: str, tree: Tree) -> type[msgspec.Struct]:
    """A struct type that reads just what the tree holds."""
    attributes = []
    for index, (key, kind) in enumerate(tree.items()):
        inner = grown(f"{name}_{key}", kind) | None if isinstance(kind, dict) else kind
        attributes.append((f"f{index}", inner, msgspec.field(default=None, name=key)))
    return msgspec.defstruct(name, attributes, namespace={"names": {key: f"f{i}" for i, key in enumerate(tree)}})


def at(value: Any, path: tuple[str, ...]) -> Any:
    """The value at a path, of a struct or of plain JSON; None where the path ends early."""
    for part in path:
        if isinstance(value, msgspec.Struct):
            value = getattr(value, value.names[part])  # type: ignore[attr-defined]
        elif isinstance(value, dict):
            value = value.get(part)
        else:
            return None
    return value


def whole(part: Any) -> int | None:
    """A number that fits a BIGINT, also when it came as text; None for anything else."""
    try:
        number = int(part)
    except (TypeError, ValueError, OverflowError):
        return None
    is_exact = isinstance(part, int | str) or part == number
    return number if is_exact and not isinstance(part, bool) and -LARGEST <= number <= LARGEST else None


def moment(value: Any) -> datetime | None:
    """A moment in UTC; text without a zone is taken as UTC, anything else is no moment."""
    if type(value) is datetime and value.tzinfo is UTC:
        return value
    if isinstance(value, str):
        try:
            value = msgspec.convert(value, datetime)
        except msgspec.ValidationError:
            return None
    if not isinstance(value, datetime):
        return None
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        return None
