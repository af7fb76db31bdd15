"""One row of the original's, whatever stands in it, is read or rejected with a reason."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.legacy import record as module
from pipelines.legacy.record import Found, Judge, Rejected, Row, is_yes, parsed
from sources.servicetitan.catalog import BY_NAME
from sources.servicetitan.head import content_hash

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
ROW = Row("7", "1", '{"id":1}', "2024-01-01 00:00:00+00", None, None, "false", None, "1")


def judge(entity: str = "zones", **more: Any) -> Judge:
    """What reads rows of an entity."""
    return Judge(BY_NAME[entity], BEGUN, BEGUN + timedelta(days=30), **more)


def read(row: Row, entity: str = "zones", **more: Any) -> Found:
    """A row that is a record."""
    found = judge(entity, **more).read(row)
    assert isinstance(found, Found), found
    return found


def reason(row: Row, entity: str = "zones", **more: Any) -> str:
    """Why a row is none."""
    found = judge(entity, **more).read(row)
    assert isinstance(found, Rejected), found
    return found.reason


text = (
    st.none()
    | st.text()
    | st.integers().map(str)
    | st.datetimes().map(str)
    | st.sampled_from(["", "NaN", "infinity", "{}", "[]"])
)
value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "modifiedOn", "active", "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)
payload = st.none() | st.text() | value.map(json.dumps) | value.map(lambda one: json.dumps(json.dumps(one)))
rows = st.builds(Row, text, text, payload, text, text, text, text, text, text)


@given(
    rows,
    st.sampled_from(
        ["zones", "customers", "journal_entries", "business_hours", "capacity", "calls", "location_labor_types"]
    ),
)
@example(Row("7", "1", '{"id":"\\ud800"}', None, None, None, None, None, None), "journal_entries")
@example(Row("7", "1", "[" * 5000, None, None, None, None, None, None), "zones")
@example(Row("7", "1", '{"id":1,"a":' * 3000, None, None, None, None, None, None), "zones")
def test_whatever_a_row_holds_is_read_or_rejected(row: Row, entity: str) -> None:
    """No row raises. What is read has a tenant, a key of the entity's type, the hash of its bytes, and no date that cannot be."""
    reader = judge(entity, tenant_id=7, is_checked=False)
    found = reader.read(row)
    if isinstance(found, Rejected):
        assert found.reason
        return
    assert isinstance(found.tenant_id, int)
    assert isinstance(found.head.key, str if BY_NAME[entity].key_type == "text" else int)
    assert isinstance(msgspec.json.decode(found.payload), dict)
    if not is_yes(row.deleted):
        assert found.hash == content_hash(msgspec.Raw(found.payload))
    assert found.at is None or found.at <= reader.now + module.CLOCKS_DIFFER


@given(st.datetimes(datetime(1990, 1, 2), datetime(2100, 1, 1)), st.sampled_from([0, 60, -420, 330]))  # noqa: DTZ001
def test_dates_are_read_exactly_in_every_form(moment: datetime, minutes: int) -> None:
    """ISO and PostgreSQL's own form give the microsecond, whatever the zone; numbers the second and the millisecond."""
    utc = moment.replace(tzinfo=UTC)
    hours, rest = divmod(abs(minutes), 60)
    zone = f"{'-' if minutes < 0 else '+'}{hours:02}" + (f":{rest:02}" if rest else "")
    local = (utc + timedelta(minutes=minutes)).replace(tzinfo=None)
    assert parsed(f"{local.isoformat(sep=' ')}{zone}") == utc
    assert parsed(f"{utc.replace(tzinfo=None).isoformat()}Z") == utc
    assert parsed(utc.replace(tzinfo=None).isoformat()) == utc
    seconds = utc.replace(microsecond=0)
    assert parsed(str(int(seconds.timestamp()))) == seconds
    assert parsed(str(int(seconds.timestamp() * 1000))) == seconds


@pytest.mark.parametrize(
    "odd", ["", "infinity", "-infinity", "yesterday", "2024-13-01", "0001-01-01 00:00:00 BC", "12", "0044-03-15"]
)
def test_what_is_no_date_is_none(odd: str) -> None:
    """A date that no program of the original's can have meant is none."""
    assert parsed(odd) is None


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (None, module.NO_PAYLOAD),
        ("", module.NOT_JSON),
        ("{'id': 1}", module.NOT_JSON),
        ('{"id":1', module.NOT_JSON),
        ('{"id":1} x', module.NOT_JSON),
        ('[{"id":1}]', module.NOT_OBJECT.format("an array")),
        ("null", module.NOT_OBJECT.format("JSON's null")),
        ("17", module.NOT_OBJECT.format("a number")),
        ('"hello"', module.NOT_OBJECT.format("a text")),
        ('"{\\"id\\": "', module.NOT_JSON),
    ],
)
def test_what_is_no_record_is_rejected_with_its_reason(payload: str | None, why: str) -> None:
    """A payload that is no JSON object is no record."""
    assert reason(ROW._replace(payload=payload), is_checked=False) == why


def test_the_tenant_is_the_rows_or_the_one_that_is_named() -> None:
    """A row's own tenant counts; one without gets the one that was named, and is rejected without."""
    assert read(ROW, tenant_id=9).tenant_id == 7
    assert read(ROW._replace(tenant=None), tenant_id=9).tenant_id == 9
    assert reason(ROW._replace(tenant=" ")) == module.NO_TENANT
    assert reason(ROW._replace(tenant="acme"), tenant_id=9) == module.BAD_TENANT


def test_the_key_is_the_payloads_then_the_rows_then_the_content() -> None:
    """Whose key counts, and that it is said."""
    assert (read(ROW).head.key, read(ROW).remarks) == (1, [])
    other = read(ROW._replace(key="2"))
    assert (other.head.key, other.remarks) == (1, [module.OTHER_KEY])
    rows_own = read(ROW._replace(key="2", payload='{"name":"x"}'))
    assert (rows_own.head.key, rows_own.remarks) == (2, [module.ROWS_KEY])
    none = read(ROW._replace(key=None, payload='{"name":"x"}'))
    assert none.head.key < 0
    assert none.remarks == [module.NO_KEY]
    assert read(ROW._replace(payload='{"id":"1"}')).head.key == 1


def test_a_record_that_was_written_as_json_twice_is_taken_out() -> None:
    """A JSON text of JSON is the record in it."""
    found = read(ROW._replace(payload=json.dumps('{"id": 1}')))
    assert (found.payload, found.remarks) == (b'{"id": 1}', [module.NESTED])


def test_characters_that_no_store_takes_are_told_and_hashed_as_they_are() -> None:
    """NUL stays in what is hashed, as with landing; a pair of surrogates is a character like any other."""
    nul = '{"id":1,"name":"a\\u0000b"}'
    found = read(ROW._replace(payload=nul))
    assert (found.hash, found.remarks) == (content_hash(msgspec.Raw(nul.encode())), [module.REPAIRED])
    assert read(ROW._replace(payload='{"id":1,"name":"\\ud83d\\ude00"}')).remarks == []
    assert read(ROW._replace(payload='{"id":1,"name":"\\ud83d"}')).payload == b'{"id":1,"name":"\\ufffd"}'


@pytest.mark.parametrize(
    ("dates", "moment", "remarks"),
    [
        ({"synced": None}, None, [module.NO_DATE]),
        ({"synced": "soon"}, None, [module.BAD_DATE]),
        ({"synced": "soon", "updated": "2024-02-01"}, datetime(2024, 2, 1, tzinfo=UTC), []),
        ({"synced": "2099-01-01 00:00:00+00"}, BEGUN, [module.FUTURE]),
        ({"synced": "2026-01-20 00:00:00+00"}, datetime(2026, 1, 20, tzinfo=UTC), []),
    ],
)
def test_dates_that_cannot_be_are_told(
    dates: dict[str, str | None], moment: datetime | None, remarks: list[str]
) -> None:
    """A date of the future becomes the takeover's beginning; one behind that beginning is no future when this run is later."""
    found = read(ROW._replace(**dates))
    assert (found.at, found.remarks) == (moment, remarks)


def test_modification_is_the_payloads_and_else_the_rows() -> None:
    """As with landing, the record's own word counts."""
    dated = '{"id":1,"modifiedOn":"2024-03-01T00:00:00Z"}'
    assert read(ROW._replace(payload=dated, modified="2023-01-01")).head.modified_on == datetime(2024, 3, 1, tzinfo=UTC)
    assert read(ROW._replace(modified="2023-01-01")).head.modified_on == datetime(2023, 1, 1, tzinfo=UTC)
    assert read(ROW._replace(modified="2099-01-01")).head.modified_on is None


@pytest.mark.parametrize(
    ("mark", "is_deleted"),
    [("true", True), ("t", True), ("2024-01-01", True), ("f", False), ("", False), (None, False)],
)
def test_a_deleted_record_is_marked_by_truth_or_a_date(mark: str | None, is_deleted: bool) -> None:  # noqa: FBT001
    """`is_deleted` and `deleted_at` both say it."""
    assert read(ROW._replace(deleted=mark)).head.is_deleted is is_deleted
