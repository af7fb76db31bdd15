"""The faults that the sandbox knows: one row each. Adding a fault is adding a row and the place where it strikes."""

from dataclasses import dataclass
from enum import StrEnum


class Layer(StrEnum):
    """Where a fault strikes."""

    WIRE = "wire"  # the request gets another answer than it should, and succeeds when it is tried again
    TIME = "time"  # the answer is right and late
    PAGING = "paging"  # a page holds other rows than a still list would give
    CONTENT = "content"  # the records are odd; the same version of a record is odd in the same way each time
    WRITE = "write"  # a write is done, or is not, and the answer does not tell; reads never meet it


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `rate` is the share of requests, writes, pages or records that it strikes; `amount` stands in `what`."""

    name: str
    layer: Layer
    what: str
    rate: float
    amount: float = 0.0

    @property
    def text(self) -> str:
        """What it does, with its usual amount."""
        return self.what.replace("AMOUNT", f"{self.amount:g}")


WIRE, TIME, PAGING, CONTENT, WRITE = Layer

FAULTS: tuple[Fault, ...] = (
    Fault("too_many", WIRE, "429 with Retry-After: AMOUNT seconds, every other time as a date", 0.04, 1),
    Fault("too_many_bare", WIRE, "429 without Retry-After", 0.02),
    Fault("server_error", WIRE, "500", 0.04),
    Fault("html_503", WIRE, "503 with a page of HTML", 0.02),
    Fault("maintenance", WIRE, "409: suspended for maintenance", 0.02),
    Fault("revoked_token", WIRE, "401: a token that gave AMOUNT answers ends before its time", 0.02, 20),
    Fault("cut_connection", WIRE, "the connection ends before the promised length", 0.03),
    Fault("cut_json", WIRE, "a whole answer whose JSON stops in the middle", 0.03),
    Fault("slow", TIME, "the answer comes AMOUNT seconds later", 0.03, 0.2),
    Fault("repeated_rows", PAGING, "a row twice in a page, or once more on the next one", 0.2),
    Fault("moving_rows", PAGING, "between two pages of a list a row moves to its end or its beginning", 0.2),
    Fault("ties", PAGING, "modifiedOn is the same for all that was modified within AMOUNT days", 1, 90),
    Fault("lagging_exports", PAGING, "exports lag AMOUNT seconds; recent changes, when asked for, repeat", 1, 300),
    Fault("unknown_fields", CONTENT, "fields that no document tells of", 0.2),
    Fault("wrong_types", CONTENT, "a number for text, text for a number, or an object for either", 0.1),
    Fault("nul", CONTENT, r"\u0000 in text", 0.1),
    Fault("half_pairs", CONTENT, "half a surrogate pair in text", 0.1),
    Fault("integer_enums", CONTENT, "an enum's number for its name", 0.2),
    Fault("write_failed_before", WRITE, "500 to a write, and nothing is done", 0.04),
    Fault("write_failed_after", WRITE, "500 to a write that is done", 0.04),
    Fault("write_cut_after", WRITE, "a write is done and the connection ends without an answer", 0.04),
    Fault("write_slow_after", WRITE, "a write is done and the answer comes AMOUNT seconds later", 0.02, 2),
)

BY_NAME: dict[str, Fault] = {fault.name: fault for fault in FAULTS}
ALL = "all"


def described() -> str:
    """The faults as lines of text: name, rate, what it does."""
    return "\n".join(f"  {fault.name:<19} {fault.rate:>5.0%}  {fault.text}" for fault in FAULTS)
