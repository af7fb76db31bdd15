"""ServiceTitan's webhooks: a signed word that something changed. It is kept, and what it names is read again at once.

Nothing in it is believed beyond that: its shape is not documented, and the API has the truth. Off unless a secret is set.
"""

import hashlib
import hmac
import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from litestar import Response, Router, post
from litestar.openapi.spec import Parameter as Documented
from litestar.params import JSONBody

from api import parameters
from api.bodies import body_of
from api.handlers import MEDIA, Asking, failures, operation, schema_of
from api.parameters import Parameter
from api.problems import NoKeyError, NoRecordError
from api.render import ENCODER
from api.work import Work
from sources.servicetitan.catalog import CATALOG, Entity, Feed
from store.operations import Operations
from store.settings import WebhookSettings

LARGEST_EVENT = 1_000_000  # bytes
NAMES = {"event", "eventtype", "eventname", "type", "entity", "entitytype", "object", "objecttype", "resource", "topic"}
"""Members that may name what changed, in lower case without `_` and `-`."""
TENANT = Parameter("tenant", "integer", "The tenant in ServiceTitan.", lowest=1)
IN_PATH = Documented(
    name="tenant",
    param_in="path",
    description="The tenant in ServiceTitan",
    required=True,
    schema=schema_of(TENANT.schema),
)
WORD = re.compile(r"[a-z0-9]+")


class Heard(msgspec.Struct):
    """What became of an event."""

    is_new: bool
    entities: list[str]


class Event(msgspec.Struct):
    """Whatever ServiceTitan sends."""


def is_signed(body: bytes, signature: str, settings: WebhookSettings) -> bool:
    """Whether a signature is the body's, compared in constant time. A name of the algorithm may stand before it."""
    given = signature.strip().removeprefix("sha256=")
    expected = hmac.digest(settings.secret.encode(), body, hashlib.sha256)
    try:
        found = bytes.fromhex(given) if settings.encoding == "hex" else b64decode(given, validate=True)
    except (ValueError, Base64Error):
        return False
    return hmac.compare_digest(found, expected)


def named(body: bytes) -> list[Entity]:
    """The entities that a body names: `tn.jpm.job-updated`, `{"entityType": "Job"}` and the like."""
    try:
        found = list(texts(msgspec.json.decode(body)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    words = {stem(word) for text in found for word in WORD.findall(text.lower())}
    return [entity for entity in CATALOG if is_readable(entity) and stems(entity) <= words]


def texts(document: Any, name: str = "") -> Iterator[str]:
    """The texts of members that may name what changed."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield from texts(value, re.sub(r"[_-]", "", str(key)).lower())
    elif isinstance(document, list):
        for value in document:
            yield from texts(value, name)
    elif isinstance(document, str) and name in NAMES:
        yield re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", document)


def is_readable(entity: Entity) -> bool:
    """Whether it is read by itself and at once."""
    return entity.feed in {Feed.EXPORT, Feed.LIST, Feed.SNAPSHOT}


def stems(entity: Entity) -> set[str]:
    """The words of an entity's name, in the singular."""
    return {stem(word) for word in entity.name.split("_")}


def stem(word: str) -> str:
    """A word in the singular, roughly; only ever compared with another stem."""
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    return word.removesuffix("s")


def heard(operations: Operations, tenant_id: int, body: bytes) -> Heard:
    """Wish for what an event names, and keep it. ServiceTitan repeats events; a repetition is kept once."""
    entities, now = [entity.name for entity in named(body)], datetime.now(UTC)
    for name in entities:
        operations.run("wish", tenant_id=tenant_id, entity=name, work="sync", wished_at=now)
    added = operations.run(
        "add_webhook_event",
        tenant_id=tenant_id,
        digest=hashlib.blake2b(body, digest_size=16).hexdigest(),
        received_at=now,
        entities=",".join(entities),
        body=body.decode("utf-8", "replace").replace("\0", "\ufffd"),
    )
    return Heard(bool(added), entities)


def router(operations: Operations, settings: WebhookSettings, work: Work) -> Router:
    """The route. It is there without a secret too, and answers that there is nothing."""

    @post(
        "/{tenant:str}",
        status_code=202,
        opt={"largest_body": LARGEST_EVENT},
        request_max_body_size=LARGEST_EVENT,
        dto=body_of(Event),
        operation_id="post_servicetitan_webhook",
        operation_class=operation([IN_PATH]),
        summary="What ServiceTitan calls when something changed; signed, and off unless LAZI_WEBHOOK_SECRET is set",
        responses=failures(told={404: "Webhooks are off, or no such tenant", 413: "The body is too large"}),
        security=[{}],
    )
    async def hear(request: Asking, data: JSONBody[bytes] = b"") -> Response[Heard]:
        parameters.none(request.scope["query_string"])
        tenant = int(TENANT.read(request.path_params["tenant"]))
        if not settings.secret or (settings.tenants and tenant not in settings.tenants):
            raise NoRecordError("There is no webhook here.")
        if not is_signed(data, request.headers.get(settings.header, ""), settings):
            raise NoKeyError(f"The signature in `{settings.header}` is missing or not this body's.")
        found = await work.do(heard, operations, tenant, data)
        return Response(ENCODER.encode(found), status_code=202, media_type=MEDIA["json"])  # type: ignore[arg-type]

    return Router("/api/webhooks/servicetitan", route_handlers=[hear], tags=["webhooks"])
