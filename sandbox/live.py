"""Life while the sandbox runs: new customers with work, changes, decisions and deactivations."""

from itertools import count
from random import Random
from threading import Event
from typing import TYPE_CHECKING, Any

from sandbox import clock
from sandbox.naming import customer, email
from sandbox.stories.sales import STATES
from sandbox.words import NOTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.server import Sandbox

STATUSES = ("Scheduled", "Dispatched", "InProgress", "Completed")


class Live:
    """Makes changes to the first tenant of a sandbox; the same ones for the same seed."""

    def __init__(self, sandbox: "Sandbox") -> None:
        """Nothing happens until `run` or `step`."""
        self.sandbox, self.random = sandbox, Random(sandbox.seed)  # noqa: S311  not for cryptography
        self.turns = count()
        self.events: tuple[Callable[[], None], ...] = (
            self.book,
            self.edit,
            self.advance,
            self.edit,
            self.decide,
            self.advance,
            self.arrive,
            self.edit,
            self.advance,
            self.deactivate,
        )

    def run(self, rate: float, stopping: Event) -> None:
        """Make `rate` changes a second until told to stop."""
        while not stopping.wait(1 / rate):
            self.step()

    def step(self) -> None:
        """Make one change, or a few that belong together."""
        self.events[next(self.turns) % len(self.events)]()

    def any(self, entity: str) -> int:
        """The position of any record."""
        return self.random.randrange(self.sandbox.known(None).table(entity).size)

    def now(self) -> str:
        """Now, as a record tells it."""
        return clock.stamp(self.sandbox.clock.now())

    def arrive(self) -> None:
        """A new customer with a location and an address for mail."""
        number = self.random.getrandbits(64)
        name = customer(number)
        made = self.sandbox.create("customers", name=name, balance=0)
        self.sandbox.create("locations", name=name, customerId=made["id"], address=made["address"])
        fields: dict[str, Any] = {"type": "Email", "value": email(number), "phoneSettings": None}
        self.sandbox.create("customer_contacts", customerId=made["id"], **fields)

    def book(self) -> None:
        """A new job for a known customer, with appointment, invoice and open estimate."""
        sandbox, location = self.sandbox, self.any("locations")
        tenant = sandbox.known(None)
        place = tenant.table("locations").record(("locations", "export"), location)
        whose = {"customerId": place["customerId"], "locationId": place["id"]}
        job = sandbox.create("jobs", jobStatus="Scheduled", completedOn=None, estimateIds=[], **whose)
        ident, customer_id = job["id"], place["customerId"]
        visit = sandbox.create("appointments", jobId=ident, customerId=customer_id, status="Scheduled")
        bill = sandbox.create("invoices", job={"id": ident, "number": str(ident), "type": None})
        offer = sandbox.create(
            "estimates", jobId=ident, jobNumber=str(ident), status=state("Open"), soldOn=None, soldBy=None, **whose
        )
        linked = {"firstAppointmentId": visit["id"], "lastAppointmentId": visit["id"], "appointmentCount": 1}
        sandbox.change("jobs", ident, invoiceId=bill["id"], estimateIds=[offer["id"]], **linked)

    def edit(self) -> None:
        """Somebody writes a note, or mail shall not be sent any more."""
        note = self.random.choice(NOTES)
        self.sandbox.change("jobs", self.any("jobs"), summary=note)
        self.sandbox.change("customers", self.any("customers"), doNotMail=self.random.random() < 1 / 2)

    def advance(self) -> None:
        """A job goes on."""
        status = self.random.choice(STATUSES)
        completed = self.now() if status == STATUSES[-1] else None
        self.sandbox.change("jobs", self.any("jobs"), jobStatus=status, completedOn=completed)

    def decide(self) -> None:
        """An estimate is sold."""
        self.sandbox.change("estimates", self.any("estimates"), status=state("Sold"), soldOn=self.now())

    def deactivate(self) -> None:
        """A customer leaves."""
        self.sandbox.change("customers", self.any("customers"), active=False)


def state(name: str) -> dict[str, Any]:
    """An estimate's status by name."""
    return next({"value": value, "name": known} for _, value, known in STATES if known == name)
