"""The catalog and the field registry to pages: one of all entities, and one of each module."""

from collections.abc import Sequence
from datetime import timedelta

from discovery.reference.departures import departures
from discovery.reference.page import code, listed, page, table
from outbound.operations import OPERATIONS
from sources.servicetitan.catalog import CATALOG, MODULES, NOT_LISTABLE, Entity, Feed
from sources.servicetitan.exclusions import EXCLUDED
from sources.servicetitan.master import BEHIND, master_columns
from sources.servicetitan.registry import Column, Field
from store.timetable import INTERVALS

HOUR = 60  # minutes
INNER = 12  # names of an object's fields that are shown
TOLD = {
    "is_deleted": "whether ServiceTitan no longer has the record",
    "version_at": "when ServiceTitan says this version was made",
    "payload_hash": "the content hash of this version",
    "sync_batch_id": "the sync or mutation that landed this version",
    "synced_at": "when this version landed in the copy",
    "modeled_at": "when this row was last written in the copy",
    "bad_columns": "columns whose value does not fit their type, with commas between; each is NULL here",
    "tenant_id": "the ServiceTitan tenant",
    "st_id": "the record's key",
    "parent_st_id": "the key of the parent that the record was read for",
    "window_start": "the first moment of the slice of dates that the record was read for",
    "report_name": "the configured report that the row was read for",
}
FEEDS = {
    Feed.EXPORT: "goes on from a continuation token; tells of deletions where its records have `active`",
    Feed.LIST: "pages of what was modified since the last read, less ten minutes",
    Feed.SNAPSHOT: "read whole each time; what differs is appended",
    Feed.CHILD: "asked for each parent that changed",
    Feed.WINDOW: "read slice of dates by slice of dates",
    Feed.REPORT: "the data of the reports that are configured",
}
INTRODUCTION = """
The {entities} things that are read from ServiceTitan, by module. An entity's name is that of its tables and of its route:
`raw.st_<name>` holds every version, `master.<name>` the newest one of each record, and `GET /api/v1/entities/<name>` serves it.
[Concepts](../../concepts.md) tells what feeds, cursors and keys are. `lazi entities` prints the same table.
"""
SAME = """
Every master table begins with `tenant_id` and `st_id`, a record's key, and ends with these columns:
"""


def entity_pages(registry: dict[str, tuple[Field, ...]]) -> dict[str, str]:
    """Pages by file name: `index.md`, and one of each module."""
    pages = {"index.md": index()}
    for module in MODULES:
        entities = [entity for entity in CATALOG if entity.module == module]
        sections = [section(entity, registry[entity.name]) for entity in sorted(entities, key=lambda one: one.name)]
        pages[f"{module}.md"] = page(f"Entities of {module}", *sections)
    return pages


def index() -> str:
    """The page of all entities."""
    ours = [(code(column.name), column.type, TOLD[column.name]) for column in BEHIND]
    feeds = [(code(str(feed)), told, f"{sum(one.feed is feed for one in CATALOG)}") for feed, told in FEEDS.items()]
    left_out = [(code(name), reason) for name, reason in NOT_LISTABLE.items()]
    addresses = [(code(path), reason) for path, reason in EXCLUDED.items()]
    return page(
        "Entities",
        INTRODUCTION.format(entities=len(CATALOG)),
        "## Feeds",
        table(("feed", "how it is read", "entities"), feeds),
        "## All of them",
        table(
            ("entity", "module", "feed", "priority", "address"), map(line, sorted(CATALOG, key=lambda one: one.name))
        ),
        "## Columns that every master table has",
        SAME,
        table(("column", "type", "what it holds"), ours),
        "## What cannot be read",
        "Names of the original service that ServiceTitan offers nothing for:",
        table(("name", "why"), left_out),
        "Addresses of ServiceTitan's documents that are left out:",
        table(("address", "why"), addresses),
    )


def line(entity: Entity) -> tuple[str, ...]:
    """One entity's line in the table of all."""
    name = f"[`{entity.name}`]({entity.module}.md#{entity.name})"
    return name, entity.module, str(entity.feed), str(entity.priority), code(address(entity))


def address(entity: Entity) -> str:
    """What is asked."""
    return f"{entity.base}{{tenant}}/{entity.export_path or entity.path}"


def section(entity: Entity, record: Sequence[Field]) -> str:
    """One entity: where it stands, how it is read, its departures and its columns."""
    own = [column for column in master_columns(entity, record) if column not in BEHIND][2:]
    parts = [
        f"## {entity.name}",
        table(("", ""), facts(entity)),
        "\n".join(f"- {sentence}" for sentence in departures(entity)),
        table(("column", "type", "ServiceTitan's field", "what it holds"), columns(own, record)),
    ]
    return "\n\n".join(filter(None, parts))


def facts(entity: Entity) -> list[tuple[str, str]]:
    """What the catalog says of an entity, as lines of a table."""
    found = [
        ("read from", code(f"{entity.method} {address(entity)}")),
        ("feed", f"{entity.feed}: {FEEDS[entity.feed]}"),
        ("goes on from", cursor(entity)),
        ("priority", f"{entity.priority}: every {often(INTERVALS[entity.priority])}"),
        ("key", f"`st_id {str(entity.key_type).upper()}`"),
        ("raw", code(f"raw.{entity.raw_table}")),
        ("master", f"`master.{entity.name}` (`models/master/{entity.name}.sql`)"),
        ("API", code(f"GET /api/v1/entities/{entity.name}")),
        ("written by", listed(one.title for one in OPERATIONS if one.entity == entity.name)),
    ]
    if entity.parent:
        module = next(one.module for one in CATALOG if one.name == entity.parent)
        found.insert(1, ("parent", f"[`{entity.parent}`]({module}.md#{entity.parent})"))
    if entity.export_path and entity.path:
        found.insert(1, ("list, for reconciliation", code(f"GET {entity.base}{{tenant}}/{entity.path}")))
    return [(name, value) for name, value in found if value]


def often(interval: timedelta) -> str:
    """An interval for a sentence."""
    minutes = int(interval.total_seconds() // 60)
    return f"{minutes} minutes" if minutes < HOUR else f"{minutes // HOUR} hours" if minutes > HOUR else "hour"


def cursor(entity: Entity) -> str:
    """What a read goes on from."""
    return {
        Feed.EXPORT: "the continuation token of the last page",
        Feed.LIST: code(entity.cursor),
        Feed.CHILD: f"the versions of `{entity.parent}` that landed since",
        Feed.WINDOW: "the slice of dates that it came to",
    }.get(entity.feed, "nothing: it is read whole, and content tells what is new")


def columns(own: Sequence[Column], record: Sequence[Field]) -> list[tuple[str, ...]]:
    """The lines of an entity's own columns."""
    by_path = {field.path: field for field in record}
    return [
        (
            code(column.name),
            column.type,
            code(".".join(column.path)),
            holds(column, by_path),
        )
        for column in own
    ]


def holds(column: Column, by_path: dict[str, Field]) -> str:
    """What is known of a column's values: our own word, all that are allowed, or the fields within."""
    path = ".".join(column.path)
    field = by_path.get(path)
    if field is None:
        return TOLD.get(column.name, "what the record was read for")
    if field.enum:
        return f"one of {listed(field.enum)}"
    inner = inside(path, by_path)
    more = ", ..." if len(inner) > INNER else ""
    array = "a list" if field.type == "array" else "an object"
    return f"{array} with {listed(inner[:INNER])}{more}" if inner else "a list" if field.type == "array" else ""


def inside(path: str, by_path: dict[str, Field]) -> list[str]:
    """The names one level below a field."""
    found = [name for prefix in (f"{path}.", f"{path}[].") for name in by_path if name.startswith(prefix)]
    return list(
        dict.fromkeys(
            name.removeprefix(path).removeprefix("[]")[1:].partition(".")[0].removesuffix("[]") for name in found
        )
    )
