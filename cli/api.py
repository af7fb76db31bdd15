"""`lazi api`: the HTTP API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from store.settings import ApiSettings


@click.command()
@click.option("--host", help="Where to listen.  [default: LAZI_API_HOST, else 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Which port.  [default: PORT, else 3001]")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="So many processes; on PostgreSQL only. Each counts a key's requests for itself.",
)
def api(*, host: str | None, port: int | None, workers: int) -> None:
    """Serve the HTTP API, and at `/` the operations page, until it is interrupted.

    A PostgreSQL that is not there yet is waited for. In the embedded store it makes a first key, if there is none yet, and
    shows it once. The embedded store belongs to one process: while the API runs, `lazi sync` says who holds it and ends, and
    the other way round.

    \b
    Examples:
      lazi api
      lazi api --host 0.0.0.0 --port 8080 --workers 4
      curl -H "x-api-key: lazi_..." http://127.0.0.1:3001/api/v1/customers?limit=5
    """
    import uvicorn

    from cli.living import awaited
    from cli.outbound import interruptible
    from cli.sign import serves, signed
    from store.exceptions import SettingsError, StoreUnreachableError
    from store.operations import open_operations
    from store.settings import api_settings, load

    settings, own = load(), api_settings()
    if settings.is_embedded and workers > 1:
        raise SettingsError(
            f"`--workers` is `{workers}`, but the embedded store belongs to one process. Leave it out, or set `DATABASE_URL`."
        )
    with interruptible(), signed("api", settings.data_dir):
        if settings.is_embedded:
            welcome()
        else:
            awaited("the store", lambda: open_operations(settings), (StoreUnreachableError,)).close()
        how = served(own, host, settings.port if port is None else port)
        serves(how["host"], how["port"])
        # it stops at a signal, then raises it again
        uvicorn.run("api.app:create_app", factory=True, workers=workers, **how)


def served(own: ApiSettings, host: str | None, port: int) -> dict[str, Any]:
    """How uvicorn is to serve; says where. Raises SettingsError where it cannot listen."""
    shown = host or own.host
    check_free(shown, port)
    if port:
        click.echo(
            f"The operations page and the API: http://{f'[{shown}]' if ':' in shown else shown}:{port}/", err=True
        )
    return {
        "host": shown,
        "port": port,
        "forwarded_allow_ips": list(own.proxies),
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        "date_header": True,
    }


def check_free(host: str, port: int) -> None:
    """Raise SettingsError where nobody can listen: the port is taken, or the host is not of this machine."""
    import errno
    import socket

    from store.exceptions import SettingsError

    try:
        [(family, kind, protocol, _, address), *_] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        with socket.socket(family, kind, protocol) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(address)
    except OSError as error:
        said = error.strerror or error
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            raise SettingsError(
                f"The API cannot listen at `{host}`: {said}. Name by `--host` or LAZI_API_HOST an address of this machine: "
                "127.0.0.1 for itself alone, 0.0.0.0 for all its networks."
            ) from None
        raise SettingsError(
            f"The API cannot listen on port {port} of `{host}`: {said}. Another one is chosen by `--port` or PORT (with "
            "`--port 0` any free one), another host by `--host` or LAZI_API_HOST."
        ) from None


def welcome() -> None:
    """Make and show the embedded store's first key, when there is none and the tenant is known."""
    from store import keys
    from store.operations import open_operations
    from store.settings import load

    operations = open_operations(load())
    try:
        if keys.every(operations):
            return
        tenant = only_tenant()
        if tenant is None:
            click.echo("There is no key yet: `lazi keys create --name app --tenant ID` makes one.", err=True)
            return
        text = keys.create(operations, name="first", scopes=keys.SCOPES, tenant_id=tenant)
    finally:
        operations.close()
    click.echo(f"The first key, for tenant {tenant}; it is not shown again:\n  {text}", err=True)


def only_tenant() -> int | None:
    """The tenant of the settings, or the one that was synced; None when there are several or none."""
    from store.exceptions import SettingsError
    from store.operations import open_operations
    from store.settings import connection, load

    try:
        tenants = {tenant.tenant_id for tenant in connection().tenants}
    except SettingsError:
        operations = open_operations(load())
        tenants = {int(row["tenant_id"]) for row in operations.run("last_successes")}
        operations.close()
    return tenants.pop() if len(tenants) == 1 else None
