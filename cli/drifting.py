"""Looking for drift behind each sync. It is told and kept; it never makes a sync fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from discovery.drift import Drift
    from pipelines.sync import Stores
    from sources.servicetitan.reading import Outcome

MOST_TOLD = 20


def look(stores: Stores, outcomes: Sequence[Outcome]) -> list[Drift]:
    """What of these reads' records differs from the registry, or from before; nothing, and a word, when it cannot be told."""
    from discovery import drift
    from sources.servicetitan.registry import current
    from store.lock import memory_held

    try:
        with memory_held(stores.settings):
            return drift.look(stores.operations, stores.warehouse, current(), outcomes)
    except Exception as error:  # noqa: BLE001  whatever it is: what landed is whole
        click.echo(f"Drift could not be looked for: {error or type(error).__name__}", err=True)
        return []


def told(found: Sequence[Drift]) -> list[str]:
    """A line each, and how to go on."""
    if not found:
        return []
    lines = [f"drift: {one}" for one in found[:MOST_TOLD]]
    if len(found) > MOST_TOLD:
        lines.append(f"drift: {len(found) - MOST_TOLD:,} more")
    return [*lines, "`lazi discover drift` shows what the field registry does not know, `--apply` takes it over."]
