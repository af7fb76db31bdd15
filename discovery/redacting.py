"""Redaction: personal data in samples replaced by look-alikes, so that shapes can be shown to anybody.

What is not known to be harmless is replaced. Of texts these are kept: words that the documents list; and of fields whose
path does not speak of people, moments and single words that come again and again and stand in no field that does speak of
them; and ids of the GUID kind. Of numbers: keys that the documents know, and short ones of other fields. Of names of fields:
those that the documents have, and plain identifiers.

Letters become other letters and digits other digits, always the same ones within one run, so that what was equal stays
equal and a phone number still looks like one.
"""

import re
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Any

PIECES = """
address alarm alias assign attention author birth caller city client comment contact content coord crew customer descr
dispatch driver email employ family filename folder gate gender guest helper homeowner html instruct landlord latitud
licen location login longit mail manager member memo messag mobile name neighb nick note occup operator owner parent
partner passw patient payer people person phone postal recip refer reply resident salesrep secret sender signat signer
spouse staff street subject summary supervis surname team technic tenant text title token user vendor visitor website
worker
"""
STEMS = tuple(PIECES.split())
"""Pieces of the names of fields that may speak of people or be written by them: `lastname`, `technicians`, `gateCode`."""
WHOLE = """
account agent body by card cell code dob ein fax first host iban lat last lead lng lon pin po rep ssn tech tel unit url
value zip
"""
WORDS = frozenset(WHOLE.split())
"""The same as whole words: pieces of them stand in many a harmless one."""

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?|\d\d:\d\d(:\d\d(\.\d+)?)?")
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
SINGLE = re.compile(r"[A-Za-z][A-Za-z_]{1,29}")
PLAIN = re.compile(r"[A-Za-z_]+(\d{1,3}[A-Za-z_]+)*\d{0,3}")
KEY = re.compile(r"(?<![Cc]aller)(Ids?|\b(?:id|ids))(\[\])?\Z")
TOKEN = re.compile(r"\w+")
MOST_VALUES = 24  # of a field that count as a list of values, when they come again and again
AGAIN = 3  # times that each value of a list comes
SHORT = 10**6  # numbers from here on may be phone numbers


@lru_cache(4096)
def is_personal(path: str) -> bool:
    """Whether a field's own name, or that of an object it is in, may speak of people."""
    words = {word.lower() for word in WORD.findall(path)}
    joined = re.sub(r"[^a-z.]", "", path.lower())
    return any(stem in joined for stem in STEMS) or bool(WORDS & (words | {word.removesuffix("s") for word in words}))


@dataclass(slots=True)
class Redactor:
    """Replaces what is personal in the records that it has looked through."""

    documented: Mapping[str, Iterable[str]] = field(default_factory=dict)  # by path: the values that documents list
    salt: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    words: dict[str, Counter[str]] = field(default_factory=dict)  # by path: its values, while they may be a list
    personal: set[str] = field(default_factory=set)  # words that stand in fields that speak of people

    def look(self, records: Iterable[Any]) -> None:
        """Learn which fields hold a list of values."""
        for record in records:
            for path, text in texts(record):
                if is_personal(path) and not self.documented.get(path):
                    self.personal.update(word.lower() for word in TOKEN.findall(text))
                else:
                    self.words.setdefault(path, Counter())[text] += 1

    def redacted(self, value: Any, path: str = "") -> Any:
        """A value with look-alikes for what is personal."""
        match value:
            case dict():
                return {
                    self.name(name, below(path, name)): self.redacted(part, below(path, name))
                    for name, part in value.items()
                }
            case list():
                return [self.redacted(part, f"{path}[]") for part in value]
            case str():
                return value if self.is_kept(path, value) else self.masked(value)
            case bool() | None:
                return value
        return value if self.is_harmless(path, value) else self.other_number(value)

    def name(self, name: str, path: str) -> str:
        """A field's name, which may be a value itself."""
        is_kept = path in self.documented or (PLAIN.fullmatch(name) and name.lower() not in self.personal)
        return name if is_kept else self.masked(name)

    def named(self, path: str) -> str:
        """A path of such names."""
        parts = path.split(".")
        return ".".join(self.name(part, ".".join(parts[: place + 1])) for place, part in enumerate(parts))

    def is_kept(self, path: str, text: str) -> bool:
        """Whether a text says nothing of a person."""
        if not text or GUID.fullmatch(text) or text in self.documented.get(path, ()):
            return True
        return not is_personal(path) and (MOMENT.fullmatch(text) is not None or self.is_of_list(path, text))

    def is_of_list(self, path: str, text: str) -> bool:
        """Whether a text is one of a few single words that come again and again, and is no word of people."""
        known = self.words.get(path, Counter[str]())
        is_list = len(known) <= MOST_VALUES and all(map(SINGLE.fullmatch, known))
        return is_list and known[text] >= AGAIN and text.lower() not in self.personal

    def is_harmless(self, path: str, number: float) -> bool:
        """Whether a number says nothing of a person."""
        is_key = KEY.search(path) is not None and path in self.documented
        return is_key or (not is_personal(path) and (abs(number) < SHORT or not is_whole(number)))

    def other_number(self, number: float) -> float:
        """A whole number of the same kind and about as long; 0 for a fraction."""
        return type(number)(self.masked(str(abs(int(number))))) if is_whole(number) else 0.0

    def masked(self, text: str) -> str:
        """A text of the same form in which no letter and no digit stayed what it was."""
        return TOKEN.sub(lambda found: self.look_alike(found[0]), text)

    def look_alike(self, word: str) -> str:
        """Another word of the same form, the same one each time."""
        noise = blake2b(word.encode("utf-8", "surrogatepass"), key=self.salt, digest_size=64).digest()
        return "".join(other(sign, noise[place % len(noise)]) for place, sign in enumerate(word))


def other(sign: str, number: int) -> str:
    """Another letter or digit of the same kind."""
    for kind in (digits, ascii_lowercase, ascii_uppercase):
        if sign in kind:
            return kind[(kind.index(sign) + 1 + number % (len(kind) - 1)) % len(kind)]
    if sign.isalpha():
        return (ascii_uppercase if sign.isupper() else ascii_lowercase)[number % 26]
    return "0" if sign.isnumeric() else sign


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """All texts in a value, by path."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from texts(part, below(path, name))
    elif isinstance(value, list):
        for part in value:
            yield from texts(part, f"{path}[]")
    elif isinstance(value, str):
        yield path, value


def below(path: str, name: str) -> str:
    """The path of a part of an object."""
    return f"{path}.{name}" if path else name


def is_whole(number: float) -> bool:
    """Whether a number has no fraction."""
    return isinstance(number, int) or number.is_integer()
