"""`lazi outbound`: send the changes that wait to ServiceTitan, and land what they changed."""

from __future__ import annotations

import os
import signal
import sys
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from outbound.state import PENDING, PROCESSING, UNKNOWN, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from outbound.preview import Preview
    from outbound.queue import Mutation, Queue, Settlement
    from outbound.runner import Observer, Runner
    from pipelines.modelling import Models
    from pipelines.pushed import Pushed
    from pipelines.sync import Stores
    from sources.servicetitan.client import Client
    from store.settings import Settings

AT_ONCE = 8
SOME_FAILED = 1
OVERTAKEN = 2  # where a newer version has upgraded the store
BAD = (State.FAILED, State.CONFLICT, State.UNKNOWN)
LONGEST_READ = 40.0  # seconds of retries: well below a lease, because what cannot be read now is tried again later


@click.command()
@click.option("--once", is_flag=True, help="Work off what is due, land it and end.")
@click.option("--dry-run", is_flag=True, help="Show what would be sent; claim and send nothing.")
@click.option("--at-once", type=click.IntRange(1, 64), default=AT_ONCE, show_default=True, help="So many together.")
@click.option(
    "--no-models",
    is_flag=True,
    help="Land what changed, and leave the models to `lazi sync --schedule`, which looks soon.",
)
@click.option("--json", "as_json", is_flag=True, help="With `--once` or `--dry-run`: the report as JSON.")
def outbound(*, once: bool, dry_run: bool, at_once: int, no_models: bool, as_json: bool) -> None:
    """Send the changes that wait to ServiceTitan until it is interrupted, and land what they changed.

    Ctrl-C and SIGTERM let it finish and land what it began. Several may run at once on PostgreSQL. The embedded store
    belongs to one process: there `lazi up` sends changes inside the service, and this one says who holds the store;
    `--dry-run` works beside it.

    The models take more than half of its memory. With `--no-models` it keeps to 256 MB, and what changed is shown a few
    seconds later, by whichever process has the schedule.

    Exit codes: 0 all good, 1 with `--once`: some failed, are in conflict or unknown, or the models failed, 2 could not
    begin (usage, settings, store, credentials).

    \b
    Examples:
      lazi outbound
      lazi outbound --no-models
      lazi outbound --dry-run
      lazi outbound --once --json | jq .settled
    """
    from store.settings import load

    if once and dry_run:
        raise click.UsageError("`--once` sends and `--dry-run` does not: choose one of them.")
    if as_json and not (once or dry_run):
        raise click.UsageError("`--json` goes with `--once` or `--dry-run`.")
    settings = load()
    if dry_run:
        show_what_would_be_sent(settings, as_json=as_json)
    elif once:
        sys.exit(work_off(settings, at_once, with_models=not no_models, as_json=as_json))
    else:
        work(settings, at_once, with_models=not no_models)


@dataclass(frozen=True, slots=True)
class Told:
    """An observer that prints a line for each mutation."""

    to_stderr: bool = False

    def settled(self, mutation: Mutation, end: Settlement) -> None:
        """What became of it."""
        what = " ".join(filter(None, (mutation.title, mutation.record_id or end.new_id)))
        again = f" Again at {end.run_at:%H:%M:%S} UTC." if end.state is PENDING and end.run_at else ""
        click.echo(f"{mutation.mutation_id} {what}: {end.state}. {end.said}{again}", err=self.to_stderr)


@dataclass(frozen=True, slots=True)
class Doors:
    """A tenant's client, for the runner."""

    known: Mapping[int, Client]

    def __call__(self, tenant_id: int) -> Client:
        """The client. Raises SettingsError, upon which a mutation waits."""
        from store.exceptions import SettingsError

        if tenant_id in self.known:
            return self.known[tenant_id]
        raise SettingsError(f"Tenant `{tenant_id}` has no credentials here. Configured: {listed(self.known)}.")


@dataclass(slots=True)
class Sending:
    """A runner, and behind it what lands, on the stores of this process: a thread each."""

    runner: Runner
    pushed: Pushed
    clients: Mapping[int, Client]
    own_models: Models | None = None  # that it made, and closes
    is_over: threading.Event = field(default_factory=threading.Event)  # the runner has ended
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2, thread_name_prefix="sending"))
    threads: list[Future[None]] = field(default_factory=list)

    @classmethod
    def on(
        cls,
        stores: Stores,
        at_once: int = AT_ONCE,
        observer: Observer | None = None,
        models: Models | None = None,
        *,
        with_models: bool = True,
    ) -> Sending:
        """With a client for each tenant that is configured, and models: the given ones, else its own.

        Raises SettingsError.
        """
        from cli.loops import Turning
        from outbound.queue import Queue
        from outbound.runner import Silence
        from pipelines.modelling import Models
        from pipelines.pushed import Pushed

        made, queue = made_clients(stores), Queue(stores.operations)
        own = Models(stores.settings) if with_models and not models else None
        return cls(
            Turning(queue, Doors(made), at_once=at_once, observer=observer or Silence()),
            Pushed(queue, stores.operations, stores.warehouse, stores.settings, models or own),
            made,
            own,
        )

    def start(self) -> None:
        """Begin."""
        self.threads = [self.pool.submit(self.runner.run), self.pool.submit(self.land)]

    def land(self) -> None:
        """Land until the runner has ended. Models that ran before are loaded first: the first change must not wait for it."""
        models = self.pushed.models
        if models and self.pushed.operations.run("last_model_run"):
            with suppress(Exception):  # what is wrong with them is told when they run
                models.ready()
        self.pushed.run(self.runner.landable, self.is_over)

    def stop(self) -> None:
        """Finish what was begun, land it, and let go. Raises what ended a thread before its time."""
        self.runner.stop()
        wait(self.threads[:1])
        self.is_over.set()
        self.runner.landable.set()
        self.pool.shutdown()
        if self.own_models:
            self.own_models.close()
        let_go(self.clients)
        for thread in self.threads:
            thread.result()


def work(settings: Settings, at_once: int, *, with_models: bool) -> None:
    """Send and land until it is interrupted. A PostgreSQL or a ServiceTitan that is not there yet is waited for."""
    from cli.living import awaited
    from cli.sign import signed
    from pipelines.sync import Stores
    from sources.servicetitan.exceptions import UnreachableError
    from store.exceptions import StoreUnreachableError

    with interruptible(), signed("outbound", settings.data_dir):
        opened = awaited("the store", lambda: Stores.open(settings), (StoreUnreachableError,))
        with closing(opened) as stores:
            sending = Sending.on(stores, at_once, Told(), with_models=with_models)
            try:
                awaited("ServiceTitan", lambda: admit(sending.clients), (UnreachableError,))
                sending.start()
                click.echo(f"Sending the changes of {listed(sending.clients)}; Ctrl-C ends it.", err=True)
                wait_for(sending.threads)
            finally:
                sending.stop()


def work_off(settings: Settings, at_once: int, *, with_models: bool, as_json: bool) -> int:
    """Send what is due, land it, and tell how many came to what; the exit code."""
    from cli.mutation_tables import pretty
    from pipelines.modelling import ModelError
    from pipelines.sync import Stores

    landed, models_error = 0, ""
    with closing(Stores.open(settings)) as stores:
        sending = Sending.on(stores, at_once, Told(to_stderr=as_json), with_models=with_models)
        try:
            admit(sending.clients)
            with interruptible():
                wait_for([sending.pool.submit(sending.runner.once)])
            sending.runner.stop()
            landed = sending.pushed.land()
        except ModelError as error:
            models_error = str(error)
        finally:
            sending.stop()
    settled, stuck = dict(sending.runner.settled), len(sending.pushed.stuck)
    report = {"settled": settled, "landed": landed, "not_landed": stuck, "models_error": models_error or None}
    told = ", ".join(f"{number:,} {state}" for state, number in settled.items()) or "nothing was due"
    click.echo(pretty(report) if as_json else f"{told}; {landed:,} landed")
    if models_error:
        click.echo(f"FAILED models: {models_error}", err=True)
    if stuck:
        click.echo(
            f"FAILED landing: {stuck:,} are done in ServiceTitan and not in the copy yet; run it again.", err=True
        )
    return SOME_FAILED if models_error or stuck or settled.keys() & BAD else 0


def show_what_would_be_sent(settings: Settings, *, as_json: bool) -> None:
    """Look at every pending mutation as the runner would, the oldest first."""
    from cli.mutation_tables import pretty, told
    from cli.mutations import opened

    found = []
    with opened() as queue, clients(settings) as known:
        admit(known)
        for mutation, shown in looked_at(queue, Doors(known)):
            names = ("mutation_id", "tenant_id", "entity", "operation", "record_id", "initiated_by")
            found.append({name: getattr(mutation, name) for name in names} | asdict(shown))
            if not as_json:
                what = " ".join(filter(None, (mutation.title, mutation.record_id)))
                click.echo(f"{mutation.mutation_id} {what}, wanted by {mutation.initiated_by}\n{told(shown)}\n")
    click.echo(pretty(found) if as_json else f"{len(found):,} are pending; nothing was sent")


def looked_at(queue: Queue, doors: Doors) -> Iterator[tuple[Mutation, Preview]]:
    """Every pending mutation, the oldest first, with what would be sent and what it would come to."""
    from cli.mutations import pages

    ahead = {
        mutation.lane: mutation
        for state in (PROCESSING, UNKNOWN)
        for page in pages(queue, {"state": str(state)})
        for mutation in page
    }
    pending = [mutation.mutation_id for page in pages(queue, {"state": str(PENDING)}) for mutation in page]
    for mutation_id in reversed(pending):
        mutation = queue.get(mutation_id)
        if mutation.state is not PENDING:
            continue
        shown = previewed(mutation, doors)
        if mutation.run_at > datetime.now(UTC):
            shown.warnings.append(f"It waits until {mutation.run_at:%Y-%m-%d %H:%M:%S} UTC.")
        if mutation.lane and (first := ahead.setdefault(mutation.lane, mutation)) is not mutation:
            shown.warnings.append(f"It waits for mutation {first.mutation_id}, which is `{first.state}`.")
            shown.state = str(PENDING) if first.state is UNKNOWN else shown.state
        yield mutation, shown


def previewed(mutation: Mutation, doors: Doors) -> Preview:
    """What would be sent for a mutation and what it would come to; it would wait where ServiceTitan cannot be asked."""
    from outbound.marks import marked
    from outbound.operations import BY_TITLE
    from outbound.preview import Preview, preview
    from outbound.request import Prepared
    from outbound.secrets import redacted_preview
    from sources.servicetitan.exceptions import ServiceTitanError
    from store.exceptions import SettingsError

    operation = BY_TITLE[mutation.title]
    ready = Prepared(operation, mutation.record_id, mutation.places, mutation.payload, mutation.lane)
    try:
        shown = preview(doors(mutation.tenant_id), ready, mutation.base)
    except (ServiceTitanError, SettingsError) as error:
        path = f"{operation.base}{mutation.tenant_id}/{ready.path}"
        shown = Preview(operation.method, path, None, warnings=[str(error)], state=str(PENDING))
    shown.body = marked(operation, mutation.payload, mutation.ref)
    return redacted_preview(mutation.title, shown)


@contextmanager
def clients(settings: Settings) -> Iterator[dict[int, Client]]:
    """A client for each tenant that is configured; the warehouse stays closed. Raises SettingsError."""
    from pipelines.sync import Stores
    from store.rate_budget import open_budget_store

    nothing: Any = None
    with closing(open_budget_store(settings)) as budgets:
        made = made_clients(Stores(settings, nothing, nothing, budgets))
        try:
            yield made
        finally:
            let_go(made)


def made_clients(stores: Stores) -> dict[int, Client]:
    """A client for each tenant that is configured, by its id. Raises SettingsError."""
    from pipelines.sync import client_for
    from sources.servicetitan.client import Patience
    from store.settings import connection

    servicetitan, patience = connection(), Patience(seconds=LONGEST_READ, longest_wait=10.0)
    return {
        tenant.tenant_id: client_for(servicetitan, tenant, stores.budgets, patience) for tenant in servicetitan.tenants
    }


def let_go(made: Mapping[int, Client]) -> None:
    """Close these clients' connections."""
    for client in made.values():
        client.close()


def admit(made: Mapping[int, Client]) -> None:
    """Say which tenants do not let one in. Raises CredentialsError or UnreachableError when none does."""
    from sources.servicetitan.exceptions import CredentialsError, UnreachableError

    refused: dict[int, CredentialsError | UnreachableError] = {}
    for tenant_id, client in made.items():
        try:
            client.authenticate()
        except (CredentialsError, UnreachableError) as error:
            refused[tenant_id] = error
    if len(refused) == len(made):
        raise next(iter(refused.values()))
    for tenant_id, reason in refused.items():
        click.echo(f"The changes of tenant {tenant_id} wait: {reason}", err=True)


def listed(made: Mapping[int, Client]) -> str:
    """Tenants for a message."""
    return " and ".join(f"tenant {tenant_id}" for tenant_id in made)


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C and SIGTERM end what is inside, and not the process.

    So does a newer version that upgrades the store: it is said at once, and the process is to end with exit code 2 then.
    """
    from store.migrating import overtaken

    before, over = signal.signal(signal.SIGTERM, signal.default_int_handler), threading.Event()
    watch = threading.Thread(target=end_when_overtaken, args=(over,), name="newer versions", daemon=True)
    watch.start()
    try:
        with suppress(KeyboardInterrupt):
            yield
    finally:
        over.set()
        signal.signal(signal.SIGTERM, before)
        if overtaken.is_set():
            sys.exit(OVERTAKEN)


def end_when_overtaken(over: threading.Event) -> None:
    """End this process as SIGTERM does when a newer version has upgraded the store, unless it is `over` before."""
    from store.migrating import overtaken

    while not over.is_set():
        if overtaken.wait(1.0) and not over.is_set():
            click.echo(f"lazi: {overtaken.error}", err=True)  # now: work at hand may be cut off
            os.kill(os.getpid(), signal.SIGTERM)
            return


def wait_for(threads: Sequence[Future[Any]]) -> None:
    """Wait until one of these ends. Raises what ended it."""
    done: set[Future[Any]] = set()
    while not done:  # a wait without an end would not be interrupted on every system
        done = wait(threads, timeout=1.0, return_when=FIRST_COMPLETED).done
    for thread in done:
        thread.result()
