"""The history of the original's raw tables lands exactly, once, and in the order of its time."""

import json
from datetime import UTC, datetime

import msgspec

from pipelines.sync import land_all
from sandbox.server import Sandbox
from sources.servicetitan.catalog import BY_NAME
from sources.servicetitan.head import content_hash
from sources.servicetitan.landing import Landing, tombstone_hash
from sources.servicetitan.page import Page
from sources.servicetitan.reading import raw_table
from tests.legacy.conftest import Takeover
from tests.whole import reach

VERSIONS = (
    "SELECT st_id, CAST(payload AS TEXT), payload_hash, modified_on, synced_at, is_deleted FROM raw.st_{} "
    "ORDER BY st_id, synced_at"
)


def zone(key: int, name: str, modified: str = "2024-01-01T00:00:00Z") -> dict[str, object]:
    """A record."""
    return {"id": key, "name": name, "modifiedOn": modified, "active": True}


def at(text: str) -> datetime:
    """A moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def names(takeover: Takeover, entity: str = "zones") -> list[tuple[int, str, datetime]]:
    """Key, name and landing of each version."""
    rows = takeover.fetch(VERSIONS.format(entity))
    return [(key, json.loads(payload)["name"], synced.astimezone(UTC)) for key, payload, _, _, synced, _ in rows]


def test_versions_land_with_the_originals_dates_and_repeats_do_not(takeover: Takeover) -> None:
    """Each change lands at its own moment, a value that returns is a change, and the same bytes once more are none."""
    takeover.original.table("zones")
    takeover.original.history(
        "zones",
        [
            (1, zone(1, "a"), "2024-01-01 10:00+00"),
            (1, zone(1, "a"), "2024-01-02 10:00+00"),
            (1, zone(1, "b"), "2024-01-03 10:00+00"),
            (1, zone(1, "a"), "2024-01-04 10:00+00"),
            (2, zone(2, "c"), "2024-01-01 10:00+00"),
        ],
    )
    found = takeover.table("zones")
    assert names(takeover) == [
        (1, "a", at("2024-01-01 10:00")),
        (1, "b", at("2024-01-03 10:00")),
        (1, "a", at("2024-01-04 10:00")),
        (2, "c", at("2024-01-01 10:00")),
    ]
    tally = found.tally
    assert (tally.rows, tally.versions, tally.repeats, tally.refused) == (5, 4, 1, 0)
    assert (tally.records, tally.equal, tally.differing, tally.only_there, found.only_here) == (2, 2, 0, 0, 0)


def test_hashes_are_those_of_landing(takeover: Takeover) -> None:
    """A version's hash is that of its bytes there, and a deleted one's is a tombstone's, as landing computes them."""
    takeover.original.table("zones", "JSON")
    text = '{"id":1, "name":"a",  "modifiedOn":"2024-01-01T00:00:00Z"}'
    takeover.original.add("zones", 1, text, "2024-01-01 10:00+00")
    takeover.original.add("zones", 1, text, "2024-01-02 10:00+00", is_deleted=True)
    takeover.run()
    own = content_hash(msgspec.Raw(text.encode()))
    rows = takeover.fetch(VERSIONS.format("zones"))
    assert [(hash_, gone) for _, _, hash_, _, _, gone in rows] == [(own, False), (tombstone_hash(own), True)]
    assert rows[0][3].astimezone(UTC) == at("2024-01-01")


def test_another_run_lands_nothing_and_tells_the_same(takeover: Takeover) -> None:
    """A takeover that is run again finds everything there: the same counts, no new row."""
    takeover.original.table("zones")
    takeover.original.history(
        "zones", [(1, zone(1, name), f"2024-01-0{day} 10:00+00") for day, name in enumerate("abab", 1)]
    )
    first, rows = takeover.table("zones"), takeover.fetch(VERSIONS.format("zones"))
    second = takeover.table("zones")
    assert (first.landed_now, second.landed_now) == (4, 0)
    assert second.tally == first.tally
    assert takeover.fetch(VERSIONS.format("zones")) == rows


def test_a_run_of_later_lands_what_came_meanwhile_wherever_it_stands(takeover: Takeover) -> None:
    """The original may still work: a later run brings what it read since, and a row that was committed late among others."""
    takeover.original.table("zones")
    takeover.original.history("zones", [(1, zone(1, "a"), "2024-01-01"), (1, zone(1, "c"), "2024-01-03")])
    takeover.run()
    takeover.original.history(
        "zones", [(1, zone(1, "b"), "2024-01-02"), (1, zone(1, "d"), "2024-01-04"), (0, zone(0, "new"), "2024-01-01")]
    )
    found = takeover.table("zones")
    assert found.landed_now == 3
    assert [name for _, name, _ in names(takeover)] == ["new", "a", "b", "c", "d"]


def test_rows_of_the_same_moment_keep_their_order(takeover: Takeover) -> None:
    """A bulk read gives all its rows one date: versions of one record then stand a microsecond behind each other."""
    takeover.original.table("zones")
    takeover.original.history("zones", [(1, zone(1, name), "2024-01-01 00:00:00+00") for name in "abac"])
    first = takeover.table("zones")
    again = takeover.table("zones")
    assert [name for _, name, _ in names(takeover)] == list("abac")
    assert [landed.microsecond for _, _, landed in names(takeover)] == [0, 1, 2, 3]
    assert (first.landed_now, again.landed_now, again.tally.versions) == (4, 0, 4)


def test_a_list_that_went_back_shows_what_was_read_last(takeover: Takeover) -> None:
    """As with landing: of an entity that is read from a list the last version is shown, though its modification went back."""
    takeover.original.table("zones")
    takeover.original.add("zones", 1, zone(1, "a", "2024-01-09T00:00:00Z"), "2024-01-10")
    takeover.original.add("zones", 1, zone(1, "b", "2024-01-05T00:00:00Z"), "2024-01-11")
    takeover.run()
    assert [row[3].astimezone(UTC) for row in takeover.fetch(VERSIONS.format("zones"))] == [at("2024-01-09")] * 2


def test_what_was_read_here_stays_the_newest(takeover: Takeover) -> None:
    """History behind a copy that syncs already lands; our own version stays the newest, and is compared by content."""
    with takeover.opened() as stores:
        same, newer = b'{"name":"a","id":1}', b'{"id":2,"name":"here","modifiedOn":"2024-01-01T00:00:00Z"}'
        own = b'{"id":3,"name":"only here"}'
        rows = Landing(BY_NAME["zones"], 7, "sync").rows(
            Page([msgspec.Raw(each) for each in (same, newer, own)], datetime.now(UTC))
        )
        stores.warehouse.append(raw_table(BY_NAME["zones"]), rows)
    takeover.original.table("zones")
    takeover.original.add("zones", 1, {"id": 1, "name": "a"}, "2024-01-10")
    takeover.original.add("zones", 2, zone(2, "there", "2024-05-05T00:00:00Z"), "2024-05-06")
    found = takeover.table("zones")
    assert (found.landed_now, found.tally.equal, found.tally.differing, found.only_here) == (2, 1, 1, 1)
    assert found.tally.examples == ["2"]
    with takeover.opened() as stores:
        shown = stores.warehouse.copies(raw_table(BY_NAME["zones"]), 7, [1, 2, 3])
    assert sorted(json.loads(copy.payload)["name"] for copy in shown) == ["a", "here", "only here"]


def test_a_sync_behind_a_takeover_of_verbatim_records_appends_nothing(takeover: Takeover) -> None:
    """Where the original kept ServiceTitan's bytes, the first sync reads everything whole and finds nothing new."""
    takeover.original.table("zones", "JSON")
    with Sandbox(seed=4, customers=5) as sandbox:
        for text in sandbox.texts("zones"):
            takeover.original.add("zones", json.loads(text)["id"], text.decode(), "2024-01-10", tenant=1)
        landed = takeover.table("zones").landed_now
        with takeover.opened() as stores:
            [outcome] = land_all(stores, reach(sandbox), [BY_NAME["zones"]]).outcomes
    assert landed == outcome.tally.fetched > 0
    assert outcome.tally.appended == 0


def test_names_of_the_original_lead_to_their_entities(takeover: Takeover) -> None:
    """The original's contacts are customer contacts; what cannot be read is counted and left."""
    for name in ("contacts", "opportunities", "technician_tracking", "nonsense"):
        takeover.original.table(name)
        takeover.original.add(name, 5, {"id": 5}, "2024-01-10")
    takeover.original.run("CREATE TABLE raw.sync_state (entity TEXT)")
    report = takeover.run()
    found = {one.table: (one.status, one.entity, one.tally.rows) for one in report.tables}
    assert found == {
        "raw.st_contacts": ("read", "customer_contacts", 1),
        "raw.st_opportunities": ("no entity", "", 1),
        "raw.st_technician_tracking": ("no entity", "technician_tracking", 1),
        "raw.st_nonsense": ("no entity", "", 1),
    }
    assert report.others == ["raw.sync_state"]
    assert report.is_good
    assert takeover.fetch("SELECT st_id FROM raw.st_customer_contacts") == [(5,)]
