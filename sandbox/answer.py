"""Requests and answers, apart from how they travel."""

from dataclasses import dataclass

import msgspec

from sandbox.demands import Query
from sandbox.problem import Problem

JSON = b"application/json; charset=utf-8"
PROBLEM = b"application/problem+json"
HTML = b"text/html"


@dataclass(frozen=True)
class Answer:
    """Status, body and further headers, sent after a delay in seconds.

    Of a body that `is_cut`, half is sent before the connection ends; an answer that `is_lost` is not sent at all.
    """

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    kind: bytes = JSON
    is_cut: bool = False
    is_lost: bool = False
    delay: float = 0.0


@dataclass(frozen=True)
class Request:
    """The parts of a request that anything depends on."""

    method: str
    path: str
    query: Query
    headers: dict[bytes, bytes]

    def header(self, name: bytes) -> str:
        """A header's value, or an empty string."""
        return self.headers.get(name, b"").decode("latin-1").strip()


def refusal(problem: Problem) -> Answer:
    """The answer that tells of a problem."""
    wait = ((b"retry-after", problem.retry_after.encode()),) if problem.retry_after else ()
    return Answer(problem.status, msgspec.json.encode(problem.body()), wait, PROBLEM)
