"""Taking drift over: what landed goes into the field registry, from which the models are made."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from discovery.drift import Change, Drift, applied
from sources.servicetitan.catalog import BY_NAME
from sources.servicetitan.master import record_columns
from sources.servicetitan.registry import FOLDER, SEEN, SEEN_MARK, Field, can_be_column, read, write

LEAST_SHARE = 0.05  # of a field's values that are of another kind, for which its column's type is given up


def relied_on(models: Path) -> frozenset[tuple[str, str]]:
    """Columns of master that models written by hand read, by entity: another type would break those."""
    found: set[tuple[str, str]] = set()
    for path in sorted(models.glob("*/*.sql")):
        text = path.read_text(encoding="utf-8")
        if path.parent.name != "master":
            for entity, alias in ALIAS.findall(text):
                found.update((entity, column) for column in re.findall(rf"\b{alias}\.(\w+)", text))
    return frozenset(found)


ALIAS = re.compile(r"\bmaster\.(\w+) AS (\w+)\b")


def divided(
    changes: Iterable[Drift],
    registry: Mapping[str, Sequence[Field]],
    relied: frozenset[tuple[str, str]],
    named: Collection[str] = (),
) -> tuple[list[Drift], list[str]]:
    """The differences that can be taken over, and in words why others are not. `named` are paths as `jobs.total`."""
    taken: list[Drift] = []
    left: list[str] = []
    for one in changes:
        columns = {".".join(c.path): c.name for c in record_columns(BY_NAME[one.entity], registry[one.entity])}
        is_relied_on, is_named = (one.entity, columns.get(one.path, "")) in relied, place(one) in named
        if reason := obstacle(one, is_relied_on=is_relied_on, is_named=is_named):
            left.append(f"{place(one)} {reason}")
        else:
            taken.append(one)
    return taken, left


def place(change: Drift) -> str:
    """Where a difference is, in a word."""
    return f"{change.entity}.{change.path}"


def obstacle(change: Drift, *, is_relied_on: bool, is_named: bool) -> str:
    """Why a difference is not taken over; nothing where it is."""
    if change.change is Change.ADDED and not can_be_column(change.path):
        return "gets no column: none can be made of such a name. Raw tables have its values."
    if change.change is not Change.RETYPED:
        return ""
    if is_relied_on:
        return (
            "keeps its type: models written by hand read its column. Values that do not fit are NULL there and stand in "
            "`audit.quarantine`; change those models, then the registry."
        )
    if change.share < LEAST_SHARE and not is_named:
        return (
            f"keeps its type: only {change.records:,} of {change.looked_at:,} values are of another kind, which are NULL and "
            f"stand in `audit.quarantine`. `lazi discover drift --apply --path '{place(change)}'` takes it over all the same."
        )
    return ""


def take_over(
    registry: Mapping[str, Sequence[Field]], changes: Iterable[Drift], folder: Path = FOLDER
) -> dict[str, tuple[Field, ...]]:
    """Write what differs into `seen.csv` beside the documents' files; the registry as it is then."""
    by_entity: dict[str, list[Drift]] = {}
    for change in changes:
        if change.change is not Change.VANISHED:
            by_entity.setdefault(change.entity, []).append(change)
    made = {name: applied(record, by_entity.get(name, ())) for name, record in registry.items()}
    path = folder / SEEN
    seen = {(field.entity, field.path): field for field in (read(path) if path.exists() else ())}
    for name, record in made.items():
        before = set(registry[name])
        seen |= {(name, field.path): field for field in record if field not in before}
    if seen:  # in the order in which it came: what is new takes the name of no column that there is
        write(path, seen.values(), SEEN_MARK)
    return made
