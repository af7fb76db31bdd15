"""Queue and runner under everything that can happen to them in any order, held by a state machine of hypothesis."""

import shutil
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings as profile
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from outbound.attempt import Attempt
from outbound.exceptions import NotAllowedError
from outbound.queue import Mutation, Queue, Settlement
from outbound.state import PENDING, PROCESSING, TRANSITIONS, UNKNOWN, State, possible
from sandbox.server import Sandbox
from store.settings import Settings
from tests.outbound.desk import HURRIED, Desk, desk

RECORDS = 3
STEPS = ("mark", "marked", "settle")
STAYS = frozenset({"queued", "take over", "send", "look later"})


class CrashError(BaseException):
    """The process dies here."""


class Dying(Queue):
    """A queue whose runner dies at a step. Its leases have ended when they are given, as if the runner were long gone."""

    step = ""
    time_to_send = timedelta(seconds=30)  # type: ignore[assignment]  not a part of a lease that has ended

    def mark_sent(self, mutation: Mutation, live: Any, merged: Any) -> bool:
        """Die before or behind the commit of `sent_at`."""
        if self.step == "mark":
            raise CrashError
        is_ours = super().mark_sent(mutation, live, merged)
        if self.step == "marked":
            raise CrashError
        return is_ours

    def settle(self, mutation: Mutation, end: Settlement) -> bool:
        """Die before the end is written down: ServiceTitan may have done it."""
        if self.step == "settle":
            raise CrashError
        return super().settle(mutation, end)


class Machine(RuleBasedStateMachine):
    """One queue, one small ServiceTitan, and whoever works or dies."""

    @initialize()
    def begin(self) -> None:
        """An empty queue on a ServiceTitan of its own."""
        self.folder = Path(tempfile.mkdtemp())
        self.sandbox = Sandbox(seed=8, customers=5)
        self.sandbox.start()
        self.opened = desk(Settings("", self.folder, 3001, "warning"), self.sandbox)
        self.office: Desk = self.opened.__enter__()
        self.queue = Dying(self.office.operations, lease=timedelta(seconds=-1))
        self.customers = [one["id"] for one in self.sandbox.records("customers")][:RECORDS]
        self.made: dict[int, str] = {}
        self.held: list[Mutation] = []
        self.number = 0

    def next(self) -> int:
        """A number that no other change has."""
        self.number += 1
        return self.number

    @rule(record=st.integers(0, RECORDS - 1))
    def update(self, record: int) -> None:
        """Somebody wants another name."""
        self.office.ask("customers:update", self.customers[record], {"name": f"name {self.next()}"})

    @rule(record=st.integers(0, RECORDS - 1))
    def note(self, record: int) -> None:
        """Somebody wants a note, which is in the customer's lane."""
        text = f"note {self.next()}."
        self.made[self.office.ask("customer_notes:create-note", self.customers[record], {"text": text}).mutation_id] = (
            text
        )

    @rule(fault=st.sampled_from(["", "write_failed_after", "write_cut_after", "write_failed_before"]))
    def weather(self, fault: str) -> None:
        """ServiceTitan does well, or badly."""
        self.sandbox.switch_faults({fault: 0.5} if fault else ())

    @rule(step=st.sampled_from(["", "", *STEPS]), takes_over=st.booleans())
    def work(self, step: str, *, takes_over: bool) -> None:
        """A runner takes one, or takes one over, and works on it until it is done or the runner dies."""
        take = self.queue.take_over if takes_over else self.queue.claim
        for mutation in take("runner", 1):
            self.queue.step = step
            try:
                Attempt(self.queue, self.office.client, mutation, HURRIED).run()
            except CrashError:
                self.held.append(mutation)
            finally:
                self.queue.step = ""

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def come_back(self, data: st.DataObject) -> None:
        """A runner that was taken for dead writes down its end: it counts only while the lease is its own."""
        mutation = data.draw(st.sampled_from(self.held))
        now = self.queue.get(mutation.mutation_id)
        is_ours = now.state is PROCESSING and now.lease_token == mutation.lease_token
        if not is_ours:
            assert not self.queue.settle(mutation, Settlement("refused", "late"))
            assert not self.queue.mark_sent(mutation, None, [])

    @rule(record=st.integers(0, RECORDS - 1))
    def edit(self, record: int) -> None:
        """Somebody changes the same in ServiceTitan."""
        self.sandbox.change("customers", self.customers[record], name=f"theirs {self.next()}")

    @rule(data=st.data())
    def decide(self, data: st.DataObject) -> None:
        """A person decides on any mutation: what STATES.md draws works, all else is refused."""
        every = self.office.queue.some(most=1000)
        if not every:
            return
        mutation = data.draw(st.sampled_from(every))
        word = data.draw(
            st.sampled_from(sorted({by for _, _, by in TRANSITIONS if by not in {"claim", "later", "done"}}))
        )
        if word == "resolve not_done" and self.is_made(mutation):
            return  # a person who looks sees it
        try:
            self.office.queue.decide(mutation, word, "person")
        except NotAllowedError:
            assert word not in possible(mutation.state)
        else:
            assert word in possible(mutation.state)

    def is_made(self, mutation: Mutation) -> bool:
        """Whether ServiceTitan has what a mutation was to make."""
        return any(mutation.ref in str(write.body) for write in self.sandbox.written)

    @invariant()
    def one_in_flight(self) -> None:
        """Of each lane, at most one is worked on, and nothing is worked on behind one that is unknown."""
        if not hasattr(self, "office"):
            return
        every = self.office.queue.some(most=1000)
        lanes = Counter(one.lane for one in every if one.state in {PROCESSING, UNKNOWN} and one.lane)
        working = Counter(one.lane for one in every if one.state is PROCESSING and one.lane)
        assert all(count == 1 for count in working.values())
        assert not [lane for lane in working if lanes[lane] > 1]

    @invariant()
    def only_what_is_drawn(self) -> None:
        """Each history is a walk along TRANSITIONS."""
        if not hasattr(self, "office"):
            return
        for mutation in self.office.queue.some(most=1000):
            state: State = PENDING
            for step in mutation.history:
                if step.did not in STAYS:
                    state = next(to for origin, to, by in TRANSITIONS if origin is state and by == step.did)
            assert state is mutation.state

    @invariant()
    def first_in_first_out(self) -> None:
        """What is sent of a record's names is sent in the order in which it was asked for, unless a person asked again."""
        if not hasattr(self, "office"):
            return
        again = {
            one.payload["name"]
            for one in self.office.queue.some(most=1000, operation="update")
            if any(step.by == "person" for step in one.history)
        }
        for key in self.customers:
            sent = [
                int(write.body["name"].split()[1])
                for write in self.sandbox.written
                if write.title == "customers:update" and str(write.key) == str(key) and write.body["name"] not in again
            ]
            assert sent == sorted(sent)

    def teardown(self) -> None:
        """In the end nothing is under way, and nothing was made twice."""
        if not hasattr(self, "office"):
            return
        try:
            self.sandbox.switch_faults(())
            for _ in range(3):
                self.office.runner().once()
                for mutation in self.office.queue.some(state="unknown", most=1000):
                    word = "resolve done" if self.is_made(mutation) else "resolve not_done"
                    self.office.queue.decide(mutation, word, "person")
            assert not self.office.queue.counts().get("processing")
            texts = Counter(
                str(write.body.get("text")).partition(" [ref")[0] for write in self.sandbox.written if write.body
            )
            assert all(texts[text] <= 1 for text in self.made.values())
        finally:
            self.opened.__exit__(None, None, None)
            self.sandbox.stop()
            shutil.rmtree(self.folder, ignore_errors=True)


TestMachine = Machine.TestCase
TestMachine.settings = profile(max_examples=25, stateful_step_count=30, deadline=None)
