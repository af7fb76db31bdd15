"""What can go wrong between a change that someone wants and ServiceTitan.

OutboundError
├── UnknownOperationError  no such entity or operation; names the nearest
├── NotOfferedError        ServiceTitan has no such operation, or withdrew it; names the nearest
├── BadBodyError           a body with unknown, missing or wrong fields; lists each
├── BadMutationError       a request that does not fit its operation: a missing id, an unknown base
├── KeyReusedError         an idempotency key that stands for another request
├── NoMutationError        no such mutation
└── NotAllowedError        a transition that STATES.md does not draw
"""

from store.exceptions import StoreError

MOST_SHOWN = 40  # names in a message


class OutboundError(StoreError):
    """A change that cannot be made as asked."""


class UnknownOperationError(OutboundError):
    """There is no such entity or operation."""

    def __init__(self, parameter: str, value: str, known: list[str], nearest: list[str]) -> None:
        """`known` are all that there are, `nearest` those whose names are alike."""
        hint = f" Did you mean {' or '.join(f'`{name}`' for name in nearest)}?" if nearest else ""
        more = f" and {len(known) - MOST_SHOWN} more" if len(known) > MOST_SHOWN else ""
        shown = ", ".join(f"`{name}`" for name in known[:MOST_SHOWN]) + more
        super().__init__(f"`{parameter}` is `{value[:100]}`, which cannot be written.{hint} Known: {shown}.")
        self.parameter, self.known, self.nearest = parameter, known, nearest


class NotOfferedError(OutboundError):
    """ServiceTitan has no such operation, or withdrew it."""


class BadBodyError(OutboundError):
    """A body with unknown, missing or wrong fields."""

    def __init__(self, title: str, faults: list[str]) -> None:
        """`title` is the operation's, `faults` a sentence for each field."""
        super().__init__(f"The payload of `{title}` is not right: {' '.join(faults)}")
        self.title, self.faults = title, faults


class BadMutationError(OutboundError):
    """A request that does not fit its operation."""

    def __init__(self, message: str, parameter: str = "") -> None:
        """`parameter` is the field of the request that is wrong."""
        super().__init__(message)
        self.parameter = parameter


class KeyReusedError(OutboundError):
    """An idempotency key that stands for another request."""


class NoMutationError(OutboundError):
    """No such mutation."""


class NotAllowedError(OutboundError):
    """A transition that STATES.md does not draw."""
