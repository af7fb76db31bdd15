"""A server that answers as it is told: for what a well-behaved sandbox never does."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Answer:
    """One answer. `cut` sends fewer bytes than promised."""

    status: int = 200
    body: object = field(default_factory=lambda: {"hasMore": False, "data": []})
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False

    def text(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class OddServer:
    """Answers GETs from `answers` and POSTs from `tokens`, the last one of each for ever; a token comes first."""

    answers: list[Answer]
    tokens: list[Answer] = field(default_factory=lambda: [Answer(body={"access_token": "good", "expires_in": 900})])
    asked: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)
    tokens_asked: int = 0
    url: str = ""

    def next(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def serving(*answers: Answer, tokens: list[Answer] | None = None) -> Iterator[OddServer]:
    """A running server on a free loopback port."""
    odd = OddServer(list(answers) or [Answer()])
    if tokens:
        odd.tokens = tokens

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
            pass

        def do_GET(self) -> None:
            odd.asked.append(dict(parse_qsl(urlsplit(self.path).query)))
            odd.paths.append(urlsplit(self.path).path)
            odd.authorizations.append(self.headers["Authorization"])
            self.answer(odd.next())

        def do_POST(self) -> None:
            odd.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            odd.tokens_asked += 1
            self.answer(odd.tokens.pop(0) if len(odd.tokens) > 1 else odd.tokens[0])

        def do_DELETE(self) -> None:
            odd.deleted.append(urlsplit(self.path).path)
            self.answer(Answer(204, b""))

        def answer(self, answer: Answer) -> None:
            text = answer.text()
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text) + 50 * answer.cut))
            self.end_headers()
            self.wfile.write(text)
            self.close_connection = answer.cut

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    odd.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield odd
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
