"""Which models `LAZI_SERVING` chooses, to be published to PostgreSQL from a warehouse that stands elsewhere."""

from collections.abc import Iterable
from difflib import get_close_matches

from store.exceptions import SettingsError
from store.project import PROJECT
from store.setting import SERVING

OFF, CRM, SCREENS = "off", "crm", "screens"
READ_BY_SCREENS = (
    "appointments",
    "customer_contacts",
    "customer_notes",
    "customers",
    "estimates",
    "installed_equipment",
    "invoices",
    "job_history",
    "job_notes",
    "job_types",
    "jobs",
    "location_contacts",
    "locations",
    "payment_terms",
    "pricebook_categories",
    "pricebook_equipment",
    "pricebook_materials",
    "pricebook_services",
    "tag_types",
)
"""Master tables behind the API's own routes and the operations page, without those that have only routes below `entities/`."""


def chosen(text: str) -> frozenset[str]:
    """The names that `LAZI_SERVING` chooses; what views among them read comes along. Raises SettingsError."""
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    if OFF in words and len(words) > 1:
        raise SettingsError(f"`{SERVING.name}` is `{text}`: `{OFF}` stands alone. Leave it or the names out.")
    return frozenset(name for word in words if word != OFF for name in meant(word))


def meant(word: str) -> Iterable[str]:
    """The names that a word of the setting stands for. Raises SettingsError."""
    if word == CRM:
        return names("crm")
    if word == SCREENS:
        return [f"master.{entity}" for entity in READ_BY_SCREENS]
    known = [*names("crm"), *names("master")]
    if word in known:
        return [word]
    near = get_close_matches(word, known, n=1) or [one for one in known if one.partition(".")[2] == word]
    raise SettingsError(
        f"`{SERVING.name}` names `{word}`, which is no model.{f' Is `{near[0]}` meant?' if near else ''} Allowed are `{CRM}`, "
        f"`{SCREENS}`, models of master and crm as `master.invoices`, with commas between, or `{OFF}`. Correct it where it is "
        f"set ({SERVING.places})."
    )


def names(schema: str) -> list[str]:
    """The models of a schema."""
    return [f"{schema}.{path.stem}" for path in sorted((PROJECT / "models" / schema).glob("*.sql"))]
