"""The table of the settings: one row for each, from which messages, `.env.example` and the documentation are made."""

from dataclasses import dataclass
from enum import StrEnum


class Group(StrEnum):
    """What a setting is about, as a heading says it."""

    SERVICETITAN = "ServiceTitan"
    STORE = "The store"
    API = "The HTTP API"
    SCHEDULE = "The schedule"
    ALARMS = "Alarms"
    WEBHOOKS = "Webhooks of ServiceTitan"
    OUTBOUND = "Changes to ServiceTitan"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: our name for it, dlt's name for it, what a good value looks like, and what it tells."""

    name: str
    dlt: str  # dotted, as in the toml files
    example: str
    default: str = ""
    about: str = ""  # a sentence or two
    group: Group = Group.STORE
    is_needed: bool = False  # to read from ServiceTitan

    @property
    def places(self) -> str:
        """Where it is looked for, for messages."""
        section, _, key = self.dlt.rpartition(".")
        return (
            f"environment `{self.name}` and `{environment_name(self.dlt)}`, `.env`, "
            f"`.dlt/secrets.toml` and `.dlt/config.toml` (`[{section}] {key} = ...`)"
        )


def environment_name(dotted: str) -> str:
    """Dlt's name of a setting in the environment: `SOURCES__SERVICETITAN__CLIENT_ID`."""
    return dotted.upper().replace(".", "__")


CLIENT_ID = Setting(
    "SERVICE_TITAN_CLIENT_ID",
    "sources.servicetitan.client_id",
    "cid.abc123",
    about="The client id of your application for this tenant, from ServiceTitan's settings, under API Application Access.",
    group=Group.SERVICETITAN,
    is_needed=True,
)
CLIENT_SECRET = Setting(
    "SERVICE_TITAN_CLIENT_SECRET",
    "sources.servicetitan.client_secret",
    "cs1.abc123",
    about="The client secret that belongs to it. ServiceTitan shows it once.",
    group=Group.SERVICETITAN,
    is_needed=True,
)
APP_KEY = Setting(
    "SERVICE_TITAN_APP_KEY",
    "sources.servicetitan.app_key",
    "ak1.abc123",
    about="The key of the application, from ServiceTitan's developer portal. All of its tenants share it.",
    group=Group.SERVICETITAN,
    is_needed=True,
)
TENANT_ID = Setting(
    "SERVICE_TITAN_TENANT_ID",
    "sources.servicetitan.tenant_id",
    "1234567",
    about="The tenant, a number. Several tenants stand in `.dlt/secrets.toml` instead.",
    group=Group.SERVICETITAN,
    is_needed=True,
)
ENVIRONMENT = Setting(
    "SERVICE_TITAN_ENV",
    "sources.servicetitan.environment",
    "integration",
    "production",
    about="`production`, or `integration` for ServiceTitan's test environment.",
    group=Group.SERVICETITAN,
)
API_URL = Setting(
    "SERVICE_TITAN_API_URL",
    "sources.servicetitan.api_url",
    "http://127.0.0.1:8765",
    about="Another host than that of the environment, for example a sandbox's.",
    group=Group.SERVICETITAN,
)
AUTH_URL = Setting(
    "SERVICE_TITAN_AUTH_URL",
    "sources.servicetitan.auth_url",
    "http://127.0.0.1:8765/connect/token",
    about="The whole address that gives tokens, where it is another one than that of the environment.",
    group=Group.SERVICETITAN,
)
RATE = Setting(
    "SERVICE_TITAN_RATE",
    "sources.servicetitan.requests_per_second",
    "1.67",
    "55",
    about="Requests a second for one application and tenant, shared by all processes. ServiceTitan allows 60.",
    group=Group.SERVICETITAN,
)
DATABASE_URL = Setting(
    "DATABASE_URL",
    "destination.postgres.credentials",
    "postgresql://lazi:...@db:5432/lazi",
    about=(
        "PostgreSQL. Left out, a DuckDB file in `LAZI_DATA_DIR` is used; `embedded` says so where a file below says otherwise."
    ),
    group=Group.STORE,
)
DIRECT_URL = Setting(
    "DATABASE_DIRECT_URL",
    "lazi.database_direct_url",
    "postgresql://lazi:...@db:5432/lazi",
    about=(
        "The same database past a pooler in transaction mode, where `DATABASE_URL` leads to one: what loads, builds models or "
        "holds a right goes by it."
    ),
    group=Group.STORE,
)
WAREHOUSE = Setting(
    "LAZI_WAREHOUSE",
    "lazi.warehouse",
    "ducklake",
    about=(
        "Where raw, master, crm and audit stand: `duckdb`, `postgres`, `ducklake` (Parquet files of which `DATABASE_URL` keeps "
        "the catalog) or `spark` (Parquet files of which Spark builds the models). Left out, it is `postgres` with a "
        "`DATABASE_URL` and `duckdb` without one."
    ),
    group=Group.STORE,
)
LAKE = Setting(
    "LAZI_LAKE",
    "lazi.lake",
    "s3://lazi/lake",
    about=(
        "The folder, or the address in an object store, of a `ducklake`'s files; with `spark` the folder. Left out, `lake` in "
        "`LAZI_DATA_DIR`."
    ),
    group=Group.STORE,
)
SERVING = Setting(
    "LAZI_SERVING",
    "lazi.serving",
    "crm, screens, master.zones",
    "crm, screens",
    about=(
        "What of a `ducklake` is also published to PostgreSQL, under the same names, for quick answers: `crm`, `screens` (the "
        "master tables of the API's own routes and the operations page), names like `master.zones`, or `off`."
    ),
    group=Group.STORE,
)
DATA_DIR = Setting(
    "LAZI_DATA_DIR",
    "lazi.data_dir",
    "./data",
    "./data",
    about="Where the embedded store stands, and working files on either store.",
    group=Group.STORE,
)
LOG_LEVEL = Setting(
    "LOG_LEVEL",
    "lazi.log_level",
    "debug",
    "warning",
    about="`debug`, `info`, `warning` or `error`. `debug` shows tracebacks.",
    group=Group.STORE,
)
PORT = Setting(
    "PORT", "lazi.port", "3001", "3001", about="Where the API and the operations page listen.", group=Group.API
)
API_HOST = Setting(
    "LAZI_API_HOST",
    "lazi.api.host",
    "0.0.0.0",  # noqa: S104  an example
    "127.0.0.1",
    about="On which address the API listens. `0.0.0.0` is every one of this machine's.",
    group=Group.API,
)
API_ORIGINS = Setting(
    "LAZI_API_ORIGINS",
    "lazi.api.origins",
    "https://app.example.com",
    about="From which pages browsers may ask the API, with commas between. None: CORS is off.",
    group=Group.API,
)
API_PROXIES = Setting(
    "FORWARDED_ALLOW_IPS",
    "lazi.api.proxies",
    "10.0.0.2, 10.1.0.0/16",
    "127.0.0.1",
    about="The proxies in front of the API whose word about https and callers' addresses is taken: addresses, networks, or `*`.",
    group=Group.API,
)
API_PER_MINUTE = Setting(
    "LAZI_API_PER_MINUTE",
    "lazi.api.per_minute",
    "600",
    "100",
    about="Requests a minute of a key that has no limit of its own. 0: any number.",
    group=Group.API,
)
API_PER_HOUR = Setting(
    "LAZI_API_PER_HOUR",
    "lazi.api.per_hour",
    "20000",
    "1000",
    about="Requests an hour of a key that has no limit of its own. 0: any number.",
    group=Group.API,
)
SCHEDULE = Setting(
    "LAZI_SCHEDULE",
    "lazi.schedule.every",
    "1=2m, 4=12h, jobs=1m, call-reasons=off",
    about=(
        "Intervals by priority or by entity, in s, m, h or d, or `off`. What it does not name keeps 1=5m, 2=15m, 3=1h, 4=6h."
    ),
    group=Group.SCHEDULE,
)
RECONCILE = Setting(
    "LAZI_RECONCILE",
    "lazi.schedule.reconcile",
    "04:30",
    "03:00",
    about="When everything is reconciled: an hour of the day, `every 12h`, or `off`.",
    group=Group.SCHEDULE,
)
QUIET_HOURS = Setting(
    "LAZI_QUIET_HOURS",
    "lazi.schedule.quiet_hours",
    "22:00-05:30",
    about="Hours of the day without reads.",
    group=Group.SCHEDULE,
)
AT_ONCE = Setting(
    "LAZI_AT_ONCE",
    "lazi.schedule.at_once",
    "4",
    "16",
    about=(
        "Reads of entities of one priority and tenant that a process does at once. Where several processes share many tenants, a "
        "small number leaves some to each."
    ),
    group=Group.SCHEDULE,
)
TIME_ZONE = Setting(
    "LAZI_TIME_ZONE",
    "lazi.time_zone",
    "America/Chicago",
    "UTC",
    about="The place whose hours all of these are.",
    group=Group.SCHEDULE,
)
ALARMS = Setting(
    "LAZI_ALARMS",
    "lazi.alarms.limits",
    "stale=5, queue=1h, disk=10GB, quarantine=off",
    about="Limits from which on something is wrong, or `off`. The page on alarms lists them with their usual values.",
    group=Group.ALARMS,
)
ALARM_WEBHOOK = Setting(
    "LAZI_ALARM_WEBHOOK",
    "lazi.alarms.webhook",
    "https://hooks.example.com/T0/B0/secret",
    about="Who is told once when an alarm begins, and once when it is over. The address is treated as a secret.",
    group=Group.ALARMS,
)
ALARM_FORM = Setting(
    "LAZI_ALARM_FORM",
    "lazi.alarms.form",
    "slack",
    "json",
    about="In which form they are told: `json` or `slack`.",
    group=Group.ALARMS,
)
WEBHOOK_SECRET = Setting(
    "LAZI_WEBHOOK_SECRET",
    "lazi.webhooks.secret",
    "a key of 32 to 64 characters",
    about="The HMAC key of the application in ServiceTitan's developer portal. Without it webhooks are off.",
    group=Group.WEBHOOKS,
)
WEBHOOK_HEADER = Setting(
    "LAZI_WEBHOOK_HEADER",
    "lazi.webhooks.header",
    "X-Signature",
    "X-ServiceTitan-Signature",
    about="Which header has the signature of the body; ServiceTitan documents none.",
    group=Group.WEBHOOKS,
)
WEBHOOK_ENCODING = Setting(
    "LAZI_WEBHOOK_ENCODING",
    "lazi.webhooks.encoding",
    "base64",
    "hex",
    about="How the signature is written: `hex` or `base64`.",
    group=Group.WEBHOOKS,
)
APPROVAL = Setting(
    "LAZI_APPROVAL",
    "lazi.outbound.approval",
    "estimates:sell, payments:*",
    about="Which changes somebody else must approve: `entity:operation`, each a name or `*`.",
    group=Group.OUTBOUND,
)
WITHDRAWN = Setting(
    "LAZI_WITHDRAWN_OPERATIONS",
    "lazi.outbound.withdrawn",
    "on",
    "off",
    about="Whether operations that ServiceTitan took out of its documents may be tried: `on` or `off`.",
    group=Group.OUTBOUND,
)

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
    DIRECT_URL,
    WAREHOUSE,
    LAKE,
    SERVING,
    DATA_DIR,
    LOG_LEVEL,
    PORT,
    API_HOST,
    API_ORIGINS,
    API_PROXIES,
    API_PER_MINUTE,
    API_PER_HOUR,
    SCHEDULE,
    RECONCILE,
    QUIET_HOURS,
    AT_ONCE,
    TIME_ZONE,
    ALARMS,
    ALARM_WEBHOOK,
    ALARM_FORM,
    WEBHOOK_SECRET,
    WEBHOOK_HEADER,
    WEBHOOK_ENCODING,
    APPROVAL,
    WITHDRAWN,
)
