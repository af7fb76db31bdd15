"""The registry of bodies and answers, and how it is made of ServiceTitan's documents."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from discovery.bodies import discover_bodies, module_of, write_bodies
from discovery.openapi import Documents
from outbound.operations import BY_TITLE, OPERATIONS, Operation
from outbound.registry import (
    ANSWERS,
    FOLDER,
    MARK,
    UPLOAD,
    Answer,
    BodyField,
    Node,
    Success,
    answers,
    lines,
    load,
    read,
    read_answers,
    top_names,
    tree,
    write,
    write_answers,
)

ALL = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.title)

CUSTOMER = {
    "type": "object",
    "required": ["name", "tags"],
    "properties": {
        "name": {"type": "string"},
        "type": {"oneOf": [{"$ref": "#/components/schemas/Type"}, {"type": "null"}]},
        "tags": {"type": "array", "items": {"type": ["integer", "null"], "format": "int64"}},
        "address": {"$ref": "#/components/schemas/Address"},
        "anything": {},
    },
}
ADDRESS = {
    "type": "object",
    "required": ["street"],
    "properties": {"street": {"type": "string"}, "inner": {"$ref": "#/components/schemas/Address"}},
}
TYPE = {"type": "string", "enum": ["Residential", "Commercial"]}


def documented(body: dict | None, *answered: tuple[str, dict | None]) -> dict:
    """An operation as OpenAPI has it; `answered` are statuses and schemas."""
    responses = {
        status: {"content": {"application/json": {"schema": schema}}} if schema is not None else {}
        for status, schema in (*answered, ("400", {}))
    }
    return {"responses": responses} | (
        {"requestBody": {"content": {"application/json": {"schema": body}}}} if body else {}
    )


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Documents:
    """A handful of operations; all others are absent."""
    folder = tmp_path_factory.mktemp("documents")
    reference = {"$ref": "#/components/schemas/Customer"}
    thing = {"type": "object", "properties": {"id": {"type": "integer"}}}
    record = {"type": "object", "properties": {"id": {"type": "integer"}, "name": {"type": "string"}}}
    file = {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
    crm = {
        "/tenant/{tenant}/customers": {"post": documented(reference, ("200", record))},
        "/tenant/{t}/customers/{customer}": {"patch": documented(None, ("204", None), ("200", thing))},
        "/tenant/{t}/leads": {"post": documented({"type": "array", "items": reference}, ("201", {"type": "integer"}))},
        "/tenant/{t}/leads/{id}/dismiss": {"post": documented(None, ("200", None))},
        "/tenant/{t}/tags": {"delete": documented(reference, ("200", {"type": "array", "items": record}))},
    }
    pricebook = {"/tenant/{tenant}/images": {"post": documented(file, ("201", file))}}
    schemas = {"Customer": CUSTOMER, "Address": ADDRESS, "Type": TYPE}
    for module, paths in (("crm", crm), ("pricebook", pricebook)):
        document = {
            "servers": [{"url": f"https://api.servicetitan.io/{module}/v2"}],
            "paths": paths,
            "components": {"schemas": schemas},
        }
        (folder / f"{module}.json").write_text(json.dumps(document))
    return Documents(folder)


def below(node: Node) -> Iterator[BodyField]:
    """A node's field and all fields below it."""
    yield node.field
    for inner in (*node.children.values(), *filter(None, [node.element])):
        yield from below(inner)


@ALL
def test_every_operation_has_an_answer(operation: Operation):
    """One line each, of the status that the table has."""
    assert answers()[operation.title] in set(Answer)
    assert read_answers()[operation.title].status == operation.status


@ALL
def test_a_tree_holds_every_field_once(operation: Operation):
    """In its parent, and the parent of each is documented; lists are those of the table."""
    fields, root = load()[operation.title], tree(operation.title)
    paths = [field.path for field in fields]
    assert len(set(paths)) == len(paths)
    assert {field.parent for field in fields} - {""} <= set(paths)
    assert (root is None) == (not fields)
    if root is None:
        assert top_names(operation.title) == ()
        return
    assert sorted(field.path for field in below(root)) == sorted(["", *paths])
    assert (root.field.type == "array") == operation.is_list == (paths[0] == "[]")
    names = [field.name for field in fields if field.parent == ("[]" if operation.is_list else "")]
    assert top_names(operation.title) == tuple(names)


def test_the_files_hold_what_the_table_has():
    """Each operation's lines are in its module's file, and there are none of others."""
    places = {
        (f"{row['entity']}:{row['operation']}", path.stem)
        for path in FOLDER.glob("*.csv")
        if path.name != ANSWERS
        for row in lines(path)
    }
    assert {(title, module_of(BY_TITLE[title])) for title, _ in places} == places
    assert list(read_answers()) == [operation.title for operation in OPERATIONS]


def test_what_is_withdrawn_is_known_too():
    """The facts of operations that the documents lost, and of one that they do not have yet."""
    assert top_names("jobs:complete") == ("completedOn",)
    assert top_names("suppressions:add") == ("emails", "reason")
    assert answers()["jobs:create-job-timesheet"] == "id"
    assert load()["report_category:start-get-data"][0] == BodyField(
        "parameters", "array", "", nullable=False, required=True, enum=()
    )


def test_an_upload_is_what_we_say_it_is():
    """The documents know of a file and no more."""
    uploads = [operation.title for operation in OPERATIONS if operation.is_upload]
    assert len(uploads) == 4
    for title in uploads:
        assert load()[title] == UPLOAD
        assert title not in read()
        assert top_names(title) == ("file_name", "content_type", "content")


def test_what_is_written_is_what_is_read(tmp_path: Path):
    """Names, flags, enums and answers, behind a line that says where they come from."""
    fields = {
        "jobs:create": (
            BodyField("[]", "object", "", nullable=False, required=False, enum=()),
            BodyField("[].a", "string", "date", nullable=True, required=True, enum=("One", "Two, or more")),
        )
    }
    found = {"jobs:create": Success(201, Answer.INTEGER)}
    write(tmp_path / "jpm.csv", fields)
    write_answers(tmp_path / ANSWERS, found)
    assert read(tmp_path) == fields
    assert read_answers(tmp_path) == found
    assert all(path.read_text().startswith(MARK) for path in tmp_path.iterdir())


def test_bodies_come_from_the_documents(documents: Documents, tmp_path: Path):
    """Paths, types, nulls, enums and what is required in its object; a schema inside itself ends."""
    found = discover_bodies(documents, tmp_path)
    assert found.fields["customers:create"] == (
        BodyField("name", "string", "", nullable=False, required=True, enum=()),
        BodyField("type", "string", "", nullable=True, required=False, enum=("Residential", "Commercial")),
        BodyField("tags", "array", "", nullable=False, required=True, enum=()),
        BodyField("tags[]", "integer", "int64", nullable=True, required=False, enum=()),
        BodyField("address", "object", "", nullable=False, required=False, enum=()),
        BodyField("address.street", "string", "", nullable=False, required=True, enum=()),
        BodyField("address.inner", "object", "", nullable=False, required=False, enum=()),
        BodyField("anything", "any", "", nullable=False, required=False, enum=()),
    )
    assert [field.path for field in found.fields["leads:create"]][:3] == ["[]", "[].name", "[].type"]
    assert found.fields["customers:update"] == found.fields["images:post"] == ()


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("customers:create", Success(200, Answer.RECORD)),
        ("customers:update", Success(200, Answer.ID)),
        ("leads:create", Success(201, Answer.INTEGER)),
        ("leads:dismiss", Success(200, Answer.EMPTY)),
        ("customers:remove-tags", Success(200, Answer.OTHER)),
        ("images:post", Success(201, Answer.OTHER)),
    ],
)
def test_answers_come_from_the_documents(documents: Documents, tmp_path: Path, title: str, expected: Success):
    """The lowest status of success, and what its schema is."""
    assert discover_bodies(documents, tmp_path).answers[title] == expected


def test_what_the_documents_lack_stays(documents: Documents):
    """Of operations that are withdrawn or new the registry keeps what it has."""
    before, found = read(), discover_bodies(documents)
    assert "jobs:complete" in found.kept
    assert "customers:create" not in found.kept
    assert len(found.kept) == len(OPERATIONS) - len(documents.operations)
    assert all(found.fields[title] == before.get(title, ()) for title in found.kept)
    assert all(found.answers[title] == read_answers()[title] for title in found.kept)


def test_a_second_time_changes_nothing(documents: Documents, tmp_path: Path):
    """The first names every file that it wrote."""
    first = write_bodies(discover_bodies(documents), tmp_path)
    assert {path.name for path in first} == {path.name for path in FOLDER.glob("*.csv")}
    assert write_bodies(discover_bodies(documents, tmp_path), tmp_path) == []


def test_the_registry_is_as_it_would_be_written(tmp_path: Path):
    """Byte by byte, in the table's order: nobody wrote into it by hand."""
    for path in FOLDER.glob("*.csv"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    nothing = Documents.__new__(Documents)
    nothing.operations = {}
    assert write_bodies(discover_bodies(nothing, tmp_path), tmp_path) == []
