"""A sync that is killed: the next one completes it."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from pipelines.sync import Stores
from sandbox.server import Sandbox
from store.settings import Settings

ENTITIES = ("customers", "jobs", "estimates", "campaigns", "payment_types")


@pytest.mark.slow
def test_kill_9_loses_and_skips_nothing(settings: Settings):
    """Killed at random moments and run again, raw holds every record that was served."""
    chance = random.Random(7)  # noqa: S311  not for cryptography
    command = [sys.executable, "-m", "cli.main", "sync", "--no-models", *(f"--entity={name}" for name in ENTITIES)]
    with Sandbox(seed=9, customers=400, export_page_size=50) as sandbox:
        own = {"LAZI_DATA_DIR": str(settings.data_dir), "DATABASE_URL": settings.database_url or "embedded"}
        environment = {**os.environ, **sandbox.environment(), **own, "SERVICE_TITAN_RATE": "40"}
        for _ in range(8):
            with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
                time.sleep(chance.uniform(1.5, 7.0))
                process.send_signal(signal.SIGKILL)
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
        stores = Stores.open(settings)
        for name in ENTITIES:
            ((keys,),) = stores.warehouse.fetch(f"SELECT COUNT(DISTINCT st_id) FROM raw.st_{name}")
            assert keys == len(sandbox.records(name)), name
        stores.close()
