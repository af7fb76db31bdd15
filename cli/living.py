"""What `lazi up` and `lazi sync --schedule` share: waiting for the store, living until told to stop, lines about the work."""

from __future__ import annotations

import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

import click

from cli import sign
from cli.drifting import look, told
from store.migrating import overtaken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cli.outbound import Sending
    from discovery.drift import Drift
    from pipelines.duties import Duty
    from pipelines.modelling import Models
    from pipelines.schedule import Schedule
    from pipelines.sync import Stores
    from sources.servicetitan.reading import Outcome
    from store.settings import Settings

T = TypeVar("T")
TRY_EVERY = 2.0  # seconds between looks at a store that is not there yet
GRACE = 10.0  # seconds in which work at hand may come to its end
MOST_NAMES = 6  # entities that a line names
UNAVAILABLE = "What was read before stays as it is, all else goes on, and it is asked for again at each of its turns."


def opened(settings: Settings, sleep: Callable[[float], None] = time.sleep) -> Stores:
    """The stores, prepared. One that is not there yet, or that another process holds, is waited for, with a word."""
    from pipelines.sync import Stores
    from store.exceptions import StoreLockedError, StoreUnreachableError

    return awaited("the store", lambda: Stores.open(settings), (StoreUnreachableError, StoreLockedError), sleep)


def awaited(
    what: str,
    make: Callable[[], T],
    absences: tuple[type[Exception], ...],
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """What `make` returns, tried again as long as it raises one of these, with a word."""
    told = ""
    while True:
        try:
            made = make()
        except absences as error:
            if str(error) != told:
                told = str(error)
                click.echo(f"Waiting for {what}: {told} It is tried every {TRY_EVERY:g} s; Ctrl-C ends this.", err=True)
                sign.waits(what, f"{what}: {told}")
            sleep(TRY_EVERY)
        else:
            if told:
                sign.waits(what)
                click.echo(f"{what[0].upper()}{what[1:]} is there.", err=True)
            return made


@dataclass(slots=True)
class Lines:
    """A watcher that prints a line for what happened: rows that landed, what failed, once and when it is well again."""

    look: Callable[[Sequence[Outcome]], list[Drift]]  # for drift in what landed
    several: bool = False  # tenants, whom each line then names
    troubled: dict[str, str] = field(default_factory=dict)  # by what failed: how
    lock: threading.Lock = field(default_factory=threading.Lock)

    def done(self, duty: Duty, outcomes: Sequence[Outcome], seconds: float) -> None:
        """A line where something landed or failed."""
        landed = [outcome for outcome in outcomes if outcome.tally.appended]
        rows = sum(outcome.tally.appended for outcome in landed)
        if rows:
            names = ", ".join(outcome.entity.name for outcome in landed[:MOST_NAMES])
            more = f" and {len(landed) - MOST_NAMES} more" if len(landed) > MOST_NAMES else ""
            self.say(f"{self.named(duty)}: {rows:,} rows of {names}{more}; {seconds:.1f} s")
            for line in told(self.look(landed)):
                self.say(line)
        self.well(self.named(duty))
        for outcome in outcomes:
            name = f"{outcome.tenant_id} {outcome.entity.name}" if self.several else outcome.entity.name
            if outcome.status == "failed":
                self.trouble(name, outcome.error)
            elif outcome.status == "unavailable":
                self.trouble(name, f"{outcome.error} {UNAVAILABLE}", "NOT AVAILABLE")
            else:
                self.well(name)

    def failed(self, duty: Duty, error: BaseException) -> None:
        """A line, the first time that it is so."""
        self.trouble(self.named(duty), str(error) or type(error).__name__)

    def modelled(self, what: str, seconds: float) -> None:
        """A line."""
        self.well("models")
        self.say(f"models {what}; {seconds:.1f} s")

    def not_modelled(self, error: BaseException) -> None:
        """A line, the first time that it is so."""
        self.trouble("models", str(error))

    def waits(self, reason: str) -> None:
        """Of no interest: turns of one service wait for each other all the time."""

    def trouble(self, name: str, how: str, what: str = "FAILED") -> None:
        """Say it unless it was so before."""
        with self.lock:
            known, self.troubled[name] = self.troubled.get(name), how
        if known != how:
            self.say(f"{what} {name}: {how}")

    def well(self, name: str) -> None:
        """Say it where it was not so before."""
        with self.lock:
            was_troubled = self.troubled.pop(name, None) is not None
        if was_troubled:
            self.say(f"well again: {name}")

    def named(self, duty: Duty) -> str:
        """A duty in a line."""
        return f"{duty.tenant_id} {duty.name}" if self.several else duty.name

    @staticmethod
    def say(text: str) -> None:
        """A line on standard error, with the time of day here."""
        click.echo(f"{datetime.now().astimezone():%H:%M:%S} {text}", err=True)


def made_schedule(stores: Stores, models: Models) -> Schedule:
    """The schedule of the settings. Raises SettingsError, CatalogError."""
    from functools import partial

    from cli.loops import look_after
    from pipelines.duties import duties
    from pipelines.schedule import Schedule
    from store.settings import connection
    from store.timetable import timetable

    servicetitan, table = connection(), timetable()
    duties(table, ())  # a name that nobody knows is said before anything begins
    lines = Lines(partial(look, stores), several=len(servicetitan.tenants) > 1)
    schedule = Schedule(stores, servicetitan, table, lines, models)
    look_after(schedule)
    return schedule


@contextmanager
def watched(stores: Stores) -> Iterator[None]:
    """A watchman at work, and whoever does errands, while what is inside lasts. Raises SettingsError."""
    from functools import partial

    from alarms.facts import read
    from alarms.hook import hook
    from alarms.limits import limits
    from alarms.watchman import Watchman
    from pipelines.errands import Errands
    from store.settings import known_tenants
    from store.timetable import timetable

    look = partial(read, stores.operations, stores.warehouse.fetch, stores.settings.data_dir, known_tenants())
    watchman = Watchman(stores.operations, look, limits(), timetable(), hook())
    errands = Errands(stores)
    watchman.start()
    errands.start()
    try:
        yield
    finally:
        errands.stop()
        watchman.stop()


@contextmanager
def at_work(schedule: Schedule | None, sending: Sending | None = None) -> Iterator[None]:
    """Both at work while what is inside lasts. What does not end in time is cut off: the next start goes on there."""
    if schedule:
        schedule.start()
    try:
        yield
    finally:
        inside = sys.exc_info()[1]
        if not ended(schedule, sending):
            click.echo(f"Work at hand did not end within {GRACE:.0f} s; the next start goes on where it was.", err=True)
            cut_off(code_of(inside))


def ended(schedule: Schedule | None, sending: Sending | None) -> bool:
    """Have both end what they began, together; whether they did in time. Raises what ended sending before its time."""
    over = time.monotonic() + GRACE
    if schedule:
        schedule.stopping.want()
    with_it = ThreadPoolExecutor(1)
    end = with_it.submit(sending.stop) if sending else None
    with_it.shutdown(wait=False)
    is_over = schedule.stop(GRACE) if schedule else True
    if end:
        try:
            end.result(max(0.1, over - time.monotonic()))
        except TimeoutError:
            return False
    return is_over


def code_of(error: BaseException | None) -> int:
    """The exit code for what ended the service."""
    from cli.outbound import OVERTAKEN

    if overtaken.is_set():
        return OVERTAKEN
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    return 0 if error is None or isinstance(error, KeyboardInterrupt) else 1


def cut_off(code: int) -> None:
    """End this process without waiting for its threads. Whatever they do survives that."""
    os._exit(code)


def live(settings: Settings) -> None:
    """Sync by the timetable until interrupted."""
    from contextlib import closing

    from api import query
    from cli.outbound import interruptible
    from cli.planning import ToldModels

    with interruptible(), sign.signed("sync", settings.data_dir), closing(opened(settings)) as stores:
        query.warm(stores.warehouse.dialect)  # before there are threads: see `lazi up`
        with closing(ToldModels(settings)) as models, watched(stores), at_work(made_schedule(stores, models)):
            click.echo("Syncing by the timetable; Ctrl-C ends it.", err=True)
            threading.Event().wait()
