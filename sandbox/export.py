"""Exports: everything in the order of its modification, continued from signed tokens."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from hashlib import sha256

from sandbox import clock
from sandbox.business import BITS, PLACE
from sandbox.listing import repeated
from sandbox.problem import bad
from sandbox.table import Face, Table

SECRET = b"sandbox continuation"
SIGNATURE = 8


def sign(text: str, scope: str) -> bytes:
    """The signature of a token's text."""
    return hmac.new(SECRET, f"{scope}:{text}".encode(), sha256).digest()[:SIGNATURE]


def token(entry: int, scope: str) -> str:
    """The token that continues behind an entry of the order; `scope` names tenant and feed."""
    text = str(entry)
    return urlsafe_b64encode(sign(text, scope) + text.encode()).decode()


def truth(value: bool) -> bytes:  # noqa: FBT001  the value itself
    """A truth value as JSON."""
    return b"true" if value else b"false"


def entry_of(given: str, scope: str, first_shown_from: Callable[[int], int] = int) -> int:
    """The entry behind which to continue: from a token, a date or nothing. Raises Problem.

    `first_shown_from` gives the first modification that records tell as the date's.
    """
    if not given:
        return -1
    try:
        return (first_shown_from(clock.parse(given)) << BITS) - 1
    except ValueError:
        pass
    try:
        raw = urlsafe_b64decode(given.encode())
        signature, text = raw[:SIGNATURE], raw[SIGNATURE:].decode()
        entry = int(text)
    except ValueError as error:
        raise bad("from", "The value is neither a date nor a continuation token.") from error
    if not hmac.compare_digest(signature, sign(text, scope)):
        raise bad("from", "The continuation token is not one of this feed's.")
    return entry


class Export:
    """The export answers of one entity in one tenant."""

    def __init__(self, table: Table, face: Face, size: int) -> None:
        """`size` is the number of records in an answer."""
        self.table, self.face, self.size = table, face, size
        self.scope = f"{table.business.tenant}:{face[0]}"

    def answer(self, given: str, until: int | None, *, shows_recent: bool = False) -> bytes:
        """The JSON behind a token, a date or nothing. Raises Problem.

        Changes from `until` on, in ticks, stay hidden; or they are shown, and again whenever the feed goes on from
        the answer's token, which stands before them.
        """
        order, entry = self.table.order, self.begin(given)
        settled = len(order) if until is None else bisect_left(order, until << BITS)
        last = len(order) if shows_recent else settled
        start = min(bisect_right(order, entry), last)
        end = min(start + self.size, last)
        after = order[end - 1] if end > start else entry
        if end == last > settled:
            after = order[settled - 1] if settled else -1
        shown = [entry & PLACE for entry in order[start:end]]
        if self.table.faults.strikes("repeated_rows", self.scope):
            shown = repeated(shown, [order[start - 1] & PLACE] if start else [], len(order) + start)
        places = self.table.only(shown, lambda place: place not in self.table.purged)
        data = b",".join(self.table.render(self.face, places))
        head = b'{"hasMore":%b,"continueFrom":"%b","data":[' % (truth(end < last), token(after, self.scope).encode())
        return b"%b%b]}" % (head, data)

    def begin(self, given: str) -> int:
        """The entry behind which to continue. Raises Problem."""
        return entry_of(given, self.scope, self.table.first_shown_from)
