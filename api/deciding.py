"""What people decide about mutations: to approve, reject, retry, cancel or resolve one."""

from typing import Any

import msgspec

from api.digits import decoded
from api.mutation_schemas import MutationAnswer, Resolution, detail
from api.problems import NotNowError
from outbound.exceptions import BadMutationError, NotAllowedError
from outbound.policy import check_approver
from outbound.queue import Mutation, Queue
from outbound.request import checked
from outbound.state import HELD, possible
from store.keys import Key

LONGEST_NOTE = 1000  # characters
SCOPES = {"approve": "admin", "reject": "admin", "retry": "mutate", "cancel": "mutate"}
"""The decisions that need no more words, and the scope that each one needs."""

SUMMARIES = {
    "approve": "Let a held mutation go; by somebody who did not initiate it",
    "reject": "Refuse a held mutation; by somebody who did not initiate it",
    "retry": "Try a failed mutation again",
    "cancel": "Give a mutation up that was not sent, or failed",
}


def decided(
    queue: Queue, key: Key, ident: int, by: str, *, said: str = "", new_id: str | None = None
) -> MutationAnswer:
    """A mutation after a decision. Raises NoMutationError, or NotNowError that says what is possible instead."""
    mutation = queue.get(ident, key.tenant_id)
    try:
        check(mutation, key, by)
        approved_by = key.name if by == "approve" else None
        done = queue.decide(mutation, by, key.name, said, new_id=new_id, approved_by=approved_by)
    except NotAllowedError as error:
        state = queue.get(ident, key.tenant_id).state
        raise NotNowError(str(error), allowed=possible(state)) from None
    return MutationAnswer(detail(done))


def check(mutation: Mutation, key: Key, by: str) -> None:
    """Raise NotAllowedError where somebody else must decide."""
    if SCOPES.get(by) == "admin" and mutation.state is HELD:
        check_approver(mutation, key_id=key.key_id, name=key.name)


def resolved(queue: Queue, key: Key, ident: int, body: bytes) -> MutationAnswer:
    """A mutation after somebody said what became of it. Raises ApiError, BadMutationError or NoMutationError."""
    queue.get(ident, key.tenant_id)
    word = read(decoded(body))
    new_id = None if word.new_id is None else checked("new_id", word.new_id)
    return decided(queue, key, ident, f"resolve {word.as_}", said=word.note or "", new_id=new_id)


def read(value: Any) -> Resolution:
    """A resolution from decoded JSON. Raises BadMutationError."""
    try:
        word = msgspec.convert(value, Resolution)
    except msgspec.ValidationError as error:
        raise BadMutationError(
            f"The resolution is not right: {error}. It has `as` (`done`, `not_done`, `mine` or `theirs`), and may have "
            "`new_id` and `note`."
        ) from None
    if word.new_id is not None and word.as_ != "done":
        raise BadMutationError("`new_id` is the id of what was made: it comes with `done` alone.", "new_id")
    if word.note is not None and (len(word.note) > LONGEST_NOTE or not word.note.isprintable()):
        raise BadMutationError(f"`note` has at most {LONGEST_NOTE} printable characters, on one line.", "note")
    return word
