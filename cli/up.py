"""`lazi up`: the service, that is the HTTP API, the schedule, and what sends changes to ServiceTitan, in one process."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from concurrent.futures import Future

    from cli.outbound import Sending
    from pipelines.modelling import Models
    from pipelines.sync import Stores


@click.command()
@click.option("--host", help="Where to listen.  [default: LAZI_API_HOST, else 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Which port.  [default: PORT, else 3001]")
@click.option("--no-schedule", is_flag=True, help="Do not sync; another process does (`lazi sync --schedule`, cron).")
def up(*, host: str | None, port: int | None, no_schedule: bool) -> None:
    """Serve the HTTP API and the operations page, sync by the timetable, and send changes to ServiceTitan.

    It runs until it is interrupted. Ctrl-C and SIGTERM let it finish and land what it began. Without credentials for
    ServiceTitan it serves reads, and changes wait. In the embedded store it makes a first key, if there is none yet, and
    shows it once. A store that is not there yet is waited for.

    What is read when: LAZI_SCHEDULE (`1=5m, 2=15m, 3=1h, 4=6h`; also `jobs=2m` or `call-reasons=off`), LAZI_RECONCILE
    (`03:00`), LAZI_QUIET_HOURS, LAZI_TIME_ZONE.

    \b
    Examples:
      lazi up
      LAZI_SCHEDULE="1=1m, jobs=30s" lazi up
      lazi up --host 0.0.0.0 --port 8080
      curl -H "x-api-key: lazi_..." http://127.0.0.1:3001/api/v1/mutations
    """
    import uvicorn

    from api import query
    from api.app import create_app
    from cli.api import check_free, served, welcome
    from cli.living import at_work, made_schedule, opened, watched
    from cli.outbound import interruptible
    from cli.planning import ToldModels
    from cli.sign import serves, signed
    from store.settings import api_settings, load

    settings, own = load(), api_settings()
    port = settings.port if port is None else port
    check_free(host or own.host, port)  # before anything is read, or waited for
    if settings.is_embedded:
        welcome()
    with ExitStack() as work:
        work.enter_context(interruptible())
        work.enter_context(signed("up", settings.data_dir))
        stores = work.enter_context(closing(opened(settings)))
        models = work.enter_context(closing(ToldModels(settings)))
        app = create_app(settings, stores.warehouse)
        # SQLGlot loads a dialect at its first use, and two threads that do so at once can wait for each other for ever
        query.warm(stores.warehouse.dialect)
        work.enter_context(watched(stores))
        if sending := begun(stores, models):
            work.enter_context(at_work(None if no_schedule else made_schedule(stores, models), sending))
        how = served(own, host, port)
        serves(how["host"], how["port"])
        uvicorn.run(app, **how)  # it stops at a signal, then raises it again


def begun(stores: Stores, models: Models) -> Sending | None:
    """What sends changes, at work; None, and a word of it, where it is not known how to reach ServiceTitan."""
    from cli.outbound import Sending, Told
    from store.exceptions import SettingsError

    try:
        sending = Sending.on(stores, observer=Told(to_stderr=True), models=models)
    except SettingsError as error:
        click.echo(
            f"Reads are served; changes wait, because no credentials for ServiceTitan are set. {error}", err=True
        )
        return None
    sending.start()
    for thread in sending.threads:
        thread.add_done_callback(end_with)
    return sending


def end_with(thread: Future[None]) -> None:
    """A service that sends no more ends, so that it is started again."""
    if thread.exception():
        os.kill(os.getpid(), signal.SIGTERM)
