"""Pages of realistic records from memory, over loopback: `python -m bench.pages` prints its port and serves until it is ended.

Records are the sandbox's, rendered once and varied by id, so that a page is one join of bytes. The tenant's number says
how many records it has: `/sales/v2/tenant/20000/export/estimates` is an export of 20,000 estimates.
"""

import json
import re
import sys
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from sandbox.server import Sandbox
from sources.servicetitan.catalog import CATALOG

PAGE_SIZE = 5000
TEMPLATES = 500  # different records; then they repeat with other ids
FIRST_ID = 5_000_000_000
PATH = re.compile(r"/tenant/(\d+)/(.+)$")
TOKEN_PATH = "/connect/token"  # noqa: S105  a path


@cache
def sandbox() -> Sandbox:
    """Where records come from."""
    return Sandbox(seed=3, customers=TEMPLATES)


@cache
def templates(name: str) -> list[tuple[bytes, bytes]]:
    """An entity's records in two parts, between which the id belongs."""
    records = sandbox().records(name)[:TEMPLATES]
    texts = [json.dumps({"id": "<>"} | record | {"id": "<>"}, separators=(",", ":")).encode() for record in records]
    return [tuple(text.split(b'"<>"', 1)) for text in texts]  # type: ignore[misc]


def page(name: str, begin: int, end: int) -> bytes:
    """The records from number `begin` to below `end`, joined by commas."""
    parts = templates(name)
    return b",".join(
        b"%b%d%b" % (parts[number % len(parts)][0], FIRST_ID + number, parts[number % len(parts)][1])
        for number in range(begin, end)
    )


def entity_at(path: str) -> str:
    """The name of the entity whose export or list has this path."""
    return next(entity.name for entity in CATALOG if path in {entity.export_path, entity.path})


def export(name: str, count: int, token: int) -> bytes:
    """A page of an export of `count` records, from a token on."""
    until = min(token + PAGE_SIZE, count)
    more = b"true" if until < count else b"false"
    return b'{"hasMore":%b,"continueFrom":"%d","data":[%b]}' % (more, until, page(name, token, until))


class Handler(BaseHTTPRequestHandler):
    """Answers tokens and exports."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_POST(self) -> None:
        """A token."""
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.answer(b'{"access_token":"bench","expires_in":900}')

    def do_GET(self) -> None:
        """A page."""
        address = urlsplit(self.path)
        found = PATH.search(address.path)
        if not found:
            self.answer(b"{}", 404)
            return
        token = parse_qs(address.query).get("from", ["0"])[0]
        self.answer(export(entity_at(found[2]), int(found[1]), int(token)))

    def answer(self, body: bytes, status: int = 200) -> None:
        """Send a body."""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    for name in sys.argv[1:]:
        templates(name)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
