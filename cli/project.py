"""`lazi project`: where the SQLMesh project stands, for SQLMesh's own command line."""

import click

from store.project import PROJECT


@click.command()
def project() -> None:
    """Print the folder of the SQLMesh project: models, macros, audits and `config.py`.

    In a checkout that is the repository, else a folder within the installed package. Settings are those of the folder that one
    stands in, and `sqlmesh` run there alone is about models of one's own (`lazi init`).

    \b
    Examples:
      sqlmesh -p "$(lazi project)" plan
      sqlmesh -p "$(lazi project)" -p . plan
      ls "$(lazi project)/models/crm"
    """
    click.echo(PROJECT)
