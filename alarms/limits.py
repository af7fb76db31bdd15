"""From where on something is wrong: a table of limits, each of which a setting may move.

`LAZI_ALARMS=stale=3, disk=5GB, quarantine=off`: counts are plain numbers, times have s, m, h or d, sizes MB or GB.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from store.settings import ALARMS, Places, malformed


class Unit(StrEnum):
    """What a limit counts."""

    TIMES = "times"  # of the interval
    COUNT = "count"
    SECONDS = "seconds"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit: what it is about, and its usual value."""

    name: str
    unit: Unit
    usual: float
    about: str


LIMITS = (
    Limit("stale", Unit.TIMES, 3, "intervals since an entity was last read without an error"),
    Limit("stale_critical", Unit.TIMES, 24, "the same, for the most urgent entities"),
    Limit("failures", Unit.COUNT, 3, "reads of an entity that failed in a row"),
    Limit("differences", Unit.COUNT, 100, "records that a reconciliation found missing, gone or different"),
    Limit("reconcile", Unit.TIMES, 3, "intervals since anything of a tenant was last reconciled"),
    Limit("models", Unit.SECONDS, 1800, "since rows landed that the models do not show"),
    Limit("serving", Unit.SECONDS, 900, "since the models ran and what PostgreSQL serves of them was not published"),
    Limit("queue", Unit.SECONDS, 900, "age of the oldest change that could be sent"),
    Limit("queue_critical", Unit.SECONDS, 7200, "the same"),
    Limit("failed", Unit.COUNT, 1, "changes that failed within a day"),
    Limit("conflict", Unit.COUNT, 1, "changes that wait for somebody to resolve a conflict"),
    Limit("unknown", Unit.COUNT, 1, "changes of which nobody knows whether they were made"),
    Limit("quarantine", Unit.COUNT, 1000, "values that master could not type"),
    Limit("drift", Unit.COUNT, 1, "differences from the field registry that nobody has taken over"),
    Limit("budget", Unit.SECONDS, 3600, "for which more requests were asked for than the rate allows, without a pause"),
    Limit("disk", Unit.BYTES, 2e9, "free space of the data folder, or less"),
    Limit("disk_critical", Unit.BYTES, 5e8, "the same"),
)
BY_NAME = {limit.name: limit for limit in LIMITS}
SCALES = {
    Unit.TIMES: {"": 1.0},
    Unit.COUNT: {"": 1.0},
    Unit.SECONDS: {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0},
    Unit.BYTES: {"MB": 1e6, "GB": 1e9, "TB": 1e12},
}
VALUE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")
OFF = "off"

Limits = Mapping[str, float]
"""By name; a name that is missing is switched off."""


def limits(places: Places | None = None) -> Limits:
    """The limits of the settings. Raises SettingsError."""
    found = {limit.name: limit.usual for limit in LIMITS}
    for part in filter(None, (each.strip() for each in (places or Places()).text(ALARMS).split(","))):
        name, _, text = (each.strip() for each in part.partition("="))
        if name not in BY_NAME:
            raise malformed(ALARMS, part, f"`name=value` with one of {', '.join(BY_NAME)}")
        if text.lower() == OFF:
            found.pop(name, None)
        else:
            found[name] = value(BY_NAME[name], text)
    return found


def value(limit: Limit, text: str) -> float:
    """A limit's value, in its unit. Raises SettingsError."""
    scales = SCALES[limit.unit]
    match = VALUE.fullmatch(text)
    if match is None or match[2] not in scales:
        units = f" with {', '.join(scales)}" if "" not in scales else ""
        raise malformed(ALARMS, f"{limit.name}={text}", f"a number{units}, or `{OFF}`")
    return float(match[1]) * scales[match[2]]
