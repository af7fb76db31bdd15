"""What a block needs to be there: `given failed 12, 13` puts two changes that failed into the queue, under these ids.

All of it is brought about by the real parts, as it comes about for a reader: ServiceTitan refuses a change, another program
changes the same field there, an answer is lost. Ids below those that a page names go to changes that are given up unsent.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from outbound.queue import Queue
from outbound.request import Asked, prepared, wanted
from outbound.state import CONFLICT, FAILED, HELD, UNKNOWN, State
from sources.servicetitan.catalog import BY_NAME
from store.operations import open_operations
from store.settings import Connection, Places, Settings, connection, load
from tests.docs.fence import ROOT, RUN, Fence
from tests.docs.terminal import Desk, WrongError

SANDBOX = Fence("the test", 0, RUN, "lazi sandbox\n", (("background", ""), ("until", "SERVICE_TITAN_AUTH_URL")))
LONGEST = 120.0  # seconds until a change has come to the wanted state
NOWHERE = 4711  # an id that no record has
LOST = ("write_cut_after", "write_failed_before")
"""Faults that leave a change in doubt: the first one that was made, the second one that was not, and so on by turns."""
DOCUMENTS = "LAZI_TEST_OPENAPI"
BESIDE = ROOT.parent / "shared" / "servicetitan" / "openapi"
Json = Any


class MissingError(Exception):
    """What a block needs is not ours to make, and not on this machine."""


@dataclass(frozen=True)
class Office:
    """Somebody else who works in the same ServiceTitan, and who can have the sandbox go wrong."""

    at: Connection

    def ask(self, method: str, path: str, body: Json = None) -> Json:
        """What ServiceTitan answers below an entity's address."""
        tenant = self.at.tenants[0]
        secret = {"client_id": tenant.client_id, "client_secret": tenant.client_secret}
        granted = httpx.post(self.at.auth_url, data={"grant_type": "client_credentials", **secret}).raise_for_status()
        headers = {"Authorization": f"Bearer {granted.json()['access_token']}", "ST-App-Key": tenant.app_key}
        return httpx.request(method, f"{self.at.api_url}{path}", json=body, headers=headers).raise_for_status().json()

    def address(self, entity: str) -> str:
        """Where an entity's records are."""
        row = BY_NAME[entity]
        return f"{row.base}{self.at.tenants[0].tenant_id}/{row.list_path}"

    def records(self, entity: str) -> list[Json]:
        """The first page of them."""
        found: list[Json] = self.ask("GET", f"{self.address(entity)}?page=1&pageSize=200")["data"]
        return found

    def change(self, entity: str, key: int, fields: Json) -> None:
        """Change a record."""
        self.ask("PATCH", f"{self.address(entity)}/{key}", fields)

    @contextmanager
    def going_wrong(self, fault: str) -> Iterator[None]:
        """A fault of the sandbox, each time."""
        address = f"{self.at.api_url}/sandbox/faults"
        httpx.put(address, json={fault: 1.0}).raise_for_status()
        try:
            yield
        finally:
            httpx.put(address, json=[]).raise_for_status()


@dataclass(frozen=True)
class Stage:
    """Where changes are brought into a state: the page's queue and its ServiceTitan."""

    desk: Desk
    settings: Settings
    queue: Queue
    office: Office

    def ask(self, title: str, record: int | None, payload: Json, base: Json = None, *, is_held: bool = False) -> int:
        """Queue a change that was made on a record as it was known; its id."""
        entity, _, operation = title.partition(":")
        asked = Asked(entity_type=entity, operation=operation, entity_id=record, payload=payload)
        tenant = self.office.at.tenants[0].tenant_id
        who = {"tenant_id": tenant, "key_id": "office", "name": "office"}
        made = wanted(asked, prepared(asked), **who, base=base, base_hash=None, is_held=is_held)  # type: ignore[arg-type]
        return self.queue.add(made)[0].mutation_id

    def fill(self, number: int) -> None:
        """Use up all ids below one. Raises WrongError where it is gone already."""
        newest = [mutation.mutation_id for mutation in self.queue.some(most=1)]
        last = newest[0] if newest else 0
        while last < number - 1:
            last = self.ask("tag_types:create", None, {"name": "Any", "color": "#000000"}, is_held=True)
            self.queue.decide(self.queue.get(last), "cancel", "office", "not needed")
        if last >= number:
            raise WrongError(f"The page speaks of mutation {number}, and {last} is there already.")

    def send(self) -> None:
        """Have what is due sent: by the service that runs, else by a pass of the runner."""
        if not any(one.command.startswith("lazi up") for one in self.desk.running):
            self.desk.type("lazi outbound --once --no-models || true\n")

    def come_to(self, number: int, state: State) -> None:
        """Wait until a change is in a state. Raises WrongError where it does not get there."""
        limit = time.monotonic() + LONGEST
        while (mutation := self.queue.get(number)).state is not state:
            if mutation.finished_at or time.monotonic() > limit:
                raise WrongError(f"Mutation {number} is {mutation.state}, not {state}: {mutation.error}")
            time.sleep(0.1)

    def failed(self, number: int) -> int:
        """ServiceTitan refuses a job for a business unit that it does not have."""
        jobs = self.office.records("jobs")
        job = jobs[number % len(jobs)]
        made = self.ask("jobs:update", job["id"], {"businessUnitId": NOWHERE}, job)
        self.send()
        return made

    def conflict(self, number: int) -> int:
        """Somebody gives a customer another name, after ours was asked for and before it is sent."""
        customers = self.office.records("customers")
        customer = customers[number % len(customers)]
        self.office.change("customers", customer["id"], {"name": "Grace Hopper"})
        made = self.ask("customers:update", customer["id"], {"name": "Ada Lovelace"}, customer)
        self.send()
        return made

    def unknown(self, number: int) -> int:
        """A template is made, or is not, and ServiceTitan does not say; there is no way to look for it."""
        service = self.office.records("pricebook_services")[0]["id"]
        items = [{"skuId": service, "quantity": 1, "unitPrice": 100, "isAddOn": False}]
        with self.office.going_wrong(LOST[number % 2 == 0]):
            made = self.ask("invoice_templates:create", None, {"items": items})
            self.send()
            self.come_to(made, UNKNOWN)
        return made

    def held(self, number: int) -> int:
        """Somebody asks the service, with a key of their own, to sell an estimate."""
        made = json.loads(self.desk.type(f"lazi keys create --name office-{number} --scope mutate --json\n")[0])
        offers = [one for one in self.office.records("estimates") if one["status"]["name"] == "Open"]
        seller = self.office.records("technicians")[0]["id"]
        change = {"entity_type": "estimates", "operation": "sell", "payload": {"soldBy": seller}}
        answer = httpx.post(
            f"http://127.0.0.1:{self.settings.port}/api/v1/mutations",
            json=change | {"entity_id": offers[number % len(offers)]["id"]},
            headers={"x-api-key": made["key"]},
        )
        found: int = answer.raise_for_status().json()["data"]["mutation_id"]
        return found


STATES: dict[str, tuple[State, Callable[[Stage, int], int]]] = {
    "failed": (FAILED, Stage.failed),
    "conflict": (CONFLICT, Stage.conflict),
    "unknown": (UNKNOWN, Stage.unknown),
    "held": (HELD, Stage.held),
}
"""What a page may ask for with ids: the state, and what leads there."""


def read(value: str) -> tuple[str, tuple[int, ...]]:
    """A mark's value as what is given and the ids it is to have. ValueError where it is nothing known."""
    name, _, rest = value.partition(" ")
    numbers = tuple(int(each) for each in rest.split(",")) if rest else ()
    if name not in {*STATES, "documents"} or bool(numbers) != (name in STATES) or sorted(set(numbers)) != [*numbers]:
        raise ValueError(f"`given {value}` is neither `documents` nor one of {', '.join(STATES)} with rising ids.")
    return name, numbers


def bring(desk: Desk, fence: Fence) -> None:
    """Bring about all that a block needs. Raises WrongError, and MissingError where the block has to be left out."""
    for name, numbers in map(read, fence.all("given")):
        if not numbers:
            documents(desk)
            continue
        with stage(desk) as found:
            state, lead = STATES[name]
            for number in numbers:
                found.fill(number)
                if (made := lead(found, number)) != number:
                    raise WrongError(f"{fence.place}: `given {name} {number}` became mutation {made}.")
                found.come_to(number, state)


@contextmanager
def stage(desk: Desk) -> Iterator[Stage]:
    """The queue and the ServiceTitan of the folder in which the reader is."""
    places = Places(desk.environment, desk.here)
    settings = load(places)
    settings = replace(settings, data_dir=desk.here / settings.data_dir)
    with closing(open_operations(settings)) as operations:
        yield Stage(desk, settings, Queue(operations), Office(connection(places)))


def documents(desk: Desk) -> None:
    """Put ServiceTitan's documents where the page looks for them. Raises MissingError."""
    folder = Path(named) if (named := os.environ.get(DOCUMENTS)) else BESIDE
    if not any(folder.glob("*.json")):
        raise MissingError(f"`{DOCUMENTS}` names no folder with ServiceTitan's documents")
    place = Path(desk.environment["HOME"], "Downloads", "servicetitan-openapi")
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        place.symlink_to(folder.resolve())
