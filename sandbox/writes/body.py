"""A request's body: decoded, checked as ServiceTitan checks it, and without what it does not know.

Unknown fields are dropped in silence. Wrong types and missing fields are a 400 that names them; null is taken wherever
a field is not required.
"""

from base64 import b64encode
from collections.abc import Callable
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any
from uuid import UUID

import msgspec

from outbound.operations import Operation
from outbound.registry import BodyField, Node, tree
from sandbox import clock
from sandbox.problem import Problem

Errors = dict[str, list[str]]
INVALID = "One or more validation errors occurred."


def is_guid(text: str) -> bool:
    """Whether a text is a GUID."""
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def is_moment(text: str) -> bool:
    """Whether a text is a date or a moment."""
    try:
        clock.parse(text)
    except ValueError:
        return False
    return True


TYPES: dict[str, Callable[[Any], bool]] = {
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "any": lambda _value: True,
}
FORMATS: dict[str, Callable[[str], bool]] = {"guid": is_guid, "date-time": is_moment, "date": is_moment}


def decoded(raw: bytes) -> Any:
    """A body as JSON; none is an empty object. Raises Problem."""
    try:
        return msgspec.json.decode(raw) if raw.strip() else {}
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, INVALID, {"$": [f"The body is not JSON: {error}."]}) from error


def uploaded(content_type: str, raw: bytes) -> dict[str, str]:
    """The file in a form: its name, its type and its content in base64. Raises Problem where there is none."""
    form = BytesParser(EmailMessage, policy=default).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + raw)
    for part in form.walk():
        if name := part.get_filename():
            content = part.get_payload(decode=True)
            text = b64encode(content if isinstance(content, bytes) else b"").decode()
            return {"file_name": name, "content_type": part.get_content_type(), "content": text}
    raise Problem(400, INVALID, {"file": ["The file field is required."]})


def accepted(operation: Operation, sent: Any) -> Any:
    """What an operation takes of a body. Raises Problem with all that is wrong."""
    root = tree(operation.title)
    if root is None:
        return {}
    errors: Errors = {}
    found = taken(root, [] if operation.is_list and sent == {} else sent, "", errors)
    if errors:
        raise Problem(400, INVALID, errors)
    return found


def taken(node: Node, value: Any, where: str, errors: Errors) -> Any:
    """What is known of a value; notes what is wrong."""
    if value is None and where:
        return None
    if not fits(node.field, value):
        errors.setdefault(where or "$", []).append(f"The value is not valid for {where or 'the body'}.")
    elif isinstance(value, list) and node.element:
        return [taken(node.element, one, f"{where}[{place}]", errors) for place, one in enumerate(value)]
    elif isinstance(value, dict) and node.children:
        return fields(node, value, where, errors)
    return value


def fields(node: Node, value: dict[str, Any], where: str, errors: Errors) -> dict[str, Any]:
    """The known fields of an object; notes which are missing and wrong."""
    known = {}
    for name, child in node.children.items():
        path = f"{where}.{name}" if where else name
        if child.field.required and value.get(name) is None and not (name in value and child.field.nullable):
            errors.setdefault(path, []).append(f"The {name} field is required.")
        elif name in value:
            known[name] = taken(child, value[name], path, errors)
    return known


def fits(field: BodyField, value: Any) -> bool:
    """Whether a value is of a field's type, format and enum."""
    if not TYPES[field.type](value):
        return False
    if field.enum and isinstance(value, str):
        return value.casefold() in {known.casefold() for known in field.enum}
    is_of_format = FORMATS.get(field.format) if isinstance(value, str) else None
    return is_of_format is None or is_of_format(value)
