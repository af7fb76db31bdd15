"""Requests that each operation takes: its smallest body, and ids of records that are there."""

from dataclasses import dataclass
from typing import Any

import httpx

from outbound.body import required_example
from outbound.operations import BRACES, BY_TITLE, Operation
from sandbox.references import entity_of
from sandbox.server import Sandbox
from sandbox.writes.change import at
from sandbox.writes.target import Target, target_of
from sandbox.writes.write import Write
from sandbox.writing import shows_active
from tests.sandbox.reader import Reader

NOWHERE = "999"


@dataclass
class Sender:
    """Writes to one tenant."""

    reader: Reader

    @property
    def sandbox(self) -> Sandbox:
        return self.reader.sandbox

    @property
    def last(self) -> Write:
        return [write for write in self.sandbox.written if write.tenant == self.reader.tenant][-1]

    def send(self, operation: Operation, body: Any, places: dict[str, str]) -> httpx.Response:
        """One write; an upload's body is its file."""
        path = BRACES.sub(lambda found: places[found[1]], operation.path)
        where = f"{operation.base}{self.reader.tenant}/{path}"
        if operation.is_upload and body:
            file = (body["file_name"], b"text", body["content_type"])
            return self.reader.client.request(operation.method, where, files={"file": file})
        return self.reader.client.request(operation.method, where, **({} if body is None else {"json": body}))

    def post(self, title: str, body: Any = None, **places: object) -> httpx.Response:
        """One write by its operation's title."""
        return self.send(BY_TITLE[title], body, {name: str(value) for name, value in places.items()})

    def body(self, operation: Operation) -> Any:
        """The smallest body, with ids that are there."""
        return self.with_ids(required_example(operation))

    def with_ids(self, value: Any, name: str = "") -> Any:
        """A body whose ids are ids of records."""
        if isinstance(value, dict):
            return {key: self.with_ids(part, name if key == "id" else key) for key, part in value.items()}
        if isinstance(value, list):
            return [self.with_ids(part, name) for part in value]
        entity = entity_of(name)
        is_id = entity and isinstance(value, int) and not isinstance(value, bool)
        return self.records(entity)[1]["id"] if is_id else value

    def records(self, name: str) -> list[dict[str, Any]]:
        return self.sandbox.records(name, tenant=self.reader.tenant)

    def record(self, name: str, key: object) -> dict[str, Any]:
        """A record as it is now."""
        return next(one for one in self.records(name) if one["id"] == key)

    def first(self, name: str) -> dict[str, Any]:
        return self.records(name)[0]

    def places(self, operation: Operation) -> dict[str, str]:
        """Values for the path: records that are there, not yet in the state to which the operation leads."""
        target, places = target_of(operation), dict.fromkeys(operation.placeholders, NOWHERE)
        for name in (*target.rest, *operation.beside):
            if entity := entity_of(name):
                places[name] = str(self.records(entity)[1]["id"])
        return places | (self.below(operation, target) if target.owner else self.own(operation, target))

    def own(self, operation: Operation, target: Target) -> dict[str, str]:
        """The path's record."""
        if not target.own or not target.named_by:
            return {}
        records = [one for one in self.records(target.own.name) if one.get("active", True)]
        records = records or [self.sandbox.change(target.own.name, 0, self.reader.tenant, active=True)]
        others = (one for one in records if all(at(one, path) != value for path, value in operation.outcome))
        record = next(others, records[0])
        key = at(record, target.own.key[0])
        parts = (record.get("items") or [{}])[0]
        named = {name: str(record[name] if len(target.own.key) > 1 else key) for name in target.named_by}
        return named | {name: str(parts.get("id")) for name in target.rest if name == "itemId"}

    def below(self, operation: Operation, target: Target) -> dict[str, str]:
        """A record that has some of what is below it, and one of these; any record where none of these is named."""
        assert target.own
        assert target.owner
        tenant = self.sandbox.known(self.reader.tenant)
        existence, owners = tenant.desk.existence, range(tenant.table(target.owner.name).size)
        table, hides = tenant.table(target.owner.name), not shows_active(target.owner.name, "list")
        shown = [place for place in owners if table.is_shown(place, hides=hides)]  # of others nothing can be read
        having = [place for place in shown if existence.below(target.own, target.owner, place)]
        owner = {operation.record: str(existence.ident(target.owner, (having or shown)[0]))}
        if not target.named_by:
            return owner
        position = existence.below(target.own, target.owner, having[0])[0]
        record = tenant.table(target.own.name).record((target.own.name, "list"), position)
        ident = existence.ident(target.own, position)
        return owner | {name: str(record.get(name, ident)) for name in target.named_by}
