"""`lazi`: the commands.

An error that a user can mend is one screen of text and exit code 2; `LOG_LEVEL=debug` adds the traceback.
"""

import logging
import sys
import traceback
from importlib import import_module
from importlib.metadata import version
from typing import Any

import click
from click.exceptions import NoSuchCommand

from store import settings as store_settings
from store.exceptions import StoreError

COMMANDS = {
    "alive": "cli.alive",
    "api": "cli.api",
    "backup": "cli.housekeeping",
    "demo": "cli.demo",
    "discover": "cli.discover",
    "doctor": "cli.doctor",
    "entities": "cli.entities",
    "export": "cli.housekeeping",
    "grant": "cli.grant",
    "import-legacy": "cli.import_legacy",
    "init": "cli.init",
    "keys": "cli.keys",
    "mutations": "cli.mutations",
    "openapi": "cli.openapi",
    "outbound": "cli.outbound",
    "project": "cli.project",
    "prune": "cli.housekeeping",
    "reconcile": "cli.reconcile",
    "restore": "cli.housekeeping",
    "sandbox": "cli.sandbox",
    "status": "cli.status",
    "sync": "cli.sync",
    "up": "cli.up",
    "upgrade": "cli.upgrade",
    "warehouse": "cli.warehouse",
}
"""Where each command stands; a module is imported when its command is used."""

COULD_NOT_BEGIN = 2


class Lazy(click.Group):
    """A group whose commands are imported when they are needed."""

    def list_commands(self, _: click.Context) -> list[str]:
        """All names."""
        return sorted(COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        """The command called `name`."""
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(COMMANDS[name]), name.replace("-", "_"))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See the base class, which knows none of the names for its suggestions."""
        try:
            return super().resolve_command(ctx, args)
        except NoSuchCommand as error:
            raise NoSuchCommand(error.command_name, possibilities=COMMANDS, ctx=ctx) from None


@click.command(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("st-lazi"), prog_name="lazi")
def lazi() -> None:
    """A faithful, queryable copy of a ServiceTitan tenant in your own database.

    \b
    Examples:
      lazi init --sandbox             a folder to work in, with settings for the stand-in
      lazi sandbox                    a ServiceTitan stand-in, no account needed
      lazi sync                       land everything that changed and refresh the models
      lazi sync --entity jobs --full  read one entity from its beginning
      lazi reconcile                  find what is missing and what is gone
      lazi entities                   what can be read
      lazi up                         all of it by itself: sync, serve the copy, send changes to ServiceTitan
      lazi doctor                     whether a configuration works, end to end
      lazi mutations list             the changes, and what became of them
      lazi grant reporting            let a role of PostgreSQL read the copy
    """


def mendable() -> tuple[type[Exception], ...]:
    """Errors whose message tells a user what to do."""
    from sources.servicetitan.exceptions import ServiceTitanError

    return (StoreError, ServiceTitanError)


def main() -> None:
    """Run a command; the process's exit code tells how it went."""
    debug = False
    try:
        level = store_settings.load().log_level
        debug = level == "debug"
        logging.basicConfig(
            level=level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr
        )
        logging.getLogger("httpx").setLevel(
            logging.WARNING
        )  # it tells addresses, and that of an alarm's webhook is a secret
        if not debug:  # it warns of time zones in spans, which have none
            logging.getLogger("sqlglot").setLevel(logging.ERROR)
        run()
    except mendable() as error:
        if debug:
            traceback.print_exc()
        click.echo(f"lazi: {error}", err=True)
        sys.exit(COULD_NOT_BEGIN)


def run(**options: Any) -> None:
    """The command that the arguments name."""
    lazi(prog_name="lazi", **options)


if __name__ == "__main__":
    main()
