"""From what is asked for to the queue: everything is checked before anything is queued."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, ParamSpec, TypeVar

import msgspec

from api.bases import Bases
from api.digits import decoded, exact
from api.mutation_schemas import MOST_AT_ONCE, BatchAnswer, BatchMeta, MutationAnswer, MutationRequest, detail, row
from api.problems import UnfitError, faults
from api.text import shortened
from outbound.body import shown
from outbound.exceptions import BadMutationError, KeyReusedError, OutboundError
from outbound.policy import needs_approval
from outbound.queue import Queue, QueueKey, Wanted, key_of
from outbound.request import Asked, Prepared, prepared, wanted
from outbound.secrets import check_shown
from store.keys import Key
from store.reader import Reader
from store.settings import OutboundSettings

P = ParamSpec("P")
T = TypeVar("T")
FIELDS = MutationRequest.__struct_fields__
REQUIRED = tuple(field.name for field in msgspec.structs.fields(Asked) if field.required)
KEY = "idempotency_key"


@dataclass(frozen=True, slots=True)
class Readied:
    """What is asked for, and the operation that it is."""

    asked: Asked
    ready: Prepared


@dataclass(frozen=True, slots=True)
class Changes:
    """The queue, and what is looked up before something is queued."""

    reader: Reader
    queue: Queue
    settings: OutboundSettings

    def needs_approval(self, ready: Prepared) -> bool:
        """Whether somebody else must approve a change."""
        return needs_approval(ready.operation, self.settings.approval)

    def readied(self, asked: Asked) -> Readied:
        """What is asked for as one operation. Raises OutboundError."""
        ready = prepared(asked, with_withdrawn=self.settings.with_withdrawn)
        check_shown(ready.operation.title, ready.body)
        return Readied(asked, ready)

    def wanted(self, key: Key, change: Readied, bases: Bases) -> Wanted:
        """A change as the queue takes it, with every digit that was sent. Raises BadMutationError."""
        asked, ready = change.asked, change.ready
        base = bases.of(ready, asked.based_on_payload_hash)
        return wanted(
            msgspec.structs.replace(asked, payload=exact(asked.payload)),
            replace(ready, body=exact(ready.body)),
            tenant_id=key.tenant_id,
            key_id=key.key_id,
            name=key.name,
            base=base.payload if base else None,
            base_hash=base.hash if base else None,
            is_held=self.needs_approval(ready),
        )


@dataclass(frozen=True, slots=True)
class Queued:
    """What a request came to."""

    body: MutationAnswer | BatchAnswer
    is_new: bool = True
    location: str = ""


def queued(changes: Changes, key: Key, body: bytes, header: str | None) -> Queued:
    """Queue one mutation or a batch; `header` is the request's idempotency key. Raises ApiError, OutboundError or StoreError."""
    value = decoded(body)
    if isinstance(value, dict) and "mutations" in value:
        return batch(changes, key, items(value), header)
    check_header(value, header)
    [found] = all_wanted(changes, key, [value], [header])
    if isinstance(found, OutboundError):
        raise found
    mutation, is_new = changes.queue.add(found)
    return Queued(MutationAnswer(detail(mutation)), is_new, f"/api/v1/mutations/{mutation.mutation_id}")


def batch(changes: Changes, key: Key, values: list[Any], header: str | None) -> Queued:
    """Queue several, or say of each one what is wrong with it."""
    headers = [None if header is None else f"{header}#{index}" for index in range(len(values))]
    found = all_wanted(changes, key, values, headers)
    checked = keys_checked(changes.queue, found)
    bad = {index: each for index, each in enumerate(checked) if isinstance(each, OutboundError)}
    if bad:
        raise UnfitError(
            f"{len(bad)} of {len(values)} mutations cannot be made as asked. Nothing was queued.",
            parameter="mutations",
            errors=[fault for index, error in bad.items() for fault in faults(error, index)],
        )
    done = changes.queue.add_all([each for each in checked if isinstance(each, Wanted)])
    new = sum(is_new for _, is_new in done)
    return Queued(BatchAnswer([row(mutation) for mutation, _ in done], BatchMeta(new, len(done) - new)))


def items(value: dict[str, Any]) -> list[Any]:
    """The mutations of a batch. Raises BadMutationError."""
    if others := sorted(value.keys() - {"mutations"}):
        raise BadMutationError(
            f"A batch has `mutations` and nothing else; this one has `{shortened(others[0])}`. Put it into each of them.",
            shortened(others[0]),
        )
    found = value["mutations"]
    if not isinstance(found, list) or not 1 <= len(found) <= MOST_AT_ONCE:
        what = f"a list of {len(found)}" if isinstance(found, list) else "no list"
        raise BadMutationError(f"`mutations` is {what}; it must be a list of 1 to {MOST_AT_ONCE}.", "mutations")
    return found


def all_wanted(
    changes: Changes, key: Key, values: Sequence[Any], headers: Sequence[str | None]
) -> list[Wanted | OutboundError]:
    """Each mutation as the queue takes it, or what is wrong with it."""
    asked = [tried(read, value, header) for value, header in zip(values, headers, strict=True)]
    ready = [each if isinstance(each, OutboundError) else tried(changes.readied, each) for each in asked]
    based = [(each.ready, each.asked.based_on_payload_hash) for each in ready if isinstance(each, Readied)]
    bases = Bases(changes.reader, key.tenant_id, based)
    return [tried(changes.wanted, key, each, bases) if isinstance(each, Readied) else each for each in ready]


def tried(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | OutboundError:
    """What a function returns, or the error that it raises."""
    try:
        return function(*args, **kwargs)
    except OutboundError as error:
        return error


def check_header(value: Any, header: str | None) -> None:
    """Raise BadMutationError where the header and the field name two idempotency keys."""
    field = value.get(KEY) if isinstance(value, dict) else None
    if header is not None and isinstance(field, str) and header != field:
        raise BadMutationError(
            f"The header `Idempotency-Key` is `{shortened(header)}` and `{KEY}` is `{shortened(field)}`. Send one of them.",
            KEY,
        )


def read(value: Any, header: str | None = None) -> Asked:
    """A mutation from decoded JSON, under the header's idempotency key if it has none of its own.

    Raises BadMutationError.
    """
    if not isinstance(value, dict):
        raise BadMutationError(f"A mutation is an object; this is {shown(value)}.")
    if unknown := sorted(value.keys() - set(FIELDS)):
        near = get_close_matches(unknown[0][:80], FIELDS, 1)
        hint = f" Did you mean `{near[0]}`?" if near else f" Known: {', '.join(f'`{name}`' for name in FIELDS)}."
        raise BadMutationError(f"`{shortened(unknown[0])}` is not a field of a mutation.{hint}", shortened(unknown[0]))
    if lacking := [name for name in REQUIRED if name not in value]:
        raise BadMutationError(f"The mutation has no {' and no '.join(f'`{name}`' for name in lacking)}.", lacking[0])
    try:
        asked = msgspec.convert(value, Asked)
    except msgspec.ValidationError as error:
        raise BadMutationError(f"The mutation is not right: {error}.") from None
    if header is None or asked.idempotency_key is not None:
        return asked
    return msgspec.structs.replace(asked, idempotency_key=header)


def keys_checked(queue: Queue, found: list[Wanted | OutboundError]) -> list[Wanted | OutboundError]:
    """The same, with an error for each whose idempotency key stands for something else, in the queue or in the batch."""
    rows = queue.by_key([each for each in found if isinstance(each, Wanted)])
    known = {key: row["request_hash"] for key, row in rows.items()}
    return [each if isinstance(each, OutboundError) else key_checked(each, known) for each in found]


def key_checked(change: Wanted, known: dict[QueueKey, str]) -> Wanted | KeyReusedError:
    """A change, or that its idempotency key stands for something else; `known` are hashes of requests by key."""
    key = key_of(change)
    if key is None or known.setdefault(key, change.request_hash) == change.request_hash:
        return change
    return KeyReusedError(
        f"The idempotency key `{change.idempotency_key}` stands for another request. Send that one again, or use another key."
    )
