"""Workers that share tenants: one, then four, read all entities of the same tenants once, on one operations store.

All stand on this machine: so many more workers than its cores cost what they cost on hosts of their own, and gain less.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2

from bench.measure import Gauge
from bench.place import ROOT, Environment, Place, TrialError, sandbox
from bench.result import Figures
from sources.servicetitan.catalog import CATALOG, Feed

NUMBERS = (1, 4)
CUSTOMERS = 2
ONCE = "1=1d, 2=1d, 3=1d, 4=1d"  # nothing becomes due twice
RATE = "1000"  # requests a second for a tenant: what is measured is the workers
LONGEST = 3600.0
ALL = [entity for entity in CATALOG if entity.feed is not Feed.REPORT]  # which may run once a minute

READ = """SELECT COUNT(*) FROM (
  SELECT DISTINCT tenant_id, entity FROM system.sync_batches WHERE entity = ANY(%s) AND status IN ('completed', 'unavailable')
) AS read"""
THERE = "SELECT TO_REGCLASS('system.sync_batches') IS NOT NULL"
ROW = '[[sources.servicetitan.tenants]]\ntenant_id = {}\nclient_id = "{}"\nclient_secret = "{}"\napp_key = "{}"\n'
CREDENTIALS = ("SERVICE_TITAN_CLIENT_ID", "SERVICE_TITAN_CLIENT_SECRET", "SERVICE_TITAN_APP_KEY")


def shared(here: Place, engine: str, tenants: int, number: int) -> Figures:
    """What it costs so many workers to read all entities of so many tenants. Raises TrialError."""
    named = [option for tenant in range(1, tenants + 1) for option in ("--tenant", str(tenant))]
    gauge = Gauge(here.database_url)
    with sandbox(CUSTOMERS, *named) as servicetitan:
        environment = servicetitan | {
            "LAZI_WAREHOUSE": engine,
            "LAZI_SCHEDULE": ONCE,
            "LAZI_RECONCILE": "off",
            "SERVICE_TITAN_RATE": RATE,
        }
        if engine == "ducklake":
            environment["LAZI_LAKE"] = str(here.folder / "lake")
        with gauge.measured() as cost, running(here, environment, tenants, number) as workers:
            wall = wait(here.database_url, tenants * len(ALL), workers)
    return {
        "wall_s": wall,
        "cpu_s": cost.client,
        "server_s": cost.server,
        "reads_per_s": tenants * len(ALL) / wall,
    }


@contextmanager
def running(
    here: Place, environment: Environment, tenants: int, number: int
) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Workers with a data folder each, as hosts have; stopped as a user would, so that their CPU is counted."""
    environment = dict(environment)
    del environment["SERVICE_TITAN_TENANT_ID"]  # they stand in a file
    known = [environment[name] for name in CREDENTIALS]
    workers: list[subprocess.Popen[bytes]] = []
    try:
        for place in (here.folder / f"host-{count}" for count in range(number)):
            (place / ".dlt").mkdir(parents=True)
            rows = (ROW.format(tenant, *known) for tenant in range(1, tenants + 1))
            (place / ".dlt" / "secrets.toml").write_text("".join(rows), encoding="utf-8")
            own = here.environment(**environment, LAZI_DATA_DIR=str(place), PYTHONPATH=str(ROOT))
            with (place / "said.log").open("wb") as log:
                command = [sys.executable, "-m", "cli.main", "sync", "--schedule"]
                workers.append(subprocess.Popen(command, env=own, cwd=place, stdout=log, stderr=log))  # noqa: S603  our own
        yield workers
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait()


def wait(database_url: str, reads: int, workers: list["subprocess.Popen[bytes]"]) -> float:
    """Seconds until each entity of each tenant was read. Raises TrialError when a worker ends or an hour has passed."""
    begun = time.monotonic()
    with closing(psycopg2.connect(database_url)) as connection:
        connection.autocommit = True
        while counted(connection) < reads:
            ended = [worker.returncode for worker in workers if worker.poll() is not None]
            if ended or time.monotonic() - begun > LONGEST:
                raise TrialError(f"{counted(connection)} of {reads} reads were made; workers that ended: {ended}.")
            time.sleep(0.5)
    return time.monotonic() - begun


def counted(connection: "psycopg2.extensions.connection") -> int:
    """How many entities of tenants were read."""
    with connection.cursor() as cursor:
        cursor.execute(THERE)
        if not cursor.fetchone()[0]:
            return 0
        cursor.execute(READ, ([entity.name for entity in ALL],))
        return int(cursor.fetchone()[0])
