"""Which column means what: for each role the spellings that are known, the likeliest first. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pipelines.legacy.database import Column, Name

T = TypeVar("T")

JSON_TYPES = ("jsonb", "json")
TEXT_TYPES = ("text", "character varying", "character")

RECORD: dict[str, tuple[str, ...]] = {
    "payload": (
        "payload",
        "full_data",
        "raw_data",
        "raw_payload",
        "raw_json",
        "json_data",
        "data",
        "json",
        "record",
        "raw",
    ),
    "key": ("st_id", "servicetitan_id", "service_titan_id", "external_id", "record_id", "entity_id", "id"),
    "tenant": ("tenant_id", "st_tenant_id", "tenant"),
    "modified": ("modified_on", "st_modified_on", "modified_at", "st_modified_at", "last_modified", "st_updated_at"),
    "synced": (
        "synced_at",
        "fetched_at",
        "ingested_at",
        "loaded_at",
        "extracted_at",
        "received_at",
        "created_at",
        "inserted_at",
    ),
    "updated": ("updated_at", "last_synced_at", "last_seen_at"),
    "deleted": ("is_deleted", "deleted", "deleted_at", "removed_at"),
    "scope": ("scope", "parent_st_id", "parent_id"),
    "order": ("id", "raw_id", "version_id", "row_id", "seq", "version"),
}
"""The roles of columns of a raw table. `updated` dates a row where `synced` does not."""

MUTATION: dict[str, tuple[str, ...]] = {
    "id": ("id", "mutation_id", "uuid"),
    "tenant": ("tenant_id", "st_tenant_id", "tenant"),
    "entity": ("entity_type", "entity", "resource", "resource_type", "table_name"),
    "record": ("entity_id", "st_id", "record_id", "resource_id", "target_id"),
    "operation": ("operation", "action", "mutation_type", "operation_type", "type"),
    "payload": ("payload", "body", "data", "changes", "request_body", "input"),
    "places": ("path_params", "params"),
    "status": ("status", "state"),
    "attempts": ("attempts", "attempt_count", "retry_count", "retries"),
    "error": ("error", "last_error", "error_message", "failure_reason", "error_details"),
    "by": ("initiated_by", "created_by", "requested_by", "user_id", "source"),
    "created": ("created_at", "queued_at", "requested_at", "inserted_at"),
    "ended": ("finished_at", "completed_at", "failed_at", "processed_at", "updated_at"),
}
"""The roles of columns of the table of mutations."""

MUTATION_TABLES = ("mutations", "mutation_queue", "outbound_mutations", "pending_mutations", "outbound_queue")
MUTATION_SCHEMAS = ("outbound", "system", "sync", "queue", "public", "raw", "master")
MUTATION_NEEDS = ("id", "operation", "status")

Roles = dict[str, Column]


@dataclass(frozen=True, slots=True)
class Shape:
    """A table and what its columns are taken for."""

    schema: str
    table: str
    roles: Roles

    @property
    def name(self) -> str:
        """Schema and table, as messages show it."""
        return f"{self.schema}.{self.table}"

    @property
    def mapping(self) -> dict[str, str]:
        """By role the column's name."""
        return {role: column.name for role, column in self.roles.items()}

    @property
    def is_checked(self) -> bool:
        """Whether PostgreSQL has seen to it that each payload is JSON."""
        return self.roles["payload"].type in JSON_TYPES


def record_shape(name: Name, columns: Sequence[Column]) -> Shape | str:
    """What the columns of a raw table mean, or why that cannot be told."""
    roles = matched(RECORD, columns)
    payload = payload_of(roles.pop("payload", None), columns)
    if payload is None:
        shown = ", ".join(f"`{column.name}` {column.type}" for column in columns)
        known = ", ".join(f"`{spelling}`" for spelling in RECORD["payload"])
        return (
            f"which column holds the record cannot be told: it has {shown}; known are {known}, as jsonb, json or text"
        )
    if "key" in roles and roles.get("order") == roles["key"]:  # its only id is ServiceTitan's
        del roles["order"]
    return Shape(*name, {"payload": payload, **{role: each for role, each in roles.items() if each != payload}})


def payload_of(named: Column | None, columns: Sequence[Column]) -> Column | None:
    """The column of the record: one of a known name and a type that can hold JSON, else the only one of a JSON type."""
    if named and named.type in JSON_TYPES + TEXT_TYPES:
        return named
    candidates = [column for column in columns if column.type in JSON_TYPES]
    return candidates[0] if len(candidates) == 1 else None


def matched(spellings: Mapping[str, Sequence[str]], columns: Sequence[Column]) -> Roles:
    """By role the first column that is spelled in one of its ways, whatever its case and underscores: `syncedAt`."""
    known: dict[str, Column] = {}
    for column in columns:
        known.setdefault(plain(column.name), column)
    found = {role: first(known, [plain(name) for name in names]) for role, names in spellings.items()}
    return {role: column for role, column in found.items() if column}


def plain(name: str) -> str:
    """A name without case and underscores."""
    return name.lower().replace("_", "")


def first(values: Mapping[str, T], names: Sequence[str]) -> T | None:
    """The first of these that there is."""
    return next((values[name] for name in names if name in values), None)


def mutation_shape(tables: Mapping[Name, Sequence[Column]]) -> Shape | None:
    """The table of mutations: by its name, and by having what a mutation needs."""
    ranked = sorted(
        (name for name in tables if name[1] in MUTATION_TABLES and name[0] in MUTATION_SCHEMAS),
        key=lambda name: (MUTATION_SCHEMAS.index(name[0]), MUTATION_TABLES.index(name[1])),
    )
    for name in ranked:
        roles = matched(MUTATION, tables[name])
        if all(role in roles for role in MUTATION_NEEDS):
            return Shape(*name, roles)
    return None
