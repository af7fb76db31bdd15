"""Exports: everything in the order of its modification, continued from signed tokens."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_left, bisect_right
from hashlib import sha256

from sandbox import clock
from sandbox.business import BITS, PLACE
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


def entry_of(given: str, scope: str) -> int:
    """The entry behind which to continue: from a token, a date or nothing. Raises Problem."""
    if not given:
        return -1
    try:
        return (clock.parse(given) << BITS) - 1
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

    def answer(self, given: str, until: int | None) -> bytes:
        """The JSON behind a token, a date or nothing. Raises Problem.

        Changes from `until` on, in ticks, stay hidden.
        """
        order, entry = self.table.order, entry_of(given, self.scope)
        last = len(order) if until is None else bisect_left(order, until << BITS)
        start = min(bisect_right(order, entry), last)
        shown = order[start : min(start + self.size, last)]
        data = b",".join(self.table.render(self.face, [entry & PLACE for entry in shown]))
        more = b"true" if start + self.size < last else b"false"
        after = token(shown[-1] if shown else entry, self.scope).encode()
        return b'{"hasMore":%b,"continueFrom":"%b","data":[%b]}' % (more, after, data)
