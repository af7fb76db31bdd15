"""What requests and answers about mutations look like."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from api.schemas import Meta as PageMeta
from outbound.operations import BY_TITLE
from outbound.queue import Mutation, Step
from outbound.request import Asked
from outbound.secrets import redacted_mutation
from outbound.state import State, possible

MOST_AT_ONCE = 500
FieldValues = dict[str, dict[str, Any]]


def told(text: str) -> msgspec.Meta:
    """A description for the documents."""
    return msgspec.Meta(description=text)


class MutationRequest(Asked, kw_only=True, forbid_unknown_fields=True):
    """A change that somebody wants."""

    entity_type: Annotated[str, told("As in `GET /api/v1/mutations/operations`")]
    operation: Annotated[str, told("One of the entity's operations, or another name of it")]
    entity_id: Annotated[int | str | None, told("The record, where the operation is about one")] = None
    path_params: Annotated[dict[str, int | str], told("Values of the path's further parameters")] = {}  # noqa: RUF012  msgspec copies it
    payload: Annotated[Any, told("The body as ServiceTitan takes it; unknown fields are refused")] = None
    initiated_by: Annotated[str | None, told("Who wants it; the key's name by default")] = None
    based_on_payload_hash: Annotated[
        str | None, told("The version of the record that the change was made on; the newest in the copy by default")
    ] = None
    idempotency_key: Annotated[
        str | None, told("As the header `Idempotency-Key`: the same key and request again finds the first mutation")
    ] = None


class MutationBatch(msgspec.Struct, forbid_unknown_fields=True):
    """Several changes, which are queued all or not at all."""

    mutations: Annotated[list[MutationRequest], msgspec.Meta(min_length=1, max_length=MOST_AT_ONCE)]


class Resolution(msgspec.Struct, forbid_unknown_fields=True):
    """A person's word on a mutation that cannot go on by itself."""

    as_: Annotated[
        Literal["done", "not_done", "mine", "theirs"],
        told(
            "Of an `unknown` one `done` or `not_done`; of one in `conflict` `mine` (send it over what changed there) or "
            "`theirs` (give it up)"
        ),
    ] = msgspec.field(name="as")
    new_id: Annotated[int | str | None, told("With `done`: the id of what was made")] = None
    note: Annotated[str | None, told("Why; kept in the history")] = None


class MutationRow(msgspec.Struct, kw_only=True):
    """A mutation in a list."""

    mutation_id: int
    entity_type: str
    operation: str
    entity_id: str | None
    state: State
    possible: Annotated[list[str], told("What a person can do with it now")]
    initiated_by: str
    approved_by: str | None
    idempotency_key: str | None
    attempts: int
    created_at: datetime
    run_at: Annotated[datetime, told("Not before")]
    sent_at: Annotated[datetime | None, told("When the last attempt sent it, or was about to")]
    finished_at: datetime | None
    landed_at: Annotated[datetime | None, told("When the copy had the outcome")]
    new_id: Annotated[str | None, told("The id of what it made")]
    reverts: Annotated[int | None, told("The mutation whose inverse this is")]
    not_applied: Annotated[
        FieldValues | None,
        told("By field what was wanted and what is there instead: ServiceTitan did not take it over"),
    ]
    error: str | None


class MutationStep(msgspec.Struct):
    """What happened to a mutation at a moment."""

    at: datetime
    by: str
    did: str
    said: str


class MutationDetail(MutationRow, kw_only=True):
    """A mutation with everything that is known of it."""

    key_id: Annotated[str, told("The API key that queued it")]
    path_params: dict[str, str]
    payload: Annotated[Any, told("Without its secrets: a password is `(not shown)`")]
    based_on_payload_hash: str | None
    base: Annotated[dict[str, Any] | None, told("The record as whoever wants the change knew it")]
    is_forced: Annotated[bool, told("A person decided that it goes over what changed there")]
    before: Annotated[dict[str, Any] | None, told("The record in ServiceTitan just before")]
    after: Annotated[dict[str, Any] | None, told("The record in ServiceTitan just after")]
    conflict: Annotated[FieldValues | None, told("By field base, theirs and mine")]
    merged: Annotated[list[str] | None, told("Fields that had changed there meanwhile, and are none of ours")]
    answer_status: int | None
    answer: Annotated[str | None, told("What ServiceTitan answered, shortened")]
    lease_owner: Annotated[str | None, told("The runner that works on it")]
    lease_until: datetime | None
    history: list[MutationStep]


class MutationMeta(PageMeta, kw_only=True):
    """What is told beside a page of mutations."""

    total: Annotated[  # type: ignore[assignment]
        int | None, told("Mutations that match, on all pages; null under filters other than `state`")
    ]


class MutationPage(msgspec.Struct):
    """A page of mutations, the newest first."""

    data: list[MutationRow]
    meta: MutationMeta


class MutationAnswer(msgspec.Struct):
    """One mutation."""

    data: MutationDetail


class BatchMeta(msgspec.Struct):
    """What became of a batch."""

    queued: Annotated[int, told("New ones")]
    repeated: Annotated[int, told("Those that an idempotency key found")]


class BatchAnswer(msgspec.Struct):
    """The mutations of a batch, in its order."""

    data: list[MutationRow]
    meta: BatchMeta


class MutationCounts(msgspec.Struct):
    """How many mutations are in each state."""

    data: dict[State, int]


class MutationPreview(msgspec.Struct, kw_only=True):
    """What a mutation would send now, and to what it would lead. Nothing is queued."""

    needs_approval: Annotated[bool, told("Whether somebody else must approve it first")]
    based_on_payload_hash: Annotated[str | None, told("The version that it is compared with")]
    method: str
    path: str
    body: Annotated[Any, told("What would be sent, without its secrets")]
    live: Annotated[dict[str, Any] | None, told("The record as it is in ServiceTitan")]
    changes: Annotated[FieldValues, told("By field old and new")]
    conflicts: Annotated[FieldValues, told("By field base, theirs and mine")]
    merged: Annotated[list[str], told("Fields that changed there meanwhile, and are none of ours")]
    warnings: list[str]
    state: Annotated[str, told("To which the mutation would come, as far as can be seen")]


class PreviewAnswer(msgspec.Struct):
    """A preview."""

    data: MutationPreview


def row(mutation: Mutation) -> MutationRow:
    """A mutation in a list."""
    return MutationRow(**values(mutation, MutationRow))


def detail(mutation: Mutation) -> MutationDetail:
    """A mutation with everything."""
    return MutationDetail(**values(mutation, MutationDetail))


def values(mutation: Mutation, kind: type[MutationRow]) -> dict[str, Any]:
    """The values of the fields that a kind has, without secrets."""
    mutation = redacted_mutation(mutation)
    operation = BY_TITLE.get(mutation.title)
    record = operation.record if operation else ""
    renamed = {
        "entity_type": mutation.entity,
        "entity_id": mutation.record_id,
        "possible": possible(mutation.state),
        "path_params": {name: value for name, value in mutation.places.items() if name != record},
        "based_on_payload_hash": mutation.base_hash,
        "history": [steps(step) for step in mutation.history],
    }
    return {name: renamed[name] if name in renamed else getattr(mutation, name) for name in kind.__struct_fields__}


def steps(step: Step) -> MutationStep:
    """A line of a history."""
    return MutationStep(step.at, step.by, step.did, step.said)
