"""A town that lives while syncs die: changes that are known, commands that are killed, and what must be true afterwards."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pipelines.sync import Stores
from sandbox.server import Sandbox
from sources.servicetitan.catalog import BY_NAME
from store.settings import Settings
from tests.environment import store_environment

ENTITIES = ("customers", "jobs", "estimates", "campaigns", "payment_types")
"""By export, by list, whole, by parent and by dates."""

CHANGED = {"customers": "name", "jobs": "summary", "estimates": "name", "campaigns": "name", "payment_types": "name"}
"""What is changed, and in which field."""


@dataclass
class Town:
    """A sandbox, the settings of an empty store, and every version that was ever served after a whole sync."""

    sandbox: Sandbox
    settings: Settings
    rate: float = 1000
    chance: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311  not for cryptography
    served: dict[str, set[str]] = field(default_factory=lambda: {name: set() for name in ENTITIES})

    @property
    def environment(self) -> dict[str, str]:
        own = store_environment(self.settings)
        return {**os.environ, **self.sandbox.environment(), **own, "SERVICE_TITAN_RATE": str(self.rate)}

    def command(self, *options: str) -> list[str]:
        return [sys.executable, "-m", "cli.main", "sync", *options, *(f"--entity={name}" for name in ENTITIES)]

    def start(self, *options: str) -> subprocess.Popen[str]:
        """A sync in a process of its own."""
        pipe = subprocess.PIPE
        return subprocess.Popen(self.command(*options), env=self.environment, stdout=pipe, stderr=pipe, text=True)

    def sync(self, *options: str) -> subprocess.CompletedProcess[str]:
        """A sync to its end."""
        return subprocess.run(
            self.command(*options), env=self.environment, capture_output=True, text=True, check=False, timeout=600
        )

    def live(self, changes: int) -> None:
        """Change so many records."""
        for _ in range(changes):
            name = self.chance.choice(list(CHANGED))
            record = self.chance.choice(self.sandbox.records(name)) if name != "jobs" else None
            key = record["id"] if record else self.chance.choice(self.sandbox.records("jobs")[:50])["id"]
            self.sandbox.change(name, key, **{CHANGED[name]: f"changed {self.chance.getrandbits(40)}"})
        self.note()

    def note(self) -> None:
        """Remember every version that is served now."""
        for name in ENTITIES:
            self.served[name] |= {json.dumps(record, sort_keys=True) for record in self.sandbox.records(name)}

    def check(self) -> None:
        """Raw holds every version that was ever served, and master the newest version of each key, exactly once.

        Exports serve deleted records too, and nothing else deletes any here.
        """
        stores = Stores.open(self.settings)
        try:
            for name in ENTITIES:
                self.check_entity(stores, name)
        finally:
            stores.close()

    def check_entity(self, stores: Stores, name: str) -> None:
        table, fetch = BY_NAME[name].raw_table, stores.warehouse.fetch
        landed = {
            json.dumps(json.loads(text), sort_keys=True)
            for (text,) in fetch(f"SELECT CAST(payload AS TEXT) FROM raw.{table}")
        }
        assert self.served[name] <= landed, f"{name}: {len(self.served[name] - landed)} versions are missing"
        rows = fetch(
            f"SELECT r.st_id, CAST(payload AS TEXT) FROM raw.{table} AS r JOIN master.{name} AS m "
            "ON m.st_id = r.st_id AND m.payload_hash = r.payload_hash AND m.synced_at = r.synced_at"
        )
        newest = {key: json.dumps(json.loads(text), sort_keys=True) for key, text in rows}  # raw may hold a row twice
        now = [json.dumps(record, sort_keys=True) for record in self.sandbox.records(name)]
        assert sorted(newest.values()) == sorted(now), (name, set(now) ^ set(newest.values()))
        ((keys, rows),) = fetch(f"SELECT COUNT(DISTINCT st_id), COUNT(*) FROM master.{name}")
        assert keys == rows, name


@contextmanager
def town(settings: Settings, **options: int) -> Iterator[Town]:
    """A town whose store has seen one whole sync."""
    with Sandbox(**{"seed": 9, "customers": 150, "export_page_size": 50, **options}) as sandbox:
        made = Town(sandbox, settings)
        made.note()
        done = made.sync()
        assert done.returncode == 0, done.stdout + done.stderr
        yield made
