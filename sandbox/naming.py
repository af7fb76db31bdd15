"""What things and people are called, by their hash or position alone: no record need be made to name it."""

from sandbox import words
from sandbox.chance import below, salt

FIRST, LAST, STREET, KIND, HOUSE, CITY, UNIT, COMPANY, TRADE = map(
    salt, ("first", "last", "street", "kind", "house", "city", "unit", "company", "trade")
)

LISTS: dict[str, tuple[str, ...]] = {
    "business_units": words.BUSINESS_UNITS,
    "business_unit_intacct_mappings": words.BUSINESS_UNITS,
    "campaigns": words.CAMPAIGNS,
    "tag_types": words.TAGS,
    "job_cancel_reasons": words.REASONS,
    "job_hold_reasons": words.REASONS,
    "call_reasons": words.REASONS,
    "gl_accounts": words.ACCOUNTS,
    "pricebook_categories": words.CATEGORIES,
    "zones": words.ZONES,
    "tax_zones": words.ZONES,
    "payment_types": words.PAYMENT_TYPES,
}
"""Names of what is set up once; a list that is too short starts again with a number behind the name."""

PEOPLE = frozenset({"employees", "technicians", "contacts"})
SKUS = frozenset(
    {"pricebook_services", "pricebook_materials", "pricebook_equipment", "job_types", "recurring_services"}
)
COMMERCIAL = 6  # one customer in so many is a company


def first_name(number: int) -> str:
    """The first name of the person with this hash."""
    return words.FIRST_NAMES[below(len(words.FIRST_NAMES), number, FIRST)]


def last_name(number: int) -> str:
    """The last name of the person with this hash."""
    return words.LAST_NAMES[below(len(words.LAST_NAMES), number, LAST)]


def person(number: int) -> str:
    """First and last name."""
    return f"{first_name(number)} {last_name(number)}"


def is_company(number: int) -> bool:
    """Whether the customer with this hash is a company."""
    return below(COMMERCIAL, number, COMPANY) == 0


def customer(number: int) -> str:
    """A person's or a company's name."""
    if not is_company(number):
        return person(number)
    stem = words.COMPANY_STEMS[below(len(words.COMPANY_STEMS), number, FIRST)]
    return f"{stem} {words.COMPANY_KINDS[below(len(words.COMPANY_KINDS), number, TRADE)]}"


def email(number: int) -> str:
    """An address at a domain that nobody has."""
    name = f"{first_name(number)}.{last_name(number)}".lower()
    plain = "".join(letter for letter in name if letter.isascii() and (letter.isalpha() or letter == "."))
    return f"{plain.strip('.') or 'someone'}{number % 1000}@{words.DOMAINS[number % len(words.DOMAINS)]}"


def phone(number: int) -> str:
    """One of the numbers that are kept for fiction, written in one of three ways."""
    area, line = 201 + number % 700, number // 1000 % 100
    ways = (f"{area}55501{line:02}", f"({area}) 555-01{line:02}", f"+1 {area} 555 01{line:02}")
    return ways[number % 5 % 3]


def street(number: int) -> str:
    """House number and street."""
    name = words.STREET_NAMES[below(len(words.STREET_NAMES), number, STREET)]
    return f"{1 + below(9900, number, HOUSE)} {name} {words.STREET_KINDS[below(len(words.STREET_KINDS), number, KIND)]}"


def address(number: int) -> dict[str, object]:
    """A postal address with coordinates."""
    city, state, prefix = words.CITIES[below(len(words.CITIES), number, CITY)]
    return {
        "street": street(number),
        "unit": words.UNITS[below(len(words.UNITS), number, UNIT)] or None,
        "city": city,
        "state": state,
        "zip": f"{prefix}{below(1000, number, CITY):03}",
        "country": "USA",
        "latitude": 30 + below(10_000_000, number, STREET) / 1_000_000,
        "longitude": -80 - below(30_000_000, number, HOUSE) / 1_000_000,
    }


def sku(position: int) -> str:
    """What is done to what: `Replace furnace`."""
    action, system = words.ACTIONS[position % len(words.ACTIONS)], words.SYSTEMS[position % len(words.SYSTEMS)]
    again = position // (len(words.ACTIONS) * len(words.SYSTEMS))
    return f"{action} {system}" + (f" {again + 1}" if again else "")


def called(name: str, position: int, number: int) -> str:
    """The name of a record of the entity called `name`."""
    if name in LISTS:
        again, place = divmod(position, len(LISTS[name]))
        return LISTS[name][place] + (f" {again + 1}" if again else "")
    if name in PEOPLE:
        return person(number)
    if name in SKUS:
        return sku(position)
    return f"{name.replace('_', ' ').capitalize()} {position + 1}"
