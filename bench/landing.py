"""Client CPU of landing: a page's bytes to an Arrow table, ours against parsing and writing each record again.

Ratios within one run are what counts; the microseconds are this machine's.
"""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pyarrow as pa

from sources.servicetitan.catalog import BY_NAME
from sources.servicetitan.landing import Landing
from sources.servicetitan.paging import Page, decode

RECORDS, ROUNDS = 5000, 5
RECORD = {"id": 0, "active": True, "name": "x" * 1800, "modifiedOn": "2026-01-02T16:28:55.8446003Z", "total": 12.5}


def page() -> bytes:
    return json.dumps({"hasMore": False, "data": [RECORD | {"id": number} for number in range(RECORDS)]}).encode()


def ours(body: bytes) -> None:
    Landing(BY_NAME["jobs"], 1, "bench", lambda _: {}).rows(Page(decode(body).data or [], datetime.now(UTC)))


def parsed_and_written(body: bytes) -> None:
    records = json.loads(body)["data"]
    pa.table({"st_id": [r["id"] for r in records], "payload": [json.dumps(r) for r in records]})


def cost(land: Callable[[bytes], None], body: bytes) -> float:
    """CPU microseconds a record, the best of some rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.process_time()
        land(body)
        best = min(best, time.process_time() - begun)
    return best / RECORDS * 1e6


def main() -> None:
    body = page()
    ours(body)  # types are made and the registry is read once
    mine, other = cost(ours, body), cost(parsed_and_written, body)
    print(f"{'way':<36}{'CPU us a record':>16}{'ratio':>8}")
    print(f"{'ours: bytes to Arrow, hashed':<36}{mine:>16.1f}{1:>8.1f}")
    print(f"{'parse and write again, not hashed':<36}{other:>16.1f}{other / mine:>8.1f}")


if __name__ == "__main__":
    main()
