"""API keys: what opens the HTTP API. A key belongs to one tenant and is shown once, when it is made.

The text of a key is `lazi_<id>_<secret>`. The secret has 256 random bits, so that its plain SHA-256 tells nothing.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from store.exceptions import StoreError
from store.operations import Operations

SCOPES = ("read", "mutate", "admin")
PATTERN = re.compile(r"lazi_([a-z0-9]{8})_([A-Za-z0-9_-]{43})", re.ASCII)
ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
LONGEST_NAME = 100


class BadKeyError(StoreError):
    """A key cannot be made or revoked as asked."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is kept: everything but its secret."""

    key_id: str
    name: str
    secret_hash: str
    scopes: frozenset[str]
    tenant_id: int
    per_minute: int | None  # requests; None: the default, 0: no limit
    per_hour: int | None
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None

    def opens(self, secret: str) -> bool:
        """Whether this is its secret; takes as long for every wrong one."""
        return hmac.compare_digest(hashed(secret), self.secret_hash) and self.revoked_at is None


def hashed(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def parsed(text: str) -> tuple[str, str] | None:
    """Id and secret of a key's text; None for anything else."""
    found = PATTERN.fullmatch(text)
    return (found[1], found[2]) if found else None


def create(
    operations: Operations,
    *,
    name: str,
    scopes: tuple[str, ...],
    tenant_id: int,
    per_minute: int | None = None,
    per_hour: int | None = None,
) -> str:
    """Make a key; its text, which nothing can show again. Raises StoreError for a name or scope that is not allowed."""
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise BadKeyError(f"A key's name has 1 to {LONGEST_NAME} printable characters. Name it after who uses it.")
    if not scopes or not set(scopes) <= set(SCOPES):
        raise BadKeyError(f"A key's scopes are some of {', '.join(SCOPES)}; these are {', '.join(scopes) or 'none'}.")
    key_id = "".join(secrets.choice(ALPHABET) for _ in range(8))
    secret = secrets.token_urlsafe(32)
    operations.run(
        "add_key",
        key_id=key_id,
        name=name,
        secret_hash=hashed(secret),
        scopes=" ".join(scope for scope in SCOPES if scope in scopes),
        tenant_id=tenant_id,
        per_minute=per_minute,
        per_hour=per_hour,
        created_at=datetime.now(UTC),
    )
    return f"lazi_{key_id}_{secret}"


def every(operations: Operations) -> list[Key]:
    """All keys, the oldest first."""
    return [kept(row) for row in operations.run("keys")]


def find(operations: Operations, key_id: str) -> Key | None:
    """A key by its id."""
    rows = operations.run("key", key_id=key_id)
    return kept(rows[0]) if rows else None


def revoke(operations: Operations, key_id: str) -> Key:
    """Close a key for good; one that is closed already stays as it is. Raises StoreError for an unknown one."""
    if find(operations, key_id) is None:
        known = ", ".join(f"`{key.key_id}`" for key in every(operations)) or "none"
        raise BadKeyError(f"There is no key `{key_id}`. Known: {known}. `lazi keys list` shows them.")
    operations.run("revoke_key", key_id=key_id, revoked_at=datetime.now(UTC))
    found = find(operations, key_id)
    assert found is not None  # noqa: S101  keys are never deleted
    return found


def kept(row: dict[str, Any]) -> Key:
    """A row as a key."""
    return Key(**{**row, "scopes": frozenset(row["scopes"].split())})
