"""Chance without a generator's state: every draw follows from a record's hash and a salt, in any order."""

from functools import cache
from hashlib import blake2b

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15
SHIFT = 40
"""The lowest bits of a product are the least mixed: so many are dropped."""


def mix(value: int) -> int:
    """Spread a number evenly over 64 bits (the finaliser of splitmix64)."""
    value = (value + GOLDEN) & MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)


@cache
def salt(text: str) -> int:
    """64 bits that stand for a text."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def below(limit: int, number: int, grain: int) -> int:
    """A number from 0 to `limit` - 1 for a record's hash and a salt."""
    return ((number ^ grain) * GOLDEN >> SHIFT) % limit
