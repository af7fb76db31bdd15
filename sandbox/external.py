"""External data: what applications keep beside records, each under its own GUID and shown to that one alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from sandbox.demands import Query
from sandbox.problem import bad
from sandbox.shape import fields_in
from sources.servicetitan.catalog import Entity

MOST_VALUES = 50
FIELD = "externalData"


@dataclass(frozen=True)
class Lookup:
    """What a list is asked for: a GUID's entries, of all records or only of those with such a value under a key."""

    guid: str
    key: str = ""
    values: tuple[str, ...] = ()


@cache
def has_external(entity: Entity) -> bool:
    """Whether an entity's records show external data."""
    return any(field.path == FIELD for field in fields_in(entity, "list"))


def lookup_of(entity: Entity, query: Query) -> Lookup | None:
    """The lookup in a query. Raises Problem for one without its other half, or with too many values."""
    guid, key, values = (query.get(f"{FIELD}{part}", "") for part in ("ApplicationGuid", "Key", "Values"))
    if not guid or not has_external(entity):
        return None
    if bool(key) is not bool(values):
        missing = f"{FIELD}{'Values' if key else 'Key'}"
        raise bad(missing, f"The {missing} field is required.")
    wanted = tuple(values.split(",")) if values else ()
    if len(wanted) > MOST_VALUES:
        raise bad(f"{FIELD}Values", f"At most {MOST_VALUES} values are allowed; {len(wanted)} were sent.")
    return Lookup(guid.lower(), key, wanted)


class External:
    """The external data of one table's records."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.kept: dict[int, dict[str, dict[str, str]]] = {}

    def patch(self, position: int, sent: Mapping[str, Any]) -> None:
        """Keep a body's `externalData`; what is sent replaces what is there unless it says Merge, and null deletes."""
        of_record = self.kept.setdefault(position, {})
        guid = str(sent["applicationGuid"]).lower()
        old = of_record.get(guid, {}) if str(sent.get("patchMode")).lower() == "merge" else {}
        new = {one["key"]: one.get("value") for one in sent["externalData"]}
        of_record[guid] = {key: value for key, value in (old | new).items() if value is not None}

    def shown(self, position: int, guid: str) -> list[dict[str, str]]:
        """A record's entries of one GUID."""
        entries = self.kept.get(position, {}).get(guid, {})
        return [{"key": key, "value": value} for key, value in entries.items()]

    def fits(self, position: int, lookup: Lookup) -> bool:
        """Whether a record is asked for."""
        return not lookup.key or self.kept.get(position, {}).get(lookup.guid, {}).get(lookup.key) in lookup.values
