"""What entities' pages say and let one ask for, without a browser."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Event
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as rules
from hypothesis import strategies as st

from api.pages import null_shares
from api.pages.coverage import Coverages, steps
from api.pages.entities import listing, state_asked
from api.pages.entity import moment_asked
from api.pages.entity_actions import ACTIONS
from api.pages.entity_now import Asked, Reading, asked, nightly, quiet, turn
from api.pages.entity_runs import STOPPED, run
from api.pages.fields_table import field_rows, own_rows, percent
from api.pages.grid import Cell, Freshness
from api.pages.kept import Kept
from api.pages.newest import newest
from api.pages.null_shares import NullShares, Shares
from api.problems import BadParameterError
from api.relations import Relation, master
from pipelines.duties import Work
from pipelines.wishes import WORKS
from sources.servicetitan.catalog import BY_NAME, CATALOG, Feed
from sources.servicetitan.master import record_columns
from sources.servicetitan.registry import Field, load
from store.chain import chain_of
from store.settings import Settings
from store.timetable import Daily, Every, Hours, Timetable
from tests.pages.house import House
from tests.pages.tables import Tables

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NUMBERS = count()


def batch(
    house: House, entity: str, at: datetime, status: str = "completed", tenant: int = 1, **more: Any
) -> dict[str, Any]:
    """A read as the store has it."""
    ident = f"{entity}-{next(NUMBERS)}"
    feed = more.pop("feed", "export")
    begun = {"sync_batch_id": ident, "tenant_id": tenant, "entity": entity, "started_at": at, "feed": feed}
    house.operations.run("start_batch", **begun)
    counts = dict.fromkeys(("fetched", "appended", "unchanged", "bytes", "requests", "retries", "repaired", "pages"), 0)
    ended = {"finished_at": at + timedelta(seconds=2), "status": status, "error": None, "covered_from": None}
    values = counts | ended | {"covered_to": None} | more
    if status != "running":
        house.operations.run("finish_batch", sync_batch_id=ident, **values)
    return begun | values


def text_of(found: Any, status: int = 200) -> str:
    """What a page says, without its tags."""
    assert found.status_code == status, found.text
    return " ".join(re.sub(r"<[^>]*>|`", " ", found.text).split())


def wishes(house: House, tenant: int = 1) -> list[tuple[str, str]]:
    return [(row["entity"], row["work"]) for row in house.operations.run("wishes", tenant_id=tenant)]


def test_every_entity_has_a_page_from_the_first_moment(house: House):
    """Before anything is read and before the models are built it says so, and shows the fields."""
    visitor = house.visitor("read")
    for entity in CATALOG:
        found = text_of(house.ask("GET", f"/entities/{entity.name}", visitor))
        assert "never It was never read." in found, entity.name
        assert "The copy has not been built yet" in found, entity.name
        assert all(
            field.path.rpartition(".")[2] in found for field in load()[entity.name][:3] if "[]" not in field.path
        )


def test_a_name_that_is_not_known_leads_nowhere(house: House):
    """404, with what may be meant; whatever the name is."""
    visitor = house.visitor()
    for method, path in (("GET", ""), ("GET", "/runs"), ("POST", "/sync")):
        found = house.ask(method, f"/entities/custommers{path}", visitor, data={"token": visitor.token})
        assert "Did you mean customers" in text_of(found, 404), path
    for name in ("%00", "%3Cscript%3E", "x" * 3000, "opportunities"):
        found = house.ask("GET", f"/entities/{name}", visitor)
        assert (found.status_code, "<script>" in found.text) == (404, False), name


def test_a_button_asks_for_a_read(house: House):
    """It is written down for the key's own tenant, and the page says it."""
    visitor = house.visitor(tenant=5)
    for action in ACTIONS:
        found = house.act(f"/entities/jobs/{action.work}", visitor)
        assert (found.status_code, found.headers["location"]) == (303, "/entities/jobs")
    assert sorted(wishes(house, 5)) == [("jobs", "full"), ("jobs", "reconcile"), ("jobs", "sync")]
    assert wishes(house, 1) == []
    found = text_of(house.ask("GET", "/entities/jobs", visitor))
    assert all(f"asked for {what}, " in found for what in ("Sync", "Full read", "Reconciliation"))
    assert "asked for" not in text_of(house.ask("GET", "/entities/jobs", house.visitor()))


def test_each_button_needs_its_scope(house: House):
    """Without it there is a refusal, nothing is asked for, and the page says which key is needed."""
    for action in ACTIONS:
        others = {"read", "mutate", "admin"} - {action.scope}
        visitor = house.visitor(*others, tenant=6)
        found = house.act(f"/entities/jobs/{action.work}", visitor)
        assert f"with the scope {action.scope} ;" in text_of(found, 403)
        assert f"Needs a key with the scope {action.scope}." in text_of(house.ask("GET", "/entities/jobs", visitor))
    assert wishes(house, 6) == []
    page = house.ask("GET", "/entities/jobs", house.visitor("read")).text
    assert page.count(" disabled") == len(ACTIONS)


def test_what_cannot_be_counted_is_not_reconciled(house: House):
    """Its page says why, and so does the refusal."""
    visitor = house.visitor(tenant=7)
    found = house.act("/entities/booking_contacts/reconcile", visitor)
    assert (found.status_code, "which no read shows whole" in found.text) == (422, True)
    assert wishes(house, 7) == []
    assert "which no read shows whole" in text_of(house.ask("GET", "/entities/booking_contacts", visitor))


def test_buttons_ask_for_what_the_schedule_can_do():
    """Each work is one that wishes are granted for, and none is left out."""
    assert {Work(action.work) for action in ACTIONS} == WORKS


def test_reads_are_the_tenant_s_own_and_the_newest_first(house: House):
    """Twenty on the page; older ones by links, until there is none."""
    for number in range(75):
        batch(house, "locations", NOON + number * MINUTE, tenant=8, fetched=7000 + number)
    batch(house, "locations", NOON + 200 * MINUTE, tenant=9, fetched=6999)
    visitor = house.visitor(tenant=8)
    pages = [house.ask("GET", "/entities/locations", visitor).text]
    while older := re.search(r'href="([^"]+)">Older reads', pages[-1]):
        pages.append(house.ask("GET", older[1].replace("&amp;", "&"), visitor).text)
    numbers = [[int(each.replace("\u202f", "")) for each in re.findall(r"7\u202f0\d\d", page)] for page in pages]
    assert [len(each) for each in numbers] == [20, 50, 5]
    assert [each for page in numbers for each in page] == list(range(7074, 6999, -1))
    assert "6\u202f999" not in "".join(pages)
    assert "None is known" in house.ask("GET", "/entities/locations/runs?before=2020-01-01", visitor).text


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "0001-01-01T00:00:00+14:00", "\x00"])
def test_a_moment_that_is_none_is_refused(house: House, text: str):
    """With the value and what is allowed."""
    found = house.ask("GET", "/entities/jobs/runs", house.visitor(), params={"before": text})
    assert (found.status_code, "allowed is a moment such as" in found.text) == (400, True)


def test_a_moment_is_read_as_addresses_have_it():
    """A plus becomes a space there; without a zone it is of UTC."""
    assert moment_asked("2026-05-01T14:00:00 02:00") == moment_asked("2026-05-01T12:00:00") == NOON
    assert moment_asked("") is None


def test_coverage_is_told_and_follows_what_is_read(house: House):
    """Whole, then with a hole; each at the first look behind the read."""
    visitor = house.visitor(tenant=10)

    def told() -> str:
        return text_of(house.ask("GET", "/entities/invoices", visitor))

    batch(house, "invoices", NOON, tenant=10, covered_from="", covered_to="a", fetched=5, appended=4)
    assert "no gap It was read from the beginning, 2026-05-01 12:00 . 5 records read, 4 versions landed." in told()
    batch(house, "invoices", NOON + MINUTE, tenant=10, covered_from="a", covered_to="b", fetched=1, appended=1)
    assert "begun where the one before it ended: 2 reads. 6 records read" in told()
    batch(house, "invoices", NOON + 2 * MINUTE, tenant=10, covered_from="<lost>", covered_to="c")
    assert "gap Nothing is known of what lies before &lt;lost&gt; , where" in told()


def test_drift_stands_by_its_field(house: House):
    """And what the registry does not have stands behind all fields, as text."""
    noted = {"tenant_id": 11, "entity": "jobs", "now": NOON}
    house.operations.run("note_drift", **noted, path="jobStatus", kind="retyped", detail="string -> integer", records=3)
    house.operations.run("note_drift", **noted, path="<b>new", kind="added", detail="string", records=1)
    found = house.ask("GET", "/entities/jobs", house.visitor(tenant=11)).text
    assert re.search(r"jobStatus.*?another type.*?string -&gt; integer.*?in 3 records", found, re.DOTALL)
    assert re.search(r"&lt;b&gt;new.*?not in the field registry.*?in 1 record ", found, re.DOTALL)
    assert "another type" not in house.ask("GET", "/entities/jobs", house.visitor(tenant=12)).text


def test_the_table_of_entities_finds_by_name_module_and_state(house: House):
    """Every entity is in it once; what fits nothing says so; a state that is none is refused."""
    batch(house, "tag_types", NOON, tenant=13)
    batch(house, "zones", NOON, "failed", tenant=13, error="no answer")
    batch(house, "teams", NOON, "running", tenant=13)
    visitor = house.visitor(tenant=13)

    def names(**asked_for: str) -> list[str]:
        page = house.ask("GET", "/entities", visitor, params=asked_for).text
        return re.findall(r'<th scope="row"><a href="/entities/(\w+)"', page)

    assert sorted(names()) == sorted(BY_NAME)
    assert names(state="failing") == ["zones"]
    assert names(state="late") == ["tag_types"]
    assert names(q="Tag types") == ["tag_types"]
    assert set(names(q="telecom")) == {entity.name for entity in CATALOG if entity.module == "telecom"}
    assert "being read" in house.ask("GET", "/entities", visitor, params={"q": "teams"}).text
    nothing = house.ask("GET", "/entities", visitor, params={"q": "<yacht>", "state": "never"}).text
    assert "fits “&lt;yacht&gt;” in the state never" in nothing
    found = house.ask("GET", "/entities", visitor, params={"state": "rotten"})
    assert (found.status_code, "one of fresh, late, failing" in found.text) == (400, True)


def test_counts_are_of_what_fits_the_text():
    """Whatever state is asked for."""
    cells = [Cell("jobs", Freshness.FRESH), Cell("job_notes", Freshness.FAILING), Cell("zones", Freshness.FRESH)]
    found = listing([line_of(cell) for cell in cells], "job", Freshness.FAILING)
    assert (found.counts[Freshness.FRESH], found.counts[Freshness.FAILING], found.found) == (1, 1, 1)
    assert state_asked("") is None
    with pytest.raises(BadParameterError):
        state_asked("Fresh")


def line_of(cell: Cell) -> Any:
    """A line of the table."""
    from api.pages.entities import Line  # noqa: PLC0415  by one test alone

    return Line(BY_NAME[cell.name], cell, is_being_read=False)


def row(**more: Any) -> dict[str, Any]:
    """A read, as a row."""
    counts = dict.fromkeys(("fetched", "appended", "requests", "retries"), 0)
    ended = {"finished_at": NOON + MINUTE, "status": "completed", "error": None}
    return {"started_at": NOON, **ended, "feed": "export", "covered_from": "a", "covered_to": "b", **counts, **more}


@pytest.mark.parametrize(
    ("more", "work", "status"),
    [
        ({}, "sync", "completed"),
        ({"covered_from": ""}, "full", "completed"),
        ({"covered_from": "", "covered_to": None, "status": "failed"}, "sync", "failed"),
        ({"covered_from": "", "feed": Feed.SNAPSHOT}, "sync", "completed"),
        ({"covered_from": "", "feed": "reconcile"}, "reconcile", "completed"),
        ({"status": "failed", "error": STOPPED}, "sync", "stopped"),
    ],
)
def test_a_read_says_what_it_was_for(more: dict[str, Any], work: str, status: str):
    """From the beginning, of what is new, or a comparison; what a stop cut off did not fail."""
    found = run(row(**more))
    assert (found.work, found.status, found.seconds) == (work, status, 60.0)


def test_a_read_under_way_has_no_length():
    """It may also have been cut off."""
    assert run(row(finished_at=None, status="running")).seconds is None


def wish(work: str, at: datetime) -> dict[str, Any]:
    return {"work": work, "wished_at": at}


def test_a_wish_is_at_work_once_a_fitting_read_began_behind_it():
    """Before, it waits; where nothing is under way for a minute, nobody is there to grant it."""
    before, behind = Reading(NOON - MINUTE, is_reconciliation=False), Reading(NOON, is_reconciliation=False)
    assert asked([wish("full", NOON)], [before, behind], NOON) == [Asked("full", NOON, NOON, is_late=False)]
    assert asked([wish("full", NOON)], [before], NOON + 9 * MINUTE) == [Asked("full", NOON, None, is_late=False)]
    assert asked([wish("reconcile", NOON)], [behind], NOON)[0].begun_at is None
    assert asked([wish("sync", NOON)], [], NOON + 2 * MINUTE) == [Asked("sync", NOON, None, is_late=True)]


def test_a_turn_is_under_way_until_it_ends():
    """One that began behind its last end is, or was cut off."""
    known = {"begun_at": NOON, "ended_at": NOON - MINUTE, "due_at": NOON + MINUTE, "error": None}
    [one] = filter(None, [turn([known])])
    assert (one.begun_at, one.due_at) == (NOON, NOON + MINUTE)
    assert turn([known | {"ended_at": NOON + MINUTE}]).begun_at is None
    assert turn([known | {"begun_at": None, "ended_at": None}]).begun_at is None
    assert turn([]) is None


def test_the_timetable_is_told_in_words():
    """When all is reconciled, and when nothing begins."""
    zone, three = Timetable().zone, NOON.replace(hour=3).time()
    assert nightly(Timetable(reconcile=Daily(three, zone))) == "each day at 03:00 UTC"
    assert nightly(Timetable(reconcile=Every(timedelta(hours=12)))) == "every 12 h"
    assert nightly(Timetable()) == "never by itself"
    assert quiet(Timetable(quiet=Hours(three, NOON.time(), zone))) == "03:00 to 12:00 UTC"
    assert quiet(Timetable()) == ""


def link(number: int, begin: str, end: str) -> dict[str, Any]:
    """A read that covered something, as a row."""
    counts = dict.fromkeys(("pages", "fetched", "appended", "bytes"), 1)
    covered = {"covered_from": begin, "covered_to": end}
    return (
        {"sync_batch_id": str(number), "started_at": NOON + number * MINUTE, "status": "completed"} | counts | covered
    )


def test_links_that_stayed_are_counted_with_the_one_behind_them():
    """So that the newest steps go far back."""
    moves = [("", "a"), ("a", "a"), ("a", "a"), ("a", "b"), ("b", "b"), ("b", "b")]
    found = steps(chain_of([link(number, *move) for number, move in enumerate(moves)]).links)
    assert [(step.link.begin, step.link.end, step.idle) for step in found] == [
        ("b", "b", 1),
        ("a", "b", 2),
        ("", "a", 0),
    ]


PLACES = st.sampled_from("abc")


@rules(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(moves=st.lists(st.tuples(st.sampled_from(["", "a", "b", "c"]), PLACES | st.none(), st.booleans()), max_size=12))
def test_the_store_tells_of_a_chain_what_following_it_does(house: House, moves: list[tuple[str, str | None, bool]]):
    """Whatever was read: the same hole, from the same read on, in as many reads."""
    tenant, at = 100 + next(NUMBERS), ""
    for number, (begin, end, is_next) in enumerate(moves):
        covered = {"covered_from": at if is_next else begin, "covered_to": end}
        batch(house, "projects", NOON + number * MINUTE, tenant=tenant, fetched=number, **covered)
        at = end or at
    rows = house.operations.run("links_of_entity", tenant_id=tenant, entity="projects")
    chain, found = chain_of(rows), Coverages(house.operations).of(tenant, "projects")
    assert (found.is_whole, found.hole, found.links) == (chain.is_whole, chain.hole, len(chain.links))
    assert found.since == (chain.links[0].started_at if chain.links else None)
    assert found.fetched == sum(each.fetched for each in chain.links)
    assert list(found.steps) == steps(chain.links)
    assert found.more >= 0


@pytest.mark.parametrize("entity", CATALOG, ids=lambda entity: entity.name)
def test_every_column_of_master_stands_in_the_tables(entity: Any):
    """Once: by the field that it holds, or among those that are ours."""
    record = load()[entity.name]
    fields = [each.column for each in field_rows(entity, record, Shares(), []) if each.column]
    own = own_rows(master(entity.name), record_columns(entity, record), Shares())
    assert sorted([*fields, *(each.column for each in own)]) == sorted(
        each.name for each in master(entity.name).columns
    )
    assert all(each.description for each in own)


def test_a_field_tells_its_type_its_place_and_how_often_it_is_empty():
    """An array what it holds; what is inside of one, which column has it."""
    fields = [
        Field("jobs", "tags", "array", "", nullable=True, enum=(), feed="both"),
        Field("jobs", "tags[]", "object", "", nullable=False, enum=(), feed="both"),
        Field("jobs", "tags[].name", "string", "", nullable=False, enum=("A", "B"), feed="seen"),
        Field("jobs", "summary", "string", "html", nullable=False, enum=(), feed="both"),
        Field("jobs", "source", "object", "", nullable=True, enum=(), feed="both"),
        Field("jobs", "source.id", "integer", "", nullable=False, enum=(), feed="both"),
    ]
    shares = Shares(8, {"tags": 0, "summary": 2, "source_id": 2})
    tags, name, summary, source, ident = field_rows(BY_NAME["jobs"], fields, shares, [])
    assert (tags.type, tags.column, tags.empty, tags.is_contrary) == ("array of objects", "tags", 0.0, False)
    assert (name.inside, name.column, name.values, name.is_seen_only) == ("tags", "", ("A", "B"), True)
    assert (name.leaf, name.depth) == ("name", 1)
    assert (summary.empty, summary.is_contrary) == (0.25, True)
    assert (source.empty, ident.empty, ident.is_contrary) == (None, 0.25, False)


@pytest.mark.parametrize(
    ("share", "text"),
    [(None, "\N{EN DASH}"), (0, "0 %"), (0.001, "< 1 %"), (0.5, "50 %"), (0.9999, "> 99 %"), (1, "100 %")],
)
def test_a_share_is_nothing_or_all_only_where_it_is_so(share: float | None, text: str):
    """However many records there are."""
    assert percent(share) == text


def test_what_is_kept_is_found_out_again_when_its_mark_changes():
    """And once for each mark."""
    asked_for: list[str] = []
    kept: Kept[str, int] = Kept(lambda key: asked_for.append(key) or len(asked_for))
    assert [kept.of("a", 1), kept.of("a", 1), kept.of("b", 1), kept.of("a", 2), kept.of("a", 2)] == [1, 1, 2, 3, 3]


def test_who_wants_what_is_being_found_out_gets_what_was_known():
    """Many who look at once hold no thread each; where nothing was known they wait."""
    finding, goes_on, first = Event(), Event(), iter([1])

    def find(_: str) -> int:
        if found := next(first, 0):
            return found
        finding.set()
        assert goes_on.wait(10)
        return 2

    kept = Kept(find)
    assert kept.of("a", 1) == 1
    with ThreadPoolExecutor(2) as pool:
        try:
            news = pool.submit(kept.of, "a", 2)
            assert finding.wait(10)
            assert pool.submit(kept.of, "a", 2).result(10) == 1
            finding.clear()
            unknown = [pool.submit(kept.of, "b", 1)]
            assert finding.wait(10)
        finally:
            goes_on.set()
        assert (news.result(10), unknown[0].result(10), kept.of("a", 2)) == (2, 2, 2)


def test_what_cannot_be_found_out_is_tried_again():
    """Nothing of a failure is kept, and nobody waits for it."""
    answers = iter([ValueError("away"), 5])

    def find(_: str) -> int:
        if isinstance(found := next(answers), Exception):
            raise found
        return found

    kept = Kept(find)
    with pytest.raises(ValueError, match="away"):
        kept.of("a", 1)
    assert kept.of("a", 1) == 5


@pytest.fixture
def tables(settings: Settings) -> Iterator[Tables]:
    with closing(Tables(settings)) as made:
        yield made


def stand(tables: Tables, relation: Relation, rows: list[dict[str, Any]]) -> None:
    """A master table as SQLMesh has it: a view of a table elsewhere."""
    store = f"master_store.{relation.name.partition('.')[2]}__1"
    json = "JSON" if tables.dialect == "duckdb" else "JSONB"
    columns = ", ".join(f'"{each.name}" {each.type.replace("JSONB", json)}' for each in relation.columns)
    tables.make(store, columns, [])
    tables.run("CREATE SCHEMA IF NOT EXISTS master")
    for row in rows:
        values = {"tenant_id": 1, "is_deleted": False, "synced_at": NOON, **row}
        marks = ", ".join("?" * len(values))
        tables.run(f"INSERT INTO {store} ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))
    tables.run(f"CREATE VIEW {relation.name} AS SELECT * FROM {store}")


def test_empty_values_are_counted_for_the_tenant_s_living_records(tables: Tables):
    """Of every column, in one look."""
    named = [{"st_id": key, "name": "A" if key % 4 else None} for key in range(8)]
    others = [{"st_id": 90, "tenant_id": 2}, {"st_id": 91, "is_deleted": True}]
    stand(tables, master("customers"), named + others)
    found = NullShares(tables.reader).of(1, "customers")
    assert (found.records, found.is_sample) == (8, False)
    assert (found.of("name"), found.of("st_id"), found.of("type"), found.of("nothing")) == (0.25, 0.0, 1.0, None)
    assert NullShares(tables.reader).of(3, "customers").of("name") is None


def test_a_large_table_is_sampled_and_a_small_tenant_in_it_counted(tables: Tables, monkeypatch: pytest.MonkeyPatch):
    """On PostgreSQL, where counting a million records takes seconds; the page is told that it is a sample."""
    relation = master("customers")
    stand(tables, relation, [{"st_id": 1, "tenant_id": 2, "name": "A"}])
    store = "master_store.customers__1"
    tables.run(
        f"INSERT INTO {store} (tenant_id, st_id, name, is_deleted, synced_at) SELECT 1, n, CASE WHEN n % 5 = 0 THEN NULL "
        f"ELSE 'A' END, FALSE, CURRENT_TIMESTAMP FROM GENERATE_SERIES(1, 20000) AS s (n)"
    )
    monkeypatch.setattr(null_shares, "LARGEST", 500_000)
    found = NullShares(tables.reader).of(1, "customers")
    assert found.is_sample == (tables.dialect == "postgres")
    assert found.records < 20_000 or not found.is_sample
    assert found.of("name") == pytest.approx(0.2, abs=0.03)
    alone = NullShares(tables.reader).of(2, "customers")
    assert (alone.records, alone.is_sample, alone.of("name")) == (1, False, 0.0)


def test_the_newest_records_come_first_with_their_names_and_customers(tables: Tables):
    """Ten of the tenant's own that are not deleted, by ServiceTitan's moment."""
    jobs = [
        {"st_id": key, "modified_on": NOON + key * MINUTE, "job_number": f"J{key}", "customer_id": 70 + key}
        for key in range(12)
    ]
    gone = [{"st_id": 50, "is_deleted": True, "modified_on": NOON + 99 * MINUTE}]
    others = [{"st_id": 51, "tenant_id": 2, "modified_on": NOON + 99 * MINUTE}]
    undated = [{"st_id": 52, "job_number": "J52"}]
    stand(tables, master("jobs"), [*undated, *gone, *others, *jobs])
    found = newest(tables.reader, 1, "jobs")
    assert [record["st_id"] for record in found.records] == list(range(11, 1, -1))
    assert (found.customer, found.names, found.records[0]["customer_id"]) == (
        "customer_id",
        ("job_number", "summary"),
        81,
    )
    assert found.records[0]["modified_on"].startswith("2026-05-01T12:11:00")


def test_what_servicetitan_gives_no_moment_comes_by_when_it_landed(tables: Tables):
    """A customer is its own."""
    rows = [{"st_id": str(key), "synced_at": NOON + key * MINUTE} for key in range(3)]
    entity = next(each for each in CATALOG if not master(each.name).has("modified_on") and each.key_type == "text")
    stand(tables, master(entity.name), rows)
    found = newest(tables.reader, 1, entity.name)
    assert [record["st_id"] for record in found.records] == ["2", "1", "0"]
    stand(tables, master("customers"), [{"st_id": 5, "name": "A\nB"}])
    customers = newest(tables.reader, 1, "customers")
    assert (customers.customer, customers.records[0]["name"]) == ("st_id", "A\nB")
