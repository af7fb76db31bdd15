"""The API under load: requests for each second of its CPU, and latencies, beside a static handler of the same application."""

import asyncio
import os
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from litestar import Litestar, Response, get

from api.app import create_app
from api.handlers import PRIVATE
from bench.history import add, add_jobs, execute
from bench.measure import TICKS, postmaster, server_cpu, times
from bench.models import DAYS
from bench.result import Figures
from pipelines.modelling import Models, evaluate_models
from pipelines.sync import Stores
from store import keys as api_keys
from store.operations import open_operations
from store.settings import load as load_settings

CONNECTIONS = 32
SECONDS = 8.0
ALONE = 40  # requests one after the other, for latencies without a queue
BODY = b'{"data":' + b'{"name":"' + b"x" * 1100 + b'"}}'  # as large as a detail


def app() -> Litestar:
    """The application, with a handler that answers the same bytes always behind the same door."""
    made = create_app()

    @get("/api/static", opt={"scope": "read"}, include_in_schema=False)
    async def static() -> Response[bytes]:
        return Response(BODY, media_type="application/json", headers=PRIVATE)

    made.register(static)
    return made


def fill(count: int) -> None:
    """So many customers and jobs in raw, master and the customers' facts."""
    settings = load_settings()
    stores, models = Stores.open(settings), Models(settings)
    models.refresh(stores.operations)
    add(stores, keys=count, version="v0", hours_ago=DAYS)
    add_jobs(stores, count)
    models.evaluate(["customers", "jobs"], below=False)
    context = models.context
    evaluate_models(models.planned(context), [context.get_model("crm.customer_facts", raise_if_missing=True).fqn])
    if not settings.is_embedded:
        execute(stores, "VACUUM (ANALYZE)")
    models.close()
    stores.close()


@contextmanager
def served(port: int) -> Iterator[int]:
    """The API in a process of its own; its process id."""
    command = [sys.executable, "-m", "uvicorn", "bench.api:app", "--factory", "--port", str(port), "--no-access-log"]
    with subprocess.Popen([*command, "--log-level", "warning"]) as process:  # noqa: S603  our own interpreter
        try:
            for _ in range(600):
                try:
                    httpx.get(f"http://127.0.0.1:{port}/api/health")
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield process.pid
        finally:
            process.terminate()


def load_case(port: int, key: str, paths: list[str], pid: int, server: int) -> Figures:
    """Ask for these paths over and over on 32 connections; then some alone."""
    asyncio.run(asked(port, key, paths, connections=CONNECTIONS, seconds=1.0))  # warm
    before = (sum(times(pid)) / TICKS, server_cpu(server) if server else 0.0)
    taken = asyncio.run(asked(port, key, paths, connections=CONNECTIONS, seconds=SECONDS))
    after = (sum(times(pid)) / TICKS, server_cpu(server) if server else 0.0)
    alone = asyncio.run(asked(port, key, paths[:ALONE], connections=1, seconds=SECONDS, most=ALONE))
    ours, theirs = after[0] - before[0], after[1] - before[1]
    return {
        "per_cpu_s": len(taken) / ours,
        "per_cpu_s_with_server": len(taken) / (ours + theirs),
        "per_s": len(taken) / SECONDS,
        "p99_ms": statistics.quantiles(taken, n=100)[98] * 1000,
        "p50_ms": statistics.median(alone) * 1000,
    }


async def asked(
    port: int, key: str, paths: list[str], *, connections: int, seconds: float, most: int = sys.maxsize
) -> list[float]:
    """The seconds that each answer took; each connection asks for one path after the other."""
    taken: list[float] = []
    until = time.perf_counter() + seconds

    async def ask(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        place = number * 7
        while time.perf_counter() < until and len(taken) < most:
            begun = time.perf_counter()
            head = f"GET {paths[place % len(paths)]} HTTP/1.1\r\nhost: bench\r\nx-api-key: {key}\r\n\r\n"
            writer.write(head.encode())
            await answer(reader)
            taken.append(time.perf_counter() - begun)
            place += connections
        writer.close()

    await asyncio.gather(*(ask(number) for number in range(connections)))
    return taken


async def answer(reader: asyncio.StreamReader) -> None:
    """Read one answer. Raises AssertionError for any but 200."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    assert head.startswith(b"http/1.1 200"), head
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    await reader.readexactly(length)


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def load_paths(count: int) -> dict[str, list[str]]:
    """What is asked for, by case."""
    chance = random.Random(5)  # noqa: S311  not for cryptography
    some = [chance.randrange(1, count) for _ in range(5000)]
    statuses = ("Completed", "Scheduled", "Canceled")
    return {
        "static": ["/api/static"],
        "detail": [f"/api/v1/jobs/{key}" for key in some],
        "customer": [f"/api/v1/customers/{key}" for key in some],
        "list": [
            f"/api/v1/jobs?job_status={statuses[key % 3]}&business_unit_id={(key >> 2) % 12}&sort=modified_on&order=desc&limit=50"
            for key in some
        ],
        "search": [f"/api/v1/customers?search=mer%20{key}&limit=50" for key in some],
    }


def load(keys: int) -> Figures:
    """See the module."""
    fill(keys)
    settings = load_settings()
    operations = open_operations(settings)
    os.environ |= {"LAZI_API_PER_MINUTE": "0", "LAZI_API_PER_HOUR": "0"}
    key = api_keys.create(operations, name="bench", scopes=("read",), tenant_id=1)
    operations.close()
    port, server = free_port(), postmaster(settings.database_url) if settings.database_url else 0
    found: Figures = {}
    with served(port) as pid:
        for case, paths in load_paths(keys).items():
            figures = load_case(port, key, paths, pid, server)
            figures["percent_of_static"] = (
                100 * figures["per_cpu_s"] / found.get("static_per_cpu_s", figures["per_cpu_s"])
            )
            figures["p99_times_static"] = figures["p99_ms"] / found.get("static_p99_ms", figures["p99_ms"])
            found |= {f"{case}_{name}": value for name, value in figures.items()}
    return found
