"""What is costly to find out, kept until it must be found out anew. Safe to use from several threads."""

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Kept(Generic[K, T]):
    """What `find` found for each key. One thread finds it out; others go on with what was known, or wait where nothing was."""

    def __init__(self, find: Callable[[K], T]) -> None:
        """Nothing is known yet."""
        self.find, self.changing = find, threading.Lock()
        self.known: dict[K, tuple[object, T]] = {}
        self.turns: dict[K, threading.Lock] = {}

    def of(self, key: K, mark: object) -> T:
        """What is known of a key, found out again where `mark` is another one than last time. Raises what `find` raises."""
        with self.changing:
            turn = self.turns.setdefault(key, threading.Lock())
        known = self.known.get(key)
        if known is None:
            turn.acquire()
        elif not turn.acquire(blocking=False):
            return known[1]
        try:
            found = self.known.get(key)
            if found is None or found[0] != mark:
                found = self.known[key] = (mark, self.find(key))
            return found[1]
        finally:
            turn.release()
