"""The queue of mutations in the operations store: who may work on which, and what becomes of it.

Every function here is one statement in the database. Nothing is decided: `attempt` decides what was done, people decide
the rest through `decide`.
"""

import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import takewhile, zip_longest
from typing import Any

import msgspec

from outbound.exceptions import KeyReusedError, NoMutationError, NotAllowedError
from outbound.secrets import has_secrets, redacted
from outbound.state import FINAL, PENDING, PROCESSING, UNKNOWN, State, possible, target
from store.exceptions import StoreError, TakenError
from store.operations import Operations, Row

JSON = ("places", "payload", "base", "before", "after", "conflict", "merged", "not_applied", "landing")
DECODER = msgspec.json.Decoder(float_hook=Decimal)
ENCODER = msgspec.json.Encoder(decimal_format="number")
"""Numbers keep every digit on their way."""

STORE_PAUSE = 0.2  # seconds between two tries to write an end down
LAST = 2**63 - 1
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
LONGEST_ANSWER = 4000  # characters that are kept


@dataclass(frozen=True, slots=True)
class Step:
    """What happened to a mutation at a moment."""

    at: datetime
    by: str
    did: str
    said: str = ""


@dataclass(slots=True)
class Mutation:
    """A row of `outbound.mutations`; JSON columns are decoded."""

    mutation_id: int
    tenant_id: int
    entity: str
    operation: str
    record_id: str | None
    places: dict[str, str]
    payload: Any
    lane: str | None
    lane_above: str | None
    ref: str
    state: State
    initiated_by: str
    key_id: str
    idempotency_key: str | None
    request_hash: str
    base: dict[str, Any] | None
    base_hash: str | None
    is_forced: bool
    reverts: int | None
    approved_by: str | None
    attempts: int
    run_at: datetime
    lease_token: str | None
    lease_owner: str | None
    lease_until: datetime | None
    sent_at: datetime | None
    doubtful_at: datetime | None
    created_at: datetime
    finished_at: datetime | None
    landing: list[Any] | None
    landed_at: datetime | None
    new_id: str | None
    answer_status: int | None
    answer: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    conflict: dict[str, Any] | None
    merged: list[str] | None
    not_applied: dict[str, Any] | None
    error: str | None
    history: list[Step] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Entity and operation."""
        return f"{self.entity}:{self.operation}"

    @property
    def was_sent(self) -> datetime | None:
        """CREATE and ADD: when a request for it first went out; None where none did.

        What was noted as sent and put back to `later` never was: of these two kinds, nothing else is tried again.
        """
        following = zip_longest(self.history, self.history[1:])
        sent = (
            step.at for step, behind in following if step.did == "send" and (behind is None or behind.did != "later")
        )
        return next(sent, self.sent_at)

    @property
    def deaths(self) -> int:
        """How many runners in a row did not come back from it."""
        return sum(1 for _ in takewhile(lambda step: step.did == "take over", reversed(self.history)))

    def base_after(self, by: str) -> dict[str, Any] | None:
        """The base for another attempt: a person who says `mine` has seen what stands there now, and nothing newer."""
        if by != "resolve mine" or self.base is None or not self.conflict:
            return self.base
        seen = {name: each["theirs"] for name, each in self.conflict.items() if name in self.base}
        return self.base | seen


@dataclass(frozen=True, slots=True)
class Wanted:
    """A mutation before it is queued."""

    tenant_id: int
    entity: str
    operation: str
    record_id: str | None
    places: dict[str, str]
    payload: Any
    lane: str | None
    initiated_by: str
    key_id: str
    request_hash: str
    lane_above: str | None = None
    idempotency_key: str | None = None
    base: Any = None
    base_hash: str | None = None
    reverts: int | None = None
    is_held: bool = False


@dataclass(slots=True)
class Settlement:
    """What an attempt came to."""

    by: str  # the word of a transition out of `processing`
    said: str
    run_at: datetime | None = None  # `later`: not before
    counts: bool = True  # whether it was one of the attempts
    is_doubtful: bool = False  # `later`: what was sent may have been done
    landing: list[Any] | None = None
    new_id: str | None = None
    answer_status: int | None = None
    answer: str | None = None
    after: Any = None
    conflict: dict[str, Any] | None = None
    merged: list[str] | None = None
    not_applied: dict[str, Any] | None = None

    @property
    def state(self) -> State:
        """Where it leads."""
        found = target(PROCESSING, self.by)
        assert found is not None, self.by  # noqa: S101  words of `state` alone
        return found


def now() -> datetime:
    """This moment."""
    return datetime.now(UTC)


def encoded(value: Any) -> str | None:
    """A value as a JSON column."""
    return None if value is None else ENCODER.encode(value).decode()


def blanked(mutation: "Mutation", state: State) -> str | None:
    """The payload of what is over as a JSON column, without its secrets; None where nothing is to be blanked."""
    return (
        encoded(redacted(mutation.title, mutation.payload))
        if state in FINAL and has_secrets(mutation.title, mutation.payload)
        else None
    )


def storable(text: str | None) -> str | None:
    """A text without what no store takes."""
    return text.encode(errors="replace").decode().replace("\0", "\ufffd") if text else text


def step(by: str, did: str, said: str = "", at: datetime | None = None) -> str:
    """A line of a history."""
    return msgspec.json.encode(Step(at or now(), by, did, said)).decode() + "\n"


def moment(value: Any) -> datetime | None:
    """A moment, which SQLite returns as text where a statement changes rows."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


MOMENTS = ("run_at", "lease_until", "sent_at", "doubtful_at", "created_at", "finished_at", "landed_at")
NAMES = tuple(each.name for each in fields(Mutation))


def read(row: Row) -> Mutation:
    """A row as a mutation."""
    values = {name: row[name] for name in NAMES}
    values |= {name: None if row[name] is None else DECODER.decode(row[name]) for name in JSON}
    values |= {name: moment(row[name]) for name in MOMENTS}
    values["history"] = [msgspec.json.decode(line, type=Step) for line in row["history"].split("\n") if line]
    return Mutation(**values | {"state": State(row["state"]), "is_forced": bool(row["is_forced"])})


QueueKey = tuple[int, str]
"""Tenant and idempotency key."""


def key_of(wanted: Wanted) -> QueueKey | None:
    """What a mutation is found again by; None where it has no idempotency key."""
    return None if wanted.idempotency_key is None else (wanted.tenant_id, wanted.idempotency_key)


def check_key(wanted: Wanted, request_hash: str, which: str) -> None:
    """Raise KeyReusedError where the idempotency key stands for another request."""
    if wanted.request_hash != request_hash:
        raise KeyReusedError(
            f"The idempotency key `{wanted.idempotency_key}` stands for {which}. Send the same request again, or use another "
            "key."
        )


def columns(wanted: Wanted) -> dict[str, Any]:
    """The values that `enqueue` takes."""
    return {
        "tenant_id": wanted.tenant_id,
        "entity": wanted.entity,
        "operation": wanted.operation,
        "record_id": wanted.record_id,
        "places": encoded(wanted.places),
        "payload": encoded(wanted.payload),
        "lane": wanted.lane,
        "lane_above": wanted.lane_above,
        "ref": secrets.token_hex(8),
        "state": "held" if wanted.is_held else "pending",
        "initiated_by": wanted.initiated_by,
        "key_id": wanted.key_id,
        "idempotency_key": wanted.idempotency_key,
        "request_hash": wanted.request_hash,
        "base": encoded(wanted.base),
        "base_hash": wanted.base_hash,
        "reverts": wanted.reverts,
        "now": now(),
        "step": step(wanted.initiated_by, "queued", "Awaits approval." if wanted.is_held else ""),
    }


class Queue:
    """The mutations of an operations store."""

    def __init__(self, operations: Operations, *, lease: timedelta = timedelta(seconds=150)) -> None:
        """`lease` is how long a runner may work on a mutation before another one takes it over."""
        self.operations, self.lease = operations, lease

    @property
    def time_to_send(self) -> timedelta:
        """How long after it was noted as sent a request may still go out: the rest of the lease is for its answer."""
        return self.lease / 5

    def add(self, wanted: Wanted) -> tuple[Mutation, bool]:
        """Queue a mutation, or find the one that its idempotency key stands for; whether it is new.

        Raises KeyReusedError.
        """
        if rows := self.operations.run("enqueue", **columns(wanted)):
            self.wake()
            return read(rows[0]), True
        [row] = self.by_key([wanted]).values()
        check_key(wanted, row["request_hash"], f"mutation {row['mutation_id']}, which asked for something else")
        return read(row), False

    def add_all(self, wanteds: Sequence[Wanted]) -> list[tuple[Mutation, bool]]:
        """Queue mutations in their order, each as `add` does, all or none. Raises KeyReusedError."""
        known: dict[Any, Row] = self.by_key(wanteds)
        new: dict[Any, Wanted] = {}
        places = [key_of(each) or index for index, each in enumerate(wanteds)]  # without a key it stands for itself
        for place, each in zip(places, wanteds, strict=True):
            if row := known.get(place):
                check_key(each, row["request_hash"], f"mutation {row['mutation_id']}, which asked for something else")
            else:
                check_key(each, new.setdefault(place, each).request_hash, "another one that is queued with it")
        try:
            made = self.operations.run_all("enqueue", [columns(each) for each in new.values()], every=True)
        except TakenError:
            if self.by_key(wanteds).keys() == known.keys():
                raise
            return self.add_all(wanteds)  # somebody queued one of the keys meanwhile
        if made:
            self.wake()
        rows = known | {place: row for place, [row] in zip(new, made, strict=True)}
        first = [new.pop(place, None) is not None for place in places]  # what is repeated is not new
        return [(read(rows[place]), is_new) for place, is_new in zip(places, first, strict=True)]

    def by_key(self, wanteds: Sequence[Wanted]) -> dict[QueueKey, Row]:
        """The mutations that idempotency keys of these stand for already."""
        keys = list(dict.fromkeys(key for each in wanteds if (key := key_of(each))))
        values = [{"tenant_id": tenant_id, "idempotency_key": key} for tenant_id, key in keys]
        found = self.operations.run_all("mutation_by_idempotency_key", values) if keys else []
        return {key: rows[0] for key, rows in zip(keys, found, strict=True) if rows}

    def wake(self) -> None:
        """Tell runners that there is work; where the store is away just now, they find it by looking."""
        with suppress(StoreError):
            self.operations.wake()

    def claim(self, owner: str, most: int) -> list[Mutation]:
        """Take up to so many that are due, the oldest first."""
        moment_ = now()
        try:
            rows = self.operations.run(
                "claim",
                token=secrets.token_hex(16),
                owner=owner,
                lease_until=moment_ + self.lease,
                now=moment_,
                most=most,
                step=step(owner, "claim"),
            )
        except TakenError:  # another runner took one of the same lane at the same moment: the next claim knows
            return []
        return sorted(map(read, rows), key=lambda mutation: mutation.mutation_id)

    def take_over(self, owner: str, most: int) -> list[Mutation]:
        """Take up to so many whose runner did not come back in time."""
        moment_ = now()
        rows = self.operations.run(
            "take_over",
            token=secrets.token_hex(16),
            owner=owner,
            lease_until=moment_ + self.lease,
            now=moment_,
            most=most,
            step=step(owner, "take over", "Its runner did not come back."),
        )
        return sorted(map(read, rows), key=lambda mutation: mutation.mutation_id)

    def mark_sent(self, mutation: Mutation, live: Any, merged: Sequence[str]) -> bool:
        """Commit that it is about to be sent; False when the lease was lost."""
        moment_ = now()
        return bool(
            self.operations.run(
                "mark_sent",
                mutation_id=mutation.mutation_id,
                token=mutation.lease_token,
                now=moment_,
                lease_until=moment_ + self.lease,
                before=encoded(live),
                merged=encoded(list(merged) or None),
                step=step(mutation.lease_owner or "", "send"),
            )
        )

    def put_off(self, mutation: Mutation, until: datetime, said: str) -> bool:
        """Leave what was sent to whoever takes it over after a moment; False when the lease was lost."""
        return bool(
            self.operations.run(
                "put_off",
                mutation_id=mutation.mutation_id,
                token=mutation.lease_token,
                until=until,
                step=step(mutation.lease_owner or "", "look later", said),
            )
        )

    def settle(self, mutation: Mutation, end: Settlement) -> bool:
        """Write down what an attempt came to; False when the lease was lost."""
        moment_, state = now(), end.state
        is_over = state is not PENDING
        answer = end.answer[:LONGEST_ANSWER] if end.answer else None
        return bool(
            self.operations.run(
                "settle",
                mutation_id=mutation.mutation_id,
                token=mutation.lease_token,
                state=str(state),
                run_at=end.run_at or moment_,
                attempts=mutation.attempts - (not end.counts),
                doubtful_at=moment_ if end.is_doubtful else mutation.doubtful_at,
                payload=blanked(mutation, state),
                finished_at=moment_ if is_over else None,
                landing=encoded(end.landing),
                new_id=storable(end.new_id),
                answer_status=end.answer_status,
                answer=storable(answer),
                after=encoded(end.after),
                conflict=encoded(end.conflict),
                merged=encoded(end.merged),
                not_applied=encoded(end.not_applied),
                error=storable(end.said) if state not in {State.COMPLETED, PENDING} else None,
                step=step(mutation.lease_owner or "", end.by, end.said),
            )
        )

    def settle_surely(self, mutation: Mutation, end: Settlement, until: datetime) -> bool:
        """The same, and again while the store is away, until a moment. Raises StoreError then."""
        while True:
            try:
                return self.settle(mutation, end)
            except StoreError:
                if now() >= until:
                    raise
                time.sleep(STORE_PAUSE)

    def decide(
        self,
        mutation: Mutation,
        by: str,
        actor: str,
        said: str = "",
        *,
        new_id: str | None = None,
        approved_by: str | None = None,
    ) -> Mutation:
        """A person's decision. Raises NotAllowedError where it is not possible, or no longer."""
        state = target(mutation.state, by) if by in possible(mutation.state) else None
        rows = state and self.operations.run(
            "decide",
            mutation_id=mutation.mutation_id,
            was=str(mutation.state),
            state=str(state),
            now=now(),
            finished_at=None if state is PENDING else now(),
            is_forced=mutation.is_forced or by == "resolve mine",
            base=encoded(mutation.base_after(by)) if by == "resolve mine" else None,
            payload=blanked(mutation, state),
            doubtful_at=None if by == "resolve not_done" else mutation.doubtful_at,
            approved_by=approved_by,
            new_id=storable(new_id),
            error=None if state in {PENDING, State.COMPLETED} else storable(said) or mutation.error,
            step=step(actor, by, said),
        )
        if not rows:
            raise refused(self.get(mutation.mutation_id, mutation.tenant_id), by)
        self.wake()
        return read(rows[0])

    def get(self, mutation_id: int, tenant_id: int | None = None) -> Mutation:
        """A mutation. Raises NoMutationError."""
        if 0 < mutation_id <= LAST:
            rows = self.operations.run("mutation", mutation_id=mutation_id, tenant_id=tenant_id)
            if rows:
                return read(rows[0])
        raise NoMutationError(
            f"There is no mutation `{mutation_id}`. `lazi mutations list` and `GET /api/v1/mutations` list them."
        )

    def some(
        self,
        *,
        tenant_id: int | None = None,
        behind: int = LAST,
        most: int = 100,
        state: str | None = None,
        entity: str | None = None,
        operation: str | None = None,
        record_id: str | None = None,
        initiated_by: str | None = None,
        since: datetime = BEGINNING,
    ) -> list[Mutation]:
        """Mutations, the newest first, of ids below `behind`."""
        rows = self.operations.run(
            "mutations",
            tenant_id=tenant_id,
            behind=behind,
            most=most,
            state=state,
            entity=entity,
            operation=operation,
            record_id=record_id,
            initiated_by=initiated_by,
            since=since,
        )
        return [read(row) for row in rows]

    def counts(self, tenant_id: int | None = None) -> dict[str, int]:
        """How many there are in each state that has any."""
        rows = self.operations.run("count_mutations", tenant_id=tenant_id)
        return {row["state"]: row["mutations"] for row in rows}

    def due_in(self) -> float | None:
        """Seconds until the next waiting one may go, 0 when it may already; None when none waits."""
        [row] = self.operations.run("next_due")
        at = moment(row["run_at"])
        return None if at is None else max(0.0, (at - now()).total_seconds())

    def rivals(self, mutation: Mutation, new_id: str) -> list[tuple[Any, str | None]]:
        """Payload and new id of other mutations that made a record, or may have made it since this one was sent."""
        rows = self.operations.run(
            "rivals",
            tenant_id=mutation.tenant_id,
            entity=mutation.entity,
            operation=mutation.operation,
            mutation_id=mutation.mutation_id,
            new_id=new_id,
            since=mutation.was_sent or mutation.created_at,
        )
        return [(DECODER.decode(row["payload"]) if row["payload"] else None, row["new_id"]) for row in rows]

    def done_meanwhile(self, mutation: Mutation) -> list[Mutation]:
        """What was asked for before it in its lane and came into the copy after its base was read, in order."""
        rows = self.operations.run(
            "done_meanwhile", lane=mutation.lane, since=mutation.created_at, mutation_id=mutation.mutation_id
        )
        return [read(row) for row in rows]

    def landable(self, most: int) -> list[Row]:
        """Those whose outcome is not in the copy yet; `landing` is decoded."""
        rows = self.operations.run("landable", most=most)
        return [{**row, "landing": msgspec.json.decode(row["landing"])} for row in rows]

    def mark_landed(self, mutation_id: int, finished_at: datetime | None = None) -> None:
        """Its outcome is in the copy, unless it ended again since that moment."""
        self.operations.run("mark_landed", mutation_id=mutation_id, finished_at=finished_at, now=now())


def refused(mutation: Mutation, by: str) -> NotAllowedError:
    """The error for what cannot be done with a mutation now."""
    can = ", ".join(f"`{word}`" for word in possible(mutation.state)) or "nothing"
    hint = " It waits for an answer from a person who can look into ServiceTitan." if mutation.state is UNKNOWN else ""
    return NotAllowedError(
        f"Mutation {mutation.mutation_id} is `{mutation.state}`, so that `{by}` cannot be done. Possible: {can}.{hint}"
    )
