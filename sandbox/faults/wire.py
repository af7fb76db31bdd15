"""Faults on the wire: answers that fail although the request is right.

Never more than three in a row for one path, or for one method and path of writes, so that a request that is sent again
succeeds.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from email.utils import formatdate
from math import ceil

from sandbox.answer import HTML, Answer, Request, refusal
from sandbox.faults.board import Board
from sandbox.faults.kinds import FAULTS, Layer
from sandbox.problem import Problem
from sandbox.tokens import Tokens

MOST_IN_A_ROW = 3
NAMES = tuple(fault.name for fault in FAULTS if fault.layer is Layer.WIRE)
OF_WRITES = (*NAMES, *(fault.name for fault in FAULTS if fault.layer is Layer.WRITE))
AFTERWARDS = frozenset({"cut_connection", "cut_json", "write_failed_after", "write_cut_after", "write_slow_after"})
"""Faults that strike when the answer is made, and a write is done."""
PAGE = b"<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>"
REFUSALS: dict[str, Problem] = {
    "too_many_bare": Problem(429, "Rate limit is exceeded."),
    "server_error": Problem(500, "An error occurred while processing the request."),
    "maintenance": Problem(409, "The service is suspended for maintenance. Please try again later."),
}


class Wire:
    """Answers requests, or fails to."""

    def __init__(self, board: Board, tokens: Tokens) -> None:
        """`tokens` are those that `revoked_token` ends."""
        self.board, self.tokens = board, tokens
        self.streaks: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()

    def answer(self, request: Request, make: Callable[[], Answer]) -> Answer:
        """What `make` answers, or a failure in its place. Raises what `make` raises."""
        return self.through(NAMES, request.path, request, make)

    def write(self, request: Request, make: Callable[[], Answer]) -> Answer:
        """The same where `make` writes."""
        return self.through(OF_WRITES, f"{request.method} {request.path}", request, make)

    def through(self, names: Sequence[str], address: str, request: Request, make: Callable[[], Answer]) -> Answer:
        """What `make` answers, or what one of these faults makes of it."""
        token = request.header(b"authorization")
        name = self.failure(names, address, token)
        self.streaks[address] = self.streaks[address] + 1 if name else 0
        self.answered[token] += 1
        if name is None:
            return make()
        return self.spoil(name, make) if name in AFTERWARDS else self.refusal(name, token)

    def spoil(self, name: str, make: Callable[[], Answer]) -> Answer:
        """What becomes of an answer. A refusal stays whole, and so does an empty answer from a cut: then nothing has struck."""
        self.board.counts[name] -= 1
        answer = make()
        if name.startswith("cut_") and not answer.body:
            return answer
        self.board.counts[name] += 1
        match name:
            case "write_failed_after":
                return refusal(REFUSALS["server_error"])
            case "write_cut_after":
                return replace(answer, is_lost=True)
            case "write_slow_after":
                return replace(answer, delay=self.board.amount_of(name))
            case _:
                return cut(answer, name)

    def failure(self, names: Sequence[str], address: str, token: str) -> str | None:
        """The fault that strikes now, if any."""
        if self.streaks[address] >= MOST_IN_A_ROW:
            return None
        return next((name for name in names if self.may(name, token) and self.board.strikes(name, address)), None)

    def may(self, name: str, token: str) -> bool:
        """Whether a fault has a reason to strike: a token is not revoked before it was of use."""
        return name != "revoked_token" or self.answered[token] >= self.board.amount_of(name)

    def refusal(self, name: str, token: str) -> Answer:
        """The answer of a fault that leaves no trace of what was asked for."""
        match name:
            case "too_many":
                wait = retry_after(self.board.amount_of(name), as_date=self.board.counts[name] % 2 == 0)
                return refusal(Problem(429, "Rate limit is exceeded.", retry_after=wait))
            case "revoked_token":
                self.tokens.revoke(token)
                return refusal(Problem(401, "The access token is missing, unknown or expired."))
            case "html_503":
                return Answer(503, PAGE, kind=HTML)
            case _:
                return refusal(REFUSALS.get(name, REFUSALS["server_error"]))


def cut(answer: Answer, name: str) -> Answer:
    """An answer of which half is missing: on the way, or before it was sent. Half a number would be a whole one."""
    if name == "cut_connection" or answer.body.isdigit():
        return replace(answer, is_cut=True)
    return replace(answer, body=answer.body[: len(answer.body) // 2])


def retry_after(seconds: float, *, as_date: bool) -> str:
    """The header's value; a date is whole seconds, so it is rounded up."""
    return formatdate(ceil(time.time() + seconds), usegmt=True) if as_date else f"{ceil(seconds)}"
