"""What `dlt pipeline run` does: landing, without models."""

import sys
from collections.abc import Sequence

from dlt._workspace.cli.exceptions import CliCommandException

from pipelines.names import PIPELINES
from pipelines.sync import Report, Silence, Stores, land_all
from sources.servicetitan.catalog import Entity, select
from sources.servicetitan.exceptions import ServiceTitanError
from store.exceptions import StoreError
from store.settings import connection, load

SOME_FAILED, COULD_NOT_BEGIN = 1, 2


class Spoken(Silence):
    """An observer that says why nothing goes on."""

    def waits(self, reason: str) -> None:
        """On standard error."""
        sys.stderr.write(f"{reason}\n")


def run(names: Sequence[str], entity_names: Sequence[str], *, full: bool) -> None:
    """Land these pipelines' entities and print what landed. Ends the process with 1 when an entity failed."""
    try:
        report = landed(chosen(names, entity_names), full=full)
    except (StoreError, ServiceTitanError) as error:
        raise CliCommandException(error_code=COULD_NOT_BEGIN, raiseable_exception=error) from None
    for outcome in report.outcomes:
        counts = f"{outcome.tally.appended} appended of {outcome.tally.fetched} read"
        sys.stdout.write(f"raw.{outcome.entity.raw_table}: {outcome.status}, {counts} {outcome.error}".rstrip() + "\n")
    if not report.is_good:
        raise CliCommandException(
            error_code=SOME_FAILED,
            raiseable_exception=ServiceTitanError(f"{len(report.failed)} entities failed, see above."),
        )


def chosen(names: Sequence[str], entity_names: Sequence[str]) -> tuple[Entity, ...]:
    """The entities of these pipelines. Raises ServiceTitanError for an unknown pipeline."""
    unknown = [name for name in names if name not in PIPELINES]
    if unknown:
        raise ServiceTitanError(f"There is no pipeline `{unknown[0]}`. Pipelines: {', '.join(PIPELINES)}.")
    entities = select(tuple(entity_names), priorities=tuple(PIPELINES[name] for name in names))
    if not entities:
        raise ServiceTitanError(
            f"No entity of {', '.join(entity_names)} belongs to {', '.join(names)}. `lazi entities` shows each one's "
            "priority, which is the pipeline's number."
        )
    return entities


def landed(entities: tuple[Entity, ...], *, full: bool) -> Report:
    """Land these entities."""
    stores = Stores.open(load())
    try:
        return land_all(stores, connection(), entities, full=full, observer=Spoken())
    finally:
        stores.close()
