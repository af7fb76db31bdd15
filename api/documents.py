"""Our rows in the OpenAPI document, straight from their relations: Litestar's own way through types takes ten times as long."""

from decimal import Decimal
from typing import Any

from litestar.openapi.spec import OpenAPIType, Schema
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition

from api.relations import Column
from api.schemas import RELATIONS

NULL = OpenAPIType.NULL
WORDS: dict[str, dict[str, Any]] = {
    "BIGINT": {"type": OpenAPIType.INTEGER, "format": "int64"},
    "NUMERIC(18,6)": {"type": OpenAPIType.NUMBER, "format": "decimal"},
    "DOUBLE PRECISION": {"type": OpenAPIType.NUMBER, "format": "double"},
    "BOOLEAN": {"type": OpenAPIType.BOOLEAN},
    "TEXT": {"type": OpenAPIType.STRING},
    "TIMESTAMPTZ": {"type": OpenAPIType.STRING, "format": "date-time"},
    "DATE": {"type": OpenAPIType.STRING, "format": "date"},
    "JSONB": {},
}
"""JSON Schema by SQL type."""


class RowSchemas(OpenAPISchemaPlugin):
    """The schemas of rows."""

    def is_plugin_supported_field(self, field_definition: FieldDefinition) -> bool:
        """Whether a type is a row."""
        return not field_definition.is_union and field_definition.annotation in RELATIONS

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Schema:
        """A row's schema, known from then on by its name."""
        kind = field_definition.annotation
        relation, more = RELATIONS[kind]
        schema: Schema = schema_creator.schema_registry.get_schema_for_field_definition(field_definition)
        schema.title, schema.type = kind.__name__, OpenAPIType.OBJECT
        schema.required = sorted(relation.key)
        schema.properties = {
            column.name: described(column, nullable=column.name not in relation.key) for column in relation.columns
        }
        for name, other in more:
            schema.properties[name] = schema_creator.for_field_definition(FieldDefinition.from_annotation(other | None))
        return schema


class DecimalSchemas(OpenAPISchemaPlugin):
    """Money is a number, with all of its digits."""

    def is_plugin_supported_field(self, field_definition: FieldDefinition) -> bool:
        """Whether a type is money."""
        return field_definition.annotation is Decimal

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Schema:  # noqa: ARG002  the base's
        """A number."""
        return Schema(**WORDS["NUMERIC(18,6)"])


def described(column: Column, *, nullable: bool) -> Schema:
    """A column's schema."""
    words = dict(WORDS[column.type])
    if nullable and "type" in words:
        words["type"] = [words["type"], NULL]
    return Schema(**words, description=column.description)
