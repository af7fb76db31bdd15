"""What a mutation made, found again in ServiceTitan where no answer told that it was made.

A mark tells it for certain. Where a body can carry none, what was made is what was not there just before it was sent and
shows all that was wanted; whatever fits as well without being ours leaves it in doubt.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from outbound.difference import BOOKKEEPING, child, is_scalar, taken
from outbound.live import Found, Live
from outbound.marks import Mark, child_of, in_text, mark_in
from outbound.operations import ADD, BY_TITLE, Operation
from outbound.queue import Mutation, Queue, now
from outbound.registry import Node, tree
from sources.servicetitan.catalog import Entity
from sources.servicetitan.exceptions import NotAvailableError

KEYS = "keys"
"""In a mutation's `before`: the keys of what was there before something was made."""


@dataclass(frozen=True, slots=True)
class Search:
    """For what one CREATE or ADD makes."""

    live: Live
    queue: Queue
    mutation: Mutation

    @property
    def operation(self) -> Operation:
        """The table's row."""
        return BY_TITLE[self.mutation.title]

    @property
    def entity(self) -> Entity | None:
        """The catalog's row of what is made."""
        return child_of(self.operation) if self.operation.kind is ADD else self.operation.catalog

    @property
    def mark(self) -> Mark:
        """What tells it."""
        return mark_in(self.operation, self.mutation.payload)

    def before(self) -> dict[str, Any] | None:
        """The keys of all that is there and could be taken for it; None where a mark tells, or nothing can be listed."""
        if self.mark is not Mark.CONTENT:
            return None
        try:
            return {KEYS: [one.key for one in self.candidates(now())]}
        except NotAvailableError:  # it may be written and not be read
            return None

    def candidates(self, since: datetime) -> list[Found]:
        """What stands where it would stand, and was not made before a moment as far as it tells."""
        if self.operation.kind is ADD:
            return self.children()
        return self.live.made_since(self.entity, since) if self.entity else []

    def children(self) -> list[Found]:
        """ADD: what stands at the operation's own path."""
        path = self.operation.path
        for name, value in self.mutation.places.items():
            path = path.replace(f"{{{name}}}", value)
        return self.live.below(self.entity, self.operation.base, path) if self.entity else []

    def found(self) -> list[Found]:
        """The records that may be what was made. Raises ServiceTitanError or StoreError."""
        ref = self.mutation.ref
        match self.mark:
            case Mark.EXTERNAL_DATA if self.entity:  # some lists know no filter by key and value
                records = self.live.with_external(self.entity, ref)
                return [one for one in records if ref in str(one.values.get("externalData"))]
            case Mark.TEXT:
                return [one for one in self.children() if in_text(ref) in str(one.values.get("text", ""))]
            case Mark.CONTENT:
                return self.alike()
        return []

    def alike(self) -> list[Found]:
        """Those that were not there before, show all that was wanted, and that no other mutation may have made."""
        before = self.mutation.before or {}
        wanted = self.mutation.payload
        if KEYS not in before or not isinstance(wanted, dict):
            return []
        known, body = set(before[KEYS]), tree(self.mutation.title)
        since = self.mutation.was_sent or self.mutation.created_at
        return [
            one
            for one in self.candidates(since)
            if one.key not in known and shows(one.values, wanted, body) and not self.may_be_anothers(one, body)
        ]

    def may_be_anothers(self, record: Found, body: Node | None) -> bool:
        """Whether another mutation made a record, or may have made it."""
        return any(
            new_id == record.key or (isinstance(payload, dict) and shows(record.values, payload, body))
            for payload, new_id in self.queue.rivals(self.mutation, record.key)
        )

    def new_child(self, new_id: str | None) -> Found | None:
        """ADD: what was made below the record, by the id that ServiceTitan gave it or by its mark."""
        if self.operation.kind is not ADD or self.entity is None:
            return None
        if self.entity.is_listable and new_id and (record := self.live.record(self.entity, new_id)):
            return record
        mark = in_text(self.mutation.ref)
        return next(
            (one for one in self.children() if one.key == new_id or mark in str(one.values.get("text", ""))), None
        )


def shows(record: Mapping[str, Any], wanted: Mapping[str, Any], body: Node | None) -> bool:
    """Whether a record shows all that was wanted of it: what it does not show, it cannot be told by."""
    told = False
    for name, value in wanted.items():
        if name in BOOKKEEPING or value in (None, "", [], {}):
            continue
        answer = taken(value, record[name], child(body, name)) if name in record else None
        if answer is False or (answer is None and is_scalar(value)):
            return False
        told = told or answer is True
    return told
