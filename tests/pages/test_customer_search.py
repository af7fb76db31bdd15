"""The search of customers on both engines: what a text finds, what comes first, and what it never does."""

from collections.abc import Iterator

import pytest

from api.pages.customer_search import COLUMNS, MOST, SHOWN, last_changed, looked_for, marked, searched, text
from store.settings import Settings
from tests.pages.tables import Tables

TYPES = {"customer_id": "BIGINT", "is_deleted": "BOOLEAN", "lifetime_value": "NUMERIC(18,6)"}
MASTER = "tenant_id BIGINT, st_id BIGINT, name TEXT, is_deleted BOOLEAN"
SHAPE = ", ".join(f"{name} {TYPES.get(name, 'TEXT')}" for name in ("tenant_id", *COLUMNS)).replace(
    "tenant_id TEXT", "tenant_id BIGINT"
)
PEOPLE = (
    (1, "Ann Lee", "ann@x.example", "(212) 555-0107", "12 Elm St", False),
    (2, "Joanna Berg", "jo@x.example", "+1 313 555 0108", "9 Oak Ave", False),
    (3, "Anna Mole", None, "4145550109", "12 Elmwood Rd", True),
    (4, "50% Off_Inc \\ Co", None, None, None, False),
    (212, "Zoe", None, None, None, False),
    (5, None, "nameless@ann.example", None, None, False),
)
STRANGER = "Ann of another tenant"


@pytest.fixture
def tables(settings: Settings) -> Iterator[Tables]:
    made = Tables(settings)
    names = ("customer_id", "name", "primary_email", "primary_phone", "address_street", "is_deleted")
    rows = [dict(zip(names, each, strict=True)) | {"tenant_id": 1} for each in PEOPLE]
    rows.append(rows[0] | {"tenant_id": 2, "name": STRANGER})
    for name in ("crm.customer_facts", "crm.customer_360"):
        made.make(name, SHAPE, rows)
    people = [{"tenant_id": 1, "st_id": one[0], "name": one[1], "is_deleted": one[5]} for one in PEOPLE]
    people += [{"tenant_id": 2, "st_id": 1, "name": STRANGER}]
    made.make("master.customers", f"{MASTER}, modified_on TIMESTAMPTZ", people)
    yield made
    made.close()


def keys(tables: Tables, text: str) -> list[int]:
    """Whom a text finds, in order."""
    return [one["customer_id"] for one in tables.ask(searched(tables.dialect, 1, text)).customers]


def test_names_that_begin_with_the_text_come_first(tables: Tables):
    """Then those that hold it, then e-mail addresses; deleted customers last. Whatever the case."""
    assert keys(tables, "ANN") == [1, 5, 2, 3]
    assert keys(tables, "ann lee") == [1]
    assert keys(tables, "an") == [1, 3]
    assert keys(tables, "zo") == [212]


@pytest.mark.parametrize(
    "text", ["2125550107", "(212) 555-0107", "212-555-01", "212.555", "+1 212 555 0107", "5550107", "0107"]
)
def test_a_phone_number_is_found_however_it_is_written(tables: Tables, text: str):
    """In the copy and in the search, whole or a piece of it."""
    assert keys(tables, text)[0] == 1 or keys(tables, text) == [212, 1]


def test_digits_in_another_order_are_no_phone_number(tables: Tables):
    """What stands between the pieces of a pattern must be signs, not digits."""
    assert keys(tables, "2125507") == []


def test_an_id_goes_before_everything(tables: Tables):
    """Though a phone number has the same digits."""
    assert keys(tables, "212") == [212, 1]


def test_a_street_is_found_behind_its_number(tables: Tables):
    """By its beginning."""
    assert keys(tables, "12 elm") == [1, 3]
    assert keys(tables, "9 o") == []


@pytest.mark.parametrize("search", ["1", "ann", "212-555", "12 elm"])
def test_no_way_of_looking_leaves_the_tenant(tables: Tables, search: str):
    """Each asks for the customers of one alone."""
    for way, values in looked_for(search):
        found = [{row[1] for row in tables.reader.fetch(text(way, tables.dialect), [who, *values])} for who in (1, 2)]
        assert STRANGER not in found[0]
        assert found[1] <= {STRANGER}


@pytest.mark.parametrize("text", ["%", "_", "\\", "50%", "f_I", "' OR 1=1 --", "{mark}", "%s", "\U0001f600"])
def test_no_sign_means_anything_but_itself(tables: Tables, text: str):
    """Neither to LIKE nor to SQL."""
    assert keys(tables, text) == ([4] if text in {"50%", "f_I"} else [])


def test_more_than_are_shown_are_told(tables: Tables):
    """Twenty at most; a question ends after a hundred."""
    for number in range(MOST + 20):
        row = {"tenant_id": 1, "customer_id": 1000 + number, "name": f"Many {number:03}", "is_deleted": False}
        tables.run(
            "INSERT INTO master.customers (tenant_id, st_id, name) VALUES (1, ?, ?)", (1000 + number, row["name"])
        )
        for name in ("crm.customer_facts", "crm.customer_360"):
            tables.run(f"INSERT INTO {name} ({', '.join(row)}) VALUES (?, ?, ?, ?)", tuple(row.values()))
    found = tables.ask(searched(tables.dialect, 1, "many"))
    assert (len(found.customers), found.has_more) == (SHOWN, True)
    assert not tables.ask(searched(tables.dialect, 1, "many 00")).has_more


def test_without_a_text_the_last_changed_ones_are_shown(tables: Tables):
    """The newest first; one that the models lack is left out."""
    tables.run("INSERT INTO master.customers (tenant_id, st_id, modified_on) VALUES (1, 77, '2026-03-01')")
    for key, day in ((1, "2026-01-01"), (2, "2026-02-01")):
        tables.run("UPDATE master.customers SET modified_on = ? WHERE tenant_id = 1 AND st_id = ?", (day, key))
    found = tables.ask(last_changed(tables.dialect, 1)).customers
    assert [one["customer_id"] for one in found] == [2, 1, 212, 5, 4, 3]


def test_what_would_find_everything_is_asked_of_beginnings_alone():
    """A text without three letters in a row has no trigram: no index could help to find it in the middle."""
    assert [way for way, _ in looked_for("a b")] == ["beginning"] * 2
    assert [way for way, _ in looked_for("___")] == ["beginning"]
    assert [way for way, _ in looked_for("Abc")] == ["beginning", "beginning", "piece"]
    assert [way for way, _ in looked_for("12 MAIN")] == ["beginning", "beginning", "piece", "street"]
    assert [way for way, _ in looked_for("1234")] == ["key", "phone", "beginning", "piece"]


def test_what_was_looked_for_is_marked_and_escaped():
    """Each time it stands there; nothing of the text becomes HTML."""
    assert marked("<b>Ann</b> and Ann", "ann") == "&lt;b&gt;<mark>Ann</mark>&lt;/b&gt; and <mark>Ann</mark>"
    assert marked("Ann", "n") == "Ann"
    assert marked(None, "xy") == ""
    assert marked("a.c abc", "a.c") == "<mark>a.c</mark> abc"
