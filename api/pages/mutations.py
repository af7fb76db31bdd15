"""The pages of changes to ServiceTitan: their list, one as a story, and what people decide about it."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from litestar import MediaType, Response, get, post
from litestar.handlers import HTTPRouteHandler

from api.bases import Bases
from api.mutation_lists import IDENT
from api.mutation_schemas import detail
from api.mutations import ident
from api.pages import mutation_list
from api.pages.door import SEE_OTHER, Visit, fields
from api.pages.mutation_actions import RESOLVE, WORDS, actions, done
from api.pages.mutation_list import ENTITY_NAMES, FILTERS, NAMES, listing, moved, newer, standing_of, typed
from api.pages.mutation_story import notice, story, tone
from api.pages.sides import sides
from api.problems import ApiError, NotNowError, told
from api.queueing import Changes
from outbound.exceptions import NoMutationError, OutboundError
from outbound.operations import BY_TITLE
from outbound.queue import DECODER, Mutation
from outbound.request import Prepared
from outbound.secrets import redacted
from outbound.state import CANCELLED, COMPLETED, PENDING, PROCESSING, State
from store.exceptions import StoreError
from store.keys import Key

if TYPE_CHECKING:
    from api.pages.site import Site

PART = "/parts/mutations"
SOON, LATER = 2, 10  # seconds until a page looks again at what is under way, and at what waits for somebody
UNCHANGED = 204
OTHERWISE = "It went on since the page was made that you decided on. Look at how it stands now, and decide again."


def handlers(site: "Site") -> list[HTTPRouteHandler]:
    """The pages and what acts on them."""

    def part(tenant: int) -> str:
        return site.look.text("mutations/trigger.html", standing=standing_of(site.changes.queue, tenant))

    site.live.add(PART, part)
    return [*lists(site), *singles(site), *(acting(site, word) for word in WORDS)]


def lists(site: "Site") -> list[HTTPRouteHandler]:
    """The list, and what an open one asks for when something changed."""
    queue, freshness = site.changes.queue, site.answers.freshness

    @get("/mutations", media_type=MediaType.HTML)
    async def mutations(request: Visit) -> Response[str]:
        texts = typed(request.scope["query_string"])
        found = await site.work.do(listing, queue, freshness, request.auth.tenant_id, texts)
        known = {"states": list(State), "entities": ENTITY_NAMES, "operations": NAMES, "tone": tone, "part": PART}
        return site.look.page(request, "mutations.html", found.status, found=found, **known)

    @get("/mutations/now", media_type=MediaType.HTML)
    async def now(request: Visit) -> Response[str]:
        asked = request.query_params
        values = await site.work.do(
            since, site, request.auth.tenant_id, {name: asked[name] for name in asked}, asked.getall("row", [])
        )
        return site.look.page(request, "mutations/now.html", **values)

    return [mutations, now]


def since(site: "Site", tenant: int, asked: dict[str, str], rows: list[str]) -> dict[str, Any]:
    """What came and what changed since a list was shown."""
    queue = site.changes.queue
    texts = {name: text for name, text in asked.items() if name in FILTERS and text}
    above = asked.get("above", "")
    number = newer(queue, tenant, texts, int(above) if IDENT.fullmatch(above) else 0)
    return {
        "newer": number,
        "first": mutation_list.address(texts),
        "standing": standing_of(queue, tenant),
        "state": texts.get("state", ""),
        "is_narrowed": bool(texts),
        "moved": moved(queue, tenant, rows),
        "tone": tone,
    }


def singles(site: "Site") -> list[HTTPRouteHandler]:
    """One mutation, and what its open page asks for from time to time."""

    @get("/mutations/{id:str}", media_type=MediaType.HTML)
    async def mutation(request: Visit) -> Response[str]:
        values = await site.work.do(shown, site, request.auth, ident(request))
        values["notice"] = notice(values["m"], request.query_params.get("told", ""))
        return site.look.page(request, "mutation.html", **values)

    @get("/mutations/{id:str}/now", media_type=MediaType.HTML)
    async def as_it_is(request: Visit) -> Response[str]:
        number, key = ident(request), request.auth
        mutation = await site.work.do(site.changes.queue.get, number, key.tenant_id)
        if stand(mutation) == request.query_params.get("stand"):
            return Response("", status_code=UNCHANGED, headers={"cache-control": "no-store"})
        values = await site.work.do(shown, site, key, number)
        return site.look.page(request, "mutations/one.html", **values | {"is_renewed": True})

    return [mutation, as_it_is]


def shown(site: "Site", key: Key, number: int) -> dict[str, Any]:
    """All that a mutation's page tells. Raises NoMutationError or StoreError."""
    mutation = site.changes.queue.get(number, key.tenant_id)
    seen = detail(mutation)
    return {
        "m": seen,
        "events": story(seen, is_landing=mutation.landing is not None),
        "sides": sides(seen, in_copy(site.changes, mutation)),
        "actions": actions(site.changes.queue, key, mutation),
        "tone": tone,
        "stand": stand(mutation),
        "renew": renew(mutation),
        "notice": "",
        "error": "",
        "typed": {},
        "is_renewed": False,
    }


def stand(mutation: Mutation) -> str:
    """What is another one when there is more to tell."""
    return f"{mutation.state} {len(mutation.history)} {mutation.landed_at is not None}"


def renew(mutation: Mutation) -> int:
    """Seconds after which an open page looks again; 0 where nothing changes any more."""
    if mutation.state in {PENDING, PROCESSING} or mutation.landing is not None:
        return SOON
    return 0 if mutation.state in {COMPLETED, CANCELLED} else LATER


def in_copy(changes: Changes, mutation: Mutation) -> dict[str, Any] | None:
    """The record as the copy has it now, without secrets; None where it has none, or does not answer."""
    operation = BY_TITLE.get(mutation.title)
    if operation is None or mutation.state not in {State.HELD, PENDING, PROCESSING}:
        return None
    ready = Prepared(operation, mutation.record_id, mutation.places, None, None)
    with suppress(StoreError):
        found = Bases(changes.reader, mutation.tenant_id, [(ready, None)]).of(ready, None)
        return redacted(mutation.title, DECODER.decode(found.payload)) if found else None
    return None


def acted(changes: Changes, key: Key, number: int, word: str, typed: dict[str, str]) -> str:
    """Do what a button says, unless it resolves what somebody did not see. Raises ApiError or OutboundError."""
    if word == RESOLVE and typed.get("stand", "") not in {"", stand(changes.queue.get(number, key.tenant_id))}:
        raise NotNowError(OTHERWISE)
    return done(changes, key, number, word, typed)


def acting(site: "Site", word: str) -> HTTPRouteHandler:
    """What a button does. What is refused is told above the form, which keeps what was typed."""

    @post(f"/mutations/{{id:str}}/{word}", opt={"scope": WORDS[word]}, media_type=MediaType.HTML)
    async def act(request: Visit) -> Response[Any]:
        number, form = ident(request), fields(await request.form())
        try:
            place = await site.work.do(acted, site.changes, request.auth, number, word, form)
        except NoMutationError:
            raise
        except (ApiError, OutboundError) as error:
            problem = error if isinstance(error, ApiError) else told(error)
            values = await site.work.do(shown, site, request.auth, number)
            values |= {"error": problem.detail, "typed": form}
            return site.look.page(request, "mutation.html", problem.status, **values)
        return Response("", status_code=SEE_OTHER, headers={"location": place})

    return act
