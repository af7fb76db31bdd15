"""A cache that forgets what was not used for longest when it grows too heavy."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sized
from typing import Generic, TypeVar

Value = TypeVar("Value", bound=Sized)


class Cache(Generic[Value]):
    """Values by key; their lengths together stay below a limit."""

    def __init__(self, limit: int) -> None:
        """`limit` is in elements or bytes, whatever the values' length counts."""
        self.limit, self.weight = limit, 0
        self.kept: OrderedDict[Hashable, Value] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of a key, made when it is not there."""
        if key in self.kept:
            self.kept.move_to_end(key)
            return self.kept[key]
        value = self.kept[key] = make()
        self.weight += len(value)
        while self.weight > self.limit and len(self.kept) > 1:
            self.weight -= len(self.kept.popitem(last=False)[1])
        return value
