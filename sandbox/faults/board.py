"""The switchboard: which faults are on, whether one strikes now, and how often each has struck.

Whether a fault strikes follows from the seed, the address and how often that address was asked: requests for other
addresses, in whatever order threads send them, change nothing.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.chance import GOLDEN, MASK, mix, salt
from sandbox.faults.kinds import ALL, BY_NAME, FAULTS, Layer

FULL = 1 << 64
Wanted = Iterable[str] | Mapping[str, float | None]


class FaultError(ValueError):
    """Faults are asked for that cannot be: an unknown name, or a rate that is none."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How a fault that is on behaves; see Fault."""

    rate: float
    amount: float


class Board:
    """The faults of one sandbox."""

    def __init__(self, seed: int = 0, wanted: Wanted = (), switched: Callable[[], None] = lambda: None) -> None:
        """`switched` is called whenever faults were switched. Raises FaultError for what `switch` refuses."""
        self.seed, self.switched = mix(seed), switched
        self.active: dict[str, Setting] = {}
        self.counts: Counter[str] = Counter()
        self.turns: Counter[tuple[str, str]] = Counter()
        self.amounts: dict[str, float] = {}
        self.switch(wanted)

    def switch(self, wanted: Wanted) -> None:
        """Turn these faults on, with their usual rate or the given one, and all others off; `all` means every one.

        Raises FaultError, and then changes nothing.
        """
        rates: dict[str, float | None] = {}
        rates.update(wanted if isinstance(wanted, Mapping) else dict.fromkeys(wanted))
        if ALL in rates:
            common = rates.pop(ALL)
            rates = {name: rates.get(name, common) for name in (*BY_NAME, *rates)}
        for name, rate in rates.items():
            check(name, rate)
        usual = {name: BY_NAME[name].rate if rate is None else rate for name, rate in rates.items()}
        self.active = {name: Setting(rate, self.amount_of(name)) for name, rate in usual.items() if rate > 0}
        self.switched()

    def measure(self, name: str, amount: float) -> None:
        """Give a fault another amount, now and whenever it is switched on. Raises FaultError for an unknown one."""
        check(name, None)
        self.amounts[name] = amount
        if name in self.active:
            self.active[name] = Setting(self.active[name].rate, amount)
        self.switched()

    def amount_of(self, name: str) -> float:
        """The amount that was given to a fault, or its usual one."""
        return self.amounts.get(name, BY_NAME[name].amount)

    def strikes(self, name: str, address: str) -> bool:
        """Whether a fault strikes at this address now; counts it when it does."""
        if name not in self.active:
            return False
        turn = self.turns[name, address]
        self.turns[name, address] += 1
        return self.draws(name, salt(address) + turn * GOLDEN)

    def draws(self, name: str, number: int) -> bool:
        """Whether a fault strikes what this number stands for, the same each time; counts it when it does."""
        setting = self.active.get(name)
        if setting is None or mix((self.seed ^ salt(name)) + number & MASK) >= setting.rate * FULL:
            return False
        self.counts[name] += 1
        return True

    def is_on(self, *layers: Layer) -> bool:
        """Whether any fault of these layers is on."""
        return any(BY_NAME[name].layer in layers for name in self.active)

    def report(self) -> dict[str, Any]:
        """Every fault with what it does, whether it is on, and how often it has struck."""
        return {
            "known": {
                fault.name: {"what": fault.text, "layer": fault.layer, "rate": fault.rate, "amount": fault.amount}
                for fault in FAULTS
            },
            "active": {
                name: {"rate": setting.rate, "amount": setting.amount, "count": self.counts[name]}
                for name, setting in self.active.items()
            },
            "counts": dict(self.counts),
        }


def check(name: str, rate: float | None) -> None:
    """Raise FaultError for an unknown fault or a rate that is not from 0 to 1."""
    if name not in BY_NAME:
        raise FaultError(f"There is no fault `{name}`. Known faults: {', '.join(BY_NAME)}, or {ALL} for every one.")
    if rate is not None and not 0 <= rate <= 1:
        raise FaultError(f"The rate of fault `{name}` is `{rate}`; a rate is a number from 0 to 1.")


def parsed(text: str) -> dict[str, float | None]:
    """The faults in `name,name=0.5`. Raises FaultError."""
    parts = [part.strip().partition("=") for part in text.split(",") if part.strip()]
    return {name.strip(): rate_of(name, rate) for name, _, rate in parts}


def rate_of(name: str, text: str) -> float | None:
    """A rate in words, None for none. Raises FaultError."""
    try:
        return float(text) if text else None
    except ValueError:
        raise FaultError(f"The rate of fault `{name}` is `{text}`; a rate is a number from 0 to 1.") from None
