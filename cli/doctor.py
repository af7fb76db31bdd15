"""`lazi doctor`: whether a configuration works, from the settings to every module of ServiceTitan."""

from __future__ import annotations

import json
import sys
from base64 import urlsafe_b64decode
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from alarms.finding import Finding
    from sources.servicetitan.client import Client
    from store.operations import Operations
    from store.settings import Connection, Settings

T = TypeVar("T")
SOMETHING_IS_WRONG = 1
SKEW = 120.0  # seconds by which clocks may differ
GIGA = 1e9


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one examination found. `status`: ok, warning or failed."""

    examined: str
    status: str
    text: str


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The verdicts as JSON.")
def doctor(*, as_json: bool) -> None:
    """Examine a configuration end to end: settings, store, disk, clock, and for each tenant token, scopes and modules.

    It asks ServiceTitan for one record a module, within the rate budget, and writes nothing but the store's own tables.

    Exit codes: 0 all well or warnings alone, 1 something does not work, 2 could not begin (usage).

    \b
    Examples:
      lazi doctor
      lazi doctor --json | jq '.[] | select(.status != "ok")'
    """
    found = []
    for verdict in examined():
        found.append(verdict)
        seen = next((one.examined for one in found[:-1] if one.text == verdict.text), "")
        if not as_json:
            text = f"as `{seen}`" if seen and verdict.status == "failed" else verdict.text
            click.echo(f"{MARKS[verdict.status]} {verdict.examined:<28} {text}")
    if as_json:
        click.echo(json.dumps([asdict(verdict) for verdict in found], indent=2))
    if any(verdict.status == "failed" for verdict in found):
        sys.exit(SOMETHING_IS_WRONG)


MARKS = {"ok": "ok     ", "warning": "WARNING", "failed": "FAILED "}


def examined() -> Iterator[Verdict]:
    """All examinations that can be made, one after another."""
    from pipelines.sync import client_for
    from sources.servicetitan.client import Patience
    from store.operations import open_operations
    from store.rate_budget import open_budget_store
    from store.settings import connection, load

    settings = yield from tried("settings", load, lambda made: f"{store_named(made)}; data folder `{made.data_dir}`")
    yield from strange_names()
    yield from other_settings()
    if settings is None:
        return
    yield from room(settings)
    yield from server(settings)
    yield from warehouse(settings)
    operations = yield from tried("state", lambda: open_operations(settings), lambda _: "its tables are up to date")
    servicetitan = yield from tried("ServiceTitan's settings", connection, addressed)
    if operations is None:
        return
    with closing(operations):
        if servicetitan is not None:
            yield from clock(servicetitan.api_url)
            patience = Patience(attempts=2, seconds=15.0, longest_wait=5.0)
            with closing(open_budget_store(settings)) as budgets:
                for tenant in servicetitan.tenants:
                    with closing(client_for(servicetitan, tenant, budgets, patience)) as client:
                        yield from of_tenant(client)
        yield from condition(operations, settings)


def tried(examined: str, make: Callable[[], T], told: Callable[[T], str]) -> Generator[Verdict, None, T | None]:
    """A verdict on making something. Returns what was made, or None."""
    try:
        made = make()
    except Exception as error:  # noqa: BLE001  whatever it is, the next examination is made
        yield Verdict(examined, "failed", str(error) or type(error).__name__)
        return None
    yield Verdict(examined, "ok", told(made))
    return made


def strange_names() -> Iterator[Verdict]:
    """Names in `.env` that seem to be misspelled."""
    from store.exceptions import SettingsError
    from store.misspelled import sentences
    from store.settings import Places

    with suppress(SettingsError):
        for sentence in sentences(Places().dotenv):
            yield Verdict(".env", "warning", sentence)


def warehouse(settings: Settings) -> Iterator[Verdict]:
    """Whether the copy's store can be written; one that a service of ours holds is well."""
    from pipelines.sync import Stores
    from store.exceptions import StoreLockedError

    def opened() -> str:
        try:
            with closing(Stores.open(settings)):
                return "opens, and can be written"
        except StoreLockedError as error:
            return f"is in use: {error}"

    yield from tried("store", opened, str)


def server(settings: Settings) -> Iterator[Verdict]:
    """What each address of PostgreSQL leads to; one that does not answer is told of by the store."""
    from store.exceptions import StoreError
    from store.pooler import way

    addresses = {"PostgreSQL": settings.database_url, "PostgreSQL, direct": settings.direct_url}
    for name, url in addresses.items():
        with suppress(StoreError):
            if url:
                yield Verdict(name, "ok", way(url).text)


def store_named(settings: Settings) -> str:
    """Which store it is."""
    from store.settings import Engine

    lake = f"a lake in `{settings.lake_files}`, with its catalog and operations in PostgreSQL"
    files = f"files in `{settings.lake_files}`, of which Spark builds models, with operations in PostgreSQL"
    named = {
        Engine.DUCKDB: "embedded DuckDB",
        Engine.POSTGRES: "PostgreSQL",
        Engine.DUCKLAKE: lake,
        Engine.SPARK: files,
    }
    return named[settings.engine]


def addressed(servicetitan: Connection) -> str:
    """Where ServiceTitan is."""
    tenants = ", ".join(str(tenant.tenant_id) for tenant in servicetitan.tenants)
    return f"tenant {tenants} at {servicetitan.api_url}, {servicetitan.requests_per_second:g} requests a second"


def other_settings() -> Iterator[Verdict]:
    """The settings of the schedule, the alarms, the API and changes."""
    from alarms.hook import hook
    from alarms.limits import limits
    from pipelines.duties import duties
    from store.settings import api_settings, outbound_settings
    from store.timetable import timetable

    def all_of_them() -> bool:
        duties(timetable(), ())
        return all((limits() is not None, hook() or True, api_settings(), outbound_settings()))

    yield from tried("schedule, alarms, API", all_of_them, lambda _: "can be read")


def room(settings: Settings) -> Iterator[Verdict]:
    """Whether the data folder can be written, and its free space."""
    from alarms.facts import free
    from alarms.limits import limits
    from store.exceptions import SettingsError
    from store.folder import prepare_folder

    folder = yield from tried("data folder", lambda: prepare_folder(settings.data_dir), lambda _: "can be written")
    found = free(settings.data_dir) if folder is not None else None
    if found is not None:
        with suppress(SettingsError):  # of LAZI_ALARMS, which has a verdict of its own
            status = "warning" if found < limits().get("disk", 0.0) else "ok"
            yield Verdict("disk", status, f"{found / GIGA:.1f} GB are free")


def of_tenant(client: Client) -> Iterator[Verdict]:
    """Token, clock, scopes and modules of one tenant."""
    tenant = client.tenant.tenant_id

    def token() -> str:
        client.authenticate()
        return client.tokens.current()

    granted = yield from tried(f"token, tenant {tenant}", token, lambda _: "granted")
    if granted:
        yield scopes(granted, tenant)
        yield from modules(client)


def clock(url: str) -> Iterator[Verdict]:
    """How far this machine's clock is from ServiceTitan's, which cursors rely on."""
    import httpx

    begun = datetime.now(UTC)
    try:
        told = httpx.get(url, timeout=10.0).headers.get("date", "")
        theirs = parsedate_to_datetime(told)
    except (httpx.HTTPError, ValueError):
        yield Verdict("clock", "warning", f"{url} does not tell its time")
        return
    apart = abs((theirs - begun).total_seconds())
    status = "warning" if apart > SKEW else "ok"
    yield Verdict("clock", status, f"{apart:.0f} s from ServiceTitan's")


def scopes(token: str, tenant: int) -> Verdict:
    """What the token may, as it says itself."""
    claims: dict[str, Any] = {}
    with suppress(ValueError, IndexError):
        part = token.split(".")[1]
        claims = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    found = claims.get("scope", [])
    listed = found.split() if isinstance(found, str) else list(found)
    if not listed:
        return Verdict(f"scopes, tenant {tenant}", "warning", "the token does not say what it may do")
    reads, writes = (sum(scope.endswith(end) for scope in listed) for end in (":r", ":w"))
    text = (
        f"of the {len(listed)} scopes that the token names, {reads} let this application read a part of ServiceTitan and "
        f"{writes} let it change one"
    )
    return Verdict(f"scopes, tenant {tenant}", "ok", text)


def modules(client: Client) -> Iterator[Verdict]:
    """One record of one entity of each module."""
    from sources.servicetitan.catalog import CATALOG
    from sources.servicetitan.client import Meter
    from sources.servicetitan.exceptions import NotAvailableError, ServiceTitanError

    seen: set[str] = set()
    for entity in CATALOG:
        if entity.module in seen or not entity.is_listable or entity.method != "GET" or "{" in entity.params:
            continue
        seen.add(entity.module)
        path = f"{entity.base}{client.tenant.tenant_id}/{entity.list_path}"
        params = {"page": str(entity.first_page), "pageSize": "1"} if entity.paged else {}
        name = f"{entity.module}, tenant {client.tenant.tenant_id}"
        try:
            client.get(path, params, len, Meter())
        except NotAvailableError:
            yield Verdict(name, "warning", f"`{entity.name}` is not open to this application: its scope is missing")
        except ServiceTitanError as error:
            yield Verdict(name, "failed", str(error))
        else:
            yield Verdict(name, "ok", f"`{entity.name}` answers")


def condition(operations: Operations, settings: Settings) -> Iterator[Verdict]:
    """What is wrong at present, as `lazi status` has it without asking the warehouse; nothing where settings cannot be read."""
    from alarms.checks import findings
    from alarms.facts import read
    from alarms.limits import limits
    from store.exceptions import SettingsError
    from store.settings import known_tenants
    from store.timetable import timetable

    with suppress(SettingsError):
        found = findings(read(operations, None, settings.data_dir, known_tenants()), limits(), timetable())
        yield from map(verdict, found)


def verdict(one: Finding) -> Verdict:
    """A finding as a verdict."""
    from alarms.finding import Level

    status = "failed" if one.level is Level.CRITICAL else "warning"
    return Verdict(" ".join(filter(None, (one.check, one.subject))), status, one.text)
