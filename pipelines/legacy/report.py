"""What a takeover found and did: counts by table, whatever was odd with a few examples, and what is to be done next."""

from dataclasses import asdict, dataclass, field
from typing import Any

EXAMPLES = 5  # of each kind of oddity


@dataclass(slots=True)
class Odd:
    """How many rows have an oddity, and some of them by their key there."""

    rows: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: str) -> None:
        """One more."""
        self.rows += 1
        if len(self.examples) < EXAMPLES and example not in self.examples:
            self.examples.append(example)

    def join(self, other: "Odd") -> None:
        """Those of another one too."""
        self.rows += other.rows
        self.examples = list(dict.fromkeys([*self.examples, *other.examples]))[:EXAMPLES]


COUNTS = ("rows", "versions", "repeats", "records", "equal", "differing", "only_there")
ODDITIES = ("rejected", "remarks")


@dataclass(slots=True)
class Tally:
    """What became of a table's rows. It is the same however often a takeover was cut off or run."""

    rows: int = 0
    versions: int = 0  # that are here: landed now or by an earlier run
    repeats: int = 0  # rows with the bytes of the version before them
    rejected: dict[str, Odd] = field(default_factory=dict)  # by reason; these are kept in system.legacy_rejects
    remarks: dict[str, Odd] = field(default_factory=dict)  # rows that are here all the same
    records: int = 0
    equal: int = 0  # records whose newest version there is the newest here
    differing: int = 0
    examples: list[str] = field(default_factory=list)  # of those that differ
    only_there: int = 0  # records of which no row could be taken over
    tenants: list[int] = field(default_factory=list)

    def reject(self, reason: str, example: str) -> None:
        """A row that is no record."""
        self.rejected.setdefault(reason, Odd()).add(example)

    def remark(self, text: str, example: str) -> None:
        """A row that is odd."""
        self.remarks.setdefault(text, Odd()).add(example)

    def add(self, other: "Tally") -> None:
        """What became of further rows."""
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ODDITIES:
            mine = getattr(self, name)
            for text, odd in getattr(other, name).items():
                mine.setdefault(text, Odd()).join(odd)
        self.examples = [*self.examples, *other.examples][:EXAMPLES]
        self.tenants = sorted({*self.tenants, *other.tenants})

    @property
    def refused(self) -> int:
        """How many rows were rejected."""
        return sum(odd.rows for odd in self.rejected.values())


def tally_of(value: dict[str, Any]) -> Tally:
    """A tally as it was kept."""
    for name in ODDITIES:
        value[name] = {text: Odd(**odd) for text, odd in value[name].items()}
    return Tally(**value)


@dataclass(slots=True)
class TableReport:
    """One of the original's raw tables."""

    table: str
    entity: str = ""
    columns: dict[str, str] = field(default_factory=dict)  # by role
    status: str = "read"  # counted (dry run), read, refused, failed or no entity
    reason: str = ""
    tally: Tally = field(default_factory=Tally)
    landed_now: int = 0  # versions that this run appended
    only_here: int = 0

    @property
    def is_bad(self) -> bool:
        """Whether something has to be done about it."""
        return self.status in {"refused", "failed"}


@dataclass(slots=True)
class MutationReport:
    """The original's changes on their way to ServiceTitan."""

    table: str = ""  # empty: there is none
    columns: dict[str, str] = field(default_factory=dict)
    by_status: dict[str, int] = field(default_factory=dict)  # as they stand there
    held: int = 0  # here, each by now or by an earlier run
    failed: int = 0
    unknown: int = 0
    new: int = 0  # queued by this run
    refused: dict[str, Odd] = field(default_factory=dict)  # by reason
    reason: str = ""  # why there are none
    error: str = ""  # why they could not be read


@dataclass(slots=True)
class NameReport:
    """A table or view of master there, and what consumers of it find here."""

    name: str
    here: str = ""  # empty: nothing
    reason: str = ""
    missing: list[str] = field(default_factory=list)  # columns
    other_type: list[str] = field(default_factory=list)  # `column: type there, type here`


@dataclass(slots=True)
class Report:
    """All of it."""

    source: str
    is_dry: bool
    tables: list[TableReport] = field(default_factory=list)
    mutations: MutationReport = field(default_factory=MutationReport)
    names: list[NameReport] = field(default_factory=list)
    others: list[str] = field(default_factory=list)  # tables of raw that are none of records
    models: str = "skipped"
    models_error: str = ""

    @property
    def is_good(self) -> bool:
        """Whether every table and the changes could be taken over, and the models stand."""
        return not (self.models_error or self.mutations.error or any(table.is_bad for table in self.tables))

    def as_dict(self) -> dict[str, Any]:
        """As `--json` prints it and the store keeps it."""
        return {"status": "ok" if self.is_good else "failed", **asdict(self)}
