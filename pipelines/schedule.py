"""The schedule: what is due is done, for every tenant, until it is told to stop.

Turns stand in the store (`system.turns`), so that of several processes one takes each, and a turn that came while nobody
lived is made up for once. Tenants have threads of their own: one that is slow or locked out delays no other. Models run in a
thread behind all of them, when something landed or somebody asked.
"""

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from apscheduler.executors.pool import BasePoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from pipelines.duties import Duty, End, Work, duties
from pipelines.modelling import Models
from pipelines.reconcile import reconcile_tenant
from pipelines.slots import Slots
from pipelines.sync import Silence, Stores, client_for, land_tenant
from pipelines.wishes import LOOK_EVERY as LOOK_FOR_WISHES
from pipelines.wishes import Wishes
from sources.servicetitan.client import Client, Patience
from sources.servicetitan.exceptions import CredentialsError, StoppedError, UnreachableError
from sources.servicetitan.reading import Outcome
from sources.servicetitan.stopping import Stopping
from store.exceptions import StoreError
from store.lock import leased_if_free
from store.operations import Row
from store.server import hushed
from store.settings import Connection
from store.tidying import tidy
from store.timetable import Every, Timetable

AT_ONCE = 48  # duties of one tenant and groups of wishes: never fewer threads, so that none waits for another
APART = timedelta(seconds=2)  # first turns begin so far from each other
LOOK_EVERY = 5.0  # seconds after which models are looked at, whoever landed something
LONGEST_PAUSE = 300.0  # seconds after which models that failed are tried again
SOON = timedelta(minutes=1)  # after which what could not be begun is tried again
AGAIN = timedelta(minutes=5)  # at the latest, after which what failed is done again

log = logging.getLogger(__name__)


class Watcher(Protocol):
    """Someone who wants to know what the schedule does. Called from several threads."""

    def done(self, duty: Duty, outcomes: Sequence[Outcome], seconds: float) -> None:
        """A duty was done; some of its entities may have failed."""

    def failed(self, duty: Duty, error: BaseException) -> None:
        """A duty could not be done."""

    def modelled(self, what: str, seconds: float) -> None:
        """The models were `refreshed` or `planned`."""

    def not_modelled(self, error: BaseException) -> None:
        """The models could not be brought up to date."""

    def waits(self, reason: str) -> None:
        """Nothing goes on somewhere for a while, for this reason."""


class Observed(Silence):
    """An observer of reads that passes on what they wait for."""

    def __init__(self, watcher: Watcher) -> None:
        """To whom."""
        self.watcher = watcher

    def waits(self, reason: str) -> None:
        """Passed on."""
        self.watcher.waits(reason)


class Threads(BasePoolExecutor):  # type: ignore[misc]  # APScheduler tells no types
    """Threads of ours, which we can wait for without APScheduler's locks."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        """Those of `pool`."""
        super().__init__(pool)


STOPPED = str(StoppedError.__doc__)


@dataclass(slots=True)
class Schedule:
    """What is due, done by threads of this process. `start`, then `stop`."""

    stores: Stores
    connection: Connection
    timetable: Timetable
    watcher: Watcher
    models: Models
    patience: Patience = field(default_factory=Patience)
    stopping: Stopping = field(default_factory=Stopping)
    landed: threading.Event = field(default_factory=threading.Event)
    clients: dict[int, Client] = field(init=False)
    pools: dict[int, ThreadPoolExecutor] = field(init=False)
    slots: Slots = field(init=False)
    due: dict[str, datetime] = field(
        default_factory=dict
    )  # by a job's name: as the store had it when it was last asked
    scheduler: Any = field(init=False)
    modeller: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        """Nothing runs yet."""
        logging.getLogger("apscheduler").setLevel(
            logging.ERROR
        )  # it warns of each turn that comes while one is at work
        patience = replace(self.patience, sleep=self.stopping.sleep)
        self.clients = {
            tenant.tenant_id: client_for(self.connection, tenant, self.stores.budgets, patience)
            for tenant in self.connection.tenants
        }
        self.pools = {tenant_id: ThreadPoolExecutor(AT_ONCE) for tenant_id in self.clients}
        self.slots = Slots(self.timetable.at_once)
        self.scheduler = BackgroundScheduler(
            executors={str(tenant_id): Threads(pool) for tenant_id, pool in self.pools.items()},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone=UTC,
        )
        self.modeller = threading.Thread(target=self.model, name="models", daemon=True)

    def start(self) -> None:
        """Begin. Raises CatalogError for an entity that the timetable names and nobody knows."""
        for place, duty in enumerate(duties(self.timetable, self.clients)):
            self.due[job_name(duty)] = self.planned(duty, datetime.now(UTC) + place * APART)
            self.scheduler.add_job(
                self.turn,
                trigger_of(duty),
                args=(duty,),
                id=job_name(duty),
                executor=str(duty.tenant_id),
                next_run_time=self.due[job_name(duty)],
            )
        for tenant_id, pool in self.pools.items():
            self.scheduler.add_job(
                self.wishes(tenant_id, pool).look,
                IntervalTrigger(seconds=LOOK_FOR_WISHES.seconds, timezone=UTC),
                id=f"{tenant_id} wishes",
                executor=str(tenant_id),
            )
        self.scheduler.start()
        self.modeller.start()

    def stop(self, seconds: float = 10.0) -> bool:
        """Have what is at work end behind its page, and wait so long for it; whether it did."""
        self.stopping.want()
        self.landed.set()
        over = time.monotonic() + seconds
        self.scheduler.shutdown(wait=False)  # it would wait holding a lock that turns need to end
        ending = [threading.Thread(target=pool.shutdown, daemon=True) for pool in self.pools.values()]
        for thread in ending:
            thread.start()
        threads = [*ending, self.modeller]
        for thread in threads:
            thread.join(max(0.0, over - time.monotonic()))
        ended = not any(thread.is_alive() for thread in threads)
        if ended:
            for client in self.clients.values():
                client.close()
        return ended

    def planned(self, duty: Duty, first: datetime) -> datetime:
        """When a duty is due: as the store has it, else at first; a day's duty waits for its hour, one cut off does not."""
        now = datetime.now(UTC)
        due = first if isinstance(duty.when, Every) else duty.when.after(now)
        values = {"tenant_id": duty.tenant_id, "duty": duty.name}
        [row] = self.stores.operations.run("plan_turn", **values, due_at=due, latest=duty.when.after(now))
        return min(first, moment(row["due_at"])) if is_unfinished(row) else moment(row["due_at"])

    def turn(self, duty: Duty) -> None:
        """Do a duty if it is due and nobody else does it; then wait for its next turn."""
        if not self.slots.take(self.due[job_name(duty)], often(duty), lambda: self.stopping):
            return
        try:  # another process may have taken it meanwhile
            with leased_if_free(self.stores.settings, f"turn {job_name(duty)}") as is_ours:
                if is_ours:
                    self.held_turn(duty)
            due = self.next_turn(duty)
        except StoreError as error:
            self.watcher.failed(duty, error)
            due = datetime.now(UTC) + SOON
        finally:
            self.slots.give_back()
        self.due[job_name(duty)] = due
        with suppress(JobLookupError):  # the schedule was stopped
            self.scheduler.modify_job(job_name(duty), next_run_time=due)

    def held_turn(self, duty: Duty) -> None:
        """Do a duty if it is due, or was cut off, by who alone may."""
        begun, operations = datetime.now(UTC), self.stores.operations
        values = {"tenant_id": duty.tenant_id, "duty": duty.name}
        quiet = self.timetable.quiet
        if duty.work is Work.SYNC and quiet and quiet.holds(begun):
            operations.run("put_turn_off", **values, due_at=quiet.over(begun))
        elif operations.run("take_turn", **values, now=begun, due_at=duty.when.after(begun)):
            end = self.taken(duty)
            if end.was_stopped:
                return  # the next start goes on with it
            now = datetime.now(UTC)
            latest = min(duty.when.after(begun), now + AGAIN) if end.is_failure else duty.when.after(begun)
            told = {"error": end.error or None, "is_locked_out": end.is_locked_out}
            operations.run("end_turn", **values, begun_at=begun, now=now, latest=latest, **told)

    def wishes(self, tenant_id: int, pool: ThreadPoolExecutor) -> Wishes:
        """What grants a tenant's wishes."""
        stores = self.stores
        return Wishes(stores.settings, stores.operations, tenant_id, pool, self.taken, self.stopping)

    def taken(self, duty: Duty) -> End:
        """Do a duty; how it ended."""
        begun = time.monotonic()
        try:
            outcomes = self.do(duty)
        except StoppedError:
            return End(was_stopped=True)
        except Exception as error:  # whatever it is, the next turn comes
            log.debug("a duty failed", exc_info=True, extra={"duty": duty.name, "tenant_id": duty.tenant_id})
            self.watcher.failed(duty, error)
            is_locked_out = isinstance(error, CredentialsError | UnreachableError)
            return End(hushed(str(error))[:2000] or type(error).__name__, is_failure=True, is_locked_out=is_locked_out)
        self.landed.set()
        failed = [one for one in outcomes if one.status == "failed"]
        if self.stopping and any(one.error == STOPPED for one in failed):
            return End(was_stopped=True)
        self.watcher.done(duty, outcomes, time.monotonic() - begun)
        return End("; ".join(f"{one.entity.name}: {one.error}" for one in failed)[:2000])

    def do(self, duty: Duty) -> Sequence[Outcome]:
        """The duty's work; what became of each entity. Raises ServiceTitanError or StoreError."""
        stores, client = self.stores, self.clients[duty.tenant_id]
        if duty.work is Work.DATES:
            now = datetime.now(UTC)
            stores.operations.run("request_models", requested_by="the calendar", requested_at=now)
            tidy(stores.operations, now)
            return []
        client.authenticate()
        observer = Observed(self.watcher)
        if duty.work in {Work.SYNC, Work.FULL}:
            full = duty.work is Work.FULL
            return land_tenant(stores, client, duty.entities, full=full, observer=observer, stopping=self.stopping)
        found = reconcile_tenant(stores, client, duty.entities, observer=observer, stopping=self.stopping)
        return [result.outcome for result in found]

    def next_turn(self, duty: Duty) -> datetime:
        """The next turn as the store has it: another process may have taken this one, and may be cut off in it."""
        now = datetime.now(UTC)
        found = self.stores.operations.run("turn", tenant_id=duty.tenant_id, duty=duty.name)
        due = max(moment(found[0]["due_at"]), now) if found else now + SOON
        return min(due, now + SOON) if found and is_unfinished(found[0]) else due

    def model(self) -> None:
        """Bring the models up to date whenever something landed or somebody asked, until it is time to stop."""
        pause = 0.0
        while not self.stopping:
            self.landed.wait(LOOK_EVERY)
            self.landed.clear()
            if self.stopping or self.stopping.wanted.wait(pause):
                return
            begun = time.monotonic()
            try:
                what = self.models.refresh(self.stores.operations)
            except Exception as error:  # whatever it is, such as a file that is being replaced, it is tried again
                log.debug("the models failed", exc_info=True)
                pause = min(max(LOOK_EVERY, pause * 2), LONGEST_PAUSE)
                self.watcher.not_modelled(error)
            else:
                pause = 0.0
                if what != "unchanged":
                    self.watcher.modelled(what, time.monotonic() - begun)


def job_name(duty: Duty) -> str:
    """A duty's name among all tenants'."""
    return f"{duty.tenant_id} {duty.name}"


def often(duty: Duty) -> timedelta:
    """How long it is from one turn to the next."""
    return duty.when.interval if isinstance(duty.when, Every) else timedelta(days=1)


def trigger_of(duty: Duty) -> IntervalTrigger:
    """When a turn comes if the store does not say it."""
    return IntervalTrigger(seconds=max(1, round(often(duty).total_seconds())), timezone=UTC)


def moment(value: Any) -> datetime:
    """A moment of the store, which SQLite's RETURNING gives as text."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def is_unfinished(row: Row) -> bool:
    """Whether a turn is under way, or was cut off."""
    begun, ended = (moment(row[name]) if row[name] else None for name in ("begun_at", "ended_at"))
    return begun is not None and (ended is None or ended < begun)
