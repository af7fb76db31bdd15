"""What columns a master table has: ours, what a record was read for, and the typed fields of the record itself."""

from collections.abc import Iterable

from sources.servicetitan.catalog import BY_NAME, Entity, Feed
from sources.servicetitan.filling import BRACES
from sources.servicetitan.registry import Column, Field, columns, snake_case

BEHIND = tuple(
    Column(name, kind, ())
    for name, kind in (
        ("is_deleted", "BOOLEAN"),
        ("version_at", "TIMESTAMPTZ"),
        ("payload_hash", "TEXT"),
        ("sync_batch_id", "TEXT"),
        ("synced_at", "TIMESTAMPTZ"),
        ("modeled_at", "TIMESTAMPTZ"),
        ("bad_columns", "TEXT"),
    )
)
"""The columns of every master table that stand behind the record's own."""


def scope_column(entity: Entity) -> tuple[Column, ...]:
    """The column that says what a record was read for: its parent's key, what a parent names, or a slice's first moment."""
    match entity.feed:
        case Feed.WINDOW:
            return (Column("window_start", "TIMESTAMPTZ", ()),)
        case Feed.CHILD if named := [name for name in BRACES.findall(entity.path) if "[]" in name]:
            return (Column(snake_case(named[0].rpartition(".")[2]), "TEXT", ()),)
        case Feed.CHILD if not entity.is_batched:
            return (Column("parent_st_id", str(BY_NAME[entity.parent].key_type).upper(), ()),)
        case Feed.REPORT:
            return (Column("report_name", "TEXT", ()),)
    return ()


def record_columns(entity: Entity, record: Iterable[Field]) -> tuple[Column, ...]:
    """The columns that hold the record: what it was read for, then its fields."""
    scope = scope_column(entity)
    return (*scope, *columns(record, [column.name for column in scope]))


def master_columns(entity: Entity, record: Iterable[Field]) -> tuple[Column, ...]:
    """All columns of an entity's master table, in order."""
    key = Column("st_id", str(entity.key_type).upper(), ())
    return (Column("tenant_id", "BIGINT", ()), key, *record_columns(entity, record), *BEHIND)
