"""What somebody asks for, checked against the table of operations before anything is queued."""

import hashlib
import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import msgspec

from outbound.body import check
from outbound.exceptions import BadMutationError, NotOfferedError
from outbound.operations import ALIASES, CREATE, POST, Alias, Operation, find
from outbound.queue import Wanted
from sources.servicetitan.catalog import BY_NAME, Entity

VALUE = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9_.:~@-]{1,100}", re.ASCII)
DETERMINISTIC = msgspec.json.Encoder(decimal_format="number", order="deterministic")
GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
LONGEST_NAME = 200  # characters of an idempotency key or of who initiates


class Asked(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A change that somebody wants."""

    entity_type: str
    operation: str
    entity_id: int | str | None = None  # where the operation is about one record
    path_params: dict[str, int | str] = {}  # values for further parameters of the path: `contactId`
    payload: Any = None  # the body as ServiceTitan takes it
    initiated_by: str | None = None  # who wants it; the key's name by default
    based_on_payload_hash: str | None = None  # the version that the change was made on; the newest by default
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A change that fits its operation."""

    operation: Operation
    record_id: str | None
    places: dict[str, str]
    body: Any
    lane: str | None
    lane_above: str | None = None

    @property
    def path(self) -> str:
        """The path behind the tenant's id."""
        return filled(self.operation.path, self.places)


def filled(path: str, places: dict[str, str]) -> str:
    """A path with its parameters."""
    for name, value in places.items():
        path = path.replace(f"{{{name}}}", value)
    return path


def prepared(asked: Asked, *, with_withdrawn: bool = False) -> Prepared:
    """What is asked for as one operation. Raises OutboundError of the kind that says what is wrong."""
    operation, alias = find(asked.entity_type, asked.operation)
    if operation.is_withdrawn and not with_withdrawn:
        raise NotOfferedError(
            f"ServiceTitan took `{operation.title}` out of its documents in 2026-05, so that it is off here. If it works for "
            "your application, set `LAZI_WITHDRAWN_OPERATIONS=on`."
        )
    body = asked.payload
    if alias and alias.record_field:
        body = with_record(asked, alias)
    record_id = named_record(asked, operation, alias)
    places = path_values(asked, operation, record_id)
    check(operation, body)
    lane, above = lanes(operation, places, record_id, body)
    return Prepared(operation, record_id, places, body or None, lane, above)


def with_record(asked: Asked, alias: Alias) -> Any:
    """The body with the record's id where the operation takes it there. Raises BadMutationError."""
    if asked.entity_id is None:
        raise needs_id(f"{alias.entity}:{alias.name}")
    body = {} if asked.payload is None else asked.payload
    if not isinstance(body, dict):
        return body
    given = str(body.get(alias.record_field, asked.entity_id))
    if given != str(asked.entity_id):
        raise BadMutationError(
            f"`entity_id` is `{asked.entity_id}` and `payload.{alias.record_field}` is `{given[:100]}`. Name one record.",
            "entity_id",
        )
    return {alias.record_field: number(asked.entity_id), **body}


def number(value: int | str) -> int | str:
    """An id as the number that it is."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def needs_id(title: str) -> BadMutationError:
    """The error for a missing record."""
    return BadMutationError(f"`{title}` is about one record: `entity_id` must name it.", "entity_id")


def named_record(asked: Asked, operation: Operation, alias: Alias | None) -> str | None:
    """The id of the record that the change is about; None where it is about none. Raises BadMutationError."""
    if asked.entity_id is None:
        if operation.record:
            raise needs_id(operation.title)
        return None
    if not operation.record and not (alias and alias.record_field):
        what = "makes a record" if operation.kind is CREATE else "names its records in the payload"
        raise BadMutationError(
            f"`{operation.title}` {what}, so that it takes no `entity_id`. Leave it out.", "entity_id"
        )
    return checked("entity_id", asked.entity_id)


def checked(name: str, value: int | str) -> str:
    """A value for a path. Raises BadMutationError."""
    if isinstance(value, bool) or not VALUE.fullmatch(str(value)):
        raise BadMutationError(
            f"`{name}` is `{str(value)[:100]}`; an id has up to 100 letters, digits and signs of `_.:~@-`.", name
        )
    text = str(value)
    if GUID.fullmatch(text):  # as ServiceTitan writes it
        return text.lower()
    return str(int(text)) if text.isdecimal() else text


def path_values(asked: Asked, operation: Operation, record_id: str | None) -> dict[str, str]:
    """The values of all of the path's parameters. Raises BadMutationError."""
    known = [name for name in operation.placeholders if name != operation.record]
    if unknown := sorted(asked.path_params.keys() - set(known)):
        near = get_close_matches(unknown[0], known, 1)
        hint = f" Did you mean `{near[0]}`?" if near else ""
        listed = ", ".join(f"`{name}`" for name in known) or "none"
        raise BadMutationError(
            f"`path_params` has `{unknown[0][:100]}`, which the path of `{operation.title}` does not.{hint} Known: {listed}.",
            "path_params",
        )
    if missing := [name for name in known if name not in asked.path_params]:
        raise BadMutationError(
            f"`{operation.title}` needs {' and '.join(f'`{name}`' for name in missing)} in `path_params`.",
            "path_params",
        )
    given = {name: checked(f"path_params.{name}", asked.path_params[name]) for name in known}
    if operation.record:
        given[operation.record] = record_id or ""
    return {name: given[name] for name in operation.placeholders}


def lanes(
    operation: Operation, places: dict[str, str], record_id: str | None, body: Any
) -> tuple[str | None, str | None]:
    """What is changed one after another: a record with everything below it, and the list that it is in.

    What changes records that its body names has the whole list for its lane, and none above; so has nothing that only makes
    something: its order does not matter.
    """
    base = operation.base.strip("/")
    if operation.record and record_id is not None:
        head = filled(operation.path.partition(f"/{{{operation.record}}}")[0], places)
        return f"{base}/{head}/{record_id.casefold()}", f"{base}/{head}"
    if named := named_in_body(operation, body):
        entity, key = named
        head = f"{entity.base.strip('/')}/{entity.list_path}"
        return f"{head}/{key.casefold()}", head
    if operation.kind is CREATE or (operation.method == POST and not operation.is_harmless_twice):
        return None, None
    return f"{base}/{operation.list_head}", None


def named_in_body(operation: Operation, body: Any) -> tuple[Entity, str] | None:
    """The record that an operation is about where its body names it, as one of the original's names says."""
    for alias in ALIASES:
        if alias.record_field and alias.means == (operation.entity, operation.name) and isinstance(body, dict):
            key = body.get(alias.record_field)
            return (BY_NAME[alias.entity], str(key)) if key is not None else None
    return None


def request_hash(asked: Asked) -> str:
    """A hash of all that is asked, whatever key it is asked under."""
    content = msgspec.structs.asdict(asked)
    content.pop("idempotency_key")
    return hashlib.sha256(DETERMINISTIC.encode(content)).hexdigest()


def wanted(
    asked: Asked,
    ready: Prepared,
    *,
    tenant_id: int,
    key_id: str,
    name: str,
    base: Any,
    base_hash: str | None,
    is_held: bool,
) -> Wanted:
    """A change as the queue takes it. Raises BadMutationError for names that are too long."""
    by = (asked.initiated_by or name).strip()
    for parameter, value in (("initiated_by", by), ("idempotency_key", asked.idempotency_key)):
        if value is not None and (not value.strip() or len(value) > LONGEST_NAME or not value.isprintable()):
            raise BadMutationError(f"`{parameter}` has 1 to {LONGEST_NAME} printable characters.", parameter)
    return Wanted(
        tenant_id=tenant_id,
        entity=ready.operation.entity,
        operation=ready.operation.name,
        record_id=ready.record_id,
        places=ready.places,
        payload=ready.body,
        lane=ready.lane and f"{tenant_id}/{ready.lane}",
        lane_above=ready.lane_above and f"{tenant_id}/{ready.lane_above}",
        initiated_by=by,
        key_id=key_id,
        request_hash=request_hash(asked),
        idempotency_key=asked.idempotency_key,
        base=base,
        base_hash=base_hash,
        is_held=is_held,
    )
