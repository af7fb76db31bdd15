"""What was written, for tests and benchmarks to look up afterwards."""

from dataclasses import dataclass
from typing import Any

Key = int | str | tuple[Any, ...] | None
"""A record's id, the values of its composite key, or None where a write is about no record of its own."""


@dataclass(frozen=True, slots=True)
class Write:
    """One write that was committed, whatever became of its answer."""

    title: str  # the operation's
    tenant: int
    key: Key  # of the record that was made, changed or taken away
    body: Any  # as it was sent, decoded; of an upload the file
    status: int  # of the answer, had nothing gone wrong
    moment: str  # in UTC, as records tell it
