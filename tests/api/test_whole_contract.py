"""What consumers rely on: every route, every parameter, and what answers look like."""

import csv
import io
import json
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import psycopg2
import pytest

from api import page, parameters, query, schemas
from api.handlers import model_name, row_type
from api.resources import ENTITIES, MODELS, Comparison
from api.routes import ROUTES, Kind, Route
from sources.servicetitan.catalog import CATALOG, Entity
from tests.api.conftest import Api

NAMED = [route for route in ROUTES if not route.path.startswith("entities/")]
EVERY_ROUTE = pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
NAMED_LISTS = pytest.mark.parametrize(
    "route", [route for route in NAMED if route.kind is Kind.LIST], ids=lambda route: route.path
)
SEARCHED_LISTS = pytest.mark.parametrize(
    "route",
    [route for route in NAMED if route.kind is Kind.LIST and route.resource.searched],
    ids=lambda route: route.path,
)
EVERY_ENTITY = pytest.mark.parametrize("entity", CATALOG, ids=lambda entity: entity.name)
EXACT = json.JSONDecoder(parse_float=Decimal)


def path_to(api: Api, route: Route) -> str:
    """The route's path with a key that has records."""
    if "{table}" in route.path:
        [(entity, record)] = api.fetch("SELECT entity, record_id FROM audit.log WHERE entity = 'jobs' LIMIT 1")
        return route.path.replace("{table}", entity).replace("{id}", record)
    if "{id}" not in route.path:
        return route.path
    column, table = route.fixed[0][1], route.resource.relation.name
    [(key,)] = api.fetch(f'SELECT "{column}" FROM {table} WHERE "{column}" IS NOT NULL ORDER BY 1 LIMIT 1')
    return route.path.replace("{id}", quote(str(key), safe=""))


@EVERY_ROUTE
def test_every_route_answers_as_documented(api: Api, route: Route):
    """The answer is what the documents say, and has rows."""
    found = api.client.get(f"/api/v1/{path_to(api, route)}")
    assert found.status_code == 200, found.text
    name = model_name(route.resource)
    if route.kind is Kind.LIST:
        page = msgspec.json.decode(found.content, type=schemas.page(name, row_type(route.resource)))
        assert page.data
        assert (page.meta.limit, page.meta.offset) == (100, 0)
        assert page.meta.total >= len(page.data)
        assert page.meta.has_more == (page.meta.total > len(page.data))
        if route.resource.entity:
            assert page.meta.last_sync is not None
    else:
        added = tuple((field, row_type(other)) for field, other in route.adds)
        kind = schemas.detail(f"{name}Comparison", schemas.row(f"{name}Comparison", route.resource.relation, added))
        assert msgspec.json.decode(found.content, type=kind).data


@EVERY_ENTITY
def test_every_record_is_served_with_every_digit(api: Api, entity: Entity):
    """As many records as master has, each with the values that it has there."""
    relation = ENTITIES[entity.name].relation
    shown = [column for column in relation.columns if column.type != "JSONB"]
    names = ", ".join(f'"{column.name}"' for column in shown)
    stored = {values[1]: values for values in api.fetch(f"SELECT {names} FROM master.{entity.name}")}
    text = api.client.get(f"/api/v1/entities/{entity.name}", params={"format": "ndjson", "deleted": "include"}).text
    served = [EXACT.decode(line) for line in text.splitlines()]
    assert len(served) == len(stored)
    for record in served:
        for column, value in zip(shown, stored[record["st_id"]], strict=True):
            assert plain(record[column.name]) == plain(value), column.name


def plain(value: Any) -> Any:
    """A value in one form, whichever way it came."""
    if hasattr(value, "tzinfo"):
        return value.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return Decimal(str(value)) if isinstance(value, int | float) and not isinstance(value, bool) else value


@EVERY_ENTITY
def test_a_record_as_it_was_now_is_the_record(api: Api, entity: Entity):
    """`as_of` types an older version as master types the newest one; before it landed there was none."""
    [(key, landed)] = api.fetch(f"SELECT st_id, synced_at FROM master.{entity.name} ORDER BY st_id LIMIT 1")
    path = f"entities/{entity.name}/{quote(str(key), safe='')}"
    now, then = api.get(path)["data"], api.get(path, as_of=landed.isoformat())["data"]
    assert {**then, "modeled_at": now["modeled_at"]} == now
    api.refused(path, 404, as_of="2001-01-01")


@EVERY_ENTITY
def test_a_record_has_its_versions(api: Api, entity: Entity):
    """The newest landed version is the one that master shows, with the bytes' own meaning."""
    [(key, hash_)] = api.fetch(f"SELECT st_id, payload_hash FROM master.{entity.name} ORDER BY st_id LIMIT 1")
    [version, *_] = api.get(f"entities/{entity.name}/{quote(str(key), safe='')}/versions")["data"]
    assert version["payload_hash"] == hash_
    [(text,)] = api.fetch(
        f"SELECT CAST(payload AS TEXT) FROM raw.{entity.raw_table} WHERE payload_hash = '{hash_}' LIMIT 1"
    )
    assert version["payload"] == json.loads(text)


@NAMED_LISTS
def test_every_filter_finds_what_it_says(api: Api, route: Route):
    """For each filter, with a value that a row has: all rows that fit and no other; `total` is their number."""
    path = path_to(api, route)
    keep = {"deleted": "include"} if route.resource.has_deleted else {}
    everything = api.every(path, **keep, limit=1000)
    fixed = {name for name, _ in route.fixed}
    for each in route.resource.filters:
        if each.via is not None or each.name in fixed:
            continue
        value, fits = tried(each, everything)
        if value is None:
            continue
        wanted = [row for row in everything if fits(row)]
        assert api.every(path, **keep, **{each.name: value}, limit=1000) == wanted, each.name
        assert api.get(path, **keep, **{each.name: value}, limit=1)["meta"]["total"] == len(wanted), each.name


def tried(each: Any, rows: list[dict[str, Any]]) -> tuple[Any, Any]:
    """A value of a filter, and what rows must be to fit it."""
    values = [row[each.column] for row in rows if row[each.column] not in (None, [])]
    if not values:
        return None, None
    value = values[len(values) // 2]
    match each.test:
        case Comparison.IS_TEXT:
            return value.upper(), lambda row: (row[each.column] or "").lower() == value.lower()
        case Comparison.NOT_BEFORE:
            return value, lambda row: row[each.column] is not None and row[each.column] >= value
        case Comparison.BEFORE:
            return value, lambda row: row[each.column] is not None and row[each.column] < value
        case Comparison.HOLDS:
            return value[0], lambda row: value[0] in (row[each.column] or [])
        case Comparison.HOLDS_RECORD:
            key = value[0]["id"]
            return key, lambda row: key in [one["id"] for one in row[each.column] or []]
        case Comparison.IS_LIVE:
            return "true", lambda row: row[each.column] is not False and not row.get("is_deleted")
        case Comparison.NEVER:
            return 1, lambda _: False
    return (str(value).lower() if isinstance(value, bool) else value), lambda row: row[each.column] == value


@SEARCHED_LISTS
def test_search_finds_a_piece_of_text(api: Api, route: Route):
    """In each column that is searched, whatever the case; signs that LIKE knows stand for themselves."""
    resource = route.resource
    path = path_to(api, route)
    everything = api.every(path)
    if resource.search_via is None:
        for name in resource.searched:
            values = [row[name] for row in everything if row[name]]
            if values:
                piece = max(values, key=len)[1:9].strip().upper()
                found = api.every(path, search=piece)
                wanted = [
                    row
                    for row in everything
                    if any(piece.lower() in (row[each] or "").lower() for each in resource.searched)
                ]
                assert found == wanted, (name, piece)
    else:
        piece = everything[0]["name"][:5].upper()
        assert everything[0] in api.every(path, search=piece)
    assert api.get(path, search="%_%\\no such thing")["meta"]["total"] == 0
    assert api.get(path, search="")["meta"]["total"] == len(everything)


@pytest.mark.parametrize("path", ["customers", "crm/customers"])
def test_customers_are_found_by_what_the_models_say(api: Api, path: str):
    """Value tier, engagement and open estimates are those of the customer 360."""
    key = "st_id" if path == "customers" else "customer_id"
    every = {row["customer_id"]: row for row in api.every("crm/customers")}
    for name in ("value_tier", "engagement_status", "has_open_estimates"):
        for value in {row[name] for row in every.values()}:
            found = api.every(path, **{name: str(value).lower()})
            assert {row[key] for row in found} == {k for k, row in every.items() if row[name] == value}
    email = next(row["primary_email"] for row in every.values() if row["primary_email"])
    assert any(every[row[key]]["primary_email"] == email for row in api.every(path, search=email[2:]))


def test_a_customer_comes_with_its_360(api: Api):
    """The detail holds the row of `crm.customer_360`."""
    key = api.get("customers", limit=1)["data"][0]["st_id"]
    assert api.get(f"customers/{key}")["data"]["customer_360"] == api.get(f"crm/customers/{key}")["data"]


@pytest.mark.slow
@NAMED_LISTS
def test_every_sort_and_page_shows_each_row_once(api: Api, route: Route):
    """By each column, up and down: pages of three together are the whole list, in order, null being the lowest."""
    path = path_to(api, route)
    known = parameters.list_parameters(route.resource)
    key = route.resource.relation.key
    everything = api.every(path, limit=1000)
    for name in known["sort"].allowed:
        for order in ("asc", "desc"):
            rows = api.every(path, sort=name, order=order, limit=min(max(3, len(everything) // 4), 1000), fields=name)
            assert len(rows) == len(everything)
            assert len({json.dumps([row[each] for each in key]) for row in rows}) == len(everything)
            values = [row[name] for row in rows if row[name] is not None]
            nulls = len(rows) - len(values)
            assert [row[name] for row in (rows[-nulls:] if order == "desc" else rows[:nulls])] == [
                None
            ] * nulls or not nulls
            if values and not isinstance(values[0], str):
                assert values == sorted(values, reverse=order == "desc"), (name, order)
    if len(everything) > 3:
        assert api.get(path, offset=2, limit=1)["data"] == everything[2:3]


def test_forms_hold_the_same_rows(api: Api):
    """NDJSON and CSV without a limit hold everything; `Accept` and `format` both ask for them."""
    everything = api.every("jobs", deleted="include")
    lines = api.client.get("/api/v1/jobs?deleted=include", headers={"accept": "application/x-ndjson"})
    assert [json.loads(line) for line in lines.text.splitlines()] == everything
    table = api.client.get("/api/v1/jobs", params={"deleted": "include", "format": "csv"})
    assert table.headers["content-type"].startswith("text/csv")
    records = list(csv.DictReader(io.StringIO(table.text)))
    assert [int(record["st_id"]) for record in records] == [row["st_id"] for row in everything]
    assert records[0].keys() == everything[0].keys()
    assert api.client.get("/api/v1/jobs", headers={"accept": "image/png"}).status_code == 406
    assert len(api.client.get("/api/v1/jobs?format=ndjson&limit=2").text.splitlines()) == 2


def test_an_answer_that_is_known_already_is_not_sent_again(api: Api):
    """`If-None-Match` with the `ETag`: 304 and no body; gzip when it is asked for."""
    first = api.client.get("/api/v1/customers")
    again = api.client.get("/api/v1/customers", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert api.client.get("/api/v1/customers", headers={"if-none-match": '"other"'}).status_code == 200
    assert first.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in api.client.get("/api/v1/customers", headers={"accept-encoding": ""}).headers


@pytest.mark.parametrize("route", NAMED, ids=lambda route: route.path)
def test_head_answers_as_get_without_the_body(api: Api, route: Route):
    """Status, length and mark are those of GET; Express answered so without being asked."""
    path = f"/api/v1/{path_to(api, route)}"
    head, get = api.client.head(path), api.client.get(path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    for name in ("etag", "content-type", "content-length"):
        assert head.headers.get(name) == get.headers.get(name)


def test_head_of_a_stream_reads_no_more_than_it_needs(api: Api, port: int):
    """A real server leaves the connection usable; a refusal has its status too."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"x-api-key": api.key()}) as client:
        for path, status in (("jobs?format=csv", 200), ("jobs?format=csv&x=1", 400), ("jobs", 200), ("jobs/1", 404)):
            head = client.head(f"/api/v1/{path}")
            assert (head.status_code, head.content) == (status, b"")
        assert client.get("/api/v1/jobs?limit=1").status_code == 200
        assert client.head("/api/v1/jobs", headers={"x-api-key": ""}).status_code == 401


def test_wrong_parameters_are_told_with_what_is_right(api: Api):
    """An unknown name, a value that is not allowed, one given twice, a mark of another list."""
    assert "city" in api.refused("customers", 400, colour="red")["allowed"]
    assert api.refused("customers", 400, value_tier="huge")["allowed"] == ["high", "medium", "low"]
    for path in ("audit", "audit/summary"):
        problem = api.refused(path, 400, table="jbos")
        assert problem["detail"].endswith("in `allowed`, of which `jobs` is nearest.")
        assert {"jobs", "customers"} <= set(problem["allowed"])
    assert "from 1 to 1000" in api.refused("customers", 400, limit=0)["detail"]
    assert "from 1 to 1000" in api.refused("customers", 400, limit=1001)["detail"]
    assert "whole number" in api.refused("jobs", 400, customer_id="x")["detail"]
    assert "moment" in api.refused("jobs", 400, updated_after="yesterday")["detail"]
    assert "name" in api.refused("customers", 400, fields="name,nonsense")["allowed"]
    assert "name" in api.refused("customers", 400, sort="nonsense")["allowed"]
    assert api.client.get("/api/v1/customers?limit=1&limit=2").status_code == 400
    mark = api.get("customers", limit=1)["meta"]["next"]
    for parameters_ in ({"after": "no mark!"}, {"after": ""}, {"after": mark, "offset": 2}):
        api.refused("customers", 400, **parameters_)
    for parameters_ in (
        {"after": "nonsense"},
        {"after": mark, "sort": "name"},
        {"after": "nonsense", "offset": 2},
        {"after": "nonsense", "format": "csv"},
    ):
        assert "Begin again" in api.refused("customers", 409, **parameters_)["detail"]
    api.refused("jobs", 409, after=mark)
    assert "whole number" in api.refused("customers/abc", 400)["detail"]


def test_what_is_not_there_is_a_404(api: Api):
    """A record, the owner of a list, an entity, a path."""
    for path in (
        "customers/1",
        "customers/1/contacts",
        "jobs/1/notes",
        "entities/zones/1/versions",
        "audit/record/nonsense/1",
    ):
        api.refused(path, 404)
    assert "/api/docs" in api.refused("nonsense", 404)["detail"]
    assert api.client.post("/api/v1/customers").status_code == 405


def test_fields_come_as_asked_with_the_key(api: Api):
    """Only these columns."""
    [record] = api.get("customers", fields="name,balance", limit=1)["data"]
    assert list(record) == ["st_id", "name", "balance"]
    assert list(api.get(f"customers/{record['st_id']}", fields="name")["data"]) == ["st_id", "name"]


def test_health_tells_of_every_endpoint_and_table(api: Api):
    """Liveness needs no key; freshness has each entity, sizes each table."""
    assert api.client.get("/api/health", headers={"x-api-key": ""}).json().keys() == {"status"}
    told = api.client.get("/api/health").json()
    assert told["status"] in {"healthy", "degraded", "critical"}
    assert (told["status"] == "healthy") == (not told["reasons"])
    rows = api.client.get("/api/health/sync").json()["data"]
    assert {row["entity"] for row in rows} == {entity.name for entity in CATALOG}
    for each in rows:
        assert each["status"] == "ok"
        assert each["records_24h"] >= each["appended_24h"] > 0
    tables = {(each["schema"], each["table"]) for each in api.client.get("/api/health/tables").json()["data"]}
    assert {("raw", entity.raw_table) for entity in CATALOG} <= tables
    assert {("master", entity.name) for entity in CATALOG} <= tables


def test_sums_agree_with_the_lists(api: Api):
    """`crm/stats` counts what the lists hold."""
    stats = api.get("crm/stats")["data"]
    customers, estimates = api.every("crm/customers"), api.every("crm/open-estimates")
    assert stats["customers"] == sum(stats["by_value_tier"].values()) == len(customers)
    assert stats["open_estimates"]["count"] == len(estimates)
    assert stats["open_estimates"]["value"] == pytest.approx(sum(row["subtotal"] for row in estimates))


def test_metrics_tell_of_requests_lag_and_budget(api: Api):
    """In Prometheus' text format."""
    api.get("entities/zones")
    text = api.client.get("/metrics").text
    assert 'lazi_http_request_seconds_count{method="GET",route="/api/v1/entities/zones",status="200"}' in text
    assert f'lazi_sync_lag_seconds{{entity="jobs",tenant="{api.tenant}"}}' in text
    assert "lazi_rate_budget_ahead_seconds" in text


def test_a_refresh_is_queued(api: Api):
    """202; the next refresh of the models runs though nothing landed."""
    answer = api.client.post("/api/v1/crm/refresh")
    assert answer.status_code == 202, answer.text
    assert answer.json()["data"]["status"] == "queued"


def test_the_named_routes_are_all_there():
    """Every route and parameter that the original's consumers use."""
    have = {route.path: set(parameters.list_parameters(route.resource)) for route in ROUTES if route.kind is Kind.LIST}
    usual = {"limit", "offset", "after", "sort", "order", "fields"}
    customers = {"city", "state", "value_tier", "engagement_status", "has_open_estimates", "type"}
    pricebook = usual | {"search", "active", "active_only", "updated_after", "category_id", "business_unit_id"}
    for path in ("services", "materials", "equipment", "categories"):
        assert pricebook <= have[f"pricebook/{path}"], path
    assert usual | customers | {"search", "active", "active_only", "updated_after"} <= have["customers"]
    assert usual | customers | {"search"} <= have["crm/customers"]
    assert usual | {"search", "customer_id", "job_status", "business_unit_id", "updated_after"} <= have["jobs"]
    assert usual | {"urgency", "search"} <= have["crm/open-estimates"]
    assert usual | {"customer_id", "type", "search"} <= have["crm/contacts"]
    assert usual | {"table", "record_id", "actor_type", "from", "to"} <= have["audit"]
    assert {"jobs/appointments/list", "estimates", "audit/summary", "customers/{id}/contacts"} <= have.keys()
    assert {"customers/{id}/notes", "jobs/{id}/notes", "jobs/{id}/history", "locations/{id}/equipment"} <= have.keys()
    details = {route.path for route in ROUTES if route.kind is Kind.DETAIL}
    wanted = ["customers", "jobs", "estimates", "appointments", "locations", "crm/customers", "pricebook/services"]
    assert {f"{path}/{{id}}" for path in wanted} <= details
    assert set(MODELS) == {"crm_customers", "open_estimates", "crm_contacts", "audit", "audit_summary"}


def test_jobs_of_a_unit_in_a_status_are_found_sorted_in_an_index(api: Api):
    """Where few jobs are both, PostgreSQL would walk the index of the sort to its end; DuckDB's tables have no index."""
    settings = api.whole.stores.settings
    if settings.is_embedded:
        assert api.fetch("SELECT index_name FROM duckdb_indexes() WHERE schema_name LIKE '%_store'") == []
        return
    given = {"job_status": "Completed", "business_unit_id": 1, "sort": "modified_on", "order": "desc"}
    wanted = page.asked(ENTITIES["jobs"], api.tenant, given, {})
    shape, values = page.placed(wanted)
    made = query.rows(shape, "postgres")
    values |= {"limit": 51, "offset": 0}
    connection = psycopg2.connect(settings.database_url)
    with connection, connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute("SET LOCAL enable_sort = off")
        cursor.execute(f"EXPLAIN {made.sql}", [values[slot] for slot in made.slots])
        plan = "\n".join(row[0] for row in cursor.fetchall())
    connection.close()
    [condition] = [line for line in plan.splitlines() if "Index Cond" in line]
    assert "Sort" not in plan
    for column in ("tenant_id", "business_unit_id", "job_status"):
        assert column in condition
