"""Where the settings of the table are looked for, and what is said when one is missing or malformed.

Places, first found wins: the environment under our name, the environment under dlt's name, `.env`, `.dlt/secrets.toml`,
`.dlt/config.toml`. In the first three, `NAME_FILE` names a file that holds the value of `NAME`. Several tenants stand in
`.dlt/secrets.toml` as `[[sources.servicetitan.tenants]]`. Secrets never appear in a representation or a message.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from io import StringIO
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from store.choice import chosen
from store.exceptions import SettingsError
from store.misspelled import warn
from store.reports import ConfiguredReport, configured
from store.secret_file import SUFFIX, read_secret
from store.setting import (
    ALARM_FORM,
    ALARM_WEBHOOK,
    ALARMS,
    API_HOST,
    API_ORIGINS,
    API_PER_HOUR,
    API_PER_MINUTE,
    API_PROXIES,
    API_URL,
    APP_KEY,
    APPROVAL,
    AUTH_URL,
    CLIENT_ID,
    CLIENT_SECRET,
    DATA_DIR,
    DATABASE_URL,
    DIRECT_URL,
    ENVIRONMENT,
    LAKE,
    LOG_LEVEL,
    PORT,
    QUIET_HOURS,
    RATE,
    RECONCILE,
    SCHEDULE,
    SERVING,
    SETTINGS,
    TENANT_ID,
    TIME_ZONE,
    WAREHOUSE,
    WEBHOOK_ENCODING,
    WEBHOOK_HEADER,
    WEBHOOK_SECRET,
    WITHDRAWN,
    Setting,
    environment_name,
)

__all__ = [
    "ALARMS",
    "ALARM_FORM",
    "ALARM_WEBHOOK",
    "API_HOST",
    "API_ORIGINS",
    "API_PER_HOUR",
    "API_PER_MINUTE",
    "API_PROXIES",
    "API_URL",
    "APPROVAL",
    "APP_KEY",
    "AUTH_URL",
    "CLIENT_ID",
    "CLIENT_SECRET",
    "DATABASE_URL",
    "DATA_DIR",
    "DIRECT_URL",
    "ENVIRONMENT",
    "LAKE",
    "LOG_LEVEL",
    "PORT",
    "QUIET_HOURS",
    "RATE",
    "RECONCILE",
    "SCHEDULE",
    "SERVING",
    "SETTINGS",
    "TENANT_ID",
    "TIME_ZONE",
    "WAREHOUSE",
    "WEBHOOK_ENCODING",
    "WEBHOOK_HEADER",
    "WEBHOOK_SECRET",
    "WITHDRAWN",
    "Setting",
    "environment_name",
]

HOSTS = {
    "production": ("https://api.servicetitan.io", "https://auth.servicetitan.io/connect/token"),
    "integration": (
        "https://api-integration.servicetitan.io",
        "https://auth-integration.servicetitan.io/connect/token",
    ),
}
LOG_LEVELS = ("debug", "info", "warning", "error")
HIGHEST_PORT = 65_535
SHORTEST_SECRET = 16
HEADER = re.compile(r"[A-Za-z0-9-]{1,100}")
EMBEDDED = "embedded"  # as DATABASE_URL: the embedded store, whatever `.env` says


@dataclass(frozen=True, slots=True)
class Tenant:
    """One ServiceTitan tenant and what opens it."""

    tenant_id: int
    client_id: str
    client_secret: str = field(repr=False)
    app_key: str = field(repr=False)


class Engine(StrEnum):
    """What the warehouse is. Operations stand in PostgreSQL with all but `duckdb`."""

    DUCKDB = "duckdb"
    POSTGRES = "postgres"
    DUCKLAKE = "ducklake"
    SPARK = "spark"


@dataclass(frozen=True, slots=True)
class Settings:
    """The store's settings, checked. ServiceTitan's own are read by `connection`, so that the store works without."""

    database_url: str = field(repr=False)  # empty: the embedded store
    data_dir: Path
    port: int
    log_level: str
    direct_url: str = field(repr=False, default="")  # of the same database, past a pooler in transaction mode
    warehouse: str = ""  # an Engine; empty: what the address says
    lake: str = ""  # folder or address of a lake's files; empty: below the data folder
    serving: str = SERVING.default  # what of a lake is published to PostgreSQL; see `store.serving`

    @property
    def is_embedded(self) -> bool:
        """Whether all stands in files of this machine, which belong to one process, rather than in PostgreSQL."""
        return not self.database_url

    @property
    def engine(self) -> Engine:
        """What the warehouse is."""
        return Engine(self.warehouse or ("postgres" if self.database_url else "duckdb"))

    @property
    def lake_files(self) -> str:
        """Where the files of a lake or of Spark stand: an absolute path, or an address."""
        return (
            self.lake if "://" in self.lake else str(Path(self.lake or self.data_dir / "lake").expanduser().resolve())
        )

    @property
    def serves(self) -> bool:
        """Whether PostgreSQL may serve what stands in another warehouse."""
        return self.engine not in {Engine.DUCKDB, Engine.POSTGRES}

    @property
    def session_url(self) -> str:
        """PostgreSQL's address for what needs a session of its own."""
        return self.direct_url or self.database_url


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """The HTTP API's settings, checked."""

    host: str
    origins: tuple[str, ...]  # from which browsers may ask; none: CORS is off
    proxies: tuple[str, ...]  # whose word about https and callers' addresses is taken: addresses, networks, or `*`
    per_minute: int  # requests of a key that says nothing else; 0: no limit
    per_hour: int


@dataclass(frozen=True, slots=True)
class OutboundSettings:
    """The settings of changes to ServiceTitan, checked."""

    approval: tuple[str, ...]  # `entity:operation`, each with `*` for any, that somebody else must approve
    with_withdrawn: bool  # whether operations that ServiceTitan took out of its documents may be tried


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """How ServiceTitan's webhooks are signed, checked. ServiceTitan documents neither the header nor the encoding."""

    secret: str = field(repr=False)  # empty: webhooks are off
    header: str
    encoding: str  # of the HMAC-SHA256: hex or base64
    tenants: frozenset[int] = frozenset()  # that may be named; empty: any


@dataclass(frozen=True, slots=True)
class Connection:
    """Where ServiceTitan is, who asks, and how fast (requests a second for one application and tenant)."""

    api_url: str
    auth_url: str
    tenants: tuple[Tenant, ...]
    requests_per_second: float
    reports: tuple[ConfiguredReport, ...] = ()


class Places:
    """The places where settings stand, read once."""

    def __init__(self, environment: Mapping[str, str] | None = None, folder: Path | None = None) -> None:
        """Read `.env` and `.dlt/*.toml` below `folder` (default: here). Raises SettingsError for a file that cannot be read."""
        self.folder = folder = folder or Path()
        self.environment = os.environ if environment is None else environment
        self.dotenv = read_dotenv(folder / ".env")
        self.files = [read_toml(folder / ".dlt" / name) for name in ("secrets.toml", "config.toml")]

    def text(self, setting: Setting) -> str:
        """The setting's value as text, its default, or an empty string."""
        named = (setting.name, environment_name(setting.dlt))
        for place in (self.environment, self.dotenv):
            for name in named:
                if value := place.get(name, "").strip():
                    return value
                if path := place.get(name + SUFFIX, "").strip():
                    return read_secret(name + SUFFIX, path, self.folder)
        found = self.value(setting.dlt)
        return setting.default if found is None else str(found)

    def value(self, dotted: str) -> Any:
        """What the files hold under a dotted name, or None."""
        for content in self.files:
            here: Any = content
            for part in dotted.split("."):
                here = here.get(part) if isinstance(here, dict) else None
            if here is not None:
                return here
        return None

    def required(self, setting: Setting) -> str:
        """The setting's value. Raises SettingsError that names every place looked at."""
        if value := self.text(setting):
            return value
        raise SettingsError(
            f"`{setting.name}` is not set. Looked in: {setting.places}. Set it in one of them, for example "
            f"`{setting.name}={setting.example}`; `lazi sandbox` prints a complete set that needs no account."
        )


def read_dotenv(path: Path) -> dict[str, str]:
    """What a `.env` sets, nothing when there is none; of a folder of that name neither. Raises SettingsError.

    A line that says nothing is refused: one that is passed over may be the address of the database. It may also be a secret,
    and is not shown.
    """
    text = "" if path.is_dir() else text_of(path)
    broken = [one.original for one in parse_stream(StringIO(text)) if one.error]
    if broken:
        heads = [
            one.string[: -len(one.string.lstrip()) or None] for one in broken
        ]  # empty lines belong to what follows
        lines = [one.line + head.count("\n") for one, head in zip(broken, heads, strict=True)]
        raise SettingsError(
            f"`{path}` cannot be read in line {', '.join(map(str, lines))}. A line is `NAME=value`, or a comment that begins "
            "with `#`; a quotation mark that opens a value ends it too. Correct the file."
        )
    return {name: value or "" for name, value in dotenv_values(stream=StringIO(text)).items()}


def text_of(path: Path) -> str:
    """What a file holds, nothing when it does not exist. Raises SettingsError when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise SettingsError(f"`{path}` cannot be read: {error.strerror}. Let this user read it.") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"`{path}` is not UTF-8 at byte {error.start}. Save it as UTF-8.") from None


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file's content, nothing when it does not exist. Raises SettingsError when it cannot be parsed."""
    try:
        return tomllib.loads(text_of(path))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"`{path}` is not valid TOML: {error}. Correct the file.") from None


def load(places: Places | None = None) -> Settings:
    """The store's settings. Raises SettingsError."""
    places = places or Places()
    warn(places.dotenv)
    address = database_url(DATABASE_URL, places.text(DATABASE_URL))
    return Settings(
        database_url=address,
        data_dir=Path(places.text(DATA_DIR)).expanduser(),
        port=whole_number(PORT, places.text(PORT), 1, HIGHEST_PORT),
        log_level=one_of(LOG_LEVEL, places.text(LOG_LEVEL).lower(), LOG_LEVELS),
        direct_url=address and database_url(DIRECT_URL, places.text(DIRECT_URL)),
        warehouse=warehouse(places.text(WAREHOUSE).lower(), address),
        lake=places.text(LAKE),
        serving=serving(places.text(SERVING)),
    )


def warehouse(text: str, address: str) -> str:
    """An engine that goes with the address, or nothing. Raises SettingsError."""
    if not text:
        return ""
    engine = Engine(one_of(WAREHOUSE, text, tuple(Engine)))
    if (engine is Engine.DUCKDB) is not bool(address):
        return engine
    if address:
        raise SettingsError(
            f"`{WAREHOUSE.name}` is `duckdb`, but `{DATABASE_URL.name}` is set. The embedded store keeps everything in files: "
            "leave one of the two out, or choose `postgres`, `ducklake` or `spark`."
        )
    raise SettingsError(
        f"`{WAREHOUSE.name}` is `{engine}`, but `{DATABASE_URL.name}` is not set. Operations and a lake's catalog stand in "
        f"PostgreSQL: set it, for example `{DATABASE_URL.name}={DATABASE_URL.example}`, or leave `{WAREHOUSE.name}` out."
    )


def serving(text: str) -> str:
    """What is published, checked. Raises SettingsError."""
    chosen(text)
    return text


def api_settings(places: Places | None = None) -> ApiSettings:
    """The HTTP API's settings. Raises SettingsError."""
    places = places or Places()
    origins = filter(None, (each.strip() for each in places.text(API_ORIGINS).split(",")))
    return ApiSettings(
        host=places.text(API_HOST),
        origins=tuple(web_address(API_ORIGINS, origin).rstrip("/") for origin in origins),
        proxies=tuple(network(API_PROXIES, proxy.strip()) for proxy in places.text(API_PROXIES).split(",")),
        per_minute=whole_number(API_PER_MINUTE, places.text(API_PER_MINUTE), 0),
        per_hour=whole_number(API_PER_HOUR, places.text(API_PER_HOUR), 0),
    )


def outbound_settings(places: Places | None = None) -> OutboundSettings:
    """The settings of changes to ServiceTitan. Raises SettingsError."""
    places = places or Places()
    patterns = tuple(filter(None, (each.strip() for each in places.text(APPROVAL).split(","))))
    for pattern in patterns:
        if pattern.count(":") != 1:
            raise malformed(APPROVAL, pattern, "`entity:operation`, each a name or `*`, with commas between")
    switch = one_of(WITHDRAWN, places.text(WITHDRAWN).lower(), ("on", "off"))
    return OutboundSettings(patterns, with_withdrawn=switch == "on")


def webhook_settings(places: Places | None = None) -> WebhookSettings:
    """How webhooks are signed. Raises SettingsError, which does not hold the secret."""
    places = places or Places()
    secret, header = places.text(WEBHOOK_SECRET), places.text(WEBHOOK_HEADER)
    if secret and len(secret) < SHORTEST_SECRET:
        raise SettingsError(
            f"`{WEBHOOK_SECRET.name}` has {len(secret)} characters, at least {SHORTEST_SECRET} are needed. It is the HMAC key "
            "of the application in ServiceTitan's developer portal."
        )
    if not HEADER.fullmatch(header):
        raise malformed(WEBHOOK_HEADER, header, "the name of an HTTP header")
    encoding = one_of(WEBHOOK_ENCODING, places.text(WEBHOOK_ENCODING).lower(), ("hex", "base64"))
    return WebhookSettings(secret, header.lower(), encoding, known_tenants(places))


def connection(places: Places | None = None) -> Connection:
    """How to reach ServiceTitan. Raises SettingsError."""
    places = places or Places()
    environment = one_of(ENVIRONMENT, places.text(ENVIRONMENT).lower(), tuple(HOSTS))
    api_url, auth_url = HOSTS[environment]
    return Connection(
        api_url=web_address(API_URL, places.text(API_URL) or api_url).rstrip("/"),
        auth_url=web_address(AUTH_URL, places.text(AUTH_URL) or auth_url),
        tenants=tenants(places),
        requests_per_second=rate(places.text(RATE)),
        reports=configured(places.value("sources.servicetitan.reports")),
    )


def known_tenants(places: Places | None = None) -> frozenset[int]:
    """The tenants of the settings; none where credentials are not set here, and then it may be any."""
    try:
        return frozenset(tenant.tenant_id for tenant in tenants(places or Places()))
    except SettingsError:
        return frozenset()


def tenants(places: Places) -> tuple[Tenant, ...]:
    """The configured tenants: the list in the files, else the one of the single settings. Raises SettingsError."""
    listed = places.value("sources.servicetitan.tenants")
    if not listed or places.text(TENANT_ID):
        return (
            Tenant(
                tenant_id=whole_number(TENANT_ID, places.required(TENANT_ID), 1),
                client_id=places.required(CLIENT_ID),
                client_secret=places.required(CLIENT_SECRET),
                app_key=places.required(APP_KEY),
            ),
        )
    found = tuple(listed_tenant(row, places) for row in listed)
    if len({tenant.tenant_id for tenant in found}) < len(found):
        raise SettingsError("`[[sources.servicetitan.tenants]]` names one tenant_id twice. Keep one of them.")
    return found


def listed_tenant(row: dict[str, Any], places: Places) -> Tenant:
    """One row of `[[sources.servicetitan.tenants]]`; the application's key may stand once for all of them."""
    values = {key: str(row.get(key, "")) for key in ("tenant_id", "client_id", "client_secret", "app_key")}
    values["app_key"] = values["app_key"] or places.text(APP_KEY)
    missing = [key for key, value in values.items() if not value]
    if missing:
        raise SettingsError(
            f"A row of `[[sources.servicetitan.tenants]]` in `.dlt/secrets.toml` lacks {', '.join(missing)}. "
            "Each row needs tenant_id, client_id, client_secret and app_key."
        )
    return Tenant(
        whole_number(TENANT_ID, values["tenant_id"], 1), values["client_id"], values["client_secret"], values["app_key"]
    )


def whole_number(setting: Setting, text: str, lowest: int, highest: int = 2**63 - 1) -> int:
    """A number within bounds. Raises SettingsError."""
    if text.isascii() and text.isdigit() and lowest <= int(text) <= highest:
        return int(text)
    raise malformed(setting, text, f"a whole number from {lowest} to {highest}")


def rate(text: str) -> float:
    """Requests a second. Raises SettingsError."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if 0 < value <= 1000:  # noqa: PLR2004  the bound that the message names
        return value
    raise malformed(RATE, text, "a number of requests a second above 0, at most 1000 (ServiceTitan allows 60)")


def one_of(setting: Setting, text: str, allowed: tuple[str, ...]) -> str:
    """One of the allowed words. Raises SettingsError."""
    if text in allowed:
        return text
    raise malformed(setting, text, " or ".join(f"`{word}`" for word in allowed))


def web_address(setting: Setting, text: str) -> str:
    """An http address. Raises SettingsError."""
    parts = urlsplit(text)
    if parts.scheme in {"http", "https"} and parts.netloc:
        return text
    shown = "(not shown)" if setting is ALARM_WEBHOOK else text  # its path is a secret
    raise malformed(setting, shown, "an address that begins with http:// or https://")


def network(setting: Setting, text: str) -> str:
    """An address, a network of them, or `*` for any. Raises SettingsError."""
    try:
        return text if text == "*" else str(ip_network(text)).removesuffix("/32").removesuffix("/128")
    except ValueError:
        raise malformed(setting, text, "addresses or networks with commas between, or `*` for any") from None


def database_url(setting: Setting, text: str) -> str:
    """A PostgreSQL address or an empty string. Raises SettingsError without showing a password."""
    if not text or text == EMBEDDED:
        return ""
    scheme, separator, _ = text.partition("://")
    if separator and scheme in {"postgresql", "postgres"}:
        return text
    is_scheme = separator and scheme.isascii() and scheme.isalpha()  # else it may hold a password
    found = f"begins with `{scheme[:20]}`" if is_scheme else "has no scheme"
    raise SettingsError(
        f"`{setting.name}` {found} where `postgresql://` is expected. Write it as `{setting.example}`, or leave it out"
        + (" to use the embedded DuckDB store." if setting is DATABASE_URL else ".")
    )


def malformed(setting: Setting, text: str, allowed: str) -> SettingsError:
    """The error for a value that is not allowed; secrets are not among the settings checked this way."""
    return SettingsError(
        f"`{setting.name}` is `{text}`, allowed is {allowed}. Correct it where it is set ({setting.places})."
    )
