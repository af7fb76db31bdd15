"""`lazi openapi`: the HTTP API's OpenAPI document."""

import json

import click


@click.command()
def openapi() -> None:
    """Print the OpenAPI document of the HTTP API as JSON. Needs no store.

    \b
    Examples:
      lazi openapi > openapi.json
      lazi openapi | jq '.paths | keys'
    """
    from api.app import document

    click.echo(json.dumps(document(), indent=1))
