"""ServiceTitan's answers to changes, and bodies as httpx sends them."""

import base64
from typing import Any

import msgspec

from outbound.operations import Operation
from outbound.queue import ENCODER


def is_cut(body: bytes) -> bool:
    """Whether an answer is no whole JSON, and not empty either."""
    try:
        msgspec.json.decode(body)
    except msgspec.DecodeError:
        return bool(body.strip())
    return False


def own_id(value: dict[str, Any], singular: str) -> Any:
    """The id in an answer: its own, one named after what was made, or the only one; also of an object inside it."""
    if value.get("id") is not None:
        return value["id"]
    names = [name for name in value if name.endswith("Id") and not name.endswith("ById")]
    for word in (singular.replace("_", ""), singular.rpartition("_")[2]):
        if len(named := [name for name in names if name.lower().endswith(f"{word}id")]) == 1:
            return value[named[0]]
    if len(names) == len(value) == 1:
        return value[names[0]]
    inside = next(iter(value.values())) if len(value) == 1 else None
    return own_id(inside, singular) if isinstance(inside, dict) else None


def new_id_of(body: bytes, entity: str) -> str | None:
    """The id of what was made, from ServiceTitan's answer: a number, or an object that has it."""
    try:
        value = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    if isinstance(value, dict):
        value = own_id(value, entity.removesuffix("s"))
    return str(value) if isinstance(value, int | str) and not isinstance(value, bool) else None


def parts(operation: Operation, body: Any) -> dict[str, Any]:
    """A body as httpx takes it."""
    if operation.is_upload:
        return {"files": {"file": (body["file_name"], base64.b64decode(body["content"]), body["content_type"])}}
    if body is None:
        return {}
    return {"content": ENCODER.encode(body), "headers": {"content-type": "application/json"}}


def at(values: Any, path: str) -> Any:
    """The value at a dotted path; None where it ends early."""
    for name in path.split("."):
        values = values.get(name) if isinstance(values, dict) else None
    return values


def listed(names: dict[str, Any]) -> str:
    """Names for a message."""
    return ", ".join(f"`{name}`" for name in names)
