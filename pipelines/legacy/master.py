"""Which names of the original's `master` consumers find here, by the field registry. Pure but for the registry."""

from collections.abc import Mapping, Sequence

from pipelines.legacy.database import Column, Name
from pipelines.legacy.report import NameReport
from sources.servicetitan.catalog import CATALOG, NOT_LISTABLE, ORIGINAL_NAMES
from sources.servicetitan.master import master_columns
from sources.servicetitan.registry import load

KINDS: dict[str, tuple[str, ...]] = {
    "whole number": ("bigint", "integer", "smallint"),
    "number": ("numeric", "double precision", "real", "decimal"),
    "text": ("text", "character varying", "character", "uuid", "citext"),
    "moment": ("timestamp with time zone", "timestamp without time zone", "timestamptz"),
    "day": ("date",),
    "truth value": ("boolean",),
    "json": ("jsonb", "json"),
}
WIDER = {("whole number", "number"), ("day", "moment")}
"""What a consumer that expects the first can also make of the second."""


def kind_of(type_: str) -> str:
    """What a type holds; the type itself where it is none of these."""
    plain = type_.lower().partition("(")[0].strip()
    return next((kind for kind, types in KINDS.items() if plain in types), plain)


def compare(tables: Mapping[Name, Sequence[Column]]) -> list[NameReport]:
    """Each of the original's tables and views in `master`, and what stands under its name here."""
    ours = {entity.name: master_columns(entity, load().get(entity.name, ())) for entity in CATALOG}
    found = []
    for (schema, name), theirs in sorted(tables.items()):
        if schema != "master":
            continue
        here = ORIGINAL_NAMES.get(name, name)
        report = NameReport(name, here if here in ours else "", reason(name, here, here in ours))
        if here in ours:
            types = {column.name: column.type for column in ours[here]}
            report.missing = [column.name for column in theirs if column.name not in types]
            report.other_type = [
                f"{column.name}: {column.type} there, {types[column.name]} here"
                for column in theirs
                if column.name in types and not fits(column.type, types[column.name])
            ]
        found.append(report)
    return found


def reason(name: str, here: str, is_here: bool) -> str:  # noqa: FBT001  the third of three facts
    """What a consumer of a name has to know."""
    if not is_here:
        return NOT_LISTABLE.get(name, "there is no such entity here")
    return f"`master.{name}` there is `master.{here}` here" if here != name else ""


def fits(there: str, here: str) -> bool:
    """Whether SQL that was written for a type works with ours."""
    pair = kind_of(there), kind_of(here)
    return pair[0] == pair[1] or pair in WIDER
