"""What a tenant's samples say: files for people, and what the field registry and the models would gain."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from difflib import unified_diff
from pathlib import Path
from typing import Any

import msgspec

from discovery import typescript
from discovery.drift import Change, Drift, applied, drift
from discovery.models import master_model
from discovery.profile import kind_of, profile, shape_of
from discovery.redacting import Redactor
from discovery.sampling import Sample
from sources.servicetitan.registry import FEED_SEEN, Field, joined

SCHEMA = {"integer": "integer", "number": "number", "string": "string", "boolean": "boolean", "null": "null"}
REDACTED = "Personal data is replaced by look-alikes."
AS_IS = "PERSONAL DATA: these are a tenant's records as they are. Show them to nobody."


@dataclass(slots=True)
class Findings:
    """Samples one after another, and then what they come to."""

    registry: Mapping[str, Sequence[Field]]
    is_redacted: bool = True
    samples: list[Sample] = field(default_factory=list)
    records: dict[str, list[Any]] = field(default_factory=dict)  # by entity
    drift: list[Drift] = field(default_factory=list)
    redactors: dict[str, Redactor] = field(default_factory=dict)

    def add(self, sample: Sample) -> None:
        """Take in a sample."""
        self.samples.append(sample)
        name = sample.entity.name
        records = [msgspec.json.decode(record) for record in sample.records]
        if not records:
            return
        self.records[name] = records
        self.drift += drift(name, shape_of(profile(records), len(records)), self.registry[name], {})
        documented = {one.path: one.enum for one in self.registry[name] if one.feed != FEED_SEEN}
        others = next(iter(self.redactors.values()), Redactor())
        redactor = Redactor(documented, others.salt, personal=others.personal)  # of which all know the same people
        redactor.look(records)
        self.redactors[name] = redactor

    def shown(self, entity: str) -> list[Any]:
        """An entity's records as they may be shown."""
        records = self.records[entity]
        return [self.redactors[entity].redacted(one) for one in records] if self.is_redacted else records

    def changes(self, entity: str) -> list[Drift]:
        """What differs in an entity, as it may be shown: a new value or the name of a field may say something of a person."""
        found = [one for one in self.drift if one.entity == entity]
        return [hidden(self.redactors[entity], one) for one in found] if self.is_redacted else found

    def summary(self) -> list[dict[str, Any]]:
        """For scripts."""
        return [
            {
                "entity": sample.entity.name,
                "records": len(sample.records),
                "requests": sample.requests,
                "note": sample.note or None,
                "drift": [asdict(one) for one in self.changes(sample.entity.name)],
            }
            for sample in self.samples
        ]

    def told(self) -> Iterator[str]:
        """For the eye."""
        for sample in self.samples:
            name = sample.entity.name
            yield f"{name:<40} {sample.note or f'{len(sample.records):,} records'}"
            for one in self.changes(name):
                yield f"    {one.path}: {one.change} {one.detail}".rstrip()
        yield f"{len(self.drift):,} differences from the field registry in {len(self.records):,} entities"

    def write(self, folder: Path) -> int:
        """Write the files; how many. Those of entities that were not sampled stay."""
        texts = dict(self.texts())
        for name, text in texts.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return len(texts)

    def texts(self) -> Iterator[tuple[str, str]]:
        """The files by name: samples, analyses, differences, types."""
        registry, models, interfaces = list[str](), list[str](), list[str]()
        note = REDACTED if self.is_redacted else AS_IS
        for sample in self.samples:
            name = sample.entity.name
            if name not in self.records:
                continue
            shown = self.shown(name)
            paths = profile(shown)
            report = {path: one.report(len(shown)) for path, one in paths.items()}
            yield f"samples/{name}.json", as_text({"note": note, "records": shown})
            yield f"analysis/{name}.json", as_text({"note": note, "records": len(shown), "paths": report})
            interfaces.append(typescript.interface(title(name), schema(shown)))
            before = tuple(self.registry[name])
            after = applied(before, self.changes(name))
            registry += difference(f"registry of {name}", lines(before), lines(after))
            path = f"models/master/{name}.sql"
            models += difference(
                path, master_model(sample.entity, before).splitlines(), master_model(sample.entity, after).splitlines()
            )
        yield "registry.diff", "".join(f"{line}\n" for line in registry)
        yield "models.diff", "".join(f"{line}\n" for line in models)
        yield "types.d.ts", "\n\n".join(interfaces) + "\n"


def hidden(redactor: Redactor, change: Drift) -> Drift:
    """A difference with look-alikes for what is personal."""
    is_shown = change.change is not Change.VALUE or redactor.is_kept(change.path, change.detail)
    detail = change.detail if is_shown else redactor.masked(change.detail)
    return replace(change, path=redactor.named(change.path), detail=detail)


def as_text(document: Any) -> str:
    """JSON for the eye."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def title(name: str) -> str:
    """An entity as a type."""
    return "".join(part.capitalize() for part in name.split("_"))


def lines(record: Sequence[Field]) -> list[str]:
    """Fields as the registry's files have them."""
    return [
        ",".join((one.path, one.type, one.format, "yes" if one.nullable else "", joined(one.enum))) for one in record
    ]


def difference(name: str, before: list[str], after: list[str]) -> list[str]:
    """Lines of a diff."""
    return list(unified_diff(before, after, f"a/{name}", f"b/{name}", n=1, lineterm=""))


def schema(values: Sequence[Any]) -> dict[str, Any]:
    """The JSON Schema that some values have in common."""
    kinds = {kind for value in values if (kind := plain(value))}
    objects = [value for value in values if isinstance(value, dict)]
    arrays = [value for value in values if isinstance(value, list)]
    options: list[dict[str, Any]] = [
        {"type": kind} for kind in sorted(kinds - ({"integer"} if "number" in kinds else set()))
    ]
    if arrays:
        options.append({"type": "array", "items": schema([part for value in arrays for part in value])})
    if objects:
        names = dict.fromkeys(name for value in objects for name in value)
        options.append(
            {
                "type": "object",
                "properties": {name: schema([one[name] for one in objects if name in one]) for name in names},
                "required": [name for name in names if all(name in one for one in objects)],
            }
        )
    return options[0] if len(options) == 1 else {"oneOf": options} if options else {}


def plain(value: Any) -> str:
    """The JSON Schema type of a value without parts, or an empty string."""
    return SCHEMA.get(kind_of(value), "")
