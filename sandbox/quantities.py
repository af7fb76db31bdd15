"""What numbers a field holds, by its name."""

from collections.abc import Callable

from sandbox.row import Row

LIMITS: dict[str, tuple[int, int]] = {
    "year": (2024, 3),
    "month": (1, 12),
    "dueDay": (1, 28),
    "duration": (1, 24),
    "durationMonths": (6, 30),
    "predictedReplacementMonths": (12, 120),
    "order": (1, 20),
    "position": (1, 20),
    "count": (0, 5),
    "recurrenceInterval": (1, 6),
    "recurrenceDaysOfMonth[]": (1, 28),
}
"""Whole numbers: from, and how many different ones."""

SHARES: dict[str, tuple[float, int]] = {
    "latitude": (30.0, 1_000_000),
    "longitude": (-110.0, 1_000_000),
    "rating": (1.0, 401),
    "taxRate": (0.0, 10),
    "defaultTaxRate": (0.0, 10),
    "percent": (0.0, 10_000),
    "split": (0.0, 10_000),
    "discount": (0.0, 3_000),
    "quantity": (1.0, 500),
    "qty": (1.0, 500),
    "hours": (0.0, 800),
    "soldHours": (0.0, 800),
    "burdenRate": (0.0, 100),
    "hourlyRate": (18.0, 4_000),
}
"""Decimals: from, and how many hundredths more."""
USUAL = (0.0, 150_000)

AMOUNTS = frozenset({"quantity", "cost", "price", "total", "allocatedShipping", "allocatedOtherCosts", "amount"})
"""Fields that the documents call plain strings although they hold amounts."""

UNKNOWN_IDS = 700_000_000_000
"""Ids of things that no entity lists stand from here on."""


def whole(name: str, form: str) -> Callable[[Row, int], int]:
    """How to make the whole number in a field of this name."""
    if name.removesuffix("[]").endswith(("Id", "Ids", "id")) and form != "int32":
        return lambda row, grain: UNKNOWN_IDS + row.chance(1_000_000_000, grain)
    start, count = LIMITS.get(name, (1, 100))
    return lambda row, grain: start + row.chance(count, grain)


def decimal(name: str) -> Callable[[Row, int], float]:
    """How to make the decimal in a field of this name, with two places."""
    start, hundredths = SHARES.get(name, USUAL)
    return lambda row, grain: round(start + row.chance(hundredths, grain) / 100, 2)


def money(name: str) -> Callable[[Row, int], str]:
    """How to make the amount in a field of this name, as text."""
    number = decimal(name)
    return lambda row, grain: f"{number(row, grain):.2f}"
