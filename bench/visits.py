"""The operations page as a browser asks for it, on a store with a year of operations, and its search as somebody types."""

import os
import re
import statistics
import time

import httpx

from bench import year
from bench.api import fill, free_port, served
from bench.result import Figures
from store import keys as api_keys
from store.operations import open_operations
from store.settings import load as load_settings

TIMES = 25
OLD = 5.2  # seconds after which nothing that pages keep is shown again: parts are kept for 2, alarms for 5
HEADERS = {"accept-encoding": "gzip", "accept": "text/html"}
TYPING = {"hx-request": "true", "hx-target": "found"}
"""What htmx sends, 120 ms behind the last keystroke."""
KNOWN = ("name", "primary_phone", "primary_email", "address_street")
SOUGHT = 20  # customers


def overview(keys: int, days: int) -> Figures:
    """Milliseconds until the whole page is there, or what a text finds, each time over a connection that is open.

    `page_first` is the first answer of a new process, whose health was asked for. `page_made` are answers for which
    everything is asked of the stores anew, but for the number of untyped values, which a thread counts again when the models
    have run. `page_kept` are answers a moment after another one, whose parts are shown again. `search` is the customers'
    search by pieces of what is known of them.
    """
    settings = load_settings()
    fill(keys)
    batches = year.add(settings, days)
    operations = open_operations(settings)
    key = api_keys.create(operations, name="bench", scopes=("read",), tenant_id=year.TENANT)
    operations.close()
    os.environ |= {"LAZI_API_PER_MINUTE": "0", "LAZI_API_PER_HOUR": "0"}
    port = free_port()
    with served(port), httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=HEADERS, timeout=60) as client:
        client.post("/sign-in", data={"key": key})
        [first] = asked(client, 1, 0.0)
        made, kept = asked(client, TIMES, OLD), asked(client, TIMES, 0.0)
        found = searched(client, typed(client, key))
    page = {"page_batches": batches, "page_first_ms": first} | told("page_made", made) | told("page_kept", kept)
    return page | {"search_texts": len(found)} | told("search", found)


def asked(client: httpx.Client, times: int, pause: float) -> list[float]:
    """The milliseconds of so many answers, with a pause before each."""
    taken: list[float] = []
    for _ in range(times):
        time.sleep(pause)
        begun = time.perf_counter()
        found = client.get("/")
        taken.append(1000 * (time.perf_counter() - begun))
        assert found.status_code == httpx.codes.OK, found.text[:500]
        assert len(re.findall(r'data-live="', found.text)) > 1
    return taken


def typed(client: httpx.Client, key: str) -> list[str]:
    """What somebody types who looks for customers: three characters, a half, and all of what is known of them."""
    wanted: dict[str, str | int] = {"limit": SOUGHT, "fields": ",".join(KNOWN), "sort": "customer_id", "order": "desc"}
    found = client.get("/api/v1/crm/customers", params=wanted, headers={"x-api-key": key, "accept": "*/*"})
    rows: list[dict[str, str]] = found.json()["data"]
    known = [row[name] for row in rows for name in KNOWN if row[name]]
    assert known
    return [text[:length] for text in known for length in (3, (3 + len(text)) // 2, len(text))]


def searched(client: httpx.Client, texts: list[str]) -> list[float]:
    """The milliseconds of an answer to each, behind one that is not counted."""
    taken: list[float] = []
    for text in (texts[0], *texts):
        begun = time.perf_counter()
        found = client.get("/customers", params={"search": text}, headers=TYPING)
        taken.append(1000 * (time.perf_counter() - begun))
        assert found.status_code == httpx.codes.OK, found.text[:500]
        assert "/customers/" in found.text, text
    return taken[1:]


def told(word: str, taken: list[float]) -> Figures:
    """The median and the worst of nearly all."""
    return {f"{word}_p50_ms": statistics.median(taken), f"{word}_p95_ms": statistics.quantiles(taken, n=20)[-1]}
