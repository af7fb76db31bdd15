"""JSON whose numbers keep the digits that its sender wrote: `12.50` stays `12.50`, and no digit is lost beyond the 16th."""

from decimal import Decimal
from typing import Any, Self

import msgspec

from api.problems import ApiError


class Number(Decimal):
    """A number with a point or an exponent, and its text."""

    text: str

    def __new__(cls, text: str) -> Self:
        """From its text."""
        made = super().__new__(cls, text)
        made.text = text
        return made


DECODER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Number)


class BadJsonError(ApiError):
    """A body that is not JSON."""

    status, title = 400, "Bad request"


def decoded(body: bytes) -> Any:
    """A request's body. Raises BadJsonError."""
    try:
        return DECODER.decode(body)
    except RecursionError:
        raise BadJsonError("The body is too deep: objects and lists stand in each other a thousand times.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        told = str(error).rstrip(".") if body else "it is empty"
        raise BadJsonError(f"The body is not JSON: {told}.") from None


def exact(value: Any) -> Any:
    """The value as encoders write it with the same digits."""
    match value:
        case Number():
            return msgspec.Raw(value.text.encode())
        case dict():
            return {name: exact(part) for name, part in value.items()}
        case list():
            return [exact(part) for part in value]
    return value
