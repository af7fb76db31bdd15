"""The queue of mutations: the same behaviour on SQLite and PostgreSQL. Time passes by leases and moments that are given."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from outbound.exceptions import KeyReusedError, NoMutationError, NotAllowedError
from outbound.queue import LONGEST_ANSWER, Mutation, Queue, Settlement, Wanted
from outbound.state import PROCESSING, TRANSITIONS, State
from store.operations import open_operations
from store.settings import Settings

WANTED = Wanted(
    tenant_id=1,
    entity="customers",
    operation="update",
    record_id="5",
    places={"id": "5"},
    payload={"name": "Grüße \N{PILE OF POO}", "balance": 12.5, "address": None},
    lane="1/crm/v2/tenant/customers/5",
    initiated_by="anna",
    key_id="k1",
    request_hash="h",
)
DONE = Settlement("done", "Done.")
PEOPLE = sorted({word for origin, _, word in TRANSITIONS if origin is not PROCESSING} - {"claim"})
LEADS_TO = {
    State.COMPLETED: "done",
    State.FAILED: "refused",
    State.CONFLICT: "changed there",
    State.UNKNOWN: "in doubt",
}


@pytest.fixture
def queue(settings: Settings) -> Iterator[Queue]:
    """An empty queue."""
    with closing(open_operations(settings)) as operations:
        yield Queue(operations)


@pytest.fixture
def lapsed(queue: Queue) -> Queue:
    """The same queue, for a runner whose leases end at once."""
    return Queue(queue.operations, lease=timedelta(seconds=-1))


def added(queue: Queue, **changes: Any) -> Mutation:
    return queue.add(replace(WANTED, **changes))[0]


def lane(number: int) -> dict[str, str]:
    return {"record_id": str(number), "lane": f"1/crm/v2/tenant/customers/{number}"}


def ids(mutations: list[Mutation]) -> list[int]:
    return [mutation.mutation_id for mutation in mutations]


def in_state(queue: Queue, state: State) -> Mutation:
    """A mutation that came to a state."""
    mutation = added(queue, is_held=state is State.HELD)
    if state is State.CANCELLED:
        return queue.decide(mutation, "cancel", "anna")
    if state not in {State.HELD, State.PENDING}:
        [mutation] = queue.claim("a", 1)
        if state is not PROCESSING:
            assert queue.settle(mutation, Settlement(LEADS_TO[state], "Because."))
    return queue.get(mutation.mutation_id)


def together(work: Callable[[], Any], threads: int) -> list[Any]:
    """What several threads bring that begin at the same moment; each with a connection of its own."""
    gate = threading.Barrier(threads)

    def begin() -> Any:
        gate.wait()
        return work()

    with ThreadPoolExecutor(threads) as pool:
        return [each.result() for each in [pool.submit(begin) for _ in range(threads)]]


def test_what_is_read_is_what_was_queued(queue: Queue):
    """JSON keeps its values, moments are in UTC, the first step is in the history."""
    mutation = added(queue, base={"id": 5}, base_hash="b", idempotency_key="key")
    assert queue.get(mutation.mutation_id) == mutation
    assert (mutation.payload, mutation.places, mutation.base) == (WANTED.payload, {"id": "5"}, {"id": 5})
    assert (mutation.state, mutation.title, mutation.attempts) == (State.PENDING, "customers:update", 0)
    assert abs(mutation.created_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert [(step.by, step.did) for step in mutation.history] == [("anna", "queued")]
    assert len(mutation.ref) == 16


def test_the_same_key_and_request_find_the_first_mutation(queue: Queue):
    """However often it is sent, and whatever became of it since."""
    first, is_new = queue.add(replace(WANTED, idempotency_key="key"))
    assert is_new
    queue.claim("a", 1)
    again, is_new = queue.add(replace(WANTED, idempotency_key="key"))
    assert (again.mutation_id, again.state, is_new) == (first.mutation_id, State.PROCESSING, False)
    assert len(queue.some()) == 1


def test_a_key_that_stands_for_another_request_is_refused(queue: Queue):
    """The message names the mutation that it stands for."""
    first = added(queue, idempotency_key="key")
    with pytest.raises(KeyReusedError, match=f"stands for mutation {first.mutation_id}"):
        added(queue, idempotency_key="key", request_hash="another")
    assert added(queue, tenant_id=2, idempotency_key="key", request_hash="another").tenant_id == 2


def test_without_a_key_the_same_request_is_another_mutation(queue: Queue):
    """Setting a price back and back again are two changes: the original swallowed the second."""
    assert added(queue).mutation_id < added(queue).mutation_id


def test_one_key_makes_one_mutation_whoever_comes_first(queue: Queue):
    """Eight threads send the same at the same moment."""
    found = together(lambda: queue.add(replace(WANTED, idempotency_key="key")), 8)
    assert len({mutation.mutation_id for mutation, _ in found}) == 1
    assert sum(is_new for _, is_new in found) == 1


def test_several_are_queued_in_their_order(queue: Queue):
    """Each as it is by itself; none is no work."""
    assert queue.add_all([]) == []
    found = queue.add_all([replace(WANTED, **lane(number), idempotency_key=f"k{number}") for number in range(3)])
    assert [is_new for _, is_new in found] == [True] * 3
    assert [mutation.record_id for mutation, _ in found] == ["0", "1", "2"]
    assert ids(queue.some()) == ids([mutation for mutation, _ in found])[::-1]
    assert all(queue.get(mutation.mutation_id) == mutation for mutation, _ in found)
    assert len({mutation.ref for mutation, _ in found}) == 3


def test_several_find_what_their_keys_stand_for(queue: Queue):
    """In the queue, and in the batch; without a key each is a mutation of its own."""
    first = added(queue, idempotency_key="a")
    repeated, fresh, bare = (replace(WANTED, idempotency_key=key) for key in ("a", "b", None))
    found = queue.add_all([bare, repeated, fresh, bare, fresh, replace(fresh, tenant_id=2)])
    assert [is_new for _, is_new in found] == [True, False, True, True, False, True]
    made = ids([mutation for mutation, _ in found])
    assert (made[1], made[4]) == (first.mutation_id, made[2])
    assert len(set(made)) == 5
    assert made[0] < made[2] < made[3] < made[5]


@pytest.mark.parametrize("place", [0, 1, 3])
@pytest.mark.parametrize("known", ["queue", "batch"])
def test_of_several_none_is_queued_where_a_key_stands_for_another_request(queue: Queue, known: str, place: int):
    """The message says which key."""
    if known == "queue":
        added(queue, idempotency_key="taken")
    batch = [replace(WANTED, idempotency_key="new"), WANTED, WANTED]
    batch.insert(place, replace(WANTED, idempotency_key="taken", request_hash="another"))
    if known == "batch":
        batch.append(replace(WANTED, idempotency_key="taken"))
    before = queue.some()
    with pytest.raises(KeyReusedError, match="`taken`"):
        queue.add_all(batch)
    assert queue.some() == before


def test_of_several_none_is_queued_where_the_store_refuses_one(queue: Queue):
    """All or none: what came before it is gone too, and nobody is woken."""
    nowhere: Any = None
    queue.operations.wait(0.01)
    with pytest.raises(Exception, match="(?i)null"):
        queue.add_all([WANTED, replace(WANTED, idempotency_key="a"), replace(WANTED, key_id=nowhere), WANTED])
    assert queue.some() == []
    assert not queue.operations.wait(0.01)
    assert queue.add_all([replace(WANTED, idempotency_key="a")])[0][1]
    assert queue.operations.wait(5.0)


class Overtaken(Queue):
    """A queue in which somebody is faster: between the look for a key and the insertion."""

    faster: Wanted | None = None

    def by_key(self, wanteds: Sequence[Wanted]) -> dict[tuple[int, str], dict[str, Any]]:
        found = super().by_key(wanteds)
        if faster := self.faster:
            self.faster = None
            self.add(faster)
        return found


def test_several_find_what_somebody_queued_meanwhile(queue: Queue):
    """The same request is found, another one refuses all."""
    batch = [replace(WANTED, idempotency_key=key) for key in "abc"]
    overtaken = Overtaken(queue.operations)
    overtaken.faster = batch[1]
    found = overtaken.add_all(batch)
    assert [is_new for _, is_new in found] == [True, False, True]
    assert len(queue.some()) == 3
    overtaken.faster = replace(batch[1], idempotency_key="e", request_hash="another")
    with pytest.raises(KeyReusedError, match="`e`"):
        overtaken.add_all([replace(WANTED, idempotency_key=key) for key in "def"])
    assert len(queue.some()) == 4


def test_one_batch_makes_its_mutations_once_whoever_comes_first(queue: Queue):
    """Six threads send the same at the same moment, half of them in another order."""
    batch = [replace(WANTED, **lane(number), idempotency_key=f"k{number}") for number in range(20)]
    turns = iter([batch, batch[::-1]] * 3)
    found = together(lambda: queue.add_all(next(turns)), 6)
    assert sorted(sum(is_new for _, is_new in each) for each in found) == [0, 0, 0, 0, 0, 20]
    assert all({mutation.mutation_id for mutation, _ in each} == set(ids(queue.some())) for each in found)
    assert len(queue.some()) == 20


def test_of_a_lane_the_oldest_goes_first_and_alone(queue: Queue):
    """The next one goes when it is settled."""
    first, second, third = (added(queue).mutation_id for _ in range(3))
    for mutation_id in (first, second, third):
        [mutation] = queue.claim("a", 10)
        assert (mutation.mutation_id, mutation.state, mutation.attempts) == (mutation_id, PROCESSING, 1)
        assert queue.claim("b", 10) == []
        assert queue.settle(mutation, DONE)
    assert queue.claim("a", 10) == []


def test_a_change_of_a_list_waits_for_its_records_and_they_for_it(queue: Queue):
    """In the order in which they were asked for, whatever lanes are free."""
    above = "1/crm/v2/tenant/customers"
    first, second = (added(queue, **lane(number), lane_above=above).mutation_id for number in (1, 2))
    whole = added(queue, record_id=None, lane=above).mutation_id
    third = added(queue, **lane(3), lane_above=above).mutation_id
    elsewhere = added(queue, record_id=None, lane="1/crm/v2/tenant/locations").mutation_id
    claimed = queue.claim("a", 10)
    assert ids(claimed) == [first, second, elsewhere]
    for mutation in claimed[:2]:
        assert queue.claim("b", 10) == []
        assert queue.settle(mutation, DONE)
    [mutation] = queue.claim("b", 10)
    assert mutation.mutation_id == whole
    assert queue.claim("b", 10) == []
    assert queue.settle(mutation, Settlement("in doubt", "Who knows."))
    assert ids(queue.claim("b", 10)) == [third]
    behind = added(queue, record_id=None, lane=above).mutation_id
    fourth = added(queue, **lane(4), lane_above=above).mutation_id
    assert ids(queue.claim("b", 10)) == [fourth]
    assert queue.get(behind).state is State.PENDING


def test_what_is_put_off_is_taken_over_after_its_moment(queue: Queue):
    """Not before, and no runner counts as dead."""
    added(queue)
    [claimed] = queue.claim("a", 1)
    assert queue.mark_sent(claimed, None, [])
    assert queue.put_off(claimed, datetime.now(UTC) + timedelta(hours=1), "ServiceTitan is away.")
    assert queue.take_over("b", 1) == []
    [row] = queue.some()
    assert (row.state, row.deaths, row.lease_token) == (PROCESSING, 0, None)
    assert not queue.settle(claimed, DONE)


def test_lanes_do_not_wait_for_each_other(queue: Queue):
    """Nor does anything for what is about no record."""
    for number in (1, 1, 2):
        added(queue, **lane(number))
    for _ in range(2):
        added(queue, record_id=None, lane=None)
    assert [mutation.record_id for mutation in queue.claim("a", 10)] == ["1", "2", None, None]


def test_no_more_are_claimed_than_there_is_room_for(queue: Queue):
    """The oldest of all lanes."""
    found = [added(queue, **lane(number)).mutation_id for number in range(5)]
    assert ids(queue.claim("a", 2)) == found[:2]
    assert ids(queue.claim("b", 2)) == found[2:4]


def test_one_that_waits_for_its_next_attempt_keeps_its_place(queue: Queue):
    """Later ones of its lane wait with it; when its time has come it goes first."""
    first, _ = added(queue), added(queue)
    [mutation] = queue.claim("a", 1)
    assert queue.settle(mutation, Settlement("later", "503", run_at=datetime.now(UTC) + timedelta(hours=1)))
    assert queue.claim("a", 10) == []
    [mutation] = queue.some(state="pending", behind=first.mutation_id + 1)
    assert (mutation.attempts, mutation.error, mutation.history[-1].said) == (1, None, "503")
    queue.decide(mutation, "cancel", "anna")
    assert len(queue.claim("a", 10)) == 1


def test_what_was_not_sent_is_no_attempt(queue: Queue):
    """A 429 does not use the four up."""
    added(queue)
    for _ in range(3):
        [mutation] = queue.claim("a", 1)
        assert queue.settle(mutation, Settlement("later", "429", counts=False))
    assert queue.some()[0].attempts == 0


def test_an_unknown_one_blocks_its_lane_and_no_other(queue: Queue):
    """Until somebody says what became of it."""
    unknown = in_state(queue, State.UNKNOWN)
    added(queue)
    other = added(queue, **lane(6))
    assert ids(queue.claim("a", 10)) == [other.mutation_id]
    queue.decide(unknown, "resolve done", "anna", new_id="7")
    assert len(queue.claim("a", 10)) == 1
    assert queue.get(unknown.mutation_id).new_id == "7"


@pytest.mark.parametrize("state", [State.HELD, State.FAILED, State.CONFLICT, State.CANCELLED, State.COMPLETED])
def test_what_waits_for_nobody_blocks_nothing(queue: Queue, state: State):
    """The next change of the record goes."""
    before = in_state(queue, state)
    after = added(queue)
    assert ids(queue.claim("a", 10)) == [after.mutation_id]
    assert queue.get(before.mutation_id).state is state


def test_a_held_one_goes_when_it_is_approved(queue: Queue):
    """Who approved it is kept."""
    held = in_state(queue, State.HELD)
    assert queue.claim("a", 10) == []
    queue.decide(held, "approve", "ben", approved_by="ben")
    [mutation] = queue.claim("a", 10)
    assert (mutation.approved_by, [step.did for step in mutation.history]) == ("ben", ["queued", "approve", "claim"])


def test_sent_is_committed_before_it_is_sent(queue: Queue, settings: Settings):
    """Another process sees it at once, with the record as it was and a lease that begins anew."""
    added(queue)
    [mutation] = queue.claim("a", 1)
    assert mutation.sent_at is None
    assert queue.mark_sent(mutation, {"name": "old"}, ["phone"])
    with closing(open_operations(settings)) as operations:
        found = Queue(operations).get(mutation.mutation_id)
    assert (found.before, found.merged, found.history[-1].did) == ({"name": "old"}, ["phone"], "send")
    assert found.sent_at
    assert found.lease_until
    assert mutation.lease_until
    assert found.lease_until > mutation.lease_until


def test_a_lease_that_ended_is_taken_over(queue: Queue, lapsed: Queue):
    """By one runner alone; whether it was sent is not forgotten."""
    added(queue)
    [lost] = lapsed.claim("dead", 1)
    assert lapsed.mark_sent(lost, None, [])
    [taken] = queue.take_over("b", 10)
    assert (taken.mutation_id, taken.lease_owner, taken.attempts) == (lost.mutation_id, "b", 1)
    assert taken.sent_at
    assert taken.lease_token != lost.lease_token
    assert queue.take_over("c", 10) == []


def test_a_lease_that_runs_is_not_taken_over(queue: Queue):
    """Its runner is at work."""
    added(queue)
    queue.claim("a", 1)
    assert queue.take_over("b", 10) == []
    assert queue.claim("b", 10) == []


def test_whoever_lost_the_lease_changes_nothing(queue: Queue, lapsed: Queue):
    """Neither before it sends nor after, and nothing while the other works or when it has done."""
    added(queue)
    [lost] = lapsed.claim("slow", 1)
    [taken] = queue.take_over("b", 1)
    for _ in range(2):
        before = queue.get(lost.mutation_id)
        assert not queue.mark_sent(lost, {"name": "wrong"}, ["x"])
        assert not queue.settle(lost, Settlement("refused", "wrong", answer="wrong", landing=[["customers"]]))
        assert queue.get(lost.mutation_id) == before
        queue.settle(taken, DONE)
    assert not queue.settle(taken, DONE)


def test_a_settlement_is_kept_whole(queue: Queue):
    """With all that was read and answered; the answer is shortened."""
    added(queue)
    [mutation] = queue.claim("a", 1)
    end = Settlement(
        "done",
        "Done, except for `x`.",
        landing=[["customers", None, "{}", False]],
        new_id="77",
        answer_status=200,
        answer="y" * (LONGEST_ANSWER + 1),
        after={"name": "x"},
        merged=["phone"],
        not_applied={"x": {"wanted": 1, "found": 2}},
    )
    assert queue.settle(mutation, end)
    found = queue.get(mutation.mutation_id)
    assert (found.state, found.new_id, found.answer_status) == (State.COMPLETED, "77", 200)
    assert (found.after, found.merged, found.not_applied) == (end.after, end.merged, end.not_applied)
    assert (found.answer, found.error) == ("y" * LONGEST_ANSWER, None)
    assert (found.lease_token, found.lease_owner, found.lease_until) == (None, None, None)
    assert found.finished_at
    assert found.history[-1].said == end.said


@pytest.mark.parametrize("by", ["refused", "changed there", "in doubt"])
def test_a_failure_says_why_whatever_signs_it_holds(queue: Queue, by: str):
    """ServiceTitan's words stand in it: a NUL, which PostgreSQL does not take, must not keep it from being settled."""
    added(queue)
    [mutation] = queue.claim("a", 1)
    assert queue.settle(mutation, Settlement(by, "bad \0 name", answer="\0", conflict={"a": {"mine": "\0"}}))
    found = queue.get(mutation.mutation_id)
    assert found.error
    assert found.error.startswith("bad ")


@pytest.mark.parametrize("state", State)
def test_a_person_decides_along_the_drawn_ways_alone(queue: Queue, state: State):
    """Every other word is refused with what is possible, and changes nothing."""
    for word in PEOPLE:
        mutation = in_state(queue, state)
        to = next((to for origin, to, by in TRANSITIONS if (origin, by) == (state, word)), None)
        if to is None:
            with pytest.raises(NotAllowedError, match=f"is `{state}`, so that `{word}` cannot be done"):
                queue.decide(mutation, word, "anna")
            assert queue.get(mutation.mutation_id) == mutation
        else:
            after = queue.decide(mutation, word, "anna", "Because.")
            assert after == queue.get(mutation.mutation_id)
            assert (after.state, after.attempts) == (to, 0)
            assert (after.history[-1].by, after.history[-1].did, after.history[-1].said) == ("anna", word, "Because.")
            assert bool(after.finished_at) is (to is not State.PENDING)
        clear(queue)


def clear(queue: Queue) -> None:
    """Let nothing keep the lane."""
    for mutation in queue.some():
        match mutation.state:
            case State.PENDING:
                queue.decide(mutation, "cancel", "anna")
            case State.UNKNOWN:
                queue.decide(mutation, "resolve done", "anna")
            case State.PROCESSING:
                queue.settle(mutation, DONE)


def test_of_two_decisions_the_first_counts(queue: Queue):
    """The second one is told where the mutation stands by now."""
    held = in_state(queue, State.HELD)
    queue.decide(held, "approve", "ben")
    with pytest.raises(NotAllowedError, match="is `pending`"):
        queue.decide(held, "reject", "carla")


def test_mine_is_kept_as_forced(queue: Queue):
    """Another look at the live record does not bring the conflict back; a retry forces nothing."""
    assert queue.decide(in_state(queue, State.CONFLICT), "resolve mine", "anna").is_forced
    clear(queue)
    assert not queue.decide(in_state(queue, State.FAILED), "retry", "anna").is_forced


def test_no_two_threads_claim_the_same(queue: Queue):
    """Six runners on eighty mutations of ten lanes: each once, in order, one in flight in a lane; nothing is left."""
    wanted = [added(queue, **lane(number % 10)).mutation_id for number in range(80)]
    claimed, in_flight, lock = defaultdict(list), set(), threading.Lock()

    def run() -> None:
        name = threading.current_thread().name
        while queue.counts().get("pending"):
            for mutation in queue.claim(name, 3):
                with lock:
                    assert mutation.lane not in in_flight
                    in_flight.add(mutation.lane)
                    claimed[mutation.lane].append(mutation.mutation_id)
                with lock:
                    in_flight.remove(mutation.lane)
                assert queue.settle(mutation, DONE)
        queue.operations.close()

    together(run, 6)
    assert sorted(each for found in claimed.values() for each in found) == wanted
    assert all(found == sorted(found) for found in claimed.values())
    assert queue.counts() == {"completed": 80}


def test_no_two_threads_take_over_the_same(queue: Queue, lapsed: Queue):
    """Five runners find twenty leases that ended."""
    for number in range(20):
        added(queue, **lane(number))
    lost = lapsed.claim("dead", 20)
    found = together(lambda: queue.take_over(threading.current_thread().name, 5), 5)
    assert max(map(len, found)) <= 5
    assert len({each for taken in found for each in ids(taken)}) == sum(map(len, found))
    rest = queue.take_over("rest", 20)
    assert sorted(each for taken in [*found, rest] for each in ids(taken)) == ids(lost)


def test_whoever_waits_is_woken(queue: Queue, settings: Settings):
    """By a new mutation and by a decision, in the same process or, on PostgreSQL, in another; else it waits its time out."""
    other = queue if settings.is_embedded else Queue(open_operations(settings))
    for work in (lambda: added(other, is_held=True), lambda: other.decide(other.some()[0], "approve", "ben")):
        woken: list[tuple[bool, float]] = []
        begun = threading.Event()

        def wait(woken: list[tuple[bool, float]] = woken, begun: threading.Event = begun) -> None:
            queue.operations.wait(0.01)  # from now on it listens
            begun.set()
            since = time.monotonic()
            woken.append((queue.operations.wait(30.0), time.monotonic() - since))
            queue.operations.close()

        thread = threading.Thread(target=wait)
        thread.start()
        begun.wait()
        work()
        thread.join()
        assert woken[0][0]
        assert woken[0][1] < 10
    other.operations.close()
    assert not queue.operations.wait(0.01)


def test_it_is_known_when_the_next_one_is_due(queue: Queue):
    """None waits, one may go, one may go in an hour."""
    assert queue.due_in() is None
    added(queue)
    assert queue.due_in() == 0
    [mutation] = queue.claim("a", 1)
    assert queue.due_in() is None
    queue.settle(mutation, Settlement("later", "503", run_at=datetime.now(UTC) + timedelta(hours=1)))
    assert 3500 < (queue.due_in() or 0) <= 3600


def test_mutations_are_listed_by_what_they_are(queue: Queue):
    """The newest first, a page behind a page; each filter alone and with others."""
    found = [
        added(queue),
        added(queue, operation="create", record_id=None, lane=None),
        added(queue, tenant_id=2, initiated_by="ben", lane="2/x"),
        added(queue, entity="jobs", is_held=True),
    ]
    newest = ids(found)[::-1]
    assert ids(queue.some()) == newest
    assert ids(queue.some(most=2)) == newest[:2]
    assert ids(queue.some(most=2, behind=newest[1])) == newest[2:]
    for filters, expected in (
        ({"tenant_id": 2}, [2]),
        ({"state": "held"}, [3]),
        ({"entity": "customers"}, [2, 1, 0]),
        ({"operation": "create"}, [1]),
        ({"record_id": "5", "tenant_id": 1}, [3, 0]),
        ({"initiated_by": "ben"}, [2]),
        ({"since": datetime.now(UTC) + timedelta(minutes=1)}, []),
        ({"since": found[0].created_at, "entity": "jobs"}, [3]),
    ):
        assert ids(queue.some(**filters)) == [found[place].mutation_id for place in expected], filters
    assert queue.counts() == {"pending": 3, "held": 1}
    assert queue.counts(tenant_id=2) == {"pending": 1}


@pytest.mark.parametrize("mutation_id", [-1, 0, 99, 2**63, 10**30])
def test_what_is_not_there_is_said(queue: Queue, mutation_id: int):
    """Also a number that no database holds, and another tenant's."""
    added(queue)
    with pytest.raises(NoMutationError, match=f"no mutation `{mutation_id}`"):
        queue.get(mutation_id)
    with pytest.raises(NoMutationError):
        queue.get(queue.some()[0].mutation_id, tenant_id=2)


def test_what_else_may_have_made_a_record_is_a_rival(queue: Queue):
    """What is under way, in doubt, done without a known id or with that very id; not what waits, nor what made another."""
    make = {"operation": "create", "record_id": None, "lane": None}
    added(queue, **make)
    [first] = queue.claim("a", 1)
    for name in ("a", "b"):
        added(queue, **make | {"payload": {"name": name}})
    assert queue.rivals(first, "7") == []
    claimed = queue.claim("a", 10)
    assert [payload for payload, _ in queue.rivals(first, "7")] == [{"name": "a"}, {"name": "b"}]
    for mutation, new_id in zip(claimed, ("8", None), strict=True):
        assert queue.settle(mutation, replace(DONE, new_id=new_id))
    assert queue.rivals(first, "7") == [({"name": "b"}, None)]
    assert queue.rivals(first, "8") == [({"name": "a"}, "8"), ({"name": "b"}, None)]


def test_what_is_not_in_the_copy_yet_is_landed_once(queue: Queue):
    """In order; what had nothing to land is not among them."""
    landing = [["customers", None, '{"id": 5}', False]]
    for number in range(3):
        added(queue, **lane(number))
    first, second, _ = found = queue.claim("a", 3)
    for mutation in found:
        queue.settle(mutation, replace(DONE, landing=landing if mutation in (first, second) else None))
    assert [(row["mutation_id"], row["landing"]) for row in queue.landable(10)] == [
        (first.mutation_id, landing),
        (second.mutation_id, landing),
    ]
    [row, _] = queue.landable(10)
    queue.mark_landed(first.mutation_id, row["finished_at"] - timedelta(seconds=1))  # it ended again since
    assert len(queue.landable(10)) == len([first, second])
    queue.mark_landed(first.mutation_id, row["finished_at"])
    assert [row["mutation_id"] for row in queue.landable(10)] == [second.mutation_id]
    assert queue.get(first.mutation_id).landed_at
