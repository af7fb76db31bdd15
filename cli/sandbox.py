"""`lazi sandbox`: a ServiceTitan to try everything against."""

from __future__ import annotations

import sys
from threading import Event
from typing import TYPE_CHECKING

import click

from sandbox.faults.kinds import described

if TYPE_CHECKING:
    from sandbox.server import Sandbox

HOST = "127.0.0.1"
PORT = 8765
"""Where it listens when nothing else is said."""

EPILOG = f"""
\b
Examples:
  lazi sandbox                          fifty customers at port 8765
  lazi sandbox --customers 10000        a larger business
  lazi sandbox --live 2 --rps 60        two changes a second, ServiceTitan's limit
  lazi sandbox --tenant 1 --tenant 2    two tenants with different data
  lazi sandbox --faults all             everything that can go wrong
  lazi sandbox --faults slow=0.5,ties   half of the answers late, and many equal modifiedOn

\b
Faults, each with the share of requests, writes, pages or records that it strikes:
{described()}

\b
While it runs: GET /sandbox/faults tells which are on and how often each has struck;
PUT there with ["slow", "ties"] or {{"slow": 0.5}} switches them, [] switches all off.
"""


@click.command(epilog=EPILOG)
@click.option("--port", default=PORT, show_default=True, type=click.IntRange(0, 65535), help="0 takes any free port.")
@click.option(
    "--host", default=HOST, show_default=True, help="Where to listen; 0.0.0.0 for other machines and containers."
)
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same data all day.")
@click.option("--customers", default=50, show_default=True, type=click.IntRange(1), help="Everything grows with them.")
@click.option(
    "--rps", default=None, type=click.FloatRange(1), help="Requests a second before 429.  [default: no limit]"
)
@click.option("--live", default=0.0, type=click.FloatRange(0), help="Changes a second.  [default: none]")
@click.option("--token-lifetime", default=900.0, show_default=True, type=click.FloatRange(0), help="Seconds.")
@click.option(
    "--faults", default="", metavar="NAME[=RATE],...|all", help="What goes wrong; see below.  [default: nothing]"
)
@click.option("--tenant", "tenants", multiple=True, default=(1,), show_default=True, help="Tenant id; repeatable.")
def sandbox(
    *,
    host: str,
    port: int,
    seed: int,
    customers: int,
    rps: float | None,
    live: float,
    token_lifetime: float,
    faults: str,
    tenants: tuple[int, ...],
) -> None:
    """Run a ServiceTitan stand-in on this machine until Ctrl-C.

    It prints the settings that lead to it. In a folder of `lazi init --sandbox` they stand in `.env` already.
    """
    from sandbox.faults.board import FaultError, parsed
    from sandbox.server import Sandbox

    try:
        running = Sandbox(
            seed=seed,
            customers=customers,
            tenants=tenants,
            rps=rps,
            token_lifetime=token_lifetime,
            live=live,
            faults=parsed(faults),
            host=host,
            port=port,
        )
    except FaultError as error:
        raise click.BadParameter(str(error), param_hint="--faults") from error
    try:
        running.start()
    except OSError:
        click.echo(f"Port {port} is taken; choose another with --port, or 0 for any free one.", err=True)
        sys.exit(2)
    for name, value in running.environment().items():
        click.echo(f"export {name}={value}")
    click.echo(f"# {needed(running)}", err=True)
    click.echo(f"# {customers} customers; counters at {running.stats_url}; Ctrl-C ends it", err=True)
    try:
        Event().wait()
    except KeyboardInterrupt:
        running.stop()


def needed(running: Sandbox) -> str:
    """Where the settings that are printed are needed, and where not."""
    at = "" if running.port == PORT else f" --port {running.port}"
    init = f"`lazi init --sandbox{at}`"
    if running.environment() != type(running)(port=running.port).environment():
        return "for the terminal, or the `.env`, from which it is to be read"
    return f"not needed in a folder of {init}, whose `.env` has them; elsewhere for the terminal"
