"""ServiceTitan's OpenAPI documents to the field registry.

The documents are read where the user keeps them and are not part of this project; only facts about fields are kept.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sources.servicetitan.catalog import CATALOG, MODULES, Entity
from sources.servicetitan.registry import FOLDER, Field, write

Schema = dict[str, Any]

MONEY = re.compile(r"(?:^|[a-z])(?:total|amount|cost|price|quantity|balance|tax)$", re.IGNORECASE)
"""Names under which the accounting module sends decimals as text."""


UNDOCUMENTED = {"service_agreement_custom_fields": "membership_custom_fields"}
"""Entities newer than the documents, with one of the same shape."""

NAMED = {"job_attachments": "Forms.V2.AttachmentResponse"}
"""Entities whose answer has no schema, with the schema of the same thing elsewhere."""


class DocumentError(ValueError):
    """A folder does not hold the documents that were expected in it."""


class Documents:
    """A folder of OpenAPI documents, looked up by method and full path."""

    def __init__(self, folder: Path) -> None:
        """Read every `*.json` in `folder`. Raises DocumentError when none is an OpenAPI document."""
        self.operations: dict[tuple[str, str], tuple[Schema, Schema]] = {}
        for path in sorted(folder.glob("*.json")):
            document = json.loads(path.read_text(encoding="utf-8"))
            if "paths" not in document:
                continue
            base = urlsplit(document["servers"][0]["url"]).path
            for route, methods in document["paths"].items():
                for method, operation in methods.items():
                    self.operations[method.upper(), placeless(base + route)] = operation, document
        if not self.operations:
            raise DocumentError(
                f"No OpenAPI document in `{folder}`: expected files such as `crm-v2.json`, as ServiceTitan's developer "
                "portal offers them for download."
            )

    def record(self, method: str, path: str, records: str) -> tuple[Schema, Schema] | None:
        """The schema of one record in the answer to a request, and its document; None for an unknown path.

        `records` is the name under which the answer holds them; empty when the answer is the record.
        """
        found = self.operations.get((method, placeless(path)))
        if not found:
            return None
        operation, document = found
        content = operation["responses"]["200"].get("content", {})
        schema = follow(content.get("application/json", {}).get("schema", {}), document)
        if records and records in schema.get("properties", {}):
            schema = follow(schema["properties"][records], document)
        return (follow(schema["items"], document) if "items" in schema else schema), document

    def named(self, name: str) -> tuple[Schema, Schema]:
        """A schema by name, and its document; an empty one for an unknown name."""
        for _, document in self.operations.values():
            if name in document["components"]["schemas"]:
                return document["components"]["schemas"][name], document
        return {}, {}


def placeless(path: str) -> str:
    """A path without the names of its placeholders."""
    return re.sub(r"\{[^{}]*\}", "{}", path)


def follow(schema: Schema, document: Schema) -> Schema:
    """`schema` with references and nullable unions resolved, one level."""
    merged: Schema = {}
    while True:
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            merged["$name"] = name
            schema = document["components"]["schemas"][name]
        elif choices := schema.get("oneOf") or schema.get("allOf"):
            real = [choice for choice in choices if choice.get("type") != "null"]
            if len(real) < len(choices):
                merged["$nullable"] = True
            if len(real) != 1:
                return {**merged, "type": "any"}
            schema = real[0]
        else:
            return {**schema, **merged}


def fields_of(schema: Schema, document: Schema, prefix: str = "", above: tuple[str, ...] = ()) -> Iterator[Field]:
    """Every field below a record's schema, depth first; a schema inside itself is not entered again."""
    for name, part in schema.get("properties", {}).items():
        resolved = follow(part, document)
        yield from one_field(prefix + name, resolved, document, above)


def record_fields(schema: Schema, document: Schema) -> Iterator[Field]:
    """Every field of a record; a bare value is the field `value`, as paging wraps it."""
    if "properties" in schema or schema.get("type", "object") == "object":
        return fields_of(schema, document)
    return one_field("value", schema, document, ())


def one_field(path: str, schema: Schema, document: Schema, above: tuple[str, ...]) -> Iterator[Field]:
    """The field at `path` and every field below it."""
    kinds = schema.get("type", "any")
    names = kinds if isinstance(kinds, list) else [kinds]
    kind = next((n for n in names if n != "null"), "any")
    nullable = "null" in names or schema.get("$nullable", False)
    form = schema.get("format", "")
    enum = tuple(str(value) for value in schema.get("enum", ()) if value is not None)
    yield Field("", path, kind, form, nullable, enum, "")
    name = schema.get("$name", "")
    if name in above:
        return
    inside = (*above, name) if name else above
    if kind == "array":
        item = follow(schema.get("items", {}), document)
        yield from one_field(path + "[]", item, document, inside)
    elif kind == "object":
        yield from fields_of(schema, document, path + ".", inside)


def discover(documents: Documents, entity: Entity) -> tuple[Field, ...]:
    """The fields of an entity's records, from its list and its export together."""
    feeds: dict[str, dict[str, Field]] = {"list": {}, "export": {}}
    for feed, path in (("list", entity.path), ("export", entity.export_path)):
        found = documents.record(entity.method, f"{entity.base}{{}}/{path}", entity.records) if path else None
        if found:
            feeds[feed] = {field.path: field for field in record_fields(*found)}
    if entity.name in NAMED:
        feeds["list"] = {field.path: field for field in record_fields(*documents.named(NAMED[entity.name]))}
    return tuple(
        with_money(replace(field, entity=entity.name, feed=feed), entity)
        for feed, field in merge(feeds["list"], feeds["export"])
    )


def merge(listed: dict[str, Field], exported: dict[str, Field]) -> Iterator[tuple[str, Field]]:
    """Both feeds' fields, each with the feed that has it; where the types differ the field is `any`."""
    for path, field in {**exported, **listed}.items():
        if path in listed and path in exported:
            other = exported[path]
            same = (other.type, other.format) == (field.type, field.format)
            both = replace(field, nullable=field.nullable or other.nullable)
            yield "both", both if same else replace(both, type="any", format="")
        else:
            yield ("list" if path in listed else "export"), field


def with_money(field: Field, entity: Entity) -> Field:
    """Mark decimals that the accounting module sends as text."""
    is_text = field.type == "string" and not field.format and not field.enum
    money = entity.module == "accounting" and is_text and MONEY.search(field.path)
    return replace(field, format="decimal") if money else field


def discover_all(documents: Documents) -> dict[str, tuple[Field, ...]]:
    """The fields of every catalog entity. Raises DocumentError naming the entities without a documented field."""
    found = {entity.name: discover(documents, entity) for entity in CATALOG}
    for name, like in UNDOCUMENTED.items():
        found[name] = found[name] or tuple(replace(field, entity=name) for field in found[like])
    missing = [name for name, record in found.items() if not record]
    if missing:
        raise DocumentError(
            f"The documents describe no field of: {', '.join(missing)}. Is the folder complete (24 documents)?"
        )
    return found


def write_registry(found: dict[str, tuple[Field, ...]], folder: Path = FOLDER) -> list[Path]:
    """Write the registry, one file a module; the paths whose content changed."""
    changed = []
    for module in MODULES:
        path = folder / f"{module}.csv"
        before = path.read_bytes() if path.exists() else b""
        write(path, [field for entity in CATALOG if entity.module == module for field in found[entity.name]])
        if path.read_bytes() != before:
            changed.append(path)
    return changed
