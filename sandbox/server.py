"""The sandbox in a thread of its own: what tests, the demo and benchmarks start."""

import socket
import time
from collections.abc import Iterable
from datetime import datetime
from threading import Event, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import uvicorn

from sandbox.app import STATS_PATH, TOKEN_PATH, App
from sandbox.business import Business
from sandbox.clock import Clock, parse
from sandbox.faults.board import Board, Wanted
from sandbox.live import Live
from sandbox.tenant import Tenant, entity_named
from sandbox.tokens import Tokens
from sandbox.traffic import Traffic

if TYPE_CHECKING:
    from sandbox.writes.write import Write

HOST = "127.0.0.1"
PATIENCE = 10.0
"""Seconds until a server that does not start counts as broken."""


class Sandbox:
    """A ServiceTitan on loopback, with data that follow from `seed` and the day.

    Records can be read and changed beside the API; positions start from 0, keys are ids or tuples of a composite key.
    """

    def __init__(
        self,
        *,
        seed: int = 1,
        customers: int = 50,
        tenants: Iterable[int] = (1,),
        rps: float | None = None,
        token_lifetime: float = 900,
        export_page_size: int = 5000,
        export_lag: float = 0.0,
        report_interval: float = 60.0,
        report_queries: bool = True,
        live: float = 0.0,
        faults: Wanted = (),
        withdrawn: bool = False,
        today: datetime | None = None,
        host: str = HOST,
        port: int = 0,
        client_id: str = "sandbox",
        client_secret: str = "sandbox-secret",  # noqa: S107  the sandbox's public secret
        app_key: str = "sandbox-app-key",
    ) -> None:
        """`host` is where it listens, by default for this machine alone; `port` 0 is any free one.

        `rps` limits requests in a second, `live` is the number of changes in a second.

        A report runs once in `report_interval` seconds; without `report_queries` the newer way to run one does not exist.
        With `withdrawn`, the operations still answer that ServiceTitan took out of its documents.
        `faults` holds names, or rates by name. Raises FaultError for an unknown one.
        """
        self.seed, self.customers, self.tenant_ids, self.live = seed, customers, tuple(tenants), live
        self.host, self.port = host, port
        self.client_id, self.client_secret, self.app_key = client_id, client_secret, app_key
        self.export_page_size, self.export_lag = export_page_size, export_lag
        self.report_interval, self.report_queries = report_interval, report_queries
        self.clock = Clock(today)
        self.horizon = self.clock.horizon()
        self.tenants: dict[int, Tenant] = {}
        self.tokens = Tokens(client_id, client_secret, token_lifetime, time.monotonic)
        self.faults = Board(seed, faults, self.forget)
        self.written: list[Write] = []
        """Every write that was committed, in order, whatever became of its answer."""
        self.app = App(
            self.tenant,
            self.tokens,
            Traffic(rps),
            app_key,
            faults=self.faults,
            written=self.written,
            with_withdrawn=withdrawn,
        )
        self.stopping = Event()

    @property
    def tenant_id(self) -> int:
        """The first tenant's id."""
        return self.tenant_ids[0]

    @property
    def url(self) -> str:
        """The API's address without a path."""
        return f"http://{HOST}:{self.port}"

    @property
    def token_url(self) -> str:
        """The whole address of the token endpoint."""
        return self.url + TOKEN_PATH

    @property
    def stats_url(self) -> str:
        """The whole address of the counters."""
        return self.url + STATS_PATH

    def environment(self) -> dict[str, str]:
        """The environment variables that point a reader at this sandbox."""
        return {
            "SERVICE_TITAN_CLIENT_ID": self.client_id,
            "SERVICE_TITAN_CLIENT_SECRET": self.client_secret,
            "SERVICE_TITAN_APP_KEY": self.app_key,
            "SERVICE_TITAN_TENANT_ID": str(self.tenant_id),
            "SERVICE_TITAN_API_URL": self.url,
            "SERVICE_TITAN_AUTH_URL": self.token_url,
        }

    def tenant(self, ident: int) -> Tenant | None:
        """A tenant by id, its business made at the first request; None for one that does not exist."""
        if ident not in self.tenant_ids:
            return None
        if ident not in self.tenants:
            business = Business(self.seed, ident, max(self.customers, 1), self.horizon)
            self.tenants[ident] = Tenant(
                business,
                self.clock,
                self.faults,
                export_page_size=self.export_page_size,
                export_lag=self.export_lag,
                report_interval=self.report_interval,
                report_queries=self.report_queries,
                written=self.written,
            )
        return self.tenants[ident]

    def known(self, ident: int | None) -> Tenant:
        """A tenant by id, the first one for None. Raises LookupError."""
        found = self.tenant(self.tenant_id if ident is None else ident)
        if found is None:
            raise LookupError(f"There is no tenant `{ident}`. Tenants: {self.tenant_ids}.")
        return found

    def records(self, entity_name: str, tenant: int | None = None) -> list[dict[str, Any]]:
        """What a complete read of the entity's main feed would give, inactive records included."""
        with self.app.lock:
            return self.known(tenant).records(entity_named(entity_name))

    def texts(self, entity_name: str, tenant: int | None = None) -> list[bytes]:
        """The bytes of `records`, as answers hold them."""
        with self.app.lock:
            return self.known(tenant).texts(entity_named(entity_name))

    def change(self, entity_name: str, key: object, tenant: int | None = None, **fields: Any) -> dict[str, Any]:
        """Set top-level fields of a record and make it the newest; returns the record. Raises LookupError.

        A `modifiedOn` among the fields moves the record to that moment, also backwards, instead of to now.
        """
        moment = fields.pop("modifiedOn", None)
        with self.app.lock:
            owner, entity = self.known(tenant), entity_named(entity_name)
            position = owner.position(entity, key)
            owner.table(entity_name).touch(position, self.clock.now(), fields, moment and parse(moment))
            return owner.record(entity, position)

    def merge_customers(self, loser: object, survivor: object, tenant: int | None = None) -> dict[str, Any]:
        """Merge a customer into another: it becomes inactive and names the other; returns it. Raises LookupError."""
        with self.app.lock:
            owner, entity = self.known(tenant), entity_named("customers")
            kept = owner.record(entity, owner.position(entity, survivor))
            return self.change("customers", loser, tenant, active=False, mergedToId=kept["id"])

    def create(
        self, entity_name: str, tenant: int | None = None, *, under: object = None, **fields: Any
    ) -> dict[str, Any]:
        """Make a record of now with these fields, the rest drawn as for any other; returns the record.

        `under` is the key of the parent to which it belongs, where records are read by their parents.
        """
        with self.app.lock:
            owner, entity = self.known(tenant), entity_named(entity_name)
            return owner.record(entity, owner.add(entity, under, fields))

    def delete(self, entity_name: str, key: object, tenant: int | None = None) -> None:
        """Delete a record: lists no longer show it, exports show it with `active` false. Raises LookupError."""
        with self.app.lock:
            owner, entity = self.known(tenant), entity_named(entity_name)
            owner.table(entity_name).remove(owner.position(entity, key), self.clock.now())

    def report_rows(self, tenant: int | None = None) -> list[dict[str, Any]]:
        """Rows for `[[sources.servicetitan.reports]]`; `records("report_data")` is what these answer today."""
        with self.app.lock:
            return self.known(tenant).reports.rows()

    def purge(self, entity_name: str, key: object, tenant: int | None = None) -> None:
        """Take a record away without a trace: exports do not show it either. Raises LookupError."""
        with self.app.lock:
            owner, entity = self.known(tenant), entity_named(entity_name)
            owner.table(entity_name).purge(owner.position(entity, key))

    def restore(self, entity_name: str, key: object, tenant: int | None = None) -> None:
        """Bring a purged record back as it was, a deleted one as active and newest. Raises LookupError."""
        with self.app.lock:
            owner, entity = self.known(tenant), entity_named(entity_name)
            owner.table(entity_name).restore(owner.position(entity, key), self.clock.now())

    def reshape(
        self, entity_name: str, given: dict[str, Any], dropped: Iterable[str] = (), tenant: int | None = None
    ) -> None:
        """Show these values in every record of an entity from now on, and these fields in none, whatever the documents say."""
        with self.app.lock:
            self.known(tenant).table(entity_named(entity_name).name).reshape(given, frozenset(dropped))

    def hide(self, entity_name: str) -> None:
        """Answer 404 for an entity from now on, as for a module that the tenant does not have."""
        self.app.hidden.add(entity_named(entity_name).name)

    def expire_tokens(self) -> None:
        """End all tokens at once."""
        self.tokens.expire()

    def switch_faults(self, wanted: Wanted) -> None:
        """Turn these faults on, by name or with a rate, and all others off. Raises FaultError."""
        with self.app.lock:
            self.faults.switch(wanted)

    def forget(self) -> None:
        """Forget what was written, because faults change how it is."""
        for tenant in self.tenants.values():
            tenant.forget()

    def stats(self) -> dict[str, Any]:
        """The counters, as the API gives them."""
        return self.app.stats()

    def start(self) -> None:
        """Begin to answer. Raises OSError when the port is taken."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self.host, self.port))
        except OSError:
            listener.close()
            raise
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(
            self.app,
            log_level="critical",
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_keep_alive=60,  # longer than clients keep a connection: it is theirs to close, or a request may be lost
        )
        self.server = uvicorn.Server(config)
        self.thread = Thread(target=self.server.run, args=([listener],), name="sandbox", daemon=True)
        self.thread.start()
        deadline = time.monotonic() + PATIENCE
        while not self.server.started:
            if time.monotonic() > deadline or not self.thread.is_alive():
                raise RuntimeError(f"The sandbox did not start at {self.url}.")
            time.sleep(0.002)
        self.listener = listener
        if self.live:
            self.changes = Thread(target=Live(self).run, args=(self.live, self.stopping), daemon=True)
            self.changes.start()

    def stop(self) -> None:
        """Answer no more."""
        self.stopping.set()
        self.server.should_exit = True
        self.thread.join(PATIENCE)
        self.listener.close()
        if self.live:
            self.changes.join(PATIENCE)

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()
