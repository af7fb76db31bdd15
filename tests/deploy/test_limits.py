"""The limits of compose.prod.yaml are real: each process works within its memory, on a million records in PostgreSQL.

A limit is one of the kernel's: a control group, which kills what goes beyond it. The image's settings of the allocators are
its own; the sandbox is ServiceTitan.
"""

import os
import re
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest

from store import keys
from store.operations import open_operations
from store.settings import Settings
from tests.deploy.compose import DEPLOY, FILES, loaded, megabytes
from tests.deploy.dockerfile import stages
from tests.ports import free_port

CUSTOMERS = 15_700
PRIORITIES = 4
RECORDS = 950_000  # about so many; everything grows with the customers
V1, V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
SERVICES = loaded(FILES["compose.prod"], {"LAZI_HOST": "x"})["services"]
ALLOCATORS = re.compile("MALLOC|ARROW")
needs_cgroups = pytest.mark.skipif(
    os.geteuid() != 0 or not ((V1 / "memory.limit_in_bytes").exists() or (V2 / "cgroup.controllers").exists()),
    reason="limits of memory need root and control groups",
)


@dataclass
class Group:
    """A control group with a limit of memory, of either kind."""

    path: Path
    is_v1: bool

    @classmethod
    def made(cls, limit: int) -> "Group":
        """One with a limit in MB."""
        is_v1 = (V1 / "memory.limit_in_bytes").exists()
        path = (V1 if is_v1 else V2) / f"lazi-{uuid.uuid4().hex[:8]}"
        path.mkdir()
        (path / ("memory.limit_in_bytes" if is_v1 else "memory.max")).write_text(str(limit << 20))
        return cls(path, is_v1)

    def command(self, *arguments: str) -> list[str]:
        """What executes these arguments in it."""
        return ["/bin/sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(self.path), *arguments]

    @property
    def killed(self) -> int:
        """How many processes were killed in it."""
        text = (self.path / ("memory.oom_control" if self.is_v1 else "memory.events")).read_text()
        return int(re.findall(r"^oom_kill (\d+)", text, re.MULTILINE)[0])

    @property
    def used(self) -> int:
        """Megabytes of memory that is nobody's file: what cannot be given back."""
        text = (self.path / "memory.stat").read_text()
        return int(re.findall(rf"^{'rss' if self.is_v1 else 'anon'} (\d+)", text, re.MULTILINE)[0]) >> 20


class Watch(threading.Thread):
    """Looks how much is used, twice a second."""

    def __init__(self, group: Group) -> None:
        super().__init__(daemon=True)
        self.group, self.peak, self.is_over = group, 0, threading.Event()

    def run(self) -> None:
        while not self.is_over.wait(0.5):
            self.peak = max(self.peak, self.group.used)


@dataclass
class Town:
    """A sandbox with a million records, and a database."""

    url: str
    folder: Path
    environment: dict[str, str]

    @contextmanager
    def limited(self, name: str, *command: str, **more: str) -> Iterator[tuple[subprocess.Popen[str], Watch]]:
        """A service of the compose file within its memory, by its own command or another; it may not be killed."""
        limit = megabytes(SERVICES[name]["deploy"]["resources"]["limits"]["memory"])
        group = Group.made(limit)
        watch = Watch(group)
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        arguments = ["lazi", *(command or SERVICES[name]["command"])]
        with (self.folder / f"{name}.err").open("a", encoding="utf-8") as told:
            process = subprocess.Popen(
                group.command(*arguments),
                env=self.environment | {"LAZI_DATA_DIR": str(folder)} | more,
                stdout=told,
                stderr=told,
                text=True,
            )
        watch.start()
        try:
            yield process, watch
            process.terminate()
            process.wait(60)
            watch.is_over.set()
            assert not group.killed, f"`{' '.join(arguments)}` needs more than {limit} MB; used {watch.peak}"
            print(f"lazi {name}: {watch.peak} MB of {limit}")  # noqa: T201  figures for the reader of `pytest -s`
            assert watch.peak < limit
        finally:
            process.kill()
            process.wait()
            watch.is_over.set()
            watch.join()
            group.path.rmdir()

    def one(self, query: str) -> Any:
        """The value of a query."""
        with closing(psycopg2.connect(self.url)) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchone()[0]

    def key(self, *scopes: str) -> str:
        """A key of the API."""
        with closing(open_operations(Settings(self.url, self.folder, 3001, "warning"))) as operations:
            return keys.create(operations, name="limits", scopes=scopes, tenant_id=1, per_minute=0, per_hour=0)


@pytest.fixture(scope="module")
def town(make_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    port = free_port()
    command = [sys.executable, "-m", "cli.main", "sandbox", "--port", str(port), "--customers", str(CUSTOMERS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sandbox:
        assert sandbox.stdout
        lines = [sandbox.stdout.readline().removeprefix("export ").strip() for _ in range(6)]
        servicetitan = dict(line.partition("=")[::2] for line in lines)
        url = make_database()
        image = stages(DEPLOY / "Dockerfile")[-1]
        own = dict(pair for one in image.instructions if one.word == "ENV" for pair in one.pairs.items())
        allocators = {name: value for name, value in own.items() if ALLOCATORS.match(name)}
        place = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "DATABASE_URL": url,
            "SERVICE_TITAN_RATE": "1000",
        }
        try:
            yield Town(url, tmp_path_factory.mktemp("limits"), servicetitan | allocators | place)
        finally:
            sandbox.terminate()


def comes(fact: Callable[[], Any], process: subprocess.Popen[str], seconds: float) -> None:
    """Wait for a fact, as long as the process lives."""
    over = time.monotonic() + seconds
    while not fact():
        assert process.poll() is None, f"It ended with {process.returncode}."
        assert time.monotonic() < over, "It did not come."
        time.sleep(2)


@pytest.mark.slow
@needs_cgroups
def test_a_first_sync_of_a_million_records(town: Town):
    """`lazi sync --schedule` on an empty database reads every priority at once, and models all of it."""

    def is_shown() -> bool:
        turns = "SELECT COUNT(*) FROM system.turns WHERE duty LIKE 'sync priority %' AND ended_at IS NOT NULL"
        return (
            town.one("SELECT to_regclass('system.turns') IS NOT NULL")
            and town.one(turns) == PRIORITIES
            and town.one("SELECT to_regclass('crm.customer_360') IS NOT NULL")
            and town.one("SELECT COUNT(*) FROM system.stale_entities") == 0
        )

    with town.limited("sync", LAZI_RECONCILE="off") as (process, _):
        comes(is_shown, process, 1500)
    assert town.one("SELECT SUM(appended) FROM system.sync_batches WHERE status = 'completed'") >= RECORDS
    assert town.one("SELECT COUNT(*) FROM crm.customer_360") == CUSTOMERS


@pytest.mark.slow
@needs_cgroups
def test_lists_and_streams_of_a_million_records(town: Town):
    """Eight streams of the largest table at once, as CSV and as NDJSON, and lists beside them; every row arrives."""
    count, port = town.one("SELECT COUNT(*) FROM master.invoice_items"), free_port()
    assert count > 75_000
    key = {"x-api-key": town.key("read")}
    served = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=300)
    with town.limited("api", PORT=str(port)) as (process, _), served as client:
        comes(lambda: is_answered(client), process, 60)

        def streamed(form: str) -> int:
            with client.stream("GET", f"/api/v1/entities/invoice_items?format={form}", headers=key) as answer:
                assert answer.status_code == 200
                return sum(chunk.count(b"\n") for chunk in answer.iter_bytes())

        with ThreadPoolExecutor(8) as pool:
            streams = [pool.submit(streamed, form) for form in ("csv", "ndjson") * 4]
            lists = 0
            while not all(one.done() for one in streams):
                answer = client.get(f"/api/v1/jobs?limit=500&offset={lists * 500 % 30_000}", headers=key)
                assert len(answer.json()["data"]) == 500
                lists += 1
        assert all(one.result() >= count for one in streams)
        assert lists > 10


def is_answered(client: httpx.Client) -> bool:
    try:
        return client.get("/api/health").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.slow
@needs_cgroups
def test_changes_on_a_million_records(town: Town):
    """`lazi outbound --no-models` sends and lands five hundred changes."""
    port, changes = free_port(), 500
    key = {"x-api-key": town.key("read", "mutate")}
    with (
        town.limited("outbound") as (process, _),
        town.limited("api", PORT=str(port)) as (api, _),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        comes(lambda: is_answered(client), api, 60)
        for row in client.get(f"/api/v1/customers?limit={changes}", headers=key).json()["data"]:
            body = {
                "entity_type": "customers",
                "entity_id": row["id"],
                "operation": "update",
                "payload": {"name": "New"},
            }
            answer = client.post("/api/v1/mutations", headers=key, json=body)
            assert answer.status_code < httpx.codes.BAD_REQUEST, answer.text
        done = "SELECT COUNT(*) FROM raw.st_customers WHERE sync_batch_id LIKE 'mutation:%'"
        comes(lambda: town.one(done) >= changes, process, 300)
