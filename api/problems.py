"""What can go wrong with a request, and how it is told: problem details (RFC 9457), the same everywhere.

    ApiError
    ├── BadParameterError    400  a parameter that is not known, or a value that is not allowed
    ├── NoKeyError           401  no key, or one that does not open anything
    ├── ForbiddenError       403  a key without the scope
    ├── NoRecordError        404  no such record
    ├── NotAcceptableError   406  a form of answer that there is not
    ├── OtherListError       409  the mark of a place in another list, or in another order of it
    ├── NotNowError          409  what cannot be done with a mutation as it stands
    ├── TooLargeError        413  a body that is too large
    ├── UnfitError           422  a change that cannot be made as asked
    ├── TooManyError         429  the key's requests are used up
    ├── ElsewhereError       502  ServiceTitan does not answer, or refuses
    └── NotReadyError        503  the copy has not been built yet, or a store does not answer

A message names the value and what is allowed; none holds SQL, a trace or a secret.
"""

from typing import Annotated, Any

import msgspec

from api.text import shortened
from outbound.exceptions import (
    BadBodyError,
    BadMutationError,
    NoMutationError,
    NotAllowedError,
    OutboundError,
    UnknownOperationError,
)


class Fault(msgspec.Struct, omit_defaults=True):
    """One of several things that are wrong."""

    detail: str
    index: Annotated[int | None, msgspec.Meta(description="Of which mutation of a batch, from 0")] = None
    parameter: str | None = None


class Problem(msgspec.Struct, omit_defaults=True):
    """Problem details."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    parameter: str | None = None
    allowed: list[str] | None = None
    errors: Annotated[
        list[Fault] | None, msgspec.Meta(description="Each thing that is wrong, where it may be several")
    ] = None


class ApiError(Exception):
    """A request that cannot be answered as asked."""

    status = 500
    title = "Internal error"

    def __init__(self, detail: str, *, headers: dict[str, str] | None = None, **more: Any) -> None:
        """`more` are further members of the problem."""
        super().__init__(detail)
        self.detail, self.headers, self.more = detail, headers or {}, more

    def problem(self, request_id: str) -> Problem:
        """The answer's body."""
        return Problem("about:blank", self.title, self.status, self.detail, request_id, **self.more)


class BadParameterError(ApiError):
    """A parameter that is not known, or a value that is not allowed."""

    status, title = 400, "Bad request"

    def __init__(self, name: str, value: str, wanted: str, allowed: list[str] | None = None) -> None:
        """`wanted` says in words what would be right."""
        super().__init__(f"`{name}` is `{shortened(value)}`, allowed is {wanted}.", parameter=name, allowed=allowed)


class UnknownParameterError(ApiError):
    """A parameter that is not known here."""

    status, title = 400, "Bad request"

    def __init__(self, name: str, known: list[str]) -> None:
        """`known` are all that there are."""
        listed = ", ".join(f"`{each}`" for each in known) or "none"
        super().__init__(f"`{shortened(name)}` is not a parameter here. Known: {listed}.", allowed=known)


class NoKeyError(ApiError):
    """No key, or one that does not open anything."""

    status, title = 401, "No valid key"


class ForbiddenError(ApiError):
    """A key without the scope."""

    status, title = 403, "Not allowed"


class NoRecordError(ApiError):
    """No such record."""

    status, title = 404, "Not found"


class NotAcceptableError(ApiError):
    """A form of answer that there is not."""

    status, title = 406, "Not acceptable"


class OtherListError(ApiError):
    """The mark of a place in another list, or in another order of it."""

    status, title = 409, "Not a place in this list"


class NotNowError(ApiError):
    """What cannot be done with a mutation as it stands."""

    status, title = 409, "Not possible now"


class TooLargeError(ApiError):
    """A body that is too large."""

    status, title = 413, "Too large"


class UnfitError(ApiError):
    """A change that cannot be made as asked."""

    status, title = 422, "Cannot be done as asked"


class TooManyError(ApiError):
    """The key's requests are used up."""

    status, title = 429, "Too many requests"


class ElsewhereError(ApiError):
    """ServiceTitan does not answer, or refuses."""

    status, title = 502, "ServiceTitan cannot be asked"


class NotReadyError(ApiError):
    """The copy has not been built yet, or a store does not answer."""

    status, title = 503, "Not ready"


def told(error: OutboundError) -> ApiError:
    """What is wrong with a change, as it is answered."""
    match error:
        case NoMutationError():
            return NoRecordError(str(error))
        case NotAllowedError():
            return NotNowError(str(error))
        case UnknownOperationError():
            return UnfitError(str(error), parameter=error.parameter, allowed=error.known)
        case BadBodyError():
            return UnfitError(str(error), parameter="payload", errors=faults(error))
        case BadMutationError():
            return UnfitError(str(error), parameter=error.parameter or None)
    return UnfitError(str(error))


def faults(error: OutboundError, index: int | None = None) -> list[Fault]:
    """Everything that is wrong with a change; `index` is its place in a batch."""
    if isinstance(error, BadBodyError):
        return [Fault(sentence, index, "payload") for sentence in error.faults]
    return [Fault(str(error), index, getattr(error, "parameter", "") or None)]
