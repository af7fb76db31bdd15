"""The states of a mutation, and every way from one to another. `STATES.md` draws the same; a test holds them together."""

from enum import StrEnum


class State(StrEnum):
    """Where a mutation stands."""

    HELD = "held"  # awaits approval
    PENDING = "pending"  # waits for its turn
    PROCESSING = "processing"  # a runner works on it
    COMPLETED = "completed"
    FAILED = "failed"  # ServiceTitan refused it, or took nothing over
    CONFLICT = "conflict"  # somebody changed the same there
    UNKNOWN = "unknown"  # it may have been done, and there is no way to see it
    CANCELLED = "cancelled"


HELD, PENDING, PROCESSING, COMPLETED, FAILED, CONFLICT, UNKNOWN, CANCELLED = State

TRANSITIONS: frozenset[tuple[State, State, str]] = frozenset(
    {
        (HELD, PENDING, "approve"),
        (HELD, CANCELLED, "reject"),
        (HELD, CANCELLED, "cancel"),
        (PENDING, PROCESSING, "claim"),
        (PENDING, CANCELLED, "cancel"),
        (PROCESSING, PENDING, "later"),
        (PROCESSING, COMPLETED, "done"),
        (PROCESSING, FAILED, "refused"),
        (PROCESSING, CONFLICT, "changed there"),
        (PROCESSING, UNKNOWN, "in doubt"),
        (FAILED, PENDING, "retry"),
        (FAILED, CANCELLED, "cancel"),
        (CONFLICT, PENDING, "resolve mine"),
        (CONFLICT, CANCELLED, "resolve theirs"),
        (CONFLICT, CANCELLED, "cancel"),
        (UNKNOWN, COMPLETED, "resolve done"),
        (UNKNOWN, PENDING, "resolve not_done"),
    }
)
"""From, to, and by what."""

FINAL = frozenset({COMPLETED, CANCELLED})
BLOCKING = frozenset({PENDING, PROCESSING, UNKNOWN})
"""States in which a mutation keeps later ones of its lane waiting."""


def target(state: State, by: str) -> State | None:
    """Where something leads from a state; None where it does not lead anywhere."""
    return next((to for origin, to, word in TRANSITIONS if origin is state and word == by), None)


def possible(state: State) -> list[str]:
    """What can be done with a mutation in a state, by a person."""
    return sorted(
        word for origin, _, word in TRANSITIONS if origin is state and origin is not PROCESSING and word != "claim"
    )
