"""Whether it lives, how fresh the copy is, and how large."""

import re
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Response, Router, get

from alarms.condition import Condition
from alarms.finding import worst
from api import parameters
from api.handlers import Asking, answered, failures
from api.reads import Reads, moment
from api.render import ENCODER
from api.work import Work
from sources.servicetitan.catalog import CATALOG
from store.reader import Reader

SCHEMAS = ("raw", "master", "crm", "audit")

POSTGRES_TABLES = """
SELECT n.nspname, c.relname, c.reltuples, pg_total_relation_size(c.oid)
FROM pg_class AS c
INNER JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname = 'raw'
UNION ALL
SELECT n.nspname, v.relname, MAX(t.reltuples), SUM(pg_total_relation_size(t.oid))
FROM pg_class AS v
INNER JOIN pg_namespace AS n ON n.oid = v.relnamespace
INNER JOIN pg_rewrite AS r ON r.ev_class = v.oid
INNER JOIN (
  SELECT DISTINCT objid, refobjid FROM pg_depend WHERE classid = 'pg_rewrite'::regclass AND refclassid = 'pg_class'::regclass
) AS d ON d.objid = r.oid
INNER JOIN pg_class AS t ON t.oid = d.refobjid AND t.relkind = 'r'
WHERE v.relkind = 'v' AND n.nspname IN ('master', 'crm', 'audit')
GROUP BY n.nspname, v.relname
ORDER BY 1, 2
"""

DUCKDB_TABLES = "SELECT schema_name, table_name, estimated_size FROM duckdb_tables()"
DUCKDB_VIEWS = "SELECT schema_name, view_name, sql FROM duckdb_views() WHERE NOT internal"
STORED = re.compile(r"(\w+_store)\.\"?(\w+)\"?")


class Reason(msgspec.Struct):
    """One thing that is wrong."""

    check: Annotated[str, msgspec.Meta(description="stale, failures, queue, disk ... as `LAZI_ALARMS` names them")]
    subject: Annotated[str | None, msgspec.Meta(description="Which entity, where it is about one")]
    level: Annotated[str, msgspec.Meta(description="degraded or critical")]
    text: str


class Health(msgspec.Struct, omit_defaults=True):
    """How the service is."""

    status: Annotated[str, msgspec.Meta(description="healthy, degraded or critical")]
    reasons: Annotated[
        list[Reason] | msgspec.UnsetType, msgspec.Meta(description="The worst first; only with a key")
    ] = msgspec.UNSET


class Failure(msgspec.Struct):
    """A reading that failed."""

    at: datetime
    error: Annotated[str, msgspec.Meta(description="What happened, in a sentence; `lazi status` has all of it")]


class EndpointHealth(msgspec.Struct):
    """How fresh an entity is."""

    entity: str
    status: Annotated[str, msgspec.Meta(description="ok, failing, unavailable (not open to this tenant) or never")]
    last_success: datetime | None
    last_failure: Failure | None
    records_24h: Annotated[int, msgspec.Meta(description="Records read in the last 24 hours")]
    appended_24h: Annotated[int, msgspec.Meta(description="New versions landed in the last 24 hours")]


class SyncHealth(msgspec.Struct):
    """How fresh the copy is, by entity."""

    data: list[EndpointHealth]


class Table(msgspec.Struct):
    """A table's size."""

    schema: str
    table: str
    rows: Annotated[
        int | None, msgspec.Meta(description="About so many, as the store's statistics have it; null: not known yet")
    ]
    bytes: Annotated[int | None, msgspec.Meta(description="With its indexes; DuckDB does not tell")]


class Tables(msgspec.Struct):
    """The sizes of all tables."""

    data: list[Table]


def sync_health(answers: Reads, tenant: int) -> bytes:
    """Each entity of the catalog."""
    found = answers.freshness.of_tenant(tenant)
    errors = {row["entity"]: row["error"] for row in answers.operations.run("last_errors", tenant_id=tenant)}
    rows = [endpoint(entity.name, found.get(entity.name, {}), errors) for entity in CATALOG]
    return ENCODER.encode(SyncHealth(rows))


def endpoint(name: str, row: dict[str, Any], errors: dict[str, str]) -> EndpointHealth:
    """One entity."""
    good, bad, shut = (moment(row.get(f"last_{word}")) for word in ("success", "failure", "unavailable"))
    newest = max((each for each in (good, bad, shut) if each), default=None)
    status = {None: "never", good: "ok", bad: "failing", shut: "unavailable"}[newest] if newest else "never"
    failure = Failure(bad, sentence(errors.get(name) or "")) if bad else None
    return EndpointHealth(
        name, status, good, failure, int(row.get("fetched_24h") or 0), int(row.get("appended_24h") or 0)
    )


def sentence(text: str) -> str:
    """The first sentence of an error of ours, without the address or path in it."""
    return ADDRESS.sub("...", text.splitlines()[0].partition(". ")[0]) if text else ""


ADDRESS = re.compile(r"\w+://\S+|`?/[\w./-]{3,}`?")


def tables(reader: Reader) -> bytes:
    """Every table that is read here."""
    found = postgres_tables(reader) if reader.dialect == "postgres" else duckdb_tables(reader)
    return ENCODER.encode(Tables(found))


def postgres_tables(reader: Reader) -> list[Table]:
    """From PostgreSQL's statistics."""
    return [
        Table(schema, name, int(rows) if rows >= 0 else None, int(size))
        for schema, name, rows, size in reader.fetch(POSTGRES_TABLES)
    ]


def duckdb_tables(reader: Reader) -> list[Table]:
    """From DuckDB's; a view is as large as the table that it shows."""
    sizes = {(schema, name): rows for schema, name, rows in reader.fetch(DUCKDB_TABLES)}
    found = [Table(schema, name, rows, None) for (schema, name), rows in sizes.items() if schema == "raw"]
    for schema, name, text in reader.fetch(DUCKDB_VIEWS):
        shown = STORED.search(text)
        if schema in SCHEMAS and shown and (shown[1], shown[2]) in sizes:
            found.append(Table(schema, name, sizes[shown[1], shown[2]], None))
    return sorted(found, key=lambda table: (table.schema, table.table))


def condition_of(condition: Condition, tenant: int | None) -> Health:
    """How the service is: to a tenant's key with the reasons, to strangers in a word."""
    found = condition.now(tenant)
    if tenant is None:
        return Health(str(worst(found)))
    return Health(
        str(worst(found)),
        [Reason(one.check, one.subject or None, str(one.level), sentences(one.text)) for one in found],
    )


def sentences(text: str) -> str:
    """A text of ours without addresses or paths."""
    return ADDRESS.sub("...", text)


def router(answers: Reads, work: Work, condition: Condition) -> Router:
    """The routes."""

    @get(
        "/",
        opt={"scope": "read", "open": True},
        operation_id="get_health",
        summary="How the service is; a word for everybody, the reasons for whoever has a key",
        security=[{}, {"key": []}],
        responses=failures(),
    )
    async def health(request: Asking) -> Health:
        parameters.none(request.scope["query_string"])
        key = request.scope.get("auth")
        return await work.do(condition_of, condition, key.tenant_id if key else None)

    @get(
        "/sync",
        opt={"scope": "read"},
        operation_id="get_health_sync",
        summary="Last success, last failure and records of the last 24 hours, by endpoint",
        responses=failures(),
    )
    async def sync(request: Asking) -> Response[SyncHealth]:
        parameters.none(request.scope["query_string"])
        return answered(request, await work.do(sync_health, answers, request.auth.tenant_id))  # type: ignore[return-value]

    @get(
        "/tables",
        opt={"scope": "read"},
        operation_id="get_health_tables",
        summary="Sizes and row counts of all tables",
        responses=failures(),
    )
    async def sizes(request: Asking) -> Response[Tables]:
        parameters.none(request.scope["query_string"])
        return answered(request, await work.do(tables, answers.reader))  # type: ignore[return-value]

    return Router("/api/health", route_handlers=[health, sync, sizes], tags=["health"])
