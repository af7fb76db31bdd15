"""OpenAPI documents to fields, and fields to models."""

import json
from pathlib import Path

import pytest

from discovery.coverage import compare
from discovery.models import MARK, master_model, write_generated, write_models
from discovery.openapi import DocumentError, Documents, discover, discover_all, write_registry
from sources.servicetitan.catalog import BY_NAME
from sources.servicetitan.registry import FOLDER, Field, load

ROOT = Path(__file__).parents[2]
OFFICIAL = ROOT.parent / "shared" / "servicetitan" / "openapi"

ADDRESS = {
    "type": "object",
    "properties": {"street": {"type": ["string", "null"]}, "inner": {"$ref": "#/components/schemas/Address"}},
}
CUSTOMER = {
    "type": "object",
    "properties": {
        "id": {"type": "integer", "format": "int64"},
        "type": {"enum": ["Residential", "Commercial"], "type": "string"},
        "address": {"oneOf": [{"$ref": "#/components/schemas/Address"}, {"type": "null"}]},
        "tags": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
        "either": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
    },
}
PAGE = {
    "type": "object",
    "properties": {
        "hasMore": {"type": "boolean"},
        "data": {"type": "array", "items": {"$ref": "#/components/schemas/Customer"}},
    },
}
EXPORTED = {
    "type": "object",
    "properties": {"id": {"type": "integer", "format": "int64"}, "active": {"type": "boolean"}},
}


def answer(schema: dict) -> dict:
    return {"get": {"responses": {"200": {"content": {"application/json": {"schema": schema}}}}}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    document = {
        "servers": [{"url": "https://api.servicetitan.io/crm/v2"}],
        "paths": {
            "/tenant/{tenant}/customers": answer({"$ref": "#/components/schemas/Page"}),
            "/tenant/{tenant}/export/customers": answer(
                {"type": "object", "properties": {"data": {"type": "array", "items": EXPORTED}}}
            ),
        },
        "components": {"schemas": {"Page": PAGE, "Customer": CUSTOMER, "Address": ADDRESS}},
    }
    (tmp_path / "crm.json").write_text(json.dumps(document))
    return tmp_path


def test_fields_come_from_the_list_and_the_export(folder: Path):
    """Paths, types, nulls, enums and feeds; a schema inside itself ends."""
    found = {field.path: field for field in discover(Documents(folder), BY_NAME["customers"])}
    assert found["id"] == Field("customers", "id", "integer", "int64", nullable=False, enum=(), feed="both")
    assert found["active"].feed == "export"
    assert found["type"].enum == ("Residential", "Commercial")
    assert found["address"].nullable
    assert found["address.street"].nullable
    assert found["tags[].name"].type == "string"
    assert found["either"].type == "any"
    assert not any(path.startswith("address.inner.inner") for path in found)


def test_a_folder_without_documents_says_what_is_expected(tmp_path: Path):
    """The message names the folder and a file that should be in it."""
    with pytest.raises(DocumentError, match=r"crm-v2\.json"):
        Documents(tmp_path)


def test_an_incomplete_folder_names_what_is_missing(folder: Path):
    """Entities without a documented field."""
    with pytest.raises(DocumentError, match="pricebook_services"):
        discover_all(Documents(folder))


def test_regeneration_changes_nothing(tmp_path: Path):
    """The models in the repository are those of the registry in the repository."""
    write_models(load(), tmp_path)
    for path in (p for p in tmp_path.rglob("*") if p.is_file()):
        mine = ROOT / path.relative_to(tmp_path)
        text = mine.read_text(encoding="utf-8")
        assert path.read_text(encoding="utf-8") == text or not text.startswith(MARK), mine


@pytest.mark.skipif(not OFFICIAL.exists(), reason="ServiceTitan's documents are not part of the project")
def test_the_catalog_knows_every_address_of_the_official_documents():
    """Each is read, a detail of what is read, or left out with a reason."""
    found = compare(Documents(OFFICIAL))
    assert found.unknown == ()
    assert len(found.read) > 200


def test_an_address_that_nobody_knows_is_found(folder: Path):
    """A new endpoint in the documents makes the comparison fail."""
    document = json.loads((folder / "crm.json").read_text())
    document["paths"]["/tenant/{tenant}/novelties"] = answer({"type": "object"})
    (folder / "crm.json").write_text(json.dumps(document))
    found = compare(Documents(folder))
    assert found.unknown == ("/crm/v2/tenant/{}/novelties",)
    assert not found.is_clean


@pytest.mark.skipif(not OFFICIAL.exists(), reason="ServiceTitan's documents are not part of the project")
def test_the_registry_is_that_of_the_official_documents(tmp_path: Path):
    """Reading the documents again gives the registry byte by byte."""
    write_registry(discover_all(Documents(OFFICIAL)), tmp_path)
    for path in tmp_path.glob("*.csv"):
        assert path.read_bytes() == (FOLDER / path.name).read_bytes()


def test_a_file_that_a_person_owns_is_left_alone(tmp_path: Path):
    """Without the mark in the first line nothing is written."""
    path = tmp_path / "own.sql"
    path.write_text("MODEL (name mine); SELECT 1")
    assert not write_generated(path, f"{MARK}\nnew", MARK)
    assert "mine" in path.read_text()
    path.write_text(f"{MARK}\nold")
    assert write_generated(path, f"{MARK}\nnew", MARK)
    assert not write_generated(path, f"{MARK}\nnew", MARK)


def test_a_field_more_is_one_column_more():
    """One line in the declared columns, one in the list."""
    record = load()["zones"]
    more = (*record, Field("zones", "brandNew", "boolean", "", nullable=True, enum=(), feed="list"))
    before, after = (master_model(BY_NAME["zones"], fields).splitlines() for fields in (record, more))
    added = [line.strip().rstrip(",") for line in after if line.rstrip(",") not in {old.rstrip(",") for old in before}]
    assert added == ["brand_new BOOLEAN", "CAST(payload ->> 'brandNew' AS BOOLEAN) AS brand_new"]
