"""Base, theirs and mine of a mutation side by side, a line for each field. Pure: it is given what the API shows, and no more.

Objects are taken apart by their paths (`address.city`); a list stands as one value, because nothing tells which item of one
is which of another.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from api.mutation_schemas import MutationDetail
from api.pages.cell import ABSENT, Cell, cell
from api.pages.side_values import Values, base_of, is_deletion, left_out, mine_of, theirs_of, told_conflicts
from outbound.difference import BOOKKEEPING, same, taken
from outbound.operations import BY_TITLE, Operation
from outbound.secrets import NOT_SHOWN


class Mark(StrEnum):
    """What a line says of its field."""

    UNCHANGED = "unchanged"
    MINE = "mine"
    THEIRS = "theirs"
    CONFLICT = "both: conflict"
    AGREED = "both: the same"
    FOLLOWED = "came with it"  # none of ours, and otherwise behind the change
    HIDDEN = "not shown"  # a secret: nobody is told whether it changes
    KEPT = "ServiceTitan's own"  # it keeps such fields itself


UNCHANGED, MINE, THEIRS, CONFLICT, AGREED, FOLLOWED, HIDDEN, KEPT = Mark
SIGNS = dict(zip(Mark, "=+~!≈→•=", strict=True))
TONES = {MINE: "info", THEIRS: "warn", CONFLICT: "bad", AGREED: "good"}
NOTHING = cell(ABSENT)
QUIET = frozenset({UNCHANGED, KEPT})
NAMES = {
    "base": ("Base", "as whoever wants the change knew it"),
    "theirs": ("Theirs", ""),
    "mine": ("Mine", "what the change wants"),
    "after": ("Read back", "in ServiceTitan just after"),
}
"""By side its name, and what it is."""


@dataclass(frozen=True, slots=True)
class Line:
    """A field."""

    path: str
    mark: Mark
    cells: dict[str, Cell]
    note: str = ""

    @property
    def sign(self) -> str:
        """The mark for whoever sees no colour."""
        return SIGNS[self.mark]

    @property
    def tone(self) -> str:
        """The mark's colour."""
        return TONES.get(self.mark, "")


@dataclass(frozen=True, slots=True)
class Sides:
    """What is known of a record and of what is wanted of it."""

    columns: dict[str, tuple[str, str]] = field(default_factory=dict)  # of the sides that are known
    told: list[Line] = field(default_factory=list)  # fields that differ
    quiet: list[Line] = field(default_factory=list)  # the others
    is_gone: bool = False  # the record was deleted there

    @property
    def is_compared(self) -> bool:
        """Whether there is anything that what is wanted is compared with."""
        return not self.columns.keys().isdisjoint({"base", "theirs"})


@dataclass(frozen=True, slots=True)
class Known:
    """The sides by path, and what the attempt said of them by the record's own fields."""

    base: Values
    theirs: Values
    mine: Values
    after: Values
    is_partial: bool  # theirs has the fields in conflict alone
    merged: frozenset[str]
    not_applied: frozenset[str]
    left_out: frozenset[str]
    in_conflict: frozenset[str] | None  # None: no attempt told yet


def sides(shown: MutationDetail, copy: Values | None = None) -> Sides:
    """The sides of a mutation. `copy` is the record as the copy has it now, without secrets."""
    operation = BY_TITLE.get(f"{shown.entity_type}:{shown.operation}")
    theirs, what = theirs_of(shown, copy, operation)
    known = known_of(shown, theirs or {}, operation)
    columns = {name: told for name, told in (NAMES | {"theirs": ("Theirs", what)}).items() if getattr(known, name)}
    lines = [line(path, known, list(columns)) for path in paths(known)]
    told, quiet = [each for each in lines if is_told(each)], [each for each in lines if not is_told(each)]
    return Sides(columns, told, quiet, is_deletion(shown))


def known_of(shown: MutationDetail, theirs: Values, operation: Operation | None) -> Known:
    """What is known of the sides."""
    return Known(
        base=flat(base_of(shown)),
        theirs=flat(theirs),
        mine=flat(mine_of(shown, operation)),
        after=flat(shown.after or {}),
        is_partial=bool(shown.conflict),
        merged=frozenset(shown.merged or ()),
        not_applied=frozenset(shown.not_applied or ()),
        left_out=frozenset(left_out(shown, operation)),
        in_conflict=told_conflicts(shown),
    )


def is_told(each: Line) -> bool:
    """Whether a line stands among those that differ."""
    return each.mark not in QUIET or bool(each.note)


def flat(value: Values, above: str = "") -> dict[str, Any]:
    """By path all that has no parts; lists and empty objects count as such."""
    return dict(leaves(value, above))


def leaves(value: Values, above: str) -> Iterator[tuple[str, Any]]:
    """Path and value of each."""
    for name, part in value.items():
        path = f"{above}.{name}" if above else name
        if isinstance(part, dict) and part:
            yield from leaves(part, path)
        else:
            yield path, part


def paths(known: Known) -> list[str]:
    """Every path once: what is wanted first, then in the record's order."""
    return list(dict.fromkeys([*known.mine, *known.base, *known.theirs, *known.after]))


def line(path: str, known: Known, columns: list[str]) -> Line:
    """A field's line."""
    values = {name: getattr(known, name).get(path, ABSENT) for name in columns}
    mark = mark_of(path, known)
    cells = {name: cell(value) for name, value in values.items()}
    if known.is_partial and cells.get("theirs") == NOTHING:
        cells["theirs"] = Cell("changed; to what was not kept" if mark is THEIRS else "no conflict", "empty")
    return Line(path, mark, cells, note_of(path, known))


def note_of(path: str, known: Known) -> str:
    """What is to be said of a field beside its mark."""
    if was_not_taken(path, known):
        return "ServiceTitan did not take it over"
    if path in known.left_out:
        return "The body leaves it out, which empties it"
    return ""


def was_not_taken(path: str, known: Known) -> bool:
    """Whether a field was sent and is otherwise there."""
    mine, after = known.mine.get(path, ABSENT), known.after.get(path, ABSENT)
    return top(path) in known.not_applied and mine is not ABSENT and (after is ABSENT or not taken(mine, after))


def mark_of(path: str, known: Known) -> Mark:
    """What becomes of a field, as far as what is known of it tells."""
    base, theirs, mine = (part.get(path, ABSENT) for part in (known.base, known.theirs, known.mine))
    if mine is ABSENT:
        return others(path, known, base, theirs)
    if NOT_SHOWN in (base, theirs, mine):
        return HIDDEN
    is_told = known.in_conflict is None or top(path) in known.in_conflict
    if theirs is ABSENT:
        is_gone = bool(known.in_conflict) and is_told
        return CONFLICT if is_gone else UNCHANGED if base is not ABSENT and same(mine, base) else MINE
    is_moved = base is not ABSENT and not same(base, theirs)
    if same(mine, theirs):
        return AGREED if is_moved else UNCHANGED
    return CONFLICT if is_moved and is_told else MINE


def others(path: str, known: Known, base: Any, theirs: Any) -> Mark:
    """Of a field that is none of ours."""
    if top(path) in BOOKKEEPING:
        return KEPT
    if theirs is ABSENT:
        return THEIRS if known.is_partial and top(path) in known.merged else UNCHANGED
    if base is not ABSENT and not same(base, theirs):
        return THEIRS
    after = known.after.get(path, ABSENT)
    return UNCHANGED if after is ABSENT or same(theirs, after) else FOLLOWED


def top(path: str) -> str:
    """The record's own field that a path begins with."""
    return path.partition(".")[0]
