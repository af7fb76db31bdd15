"""The overview: what it says of a store, that it stays as it is while nothing changes, and how people see it."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from playwright.sync_api import Page, expect

from alarms.checks import findings
from alarms.condition import Condition
from alarms.facts import Facts, read
from alarms.finding import Finding, Level
from alarms.limits import LIMITS
from api.pages import hours
from api.pages.entity_runs import STOPPED
from api.pages.grid import Freshness, cell, grid
from api.pages.look import Look, ago, number
from api.pages.overview import Parts
from api.pages.verdict import PHRASES, line, verdict
from outbound.queue import Queue
from sources.servicetitan.catalog import BY_NAME, CATALOG
from store.operations import Operations, open_operations
from store.settings import Settings
from store.timetable import Every, Timetable
from tests.pages.conftest import Seat, looks_right
from tests.pages.house import House

NOW = datetime(2026, 3, 1, 12, 10, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
USUAL = {limit.name: limit.usual for limit in LIMITS}
TENANT, NUMBERS = 1, count()
COUNTS = ("fetched", "appended", "unchanged", "bytes", "requests", "retries", "repaired", "pages")


def batch(
    operations: Operations,
    entity: str,
    ended: datetime,
    status: str = "completed",
    *,
    tenant: int = TENANT,
    feed: str = "list",
    error: str | None = None,
    **counts: int,
) -> None:
    """A read that ended then."""
    ident = f"b{next(NUMBERS)}"
    operations.run(
        "start_batch", sync_batch_id=ident, tenant_id=tenant, entity=entity, started_at=ended - MINUTE, feed=feed
    )
    numbers = dict.fromkeys(COUNTS, 0) | counts
    covered = {"covered_from": "", "covered_to": ""}
    operations.run(
        "finish_batch", sync_batch_id=ident, finished_at=ended, status=status, error=error, **numbers, **covered
    )


def reconciliation(operations: Operations, entity: str, ended: datetime, found: int, tenant: int = TENANT) -> None:
    """A reconciliation that ended then and found so many records missing."""
    counts = dict.fromkeys(
        ("served", "in_copy", "vanished", "marked_deleted", "reappeared", "differing", "requests"), 0
    )
    operations.run(
        "add_reconciliation",
        reconciliation_id=f"r{next(NUMBERS)}",
        tenant_id=tenant,
        entity=entity,
        started_at=ended - MINUTE,
        finished_at=ended,
        status="completed",
        proof="totals agree",
        missing_in_copy=found,
        appended=found,
        reason=None,
        **counts,
    )


@pytest.fixture
def operations(settings: Settings) -> Iterator[Operations]:
    """An empty store of each kind."""
    with closing(open_operations(settings)) as opened:
        yield opened


def parts(operations: Operations) -> Parts:
    """The parts of the page on a store."""
    condition = Condition(partial(read, operations, None, None), USUAL, Timetable(reconcile=Every(24 * HOUR)))
    site: Any = SimpleNamespace(
        look=Look(),
        condition=condition,
        answers=SimpleNamespace(operations=operations),
        changes=SimpleNamespace(queue=Queue(operations)),
    )
    return Parts(site)


def html(made: Parts, tenant: int = TENANT) -> dict[str, str]:
    """Every part."""
    made.site.condition.looked_at = -60.0
    return {name: make(tenant) for name, (_, make) in made.every().items()}


def tile(text: str, entity: str) -> str:
    """What an entity's tile says, without its tags."""
    [found] = re.findall(rf'<a class="tile \w+" id="entity-{entity}".*?</a>', text, re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", found).split())


ROWS: list[tuple[dict[str, datetime], Freshness]] = [
    ({}, Freshness.NEVER),
    ({"completed_at": NOW - MINUTE}, Freshness.FRESH),
    ({"completed_at": NOW - 16 * MINUTE}, Freshness.LATE),
    ({"completed_at": NOW - 2 * MINUTE, "failed_at": NOW - MINUTE}, Freshness.FAILING),
    ({"completed_at": NOW - MINUTE, "failed_at": NOW - 2 * MINUTE}, Freshness.FRESH),
    ({"failed_at": NOW - MINUTE}, Freshness.FAILING),
    ({"unavailable_at": NOW - MINUTE}, Freshness.UNAVAILABLE),
    ({"unavailable_at": NOW - 2 * MINUTE, "completed_at": NOW - MINUTE}, Freshness.FRESH),
    ({"unavailable_at": NOW - 16 * MINUTE}, Freshness.LATE),
]


@pytest.mark.parametrize(("row", "freshness"), ROWS)
def test_an_entity_is_as_its_newest_read_was(row: dict[str, datetime], freshness: Freshness):
    """`jobs` is due every 5 minutes, and late after three times that."""
    assert cell(BY_NAME["jobs"], row, Timetable(), USUAL["stale"], NOW).freshness is freshness


@pytest.mark.parametrize("minutes", range(10, 20))
def test_an_entity_is_late_where_the_alarm_says_that_it_is_stale(minutes: int):
    """By the same limit, interval and quiet hours."""
    at = NOW - minutes * MINUTE
    facts = Facts(NOW, reads=[{"tenant_id": 7, "entity": "jobs", "last_success": at, "failures": 0, "error": None}])
    is_late = cell(BY_NAME["jobs"], {"completed_at": at}, Timetable(), USUAL["stale"], NOW).freshness is Freshness.LATE
    assert is_late == bool(findings(facts, USUAL, Timetable()))


def test_what_is_not_due_is_never_late():
    """Nor what has no limit."""
    old = {"completed_at": NOW - 9999 * HOUR}
    assert cell(BY_NAME["jobs"], old, Timetable(own={"jobs": None}), 3, NOW).freshness is Freshness.FRESH
    assert cell(BY_NAME["jobs"], old, Timetable(), float("inf"), NOW).freshness is Freshness.FRESH


def test_the_grid_has_every_entity_once():
    """In its module and priority."""
    made = grid(CATALOG, [], Timetable(), 3, NOW)
    assert sorted(cell.name for cell in made.cells) == sorted(entity.name for entity in CATALOG)
    for module, by_priority in made.modules.items():
        for priority, cells in by_priority.items():
            assert {(BY_NAME[each.name].module, BY_NAME[each.name].priority) for each in cells} <= {(module, priority)}
    assert made.counts[Freshness.NEVER] == len(CATALOG)


def test_every_check_has_its_phrase():
    """A new alarm is told in the line, too."""
    assert {limit.name.removesuffix("_critical") for limit in LIMITS} | {"token", "store"} == PHRASES.keys()


def test_the_line_says_what_is_wrong_in_the_order_of_urgency():
    """Many of the same are counted; what is not known is told by its name."""
    stale = [Finding("stale", name, Level.DEGRADED, "", 1) for name in ("jobs", "leads")]
    assert line([]) == "No check finds anything wrong."
    assert line(stale[:1]) == "1 entity is late."
    found = [*stale, Finding("disk", "here", Level.CRITICAL, ""), Finding("comet", "", Level.DEGRADED, "")]
    assert line(found) == "The disk is nearly full; 2 entities are late; comet."


@pytest.mark.parametrize(
    ("finding", "address", "text"),
    [
        (Finding("stale", "jobs", Level.DEGRADED, "`jobs` is late.", 1), "/entities/jobs", "jobs is late."),
        (
            Finding("conflict", "", Level.DEGRADED, "3 changes.", 1),
            "/mutations?state=conflict",
            "3 changes. See the changes in conflict.",
        ),
        (Finding("queue", "", Level.DEGRADED, "A.", 1), "/mutations?state=pending", "A. See the pending changes."),
        (Finding("disk", "host", Level.CRITICAL, "1 GB is free at /var/lib/lazi."), "", "1 GB is free at ..."),
    ],
)
def test_an_alarm_leads_to_what_it_is_about(finding: Finding, address: str, text: str):
    """By the name in its text, or behind it. Addresses and paths of machines are no reader's business."""
    rows = [
        {"check_name": finding.check, "tenant_id": finding.tenant_id or 0, "subject": finding.subject, "since": NOW}
    ]
    [alarm] = verdict([finding], rows).alarms
    shown = alarm.before + (alarm.name if alarm.address else "") + alarm.after
    assert (alarm.address, shown.replace("`", ""), alarm.since) == (address, text, NOW)
    assert alarm.is_of_service == (finding.tenant_id is None)


def test_hours_are_the_last_24_with_those_without_a_read():
    """The last one is the one that runs; both stores' text of an hour is understood."""
    rows = [
        {"hour": "2026-03-01 12", "fetched": 5, "appended": 1, "requests": 2},
        {"hour": "2026-02-28T13", "fetched": 7, "appended": 0, "requests": 9},
    ]
    made = hours.records(rows, NOW)
    assert [place.column.values for place in made.places] == [(7, 0), *[(0, 0)] * 22, (5, 1)]
    assert [place.column.at for place in made.places][-1] == NOW.replace(minute=0)
    assert made.about == "12 fetched, 1 of them new or changed and appended."
    assert [place.column.label for place in made.places if place.column.label] == ["18:00", "00:00", "06:00", "12:00"]


@pytest.mark.parametrize(
    ("asked", "share", "is_drawn"),
    [(9, "0.2 %", False), (1, "less than 0.1 %", False), (0, "nothing", False), (1200, "33.3 %", True)],
)
def test_the_budget_is_a_line_where_it_is_near(asked: int, share: str, *, is_drawn: bool):
    """And said in words always: bars of a thousandth of it would be nothing."""
    rows = [{"hour": "2026-03-01 12", "fetched": 0, "appended": 0, "requests": asked}]
    made = hours.requests(rows, NOW, 1.0)
    told = f"Reads took {share} of the budget of 3\u202f600 requests in the busiest hour."
    assert made.about == f"{told} Each counts in the hour in which it ended."
    assert bool(made.limit) == is_drawn


def fill(operations: Operations, now: datetime) -> None:
    """Something of everything; another tenant's things, too."""
    for entity in CATALOG:
        batch(operations, entity.name, now - 2 * MINUTE, fetched=4, appended=1, requests=2)
    batch(operations, "jobs", now - MINUTE, "failed", error="No answer.")
    batch(operations, "leads", now - MINUTE, "failed", error=STOPPED)
    batch(operations, "teams", now - MINUTE, "unavailable")
    batch(operations, "zones", now - MINUTE, "failed", feed="reconcile", error="No answer.")
    batch(operations, "customers", now - MINUTE, "failed", tenant=2, error="No answer.")
    reconciliation(operations, "jobs", now - HOUR, 3)
    reconciliation(operations, "leads", now - MINUTE, 0)
    reconciliation(operations, "leads", now - 2 * HOUR, 50)
    reconciliation(operations, "customers", now - HOUR, 70, tenant=2)


def test_the_page_says_what_the_store_knows_of_a_tenant(operations: Operations):
    """Of this one alone; reads that were stopped, and reconciliations, fail no entity."""
    with time_machine.travel(NOW, tick=False):
        fill(operations, NOW)
        found = html(parts(operations))
    at = (NOW - 2 * MINUTE).strftime("%Y-%m-%d %H:%M")
    assert tile(found["freshness"], "customers") == f"• customers fresh, read {at}"
    assert tile(found["freshness"], "jobs") == f"F jobs failed 2026-03-01 12:09 , last read {at}"
    assert tile(found["freshness"], "teams") == "U teams not open to this tenant, asked 2026-03-01 12:09"
    assert [tile(found["freshness"], name)[0] for name in ("leads", "zones")] == ["•", "•"]
    assert f"{number(len(CATALOG) * 4)} fetched" in found["hours"]
    assert re.findall(r'/entities/(\w+)">', found["reconciles"]) == ["jobs", "leads"]
    assert "Compared with ServiceTitan: 2 entities, of which 1 differed" in found["reconciles"]
    assert "Healthy." in found["state"]


def test_html_is_the_same_while_facts_are(operations: Operations):
    """However much time passes, as long as nothing becomes late by it: so nothing on the page is replaced."""
    made = parts(operations)
    with time_machine.travel(NOW, tick=False) as traveller:
        fill(operations, NOW)
        before = html(made)
        traveller.shift(4 * MINUTE)
        assert html(made) == before
        traveller.shift(HOUR)
        assert html(made) != before


def test_a_store_without_a_read_is_new_and_not_healthy(operations: Operations):
    """Empty parts say what to do."""
    found = html(parts(operations))
    assert "Nothing has been read yet" in found["state"]
    assert "Healthy" not in found["state"]
    assert "lazi reconcile" in found["reconciles"]
    batch(operations, "jobs", datetime.now(UTC))
    assert "Healthy." in html(parts(operations))["state"]


def test_many_alarms_are_folded(operations: Operations):
    """The first ones are shown, the number of all, and the line counts."""
    for entity in CATALOG:
        batch(operations, entity.name, datetime.now(UTC) - 999 * HOUR)
    found = html(parts(operations))["state"]
    assert f"{len(CATALOG)} entities are late." in found
    assert f"<summary>{len(CATALOG) - 5} more</summary>" in found


def test_a_moment_stands_as_it_is_where_html_must_not_change():
    """Scripts say how long ago it is; elsewhere the server does."""
    assert ago(NOW, NOW + HOUR).endswith("data-ago>1 h ago</time>")
    assert ago(NOW).endswith("data-ago>2026-03-01 12:10</time>")
    assert ago(None) == "<span class=none>never</span>"


@pytest.mark.parametrize("query", ["reads", "freshness", "last_reads"])
def test_newest_reads_are_found_of_every_tenant_and_entity(operations: Operations, query: str):
    """Also of several tenants, and of entities that only failed."""
    for tenant in (3, 1, 2):
        for entity in ("jobs", "aa", "zz"):
            batch(operations, entity, NOW - HOUR, tenant=tenant)
            batch(operations, entity, NOW, tenant=tenant)
        batch(operations, "bad", NOW, "failed", tenant=tenant, error="No.")
    values: dict[str, dict[str, Any]] = {
        "reads": {"stopped": STOPPED},
        "freshness": {"tenant_id": 2, "since": NOW - HOUR},
        "last_reads": {"tenant_id": 2, "stopped": STOPPED},
    }
    rows = operations.run(query, **values[query])
    names = ["aa", "bad", "jobs", "zz"]
    assert [row["entity"] for row in rows] == (names * 3 if query == "reads" else names)
    newest = {str(row.get("last_success", row.get("completed_at"))) for row in rows if row["entity"] == "jobs"}
    assert {each.replace("T", " ")[:19] for each in newest} == {"2026-03-01 12:10:00"}


def test_the_overview_needs_a_key_and_shows_every_part(house: House):
    """Whole, without a script; a stream has the same parts."""
    assert house.ask("GET", "/").headers["location"].startswith("/sign-in")
    found = house.ask("GET", "/", house.visitor("read"))
    assert found.status_code == 200
    addresses = re.findall(r'data-live="(/parts/\w+)"', found.text)
    assert addresses == [f"/parts/{name}" for name in ("state", "freshness", "queue", "hours", "reconciles")]
    assert len(re.findall(r'id="entity-', found.text)) == len(CATALOG)
    assert " style=" not in found.text
    assert house.ask("GET", "/pages/overview.css").status_code == 200


@pytest.mark.slow
def test_the_overview_at_a_glance(open_page: Callable[..., Page]):
    """The line, the tiles and their tips, the charts with their numbers: by pointer and by keyboard, and it looks right."""
    page = open_page("read")
    expect(page.get_by_role("status")).to_contain_text(re.compile("Healthy|Degraded|Critical"))
    expect(page.locator(".part .tiles .tile")).to_have_count(len(CATALOG))
    jobs = page.locator("#entity-jobs")
    expect(jobs).to_have_accessible_name(re.compile(r"^jobs (fresh, read|failed|late)"))
    jobs.hover()
    expect(jobs.locator(".tip")).to_have_css("clip-path", "none")
    page.locator("#entity-leads").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    expect(page.locator("#entity-leads .tip")).to_have_css("clip-path", "none")
    page.locator("body").click(position={"x": 5, "y": 5})
    looks_right(page, "overview")
    page.get_by_text("Numbers").first.click()
    expect(page.get_by_role("table", name="Records per hour").get_by_role("row")).to_have_count(25)
    page.get_by_role("link", name=re.compile("held")).click()
    page.wait_for_url("**/mutations?state=held")


@pytest.mark.slow
def test_the_page_renews_what_changed_and_nothing_else(seat: Seat, open_page: Callable[..., Page]):
    """A read fails: its tile changes, the one beside it is the same element; what is opened and focused stays so."""
    page = open_page("read")
    tile = page.locator("#entity-technician_skills")
    expect(tile).not_to_have_class(re.compile("failing"))
    page.evaluate("document.querySelectorAll('.tile').forEach((tile) => { tile.kept = true; })")
    page.get_by_text("Numbers").first.click()
    page.locator("#entity-teams").focus()
    with closing(open_operations(seat.settings)) as operations:
        batch(operations, "technician_skills", datetime.now(UTC), "failed", error="No answer.")
    expect(tile).to_have_class(re.compile("failing"), timeout=20_000)
    expect(tile).to_have_accessible_name(re.compile("^technician_skills failed"))
    assert page.evaluate("[...document.querySelectorAll('.tiles .tile')].every((tile) => tile.kept)")
    expect(page.locator("#entity-teams")).to_be_focused()
    expect(page.get_by_role("table", name="Records per hour")).to_be_visible()


@pytest.mark.slow
def test_the_overview_is_read_without_scripts(open_page: Callable[..., Page]):
    """All of it stands in the page; moments are in UTC."""
    page = open_page("read", java_script_enabled=False)
    expect(page.locator(".part .tiles .tile")).to_have_count(len(CATALOG))
    expect(page.locator("#entity-jobs time").first).to_have_text(re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d$"))
    page.get_by_text("Numbers").first.click()
    expect(page.get_by_role("table", name="Records per hour")).to_be_visible()
    page.locator("#entity-jobs").click()
    page.wait_for_url("**/entities/jobs")


def test_the_files_of_the_page_hold_no_address_of_another_machine():
    """Nothing is loaded from elsewhere, by whatever scheme."""
    folder = Path(__file__).parents[2] / "api" / "pages"
    paths = [*folder.glob("static/*"), *folder.glob("templates/**/*.html")]
    assert len(paths) > 10
    for path in paths:
        assert not re.search(r"(?<!:)//\w|\w://", path.read_text().replace("http://www.w3.org", "")), path
