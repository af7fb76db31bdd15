"""The loops of living processes, which say at each turn that they turn, and what they wait for: see `cli.sign`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from apscheduler.triggers.interval import IntervalTrigger

from cli import sign
from outbound.runner import Runner
from store.exceptions import StoreError

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from pipelines.schedule import Schedule

LOOK_EVERY = 10  # seconds
SENDING, SCHEDULE = "sending", "the schedule"


class Turning(Runner):
    """A runner that gives a sign of life whenever it has looked for work."""

    def take(self, pool: ThreadPoolExecutor) -> int:
        """See Runner.take."""
        try:
            taken = super().take(pool)
        except StoreError as error:
            sign.waits(SENDING, f"the store: {error}")
            raise
        else:
            sign.waits(SENDING)
        finally:
            sign.turns(SENDING)
        return taken


def look_after(schedule: Schedule) -> None:
    """Have a schedule give a sign of life, in a thread of those that do its duties.

    It gives none when its scheduler hangs, all of its threads do, its modeller ended, or its store is asked and never answers.
    """
    for tenant_id in list(schedule.pools)[:1]:
        schedule.scheduler.add_job(
            look,
            IntervalTrigger(seconds=LOOK_EVERY, timezone=UTC),
            args=(schedule,),
            id="sign of life",
            executor=str(tenant_id),
            next_run_time=datetime.now(UTC),
        )


def look(schedule: Schedule) -> None:
    """Say that a schedule turns, if it does, and what it waits for."""
    try:
        schedule.stores.operations.run("store_answers")
    except StoreError as error:
        sign.waits(SCHEDULE, f"the store: {error}")
    else:
        sign.waits(SCHEDULE)
    if schedule.modeller.is_alive():
        sign.turns(SCHEDULE)
