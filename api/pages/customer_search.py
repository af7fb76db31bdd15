"""Customers by a piece of text: what is looked for, the questions to the warehouse, and which of the answers come first.

Each question ends after so many customers, so that it takes milliseconds whatever is asked: names by their beginnings and, as
e-mail addresses, by their trigrams, phone numbers whatever signs stand between their digits, ids by their key, streets behind a
house number.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from markupsafe import Markup, escape

from api.page import pattern
from api.pages.customer import KEY
from api.pages.selection import Record, marks, selected
from api.parameters import list_parameters
from api.query import MARKS
from api.resources import ENTITIES
from api.steps import Steps
from store.looped import Plan, Question
from store.texts import SORTED_CHARACTERS

SEARCH = {"search": list_parameters(ENTITIES["customers"])["search"]}
MOST = 100  # customers that one question hands over
SHOWN = 20
LAST_CHANGED = 10
FEWEST_DIGITS = 3  # of a piece of a phone number
TRIGRAM = re.compile(r"(?!___)\w{3}")  # of signs alone an index has none
NUMBER = re.compile(r"[+(\d][\d\s().+/-]*")
STREET = re.compile(r"\d+\s+\w")
COLUMNS = (
    "customer_id",
    "name",
    "type",
    "is_deleted",
    "engagement_status",
    "lifetime_value",
    "address_street",
    "address_city",
    "address_state",
    "address_zip",
    "primary_phone",
    "primary_email",
)

FACTS = """
SELECT customer_id, name, is_deleted
FROM crm.customer_facts
WHERE tenant_id = {{mark}} AND {condition}
LIMIT {{mark}}
"""
CONDITIONS = {
    "key": "customer_id = {mark}",
    "piece": "(name ILIKE {mark} ESCAPE '\\' OR primary_email ILIKE {mark} ESCAPE '\\')",
    "phone": "primary_phone ILIKE {mark} ESCAPE '\\' AND REGEXP_REPLACE(primary_phone, '[^0-9]', '', 'g') LIKE {mark}",
    "street": "address_street ILIKE {mark} ESCAPE '\\'",
}
"""What is asked of a customer's facts, by the way of looking. PostgreSQL has an index for each of these columns."""

BEGINNING = f"""
SELECT customer_id, name, is_deleted
FROM (
  SELECT st_id AS customer_id, name, is_deleted
  FROM master.customers
  WHERE tenant_id = {{mark}} AND LEFT(name, {SORTED_CHARACTERS}) >= {{mark}}
  ORDER BY LEFT(name, {SORTED_CHARACTERS}) ASC NULLS FIRST, st_id
  LIMIT {{mark}}
) AS behind
WHERE name ILIKE {{mark}} ESCAPE '\\'
"""
"""Names from a text on, in order: those that begin with it are the first ones, however many words of others do."""

NEWEST = """
FROM master.customers
WHERE tenant_id = {mark}
ORDER BY modified_on DESC NULLS LAST, st_id DESC
LIMIT {mark}
"""


@dataclass(frozen=True, slots=True)
class Found:
    """Customers as a list shows them, whether there are more, and whether names' beginnings alone were looked at."""

    customers: list[Record]
    has_more: bool = False
    is_of_beginnings: bool = False


@cache
def text(way: str, dialect: str) -> str:
    """The query for a way of looking."""
    condition = CONDITIONS.get(way)
    return (FACTS.format(condition=condition) if condition else BEGINNING).format(mark=MARKS[dialect])


def looked_for(search: str) -> list[tuple[str, list[Any]]]:
    """The ways in which a text is looked for, the surest first, and their values behind the tenant."""
    whole, digits = pattern(search), re.sub(r"\D", "", search)
    found: list[tuple[str, list[Any]]] = []
    if KEY.fullmatch(search):
        found.append(("key", [int(search), MOST]))
    if NUMBER.fullmatch(search) and len(digits) >= FEWEST_DIGITS:
        found.append(("phone", [*phone(digits), MOST]))
    spellings = dict.fromkeys((search.title(), search, search.upper()))  # an order may tell cases apart
    found += [("beginning", [each[:SORTED_CHARACTERS], MOST, whole[1:]]) for each in spellings]
    if TRIGRAM.search(search):
        found.append(("piece", [whole, whole, MOST]))
        if STREET.match(search):
            found.append(("street", [whole[1:], MOST]))
    return found


def phone(digits: str) -> list[Any]:
    """A phone number whatever signs stand between area, exchange and line; a country code of one digit may be missing."""
    if len(digits) == 11 and digits.startswith("1"):  # noqa: PLR2004  a North American number with its country's code
        digits = digits[1:]
    parts = [part for part in (digits[:3], digits[3:6], digits[6:]) if part]
    return [f"%{'%'.join(parts)}%", f"%{digits}%"]


def searched(dialect: str, tenant: int, search: str) -> Steps[Found]:
    """The customers that a text finds, the likeliest first."""
    rows: dict[int, tuple[Any, ...]] = {}
    is_full = False
    ways = looked_for(search)
    for way, values in ways:
        hits = yield Question(text(way, dialect), [tenant, *values], Plan.OWN)
        rows |= {row[0]: row for row in hits}
        is_full = is_full or len(hits) == MOST
    best = sorted(rows.values(), key=lambda row: rank(row, search))[:SHOWN]
    shown = yield from described(dialect, tenant, [row[0] for row in best])
    return Found(shown, is_full or len(rows) > SHOWN, is_of_beginnings={way for way, _ in ways} == {"beginning"})


def rank(row: tuple[Any, ...], search: str) -> tuple[Any, ...]:
    """Where a customer stands: who has this key, then names that are the text, begin with it, or have a word that does."""
    key, name, is_deleted = row
    named, wanted = (name or "").casefold(), search.casefold()
    return (
        str(key) != search,
        bool(is_deleted),
        named != wanted,
        not named.startswith(wanted),
        f" {wanted}" not in named,
        named,
        key,
    )


def last_changed(dialect: str, tenant: int) -> Steps[Found]:
    """The customers that changed last in ServiceTitan."""
    rows = yield from selected(dialect, ("st_id",), NEWEST, [tenant, LAST_CHANGED])
    shown = yield from described(dialect, tenant, [row["st_id"] for row in rows])
    return Found(shown)


def described(dialect: str, tenant: int, keys: list[int]) -> Steps[list[Record]]:
    """What a list shows of these customers, in their order; one that is not modelled yet is left out."""
    if not keys:
        return []
    rest = f"FROM crm.customer_360 WHERE tenant_id = {{mark}} AND customer_id IN ({marks(len(keys))})"
    rows = yield from selected(dialect, COLUMNS, rest, [tenant, *keys])
    found = {row["customer_id"]: row for row in rows}
    return [found[key] for key in keys if key in found]


def marked(value: str | None, search: str) -> Markup:
    """A text with what was looked for in it marked; a single letter would be everywhere."""
    text, wanted = value or "", search.strip()
    places = list(re.finditer(re.escape(wanted), text, re.IGNORECASE)) if len(wanted) > 1 else []
    pieces, end = [], 0
    for place in places:
        pieces += [escape(text[end : place.start()]), Markup("<mark>{}</mark>").format(place[0])]
        end = place.end()
    return Markup("").join([*pieces, escape(text[end:])])
