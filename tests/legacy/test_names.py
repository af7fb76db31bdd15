"""What consumers of the original's `master` find here, and which columns are taken for what."""

import pytest

from pipelines.legacy import master
from pipelines.legacy.database import Column
from pipelines.legacy.spelling import MUTATION, RECORD, Shape, mutation_shape, record_shape
from sources.servicetitan.catalog import BY_NAME, NOT_LISTABLE, ORIGINAL_NAMES
from tests.legacy.conftest import Takeover
from tests.sources.test_catalog import ORIGINAL


def columns(*texts: str) -> tuple[Column, ...]:
    """Columns, each as `name type`."""
    return tuple(Column(*text.split(" ", 1)) for text in texts)


def test_names_and_columns_are_compared(takeover: Takeover) -> None:
    """Each name of master there: what stands here, which columns do not, and which are of a type that SQL would not fit."""
    takeover.original.table("zones")
    found = {one.name: one for one in takeover.run(is_dry=True).names}
    assert (found["customers"].here, found["customers"].missing, found["customers"].other_type) == (
        "customers",
        ["full_data"],
        [],
    )
    assert (found["contacts"].here, found["contacts"].reason) == (
        "customer_contacts",
        "`master.contacts` there is `master.customer_contacts` here",
    )
    assert (found["opportunities"].here, found["opportunities"].reason) == ("", NOT_LISTABLE["opportunities"])
    assert found["zones"].other_type == ["active: text there, BOOLEAN here"]


def test_every_name_of_the_original_is_here_or_says_why() -> None:
    """Each of the names that the original had leads to a master table of ours, or to the reason for which it cannot."""
    tables = {("master", name): columns("st_id bigint") for name in ORIGINAL}
    for report in master.compare(tables):
        assert report.here or report.reason == NOT_LISTABLE[report.name]
        assert not report.here or report.here in BY_NAME
        assert report.missing == []
    assert ORIGINAL_NAMES["contacts"] == "customer_contacts"


@pytest.mark.parametrize(
    ("there", "here", "does_fit"),
    [
        ("integer", "BIGINT", True),
        ("bigint", "NUMERIC(18,6)", True),
        ("numeric", "BIGINT", False),
        ("character varying", "TEXT", True),
        ("timestamp without time zone", "TIMESTAMPTZ", True),
        ("date", "TIMESTAMPTZ", True),
        ("timestamp with time zone", "DATE", False),
        ("jsonb", "JSONB", True),
        ("jsonb", "TEXT", False),
        ("text[]", "JSONB", False),
    ],
)
def test_types_fit_where_sql_of_the_first_works_with_the_second(there: str, here: str, does_fit: bool) -> None:  # noqa: FBT001
    """Wider is good, narrower or another kind is not."""
    assert master.fits(there, here) is does_fit


@pytest.mark.parametrize(
    ("found", "mapping"),
    [
        (columns("id bigint", "payload jsonb"), {"payload": "payload", "key": "id"}),
        (columns("id bigint", "st_id bigint", "data json"), {"payload": "data", "key": "st_id", "order": "id"}),
        (
            columns("ID integer", "stId bigint", "fullData jsonb", "syncedAt bigint"),
            {"payload": "fullData", "key": "stId", "synced": "syncedAt", "order": "ID"},
        ),
        (columns("document jsonb", "st_id bigint"), {"payload": "document", "key": "st_id"}),
        (columns("payload bytea", "doc json"), {"payload": "doc"}),
    ],
)
def test_columns_are_known_by_their_spellings(found: tuple[Column, ...], mapping: dict[str, str]) -> None:
    """The first spelling that is there, in any case; a single JSON column whatever its name."""
    shape = record_shape(("raw", "st_zones"), found)
    assert isinstance(shape, Shape)
    assert shape.mapping == mapping


@pytest.mark.parametrize(
    "found", [columns("id bigint"), columns("a jsonb", "b jsonb"), columns("payload bytea"), columns("note text")]
)
def test_a_record_that_cannot_be_told_is_not_guessed(found: tuple[Column, ...]) -> None:
    """The reason names what is there and what is known."""
    reason = record_shape(("raw", "st_zones"), found)
    assert isinstance(reason, str)
    assert all(f"`{column.name}`" in reason for column in found)
    assert "`payload`" in reason


def test_no_spelling_stands_twice_in_a_role() -> None:
    """Each role's spellings are different ones."""
    for spellings in (RECORD, MUTATION):
        for names in spellings.values():
            assert len(names) == len(set(names))


def test_the_table_of_mutations_is_the_likeliest_that_has_what_one_needs() -> None:
    """Its schema counts first; a table without a status is none, and ours beside it is none of the original's schemas."""
    needs = columns("id uuid", "operation text", "status text")
    tables = {
        ("public", "mutations"): needs,
        ("outbound", "mutations"): columns("id uuid"),
        ("system", "mutations"): needs,
        ("x", "mutations"): needs,
    }
    shape = mutation_shape(tables)
    assert shape is not None
    assert shape.name == "system.mutations"
    assert mutation_shape({("public", "jobs"): needs}) is None
