"""What a person can do with a mutation, with which key, and why not. What is done, `deciding` and `reverting` do."""

from dataclasses import dataclass

import msgspec

from api.deciding import SCOPES, check, decided, resolved
from api.queueing import Changes
from api.reverting import UNDER_WAY, inverse, reverted, reverts, under_way
from outbound.exceptions import BadMutationError, NotAllowedError
from outbound.operations import BY_TITLE, UPDATE
from outbound.queue import Mutation, Queue
from outbound.state import COMPLETED, possible
from store.keys import Key

RESOLVE, REVERT = "resolve", "revert"
WORDS = {**SCOPES, RESOLVE: "mutate", REVERT: "mutate"}
"""Every action, and the scope that it needs."""

LABELS = {
    "approve": ("Approve", "It goes to ServiceTitan."),
    "reject": ("Reject", "It is given up, and nothing is sent."),
    "retry": ("Try again", "It goes to ServiceTitan once more."),
    "cancel": ("Cancel", "It is given up, and nothing more is sent."),
    REVERT: ("Revert", "Queues another mutation that gives the record its old values back."),
}
CHOICES = {
    "mine": ("Mine: send it", "It goes over what stands there now. What changes there after this is another conflict."),
    "theirs": ("Theirs: give it up", "What stands there stays, and nothing is sent."),
    "done": ("It was done", "It is completed. Give the id of what it made, where it made something."),
    "not_done": ("It was not done", "It goes to ServiceTitan once more."),
}
ORDER = ("approve", "reject", "retry", REVERT, "cancel")
TYPED = ("as", "note", "new_id")


@dataclass(frozen=True, slots=True)
class Action:
    """A button. `why` says why this key cannot press it."""

    word: str
    label: str
    told: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Actions:
    """All that can be done with a mutation as it stands."""

    buttons: list[Action]
    choices: list[Action]  # of a resolution
    why_not_resolve: str = ""

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.buttons or self.choices)


def actions(queue: Queue, key: Key, mutation: Mutation) -> Actions:
    """The buttons of a mutation for a key."""
    words = possible(mutation.state)
    buttons = [Action(word, *LABELS[word], refusal(key, mutation, word)) for word in ORDER if word in words]
    if mutation.state is COMPLETED and is_update(mutation):
        buttons.append(Action(REVERT, *LABELS[REVERT], lacking(key, REVERT) or no_inverse(queue, mutation)))
    choices = [Action(word, *told) for word, told in CHOICES.items() if f"{RESOLVE} {word}" in words]
    return Actions(buttons, choices, lacking(key, RESOLVE) if choices else "")


def is_update(mutation: Mutation) -> bool:
    """Whether it gave a record other values: nothing else has an inverse."""
    operation = BY_TITLE.get(mutation.title)
    return operation is not None and operation.kind is UPDATE


def lacking(key: Key, word: str) -> str:
    """That a key has not the scope of an action; empty where it has."""
    had = ", ".join(f"`{each}`" for each in sorted(key.scopes))
    return "" if WORDS[word] in key.scopes else f"This needs a key with the scope `{WORDS[word]}`; yours has {had}."


def refusal(key: Key, mutation: Mutation, word: str) -> str:
    """Why a key cannot decide; empty where it can."""
    if said := lacking(key, word):
        return said
    try:
        check(mutation, key, word)
    except NotAllowedError as error:
        return str(error)
    return ""


def no_inverse(queue: Queue, mutation: Mutation) -> str:
    """Why it cannot be reverted; empty where it can."""
    try:
        inverse(mutation)
    except BadMutationError as error:
        return str(error)
    _, last = reverts(queue, mutation)
    return str(under_way(mutation, last)) if last and last["state"] in UNDER_WAY else ""


def done(changes: Changes, key: Key, ident: int, word: str, typed: dict[str, str]) -> str:
    """Do it; the address of the page that shows what came of it. Raises ApiError or OutboundError."""
    if word == REVERT:
        made, _ = reverted(changes, key, ident)
        return place(made.data.mutation_id, 0)
    if word == RESOLVE:
        body = msgspec.json.encode({name: typed[name] for name in TYPED if typed.get(name)})
        found = resolved(changes.queue, key, ident, body)
    else:
        found = decided(changes.queue, key, ident, word)
    return place(ident, len(found.data.history) - 1)


def place(ident: int, step: int) -> str:
    """The page of a mutation, which tells of a step of its history."""
    return f"/mutations/{ident}?told={step}"
