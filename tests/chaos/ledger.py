"""Many changes of all kinds, and what must be true of ServiceTitan once they are settled, record by record."""

import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from outbound.marks import Mark, mark_of
from outbound.operations import BY_TITLE
from outbound.queue import Mutation
from outbound.state import CANCELLED, COMPLETED, FAILED, PROCESSING, UNKNOWN
from tests.outbound.desk import Desk

ADDRESS = {"street": "1 Main St", "city": "Ames", "state": "IA", "zip": "50010", "country": "USA"}
STATUS = "payment_custom_fields:update-custom-fields"


@dataclass
class Ledger:
    """What was asked for, in order."""

    office: Desk
    chance: random.Random = field(default_factory=lambda: random.Random(11))  # noqa: S311  not for cryptography
    updates: dict[int, list[tuple[int, str]]] = field(default_factory=lambda: defaultdict(list))
    makes: dict[int, tuple[str, str]] = field(default_factory=dict)  # by mutation: kind and the text that only it has
    removals: dict[int, Any] = field(default_factory=dict)
    cancels: dict[int, Any] = field(default_factory=dict)
    items: dict[int, tuple[Any, Any]] = field(default_factory=dict)  # by mutation: estimate and item that go
    statuses: dict[int, str] = field(default_factory=dict)  # by mutation: the text that only it has

    def __post_init__(self) -> None:
        sandbox = self.office.sandbox
        self.customers = [one["id"] for one in sandbox.records("customers") if one["active"]][:40]
        self.teams = [one["id"] for one in sandbox.records("teams") if one.get("active", True)]
        self.jobs = [one["id"] for one in sandbox.records("jobs") if one["jobStatus"] != "Canceled"]
        there = {one["id"] for one in sandbox.records("estimate_items")}
        self.parts = [
            (one["id"], item["id"])
            for one in sandbox.records("estimates")
            for item in one["items"]
            if item["id"] in there
        ]
        self.payment = sandbox.records("payments")[0]["id"]
        self.reason = sandbox.records("job_cancel_reasons")[0]["id"]

    def ask(self, number: int) -> None:
        """One more change."""
        kinds = {"update": 44, "create": 14, "note": 14, "category": 9, "team": 3, "cancel": 6, "item": 5, "status": 5}
        [kind] = self.chance.choices([*kinds], [*kinds.values()])
        getattr(self, kind)(number)

    def update(self, number: int) -> None:
        """A customer's name."""
        key, name = self.chance.choice(self.customers), f"name {number}"
        mutation = self.office.ask("customers:update", key, {"name": name}, base=None)
        self.updates[key].append((mutation.mutation_id, name))

    def create(self, number: int) -> None:
        """A customer, found again by external data."""
        name = f"customer {number}"
        locations = [{"name": "Home", "address": ADDRESS}]
        body = {"name": name, "type": "Residential", "locations": locations, "address": ADDRESS}
        self.makes[self.office.ask("customers:create", None, body).mutation_id] = ("customers:create", name)

    def note(self, number: int) -> None:
        """A note, found again by its text."""
        text = f"note {number}."
        mutation = self.office.ask("customer_notes:create-note", self.chance.choice(self.customers), {"text": text})
        self.makes[mutation.mutation_id] = ("customer_notes:create-note", text)

    def category(self, number: int) -> None:
        """A campaign's category, found again by its content."""
        name = f"category {number}"
        mutation = self.office.ask("campaign_categories:create", None, {"name": name})
        self.makes[mutation.mutation_id] = ("campaign_categories:create", name)

    def team(self, number: int) -> None:
        """A team that goes, once; then another name."""
        if not self.teams:
            return self.update(number)
        key = self.teams.pop()
        self.removals[self.office.ask("teams:delete", key, base=None).mutation_id] = key
        return None

    def cancel(self, number: int) -> None:
        """A job that is cancelled."""
        if not self.jobs:
            return self.update(number)
        key = self.jobs.pop()
        body = {"reasonId": self.reason, "memo": f"cancel {number}"}
        self.cancels[self.office.ask("jobs:cancel", key, body, base=None).mutation_id] = key
        return None

    def item(self, number: int) -> None:
        """A part of an estimate that goes, once: a removal that no record of its own shows."""
        if not self.parts:
            return self.update(number)
        estimate, item = self.parts.pop()
        title, places = "estimates:delete-item", {"itemId": item}
        self.items[self.office.ask(title, estimate, path_params=places).mutation_id] = (estimate, item)
        return None

    def status(self, number: int) -> None:
        """A custom field of a payment, which the body names: older ones never overtake newer ones."""
        text = f"status {number}"
        body = {"operations": [{"objectId": self.payment, "customFields": [{"name": "Status", "value": text}]}]}
        self.statuses[self.office.ask(STATUS, None, body).mutation_id] = text

    def check(self) -> Counter[str]:
        """Every mutation's state is true of the sandbox; how many ended in which."""
        found = {one.mutation_id: one for one in self.all()}
        states = Counter(str(one.state) for one in found.values())
        assert not states[str(PROCESSING)], states
        assert not states["pending"], states
        self.check_makes(found)
        self.check_updates(found)
        for number, key in self.cancels.items():
            job = self.office.listed("jobs", key)
            assert job is not None
            assert (job["jobStatus"] == "Canceled") or found[number].state is not COMPLETED
        self.check_items(found)
        self.check_statuses(found)
        teams = {one["id"] for one in self.office.sandbox.records("teams") if one.get("active", True)}
        for number, key in self.removals.items():
            assert (key in teams) == (found[number].state is not COMPLETED), found[number]
        return states

    def check_items(self, found: dict[int, Mutation]) -> None:
        """What is completed is gone, what failed is there."""
        there = {one["id"] for one in self.office.sandbox.records("estimate_items")}
        for number, (_, part) in self.items.items():
            if found[number].state is COMPLETED:
                assert part not in there, found[number]
            if found[number].state is FAILED:
                assert part in there, found[number]

    def check_statuses(self, found: dict[int, Mutation]) -> None:
        """They were sent in the order in which they were asked for, and all that are completed were sent."""
        bodies = [write.body for write in self.office.sandbox.written if write.title == STATUS]
        sent = [body["operations"][0]["customFields"][0]["value"] for body in bodies]
        sent = [text for place, text in enumerate(sent) if place == 0 or sent[place - 1] != text]
        assert sent == [text for text in self.statuses.values() if text in sent]
        for number, text in self.statuses.items():
            if found[number].state is COMPLETED:
                assert text in sent, found[number]

    def all(self) -> list[Mutation]:
        """Every mutation."""
        found: list[Mutation] = []
        behind = 2**62
        while some := self.office.queue.some(behind=behind, most=1000):
            found += some
            behind = some[-1].mutation_id
        return found

    def check_makes(self, found: dict[int, Mutation]) -> None:
        """Nothing is made twice; what is completed is made, what failed is not, what is unknown cannot be told by a mark."""
        made = Counter(self.own_text(write.body) for write in self.office.sandbox.written)
        for number, (title, text) in self.makes.items():
            times, mutation = made[text], found[number]
            assert times <= 1, (text, times, mutation)
            if mutation.state is COMPLETED:
                assert times == 1, mutation
                assert mutation.new_id, mutation
            if mutation.state in {FAILED, CANCELLED}:
                assert times == 0, mutation
            if mutation.state is UNKNOWN:
                assert any(step.did == "send" for step in mutation.history), mutation
                assert not times or mark_of(BY_TITLE[title]) is Mark.CONTENT, mutation

    @staticmethod
    def own_text(body: Any) -> str:
        """The text that only this one has, without its mark."""
        text = str(body.get("text") or body.get("name")) if isinstance(body, dict) else ""
        return text.partition(" [ref:")[0]

    def check_updates(self, found: dict[int, Mutation]) -> None:
        """Each record has the value of the last one completed, which were sent in the order in which they were asked for."""
        sent: dict[str, list[str]] = defaultdict(list)
        for write in self.office.sandbox.written:
            if write.title == "customers:update" and (
                not sent[str(write.key)] or sent[str(write.key)][-1] != write.body["name"]
            ):
                sent[str(write.key)].append(write.body["name"])
        for key, asked in self.updates.items():
            done = [name for number, name in asked if found[number].state is COMPLETED]
            record = self.office.listed("customers", key)
            assert record is not None
            if done:
                later = [name for number, name in asked if found[number].state is not COMPLETED]
                assert record["name"] in {done[-1], *later}, (key, asked, record["name"])
            order = [name for _, name in asked if name in sent[str(key)]]
            assert sent[str(key)] == order, (key, order, sent[str(key)])
            assert set(done) <= set(sent[str(key)]), (key, done)
