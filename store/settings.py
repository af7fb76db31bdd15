"""Every setting there is, where it is looked for, and what is said when it is missing or malformed.

Places, first found wins: the environment under our name, the environment under dlt's name, `.env`, `.dlt/secrets.toml`,
`.dlt/config.toml`. Several tenants stand in `.dlt/secrets.toml` as `[[sources.servicetitan.tenants]]`. Secrets never
appear in a representation or a message.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dotenv import dotenv_values

from store.exceptions import SettingsError
from store.reports import ConfiguredReport, configured


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: our name for it, dlt's name for it, and what a good value looks like."""

    name: str
    dlt: str  # dotted, as in the toml files
    example: str
    default: str = ""

    @property
    def places(self) -> str:
        """Where it is looked for, for messages."""
        section, _, key = self.dlt.rpartition(".")
        return (
            f"environment `{self.name}` and `{environment_name(self.dlt)}`, `.env`, "
            f"`.dlt/secrets.toml` and `.dlt/config.toml` (`[{section}] {key} = ...`)"
        )


CLIENT_ID = Setting("SERVICE_TITAN_CLIENT_ID", "sources.servicetitan.client_id", "cid.abc123")
CLIENT_SECRET = Setting("SERVICE_TITAN_CLIENT_SECRET", "sources.servicetitan.client_secret", "cs1.abc123")
APP_KEY = Setting("SERVICE_TITAN_APP_KEY", "sources.servicetitan.app_key", "ak1.abc123")
TENANT_ID = Setting("SERVICE_TITAN_TENANT_ID", "sources.servicetitan.tenant_id", "1234567")
ENVIRONMENT = Setting("SERVICE_TITAN_ENV", "sources.servicetitan.environment", "integration", "production")
API_URL = Setting("SERVICE_TITAN_API_URL", "sources.servicetitan.api_url", "http://127.0.0.1:8765")
AUTH_URL = Setting("SERVICE_TITAN_AUTH_URL", "sources.servicetitan.auth_url", "http://127.0.0.1:8765/connect/token")
RATE = Setting("SERVICE_TITAN_RATE", "sources.servicetitan.requests_per_second", "1.67", "55")
DATABASE_URL = Setting("DATABASE_URL", "destination.postgres.credentials", "postgresql://lazi:...@db:5432/lazi")
DATA_DIR = Setting("LAZI_DATA_DIR", "lazi.data_dir", "./data", "./data")
PORT = Setting("PORT", "lazi.port", "3001", "3001")
LOG_LEVEL = Setting("LOG_LEVEL", "lazi.log_level", "debug", "warning")
API_HOST = Setting("LAZI_API_HOST", "lazi.api.host", "0.0.0.0", "127.0.0.1")  # noqa: S104  an example
API_ORIGINS = Setting("LAZI_API_ORIGINS", "lazi.api.origins", "https://app.example.com")
API_PROXIES = Setting("FORWARDED_ALLOW_IPS", "lazi.api.proxies", "10.0.0.2, 10.1.0.0/16", "127.0.0.1")
API_PER_MINUTE = Setting("LAZI_API_PER_MINUTE", "lazi.api.per_minute", "600", "100")
API_PER_HOUR = Setting("LAZI_API_PER_HOUR", "lazi.api.per_hour", "20000", "1000")
APPROVAL = Setting("LAZI_APPROVAL", "lazi.outbound.approval", "estimates:sell, payments:*")
WITHDRAWN = Setting("LAZI_WITHDRAWN_OPERATIONS", "lazi.outbound.withdrawn", "on", "off")
SCHEDULE = Setting("LAZI_SCHEDULE", "lazi.schedule.every", "1=2m, 4=12h, jobs=1m, call-reasons=off")
RECONCILE = Setting("LAZI_RECONCILE", "lazi.schedule.reconcile", "04:30", "03:00")
QUIET_HOURS = Setting("LAZI_QUIET_HOURS", "lazi.schedule.quiet_hours", "22:00-05:30")
TIME_ZONE = Setting("LAZI_TIME_ZONE", "lazi.time_zone", "America/Chicago", "UTC")
ALARMS = Setting("LAZI_ALARMS", "lazi.alarms.limits", "stale=5, queue=1h, disk=10GB, quarantine=off")
ALARM_WEBHOOK = Setting("LAZI_ALARM_WEBHOOK", "lazi.alarms.webhook", "https://hooks.example.com/T0/B0/secret")
WEBHOOK_SECRET = Setting("LAZI_WEBHOOK_SECRET", "lazi.webhooks.secret", "a key of 32 to 64 characters")
WEBHOOK_HEADER = Setting("LAZI_WEBHOOK_HEADER", "lazi.webhooks.header", "X-Signature", "X-ServiceTitan-Signature")
WEBHOOK_ENCODING = Setting("LAZI_WEBHOOK_ENCODING", "lazi.webhooks.encoding", "base64", "hex")
ALARM_FORM = Setting("LAZI_ALARM_FORM", "lazi.alarms.form", "slack", "json")

SETTINGS = (
    CLIENT_ID,
    CLIENT_SECRET,
    APP_KEY,
    TENANT_ID,
    ENVIRONMENT,
    API_URL,
    AUTH_URL,
    RATE,
    DATABASE_URL,
    DATA_DIR,
    PORT,
    LOG_LEVEL,
    API_HOST,
    API_ORIGINS,
    API_PROXIES,
    API_PER_MINUTE,
    API_PER_HOUR,
    APPROVAL,
    WITHDRAWN,
    SCHEDULE,
    RECONCILE,
    QUIET_HOURS,
    TIME_ZONE,
    ALARMS,
    ALARM_WEBHOOK,
    ALARM_FORM,
    WEBHOOK_SECRET,
    WEBHOOK_HEADER,
    WEBHOOK_ENCODING,
)

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


@dataclass(frozen=True, slots=True)
class Settings:
    """The store's settings, checked. ServiceTitan's own are read by `connection`, so that the store works without."""

    database_url: str = field(repr=False)  # empty: the embedded store
    data_dir: Path
    port: int
    log_level: str

    @property
    def is_embedded(self) -> bool:
        """Whether the warehouse is a DuckDB file rather than PostgreSQL."""
        return not self.database_url


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


def environment_name(dotted: str) -> str:
    """Dlt's name of a setting in the environment: `SOURCES__SERVICETITAN__CLIENT_ID`."""
    return dotted.upper().replace(".", "__")


class Places:
    """The places where settings stand, read once."""

    def __init__(self, environment: Mapping[str, str] | None = None, folder: Path | None = None) -> None:
        """Read `.env` and `.dlt/*.toml` below `folder` (default: here). Raises SettingsError for a file that is not TOML."""
        folder = folder or Path()
        self.environment = os.environ if environment is None else environment
        self.dotenv = {name: value or "" for name, value in dotenv_values(folder / ".env").items()}
        self.files = [read_toml(folder / ".dlt" / name) for name in ("secrets.toml", "config.toml")]

    def text(self, setting: Setting) -> str:
        """The setting's value as text, its default, or an empty string."""
        named = (setting.name, environment_name(setting.dlt))
        for place in (self.environment, self.dotenv):
            for name in named:
                if value := place.get(name, "").strip():
                    return value
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


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file's content, nothing when it does not exist. Raises SettingsError when it cannot be parsed."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"`{path}` is not valid TOML: {error}. Correct the file.") from None


def load(places: Places | None = None) -> Settings:
    """The store's settings. Raises SettingsError."""
    places = places or Places()
    return Settings(
        database_url=database_url(places.text(DATABASE_URL)),
        data_dir=Path(places.text(DATA_DIR)).expanduser(),
        port=whole_number(PORT, places.text(PORT), 1, HIGHEST_PORT),
        log_level=one_of(LOG_LEVEL, places.text(LOG_LEVEL).lower(), LOG_LEVELS),
    )


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


def database_url(text: str) -> str:
    """A PostgreSQL address or an empty string. Raises SettingsError without showing a password."""
    if text == EMBEDDED:
        return ""
    scheme = text.partition("://")[0]
    if not text or scheme in {"postgresql", "postgres"}:
        return text
    raise SettingsError(
        f"`{DATABASE_URL.name}` begins with `{scheme[:20]}` where `postgresql://` is expected. Write it as "
        f"`{DATABASE_URL.example}`, or leave it out to use the embedded DuckDB store."
    )


def malformed(setting: Setting, text: str, allowed: str) -> SettingsError:
    """The error for a value that is not allowed; secrets are not among the settings checked this way."""
    return SettingsError(
        f"`{setting.name}` is `{text}`, allowed is {allowed}. Correct it where it is set ({setting.places})."
    )
