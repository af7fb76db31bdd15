"""Landing: records to rows, and what counts as news."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.servicetitan.answer import decode
from sources.servicetitan.catalog import BY_NAME, CATALOG, SCOPE, Entity, KeyType
from sources.servicetitan.head import head_reader, moment
from sources.servicetitan.landing import Landing
from sources.servicetitan.page import Page
from store.warehouse import Copy, Version

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
JOBS = BY_NAME["jobs"]


def raw(record: object) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(record).encode())


def landing(entity: Entity = JOBS, landed: dict | None = None) -> Landing:
    known = landed or {}
    return Landing(entity, 1, "batch", lambda keys: {key: known[key] for key in keys if key in known})


def version(hash_: str, height: datetime | None = None, *, is_overtaken: bool = False) -> Version:
    return Version(hash_, False, height, is_overtaken)


def rows(lander: Landing, *records: object, at: datetime = NOON) -> list[dict]:
    table = lander.rows(Page([raw(record) for record in records], at))
    if table is None:
        return []
    table.validate(full=True)
    return table.to_pylist()


def test_a_payload_is_the_records_own_bytes():
    """Not re-encoded: spaces and the order of keys stay."""
    own = b'{ "id" : 7,  "z":1, "a": 2.50 }'
    (row,) = landing().rows(Page([msgspec.Raw(own)], NOON)).to_pylist()
    assert row["payload"].encode() == own
    assert row["st_id"] == 7


def test_what_landed_last_is_not_landed_again():
    """Within a run and across runs, by the newest version alone."""
    lander = landing()
    (first,) = rows(lander, {"id": 1, "name": "a"})
    assert rows(lander, {"id": 1, "name": "a"}) == []
    assert len(rows(lander, {"id": 1, "name": "b"})) == 1
    assert len(rows(lander, {"id": 1, "name": "a"})) == 1  # back to an old value is a change
    assert rows(landing(landed={1: version(first["payload_hash"])}), {"id": 1, "name": "a"}) == []
    assert (lander.tally.fetched, lander.tally.appended, lander.tally.unchanged) == (4, 3, 1)


def test_rows_are_in_the_order_in_which_they_were_seen():
    """`synced_at` rises strictly, over pages that were asked for in the same moment too."""
    lander = landing()
    seen = rows(lander, *({"id": i} for i in range(5))) + rows(lander, *({"id": i} for i in range(5, 9)))
    moments = [row["synced_at"] for row in seen]
    assert moments == sorted(set(moments))
    assert moments[0] == NOON


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (5, 5),
        ("5", 5),
        (5.0, 5),
        (2**63 - 1, 2**63 - 1),
        (2**70, None),
        ("x", None),
        (None, None),
        (True, None),
        ([], None),
    ],
)
def test_odd_keys_are_read_or_replaced_but_never_lost(value: object, key: int | None):
    """Digits in text are a number; what is no key at all gives way to a negative one made of the content."""
    lander = landing()
    (row,) = rows(lander, {"id": value, "name": "x"})
    assert row["st_id"] == key if key is not None else row["st_id"] < 0
    assert lander.tally.unkeyed == (key is None)


def test_two_records_without_a_key_are_two_rows():
    """Their contents tell them apart; the same content is the same record."""
    found = rows(landing(), {"name": "a"}, {"name": "b"}, {"name": "a"})
    assert len({row["st_id"] for row in found}) == len(found) == 2


def test_a_key_may_be_made_of_several_fields_or_of_the_content():
    """Joined by a colon; an entity without any key is keyed by its content, which is no irregularity."""
    ratings, leads = BY_NAME["technician_ratings"], BY_NAME["attributed_leads"]
    (row,) = rows(landing(ratings), {"technicianId": 3, "jobId": 4})
    assert row["st_id"] == "3:4"
    lander = landing(leads)
    (row,) = rows(lander, {"leadType": 1})
    assert row["st_id"].startswith("~")
    (row,) = lander.rows(Page([raw({"leadType": 1})], NOON, scopes=["2026"])).to_pylist()
    assert row["st_id"].startswith("2026:~")
    assert lander.tally.unkeyed == 0


def test_a_key_may_stand_in_an_object():
    """Calls have theirs, and their modification, inside `leadCall`."""
    (row,) = rows(landing(BY_NAME["calls"]), {"id": 0, "leadCall": {"id": 9, "modifiedOn": "2026-01-02T03:04:05Z"}})
    assert row["st_id"] == 9
    assert row["modified_on"] == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T16:28:55.8446003Z", datetime(2026, 1, 2, 16, 28, 55, 844600, tzinfo=UTC)),
        ("2026-01-02T16:28:55", datetime(2026, 1, 2, 16, 28, 55, tzinfo=UTC)),
        ("2026-01-02T16:28:55+02:00", datetime(2026, 1, 2, 14, 28, 55, tzinfo=UTC)),
        ("soon", None),
        (17, None),
        (None, None),
    ],
)
def test_a_modification_time_that_is_none_is_null(text: object, expected: datetime | None):
    """Whatever stands there, the record lands."""
    (row,) = rows(landing(), {"id": 1, "modifiedOn": text})
    assert row["modified_on"] == expected


def test_deletion_is_known_where_only_the_export_has_active():
    """Jobs: `active` false in the export is a deletion. Customers: it is an inactive customer."""
    (job,) = rows(landing(), {"id": 1, "active": False})
    (customer,) = rows(landing(BY_NAME["customers"]), {"id": 1, "active": False})
    assert (job["is_deleted"], customer["is_deleted"]) == (True, False)


@pytest.mark.parametrize("told", ["2026-01-01T00:00:00Z", None])
def test_what_a_list_shows_overtakes_what_landed(told: str | None):
    """A modification time that went back, or away, is lifted to the latest that landed; the payload keeps the true one."""
    lander = landing(landed={1: version("other", NOON)})
    lander.is_present = True
    (row,) = rows(lander, {"id": 1, "modifiedOn": told})
    assert row["modified_on"] == NOON
    assert json.loads(row["payload"])["modifiedOn"] == told
    (later,) = rows(lander, {"id": 1, "modifiedOn": "2026-12-01T00:00:00Z"})
    assert later["modified_on"] == datetime(2026, 12, 1, tzinfo=UTC)
    (back,) = rows(lander, {"id": 1, "modifiedOn": "2026-11-01T00:00:00Z"})
    assert back["modified_on"] == datetime(2026, 12, 1, tzinfo=UTC)
    assert lander.highest == datetime(2026, 12, 1, tzinfo=UTC)


def test_what_an_export_repeats_overtakes_nothing():
    """It may show what was."""
    lander = landing(landed={1: version("other", NOON)})
    (row,) = rows(lander, {"id": 1, "modifiedOn": "2026-01-01T00:00:00Z"})
    assert row["modified_on"] == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_landed_version_that_master_does_not_show_lands_again_when_a_list_shows_it():
    """Its bytes landed last, but below an earlier version's modification: once more, now lifted, and then never again."""
    record = {"id": 1, "modifiedOn": "2026-01-01T00:00:00Z"}
    (first,) = rows(landing(), record)
    lander = landing(landed={1: version(first["payload_hash"], NOON, is_overtaken=True)})
    lander.is_present = True
    (row,) = rows(lander, record)
    assert (row["modified_on"], row["payload_hash"]) == (NOON, first["payload_hash"])
    assert rows(lander, record) == []


def test_text_that_no_store_takes_is_replaced_after_hashing_and_counted():
    """The hash is of the bytes that ServiceTitan sent."""
    lander = landing()
    record = {"id": 1, "memo": "a\x00b"}
    (row,) = rows(lander, record)
    assert json.loads(row["payload"])["memo"] == "a\ufffdb"
    assert lander.tally.repaired == 1
    assert rows(lander, record) == []


def test_a_page_with_half_a_surrogate_pair_is_read():
    """Strict JSON readers refuse it; here it is repaired and marked."""
    page = decode(b'{"hasMore":false,"data":[{"id":1,"memo":"x\\ud800y"}]}')
    assert page.is_repaired
    assert json.loads(bytes(page.data[0]))["memo"] == "x\ufffdy"


def test_a_key_may_begin_with_what_the_record_was_read_for():
    """Its parent or its slice of dates; one thing of a parent is keyed by the parent alone."""
    items, equipment = BY_NAME["project_segment_items"], BY_NAME["job_equipment"]
    page = Page([raw({"id": 5})], NOON, scopes=["7"])
    assert landing(items).rows(page).to_pylist()[0]["st_id"] == "7:5"
    row = landing(equipment).rows(page).to_pylist()[0]
    assert (row["st_id"], row["scope"]) == (7, "7")


def test_the_same_line_twice_is_two_lines():
    """Lines without an id are told apart by their content, their parent, and how often they stand there."""
    lander = landing(BY_NAME["journal_entry_details"])
    page = Page([raw({"debit": 1}), raw({"debit": 1}), raw({"debit": 1})], NOON, scopes=["a", "a", "b"])
    assert len({row["st_id"] for row in lander.rows(page).to_pylist()}) == 3


def test_what_a_scope_no_longer_holds_becomes_a_tombstone():
    """With the payload it had; should it come back as it was, that is a change."""
    entity = BY_NAME["customer_notes"]
    known = {1: Version("h1", False, None, False), 2: Version("h2", False, None, False)}
    copy = Copy(2, '{"id":2}', "h2", None, "9")
    lander = Landing(
        entity,
        1,
        "batch",
        lambda keys: {key: known[key] for key in keys if key in known},
        living=lambda _: [("9", 1), ("9", 2)],
        copies=lambda keys: [copy] if keys == [2] else [],
    )
    page = Page([raw({"id": 1})], NOON, scopes=["9"], closed=("9",))
    lander.rows(page)
    (tombstone,) = lander.gone(page).to_pylist()
    assert (tombstone["st_id"], tombstone["is_deleted"], tombstone["payload"]) == (2, True, '{"id":2}')
    assert lander.tally.vanished == 1
    assert len(lander.rows(Page([msgspec.Raw(b'{"id":2}')], NOON, scopes=["9"]))) == 1


def test_a_record_is_the_same_whatever_stands_beside_it():
    """A page that can be read only with half pairs replaced leaves its other records' bytes and hashes as they are."""
    plain = b'{"id":1,"memo":"a\\u0000b \xff"}'
    alone, beside = (
        decode(b'{"data":[%b]}' % b",".join(records)) for records in ([plain], [plain, b'{"id":2,"memo":"x\\ud800y"}'])
    )
    assert beside.is_repaired
    lander = landing()
    assert lander.rows(Page(alone.data, NOON)).num_rows == 1
    (row,) = lander.rows(Page(beside.data, NOON, is_repaired=True)).to_pylist()
    assert row["st_id"] == 2
    assert lander.tally.repaired == 2


@pytest.mark.parametrize("key", [b"\xff", b"a\xffb", b"a\\u0000b"], ids=["no text", "partly", "NUL"])
def test_a_key_that_no_store_takes_is_replaced(key: bytes):
    """Invalid UTF-8 and NUL in a text key: a row whose key PostgreSQL takes, the same one each time."""
    record = msgspec.Raw(b'{"id":"%b"}' % key)
    lander = landing(BY_NAME["contacts"])
    (row,) = lander.rows(Page([record], NOON)).to_pylist()
    assert "\ufffd" in row["st_id"]
    assert "\0" not in row["st_id"]
    assert lander.rows(Page([record], NOON)) is None


@pytest.mark.parametrize("entity", CATALOG, ids=lambda entity: entity.name)
def test_every_entity_takes_any_json_at_all(entity: Entity):
    """Numbers where text was promised, nulls, other shapes: a row comes out, with a key of the right type."""
    odd = [
        {},
        {"id": None},
        {part: {"x": 1} for path in entity.key for part in path.split(".")[:1]},
        {"modifiedOn": 5, "active": "yes"},
    ]
    scopes = [str(number) for number in range(len(odd))] if entity.is_scoped or SCOPE in entity.key else None
    found = landing(entity).rows(Page([raw(record) for record in odd], NOON, scopes=scopes)).to_pylist()
    assert len(found) == len({json.dumps(record) for record in odd} if scopes is None else odd)
    assert all(isinstance(row["st_id"], str if entity.key_type is KeyType.TEXT else int) for row in found)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(
    records=st.lists(
        st.fixed_dictionaries({"id": values, "modifiedOn": values, "active": values, "x": values}), max_size=6
    )
)
def test_no_record_is_lost_or_doubled(records: list[dict]):
    """Distinct records are as many rows, whatever they hold, and landing them again adds nothing."""
    lander = landing(replace(JOBS, key=("no such field",)))
    distinct = {json.dumps(record) for record in records}
    assert len(rows(lander, *records)) == len(distinct)
    assert rows(lander, *records) == []


@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1)), st.integers(-14, 14))  # noqa: DTZ001  a zone is added by the test
def test_moments_with_a_zone_are_the_same_moment(naive: datetime, hours: int):
    """Zones are converted, not dropped."""
    sign = "-" if hours < 0 else "+"
    text = f"{naive.isoformat()}{sign}{abs(hours):02}:00"
    assert moment(text) == naive.replace(tzinfo=UTC) - timedelta(hours=hours)


def test_a_reader_is_made_once():
    """Struct types are costly to make."""
    assert head_reader(JOBS) is head_reader(BY_NAME["jobs"])
