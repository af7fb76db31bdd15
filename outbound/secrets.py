"""Secrets in the bodies of operations: what is sent to ServiceTitan and shown to nobody. Pure: values in, values out.

A field is a secret by its format in the registry, or by its name; an operation's secrets are known by their names, wherever
in its values they stand. Nothing here keeps a secret from being sent: a mutation's payload holds it until it is over.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from outbound.exceptions import BadMutationError
from outbound.registry import load

if TYPE_CHECKING:
    from outbound.preview import Preview
    from outbound.queue import Mutation

NOT_SHOWN = "(not shown)"
"""What stands in place of a secret."""

FORMAT = "password"
NAME = re.compile(
    r"(?i:password|passcode|passphrase|secret|socialSecurity|cardNumber|cvv|securityCode|routingNumber|bankAccountNumber)"
    r"|^(?:pin|ssn)$|(?:Pin|Ssn|SSN)$"
)
"""Names of fields that hold secrets, whatever format the documents give them."""


@cache
def names(title: str) -> frozenset[str]:
    """The names of an operation's secret fields."""
    return frozenset(field.name for field in load().get(title, ()) if field.format == FORMAT or NAME.search(field.name))


def redacted(title: str, value: Any) -> Any:
    """A payload without its secrets; also a conflict, or whatever else holds the operation's fields. Null stays null."""
    secret = names(title)
    return without(secret, value) if secret else value


def without(secret: frozenset[str], value: Any) -> Any:
    """A value with `NOT_SHOWN` for what stands in fields of these names."""
    match value:
        case dict():
            return {name: hidden(part) if name in secret else without(secret, part) for name, part in value.items()}
        case list():
            return [without(secret, part) for part in value]
    return value


def hidden(value: Any) -> Any:
    """`NOT_SHOWN` for each value in it: a conflict has several in one field."""
    match value:
        case None:
            return None
        case dict():
            return {name: hidden(part) for name, part in value.items()}
        case list():
            return [hidden(part) for part in value]
    return NOT_SHOWN


def has_secrets(title: str, payload: Any) -> bool:
    """Whether a secret stands in a payload, or stood in it before it was redacted."""
    secret = names(title)
    return bool(secret) and any(True for _ in found(secret, payload))


def found(secret: frozenset[str], value: Any) -> Iterator[Any]:
    """What stands in fields of these names, null left out."""
    match value:
        case dict():
            for name, part in value.items():
                if name not in secret:
                    yield from found(secret, part)
                elif part is not None:
                    yield part
        case list():
            for part in value:
                yield from found(secret, part)


def scrubbed(title: str, payload: Any, text: str) -> str:
    """A text without the secrets of a payload: ServiceTitan may quote them in an answer."""
    for value in found(names(title), payload):
        if isinstance(value, str) and value:
            text = text.replace(value, NOT_SHOWN).replace(json.dumps(value)[1:-1], NOT_SHOWN)
    return text


def check_shown(title: str, payload: Any) -> None:
    """Raise BadMutationError where a payload was copied from what is shown: the words are no password."""
    secret = names(title)
    if secret and NOT_SHOWN in found(secret, payload):
        listed = " and ".join(f"`{name}`" for name in sorted(secret))
        raise BadMutationError(
            f"{listed} of `{title}` is `{NOT_SHOWN}`, which stands there instead of a secret. Give the value itself.",
            "payload",
        )


def redacted_mutation(mutation: "Mutation") -> "Mutation":
    """A mutation without secrets, to be shown."""
    title = mutation.title
    if not names(title):
        return mutation
    return replace(
        mutation,
        payload=redacted(title, mutation.payload),
        base=redacted(title, mutation.base),
        before=redacted(title, mutation.before),
        after=redacted(title, mutation.after),
        conflict=redacted(title, mutation.conflict),
        not_applied=redacted(title, mutation.not_applied),
    )


def redacted_preview(title: str, shown: "Preview") -> "Preview":
    """A preview without secrets."""
    return replace(
        shown,
        body=redacted(title, shown.body),
        live=redacted(title, shown.live),
        changes=redacted(title, shown.changes),
        conflicts=redacted(title, shown.conflicts),
    )
