"""ServiceTitan's OpenAPI documents to the registry of bodies: what write operations take and answer.

The documents are read where the user keeps them, and only facts about fields are kept. Operations that are not in them,
because they are withdrawn or new, keep what the registry says of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from discovery.openapi import Documents, Schema, follow, one_field
from outbound.operations import OPERATIONS, Operation
from outbound.registry import (
    ANSWERS,
    FOLDER,
    Answer,
    BodyField,
    Success,
    read,
    read_answers,
    write,
    write_answers,
)


@dataclass(frozen=True, slots=True)
class Bodies:
    """What is known of the operations, by title."""

    fields: dict[str, tuple[BodyField, ...]]
    answers: dict[str, Success]
    kept: tuple[str, ...]  # titles of operations that the documents lack


def discover_bodies(documents: Documents, folder: Path = FOLDER) -> Bodies:
    """What the documents say of every operation, and what the registry in `folder` says of those they lack."""
    fields, answers = read(folder), read_answers(folder)
    kept = []
    for operation in OPERATIONS:
        found = documents.operations.get(operation.place)
        if not found:
            kept.append(operation.title)
            continue
        fields[operation.title] = () if operation.is_upload else tuple(body_fields(*found))  # the documents say: a file
        answers[operation.title] = success(*found)
    titles = [operation.title for operation in OPERATIONS]
    return Bodies(
        {title: fields.get(title, ()) for title in titles},
        {title: answers[title] for title in titles if title in answers},
        tuple(kept),
    )


def body_fields(operation: Schema, document: Schema) -> Iterator[BodyField]:
    """Every field of an operation's body, depth first; none where it takes no body."""
    content = operation.get("requestBody", {}).get("content", {})
    schema = follow(content.get("application/json", {}).get("schema", {}), document)
    return (field for field in fields_at("", schema, document, (), required=True) if field.path)


def fields_at(
    path: str, schema: Schema, document: Schema, above: tuple[str, ...], *, required: bool
) -> Iterator[BodyField]:
    """The field at `path` and every field below it; a schema inside itself is not entered again."""
    own = next(one_field(path, schema, document, ()))
    yield BodyField(path, own.type, own.format, own.nullable, required, own.enum)
    name = schema.get("$name", "")
    if name in above:
        return
    inside = (*above, name) if name else above
    if own.type == "array":
        item = follow(schema.get("items", {}), document)
        yield from fields_at(f"{path}[]", item, document, inside, required=False)
    for child, part in schema.get("properties", {}).items():
        below = f"{path}.{child}" if path else child
        is_required = child in schema.get("required", ())
        yield from fields_at(below, follow(part, document), document, inside, required=is_required)


def success(operation: Schema, document: Schema) -> Success:
    """The status of success, the lowest where there are several, and what comes with it."""
    status = min(status for status in operation["responses"] if status.startswith("2"))
    content = operation["responses"][status].get("content")
    if not content:
        return Success(int(status), Answer.EMPTY)
    schema = follow(next(iter(content.values())).get("schema", {}), document)
    return Success(int(status), answer_of(schema))


def answer_of(schema: Schema) -> Answer:
    """What an answer of this schema is."""
    names = set(schema.get("properties", ()))
    if "id" in names:
        return Answer.ID if names == {"id"} else Answer.RECORD
    return Answer.INTEGER if schema.get("type") == "integer" else Answer.OTHER


def write_bodies(bodies: Bodies, folder: Path = FOLDER) -> list[Path]:
    """Write the registry, one file a module and one of answers; the paths whose content changed."""
    before = {path: path.read_bytes() for path in folder.glob("*.csv")}
    for module in sorted(set(map(module_of, OPERATIONS))):
        own = [operation.title for operation in OPERATIONS if module_of(operation) == module]
        write(folder / f"{module}.csv", {title: bodies.fields[title] for title in own})
    write_answers(folder / ANSWERS, bodies.answers)
    return [path for path in sorted(folder.glob("*.csv")) if path.read_bytes() != before.get(path)]


def module_of(operation: Operation) -> str:
    """The module that an operation is in: the first part of its address."""
    return operation.base.split("/")[1]
