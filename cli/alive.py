"""`lazi alive`: whether a process of ours lives and works, for containers, systemd and cron. It imports little."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pathlib import Path

    from cli.sign import Sign

NAMES = {"api": "api", "sync": "sync --schedule", "outbound": "outbound", "up": "up"}
"""By name, the command that is such a process."""

LONGEST = 5.0  # seconds for an answer
BEGINNING = 60.0  # seconds in which a process that begins to serve may not answer yet
NOT_ALIVE = 1
SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a process is alive, and why, in a line."""

    name: str
    is_alive: bool
    why: str
    pid: int | None = None

    @property
    def line(self) -> str:
        """For the eye."""
        which = f"`lazi {self.name}`" + (f" (pid {self.pid})" if self.pid else "") if self.name else "nothing"
        return f"{'alive' if self.is_alive else 'NOT alive'}: {which}: {self.why}"


@click.command()
@click.argument("name", type=click.Choice(list(NAMES)), required=False)
@click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")
def alive(*, name: str | None, as_json: bool) -> None:
    """Tell whether a process of this machine lives and works: `api`, `sync` (with `--schedule`), `outbound` or `up`.

    Without a name: whether there is any with this data folder, and all of them work. A process that waits, for example for
    its database, is alive. One whose loops have not turned for a minute, or that does not answer HTTP within five seconds, is
    not. No credentials are needed, and nothing is asked of the database.

    Exit codes: 0 alive, 1 not alive, 2 usage or settings.

    \b
    Examples:
      lazi alive
      lazi alive sync
      lazi alive outbound --json | jq -r .processes[0].why
      lazi alive api || systemctl restart lazi-api
    """
    from store.settings import load

    found = verdicts(load().data_dir, name or "")
    is_good = all(one.is_alive for one in found)
    if as_json:
        processes = [{"name": one.name, "alive": one.is_alive, "pid": one.pid, "why": one.why} for one in found]
        click.echo(json.dumps({"alive": is_good, "processes": processes}))
    else:
        click.echo("; ".join(one.line for one in sorted(found, key=lambda one: one.is_alive)))
    if not is_good:
        sys.exit(NOT_ALIVE)


def verdicts(data_dir: Path, name: str) -> list[Verdict]:
    """A verdict on each process of this name, or of any, that has this data folder; one that says so where there is none."""
    from cli.sign import signs

    found = [verdict(sign) for sign in signs(data_dir, name)]
    why = f"no such process runs here with the data folder `{data_dir.absolute()}`; `lazi {NAMES[name or 'up']}` starts one"
    return found or [Verdict(name, is_alive=False, why=why)]


def verdict(sign: Sign) -> Verdict:
    """A verdict on the process that gives this sign."""
    from cli.sign import said

    now = time.monotonic()
    if stuck := sign.stuck(now):
        return Verdict(sign.name, is_alive=False, why=f"stuck: {stuck}", pid=sign.pid)
    if not sign.address:
        return Verdict(sign.name, is_alive=True, why=said(sign), pid=sign.pid)
    is_alive, why = asked(sign.address, begins=now - sign.served < BEGINNING)
    return Verdict(sign.name, is_alive, f"{said(sign)}; {why}", sign.pid)


def asked(address: str, *, begins: bool) -> tuple[bool, str]:
    """Whether HTTP is answered at `host:port`, and how."""
    from http.client import HTTPConnection, HTTPException

    connection = HTTPConnection(address, timeout=LONGEST)
    try:
        connection.request("GET", "/api/health")
        answer = connection.getresponse()
        return answer.status < SERVER_ERROR, f"answers {answer.status}{condition(answer.read(LARGEST))}"
    except ConnectionRefusedError:
        return begins, f"{'begins to listen' if begins else 'nobody listens'} at {address}"
    except (OSError, HTTPException) as error:
        return False, f"does not answer at {address} within {LONGEST:.0f} s: {str(error) or type(error).__name__}"
    finally:
        connection.close()


LARGEST = 10_000


def condition(body: bytes) -> str:
    """How the service says that it is."""
    try:
        return f", {json.loads(body)['status']}"
    except (ValueError, KeyError, TypeError):
        return ""
