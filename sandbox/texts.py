"""What text fields say, by the field's name."""

from collections.abc import Callable

from sandbox import naming, words
from sandbox.chance import mix
from sandbox.row import Row

Maker = Callable[[Row, int], object]

GUID = "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}"


def guid(ident: int) -> str:
    """The UUID that stands for a numeric id."""
    spread = mix(ident)
    return GUID.format(spread >> 32, spread >> 16 & 0xFFFF, spread >> 4 & 0xFFF, spread & 0xFFF, ident)


def guid_number(text: str) -> int:
    """The numeric id behind one of our UUIDs, or 0."""
    try:
        number = int(text[-12:], 16)
    except ValueError:
        return 0
    return number if guid(number) == text else 0


def one_of(pool: tuple[str, ...]) -> Maker:
    """Any of these."""
    size = len(pool)
    return lambda row, grain: pool[row.chance(size, grain)]


def code(prefix: str) -> Maker:
    """A prefix and five digits."""
    return lambda row, grain: f"{prefix}-{row.chance(100_000, grain):05}"


def digits(row: Row, _grain: int) -> str:
    """The number on a document: the digits of its id."""
    return str(row.ident)


def link(row: Row, grain: int) -> str:
    """An address at a host that nobody has."""
    return f"https://files.example.com/{row.name}/{row.chance(1 << 32, grain):08x}"


def city(part: int) -> Maker:
    """A part of one city: 0 is its name, 1 its state."""
    return lambda row, _grain: words.CITIES[row.chance(len(words.CITIES), naming.CITY)][part]


def personal(make: Callable[[int], str]) -> Maker:
    """Something about the person whom the record is about."""
    return lambda row, grain: make(row.number ^ grain)


phone_number = personal(naming.phone)
email_address = personal(naming.email)
note = one_of(words.NOTES)

TEXTS: dict[str, Maker] = {
    "authorName": personal(naming.person),
    "bio": note,
    "callerNumber": phone_number,
    "city": city(0),
    "leadCity": city(0),
    "code": code("C"),
    "color": one_of(words.COLORS),
    "companyName": one_of(words.COMPANY_STEMS),
    "country": lambda _row, _grain: "USA",
    "leadCountry": lambda _row, _grain: "USA",
    "currency": lambda _row, _grain: "USD",
    "description": note,
    "email": email_address,
    "authorEmail": email_address,
    "leadEmail": email_address,
    "externalId": lambda row, grain: f"x-{row.ident}-{row.chance(1000, grain)}",
    "fax": phone_number,
    "firstName": personal(naming.first_name),
    "from": phone_number,
    "lastName": personal(naming.last_name),
    "leadCustomerName": personal(naming.person),
    "leadPhone": phone_number,
    "leadStreet": personal(naming.street),
    "manufacturer": one_of(words.MANUFACTURERS),
    "memo": note,
    "mobilePhone": phone_number,
    "model": code("MX"),
    "notes": note,
    "number": digits,
    "officialName": one_of(words.COMPANY_STEMS),
    "phone": phone_number,
    "phoneNumber": phone_number,
    "platform": one_of(("Google", "Yelp", "Facebook")),
    "priority": one_of(words.PRIORITIES),
    "referenceNumber": digits,
    "review": one_of(words.REVIEWS),
    "serialNumber": code("SN"),
    "skuName": lambda row, grain: naming.sku(row.chance(200, grain)),
    "source": one_of(("Web", "Phone", "Mobile")),
    "state": city(1),
    "leadState": city(1),
    "status": one_of(("Pending", "Sent", "Received", "Canceled")),
    "requestStatus": one_of(("Pending", "Approved", "Rejected")),
    "street": personal(naming.street),
    "summary": note,
    "syncStatus": one_of(("Pending", "Posted", "Exported")),
    "text": note,
    "to": phone_number,
    "tradeName": one_of(words.TRADES),
    "unit": one_of(words.UNITS),
    "leadUnit": one_of(words.UNITS),
    "unitOfMeasure": one_of(words.UNITS_OF_MEASURE),
    "value": code("V"),
    "zip": lambda row, grain: f"{row.chance(90_000, grain) + 10_000}",
    "eventType": one_of(("Booked", "Scheduled", "Dispatched", "Arrived", "Done")),
    "leadZip": lambda row, grain: f"{row.chance(90_000, grain) + 10_000}",
    "zips[]": lambda row, grain: f"{row.chance(90_000, grain) + 10_000}",
    "cities[]": city(0),
    "skills[]": one_of(words.SKILLS),
    "serviceDays[]": one_of(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")),
    "campaignPhoneNumbers[]": phone_number,
}
"""Text by the field's name; the elements of an array carry its name and brackets."""

ENDINGS: tuple[tuple[str, Maker], ...] = (
    ("url", link),
    ("link", link),
    ("number", digits),
    ("phone", phone_number),
    ("email", email_address),
    ("address", personal(naming.street)),
    ("memo", note),
    ("notes", note),
    ("comment", note),
    ("description", note),
    ("message", note),
    ("paragraph", note),
    ("code", code("K")),
    ("name", lambda row, grain: naming.sku(row.chance(200, grain))),
)
"""Text by the end of the field's name, where the whole name is not listed."""


def text(name: str) -> Maker:
    """How to make the text of a field of this name."""
    if name in TEXTS:
        return TEXTS[name]
    lower = name.lower().removesuffix("[]")
    return next((make for ending, make in ENDINGS if lower.endswith(ending)), code(name[:1].upper()))
