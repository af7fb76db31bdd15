"""Bodies of requests in the documents. What a body holds is read by whoever answers, in a thread and with every digit."""

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, ClassVar

from litestar.dto import AbstractDTO, DTOFieldDefinition
from litestar.typing import FieldDefinition

if TYPE_CHECKING:
    from litestar._openapi.schema_generation import SchemaCreator
    from litestar.openapi.spec import Reference, Schema


class Body(AbstractDTO[Any]):
    """A body that is handed on as it came, and documented as a type."""

    kind: ClassVar[Any]

    def decode_bytes(self, value: bytes) -> bytes:
        """The bytes themselves."""
        return value

    @classmethod
    def create_for_field_definition(cls, *_: Any, **__: Any) -> None:
        """Nothing is to be made."""

    @classmethod
    def create_openapi_schema(
        cls,
        field_definition: FieldDefinition,  # noqa: ARG003  the base's
        handler_id: str,  # noqa: ARG003  the base's
        schema_creator: "SchemaCreator",
    ) -> "Reference | Schema":
        """The schema of the type."""
        return schema_creator.for_field_definition(FieldDefinition.from_annotation(cls.kind))

    @classmethod
    def generate_field_definitions(cls, model_type: type[Any]) -> Generator[DTOFieldDefinition, None, None]:  # noqa: ARG003  the base's
        """None: nothing is taken apart here."""
        yield from ()

    @classmethod
    def detect_nested_field(cls, field_definition: FieldDefinition) -> bool:  # noqa: ARG003  the base's
        """Never."""
        return False


def body_of(kind: Any) -> type[Body]:
    """What a handler whose `data` are the bytes of such a body gives Litestar as `dto`."""
    return type("Body", (Body,), {"kind": kind})
