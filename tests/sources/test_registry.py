"""The field registry and the columns made of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.servicetitan.catalog import CATALOG, SCOPE, Entity
from sources.servicetitan.registry import ENVELOPE, Field, columns, load, read, snake_case, write


def field(path: str, kind: str = "string", form: str = "") -> Field:
    return Field("things", path, kind, form, nullable=False, enum=(), feed="both")


@pytest.mark.parametrize("entity", CATALOG, ids=lambda entity: entity.name)
def test_every_scalar_at_most_one_object_deep_is_a_column(entity: Entity):
    """Each has exactly one column of its type, and names neither collide nor meet the envelope's."""
    record = load()[entity.name]
    found = columns(record)
    by_path = {".".join(column.path): column for column in found}
    wanted = [f for f in record if f.is_scalar and "[]" not in f.path and f.path.count(".") <= 1]
    assert wanted or record
    assert [f.path for f in wanted if f.path not in by_path or by_path[f.path].type != f.sql_type] == []
    names = [column.name.lower() for column in found]
    assert len(set(names)) == len(names)
    assert set(names).isdisjoint(ENVELOPE)
    assert max(map(len, names)) <= 63


@pytest.mark.parametrize("entity", CATALOG, ids=lambda entity: entity.name)
def test_a_key_is_in_the_registry(entity: Entity):
    """What the catalog calls the key is documented."""
    paths = {f.path for f in load()[entity.name]}
    assert {path for path in entity.key if path != SCOPE} <= paths


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("createdOn", "created_on"),
        ("averageCPC", "average_cpc"),
        ("stCampaignId", "st_campaign_id"),
        ("id", "id"),
        ("isEInvoice", "is_e_invoice"),
        ("Some Thing-2", "some_thing_2"),
    ],
)
def test_names_become_snake_case(name: str, expected: str):
    """As a person would write them."""
    assert snake_case(name) == expected


def test_names_that_meet_are_told_apart():
    """`customer.id` beside `customerId`, and names of our own."""
    record = [
        field("customerId"),
        field("customer", "object"),
        field("customer.id"),
        field("tenantId"),
        field("isDeleted"),
    ]
    assert [column.name for column in columns(record)] == [
        "customer_id",
        "customer__id",
        "st_tenant_id",
        "st_is_deleted",
    ]


def test_objects_are_flattened_once_and_the_rest_is_json():
    """Deeper objects, arrays and objects without known fields keep their JSON."""
    record = [
        field("a", "object"),
        field("a.b", "object"),
        field("a.b.c"),
        field("a.d", "integer"),
        field("list", "array"),
        field("list[]", "object"),
        field("free", "object"),
    ]
    assert [(column.name, column.type) for column in columns(record)] == [
        ("a_b", "JSONB"),
        ("a_d", "BIGINT"),
        ("list", "JSONB"),
        ("free", "JSONB"),
    ]


text = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r\n|", exclude_categories=["Cs"]), max_size=12)
fields = st.builds(
    Field,
    st.just("things"),
    text.filter(lambda path: path and not path.startswith("#")),
    st.sampled_from(["integer", "string", "object"]),
    text,
    st.booleans(),
    st.lists(text.filter(bool), max_size=3).map(tuple),
    st.sampled_from(["list", "export", "both"]),
)


@given(record=st.lists(fields, max_size=8))
def test_a_file_reads_back_what_was_written(record, tmp_path_factory):
    """The registry's files lose nothing."""
    path = tmp_path_factory.mktemp("registry") / "things.csv"
    write(path, record)
    assert list(read(path)) == record
