"""The dlt source: one resource an entity, landing in `raw.st_<name>`, read in parallel threads."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import dlt
import pyarrow as pa
from dlt.extract import DltResource

from sources.servicetitan.landing import columns
from sources.servicetitan.reading import Reading


@dlt.source(name="servicetitan", section="servicetitan", max_table_nesting=0)
def servicetitan(readings: Iterable[Reading]) -> Iterator[DltResource]:
    """A resource for each reading. Cursors are kept by entity and tenant in dlt's state, beside the data."""
    for reading in readings:
        yield resource(reading)


def resource(reading: Reading) -> DltResource:
    """The resource of one reading."""
    table = reading.outcome.entity.raw_table
    tenant = str(reading.outcome.tenant_id)

    def rows() -> Iterator[pa.Table]:
        state: dict[str, Any] = dlt.current.resource_state(table)
        yield from reading.tables(state.setdefault(tenant, {}))

    make: Callable[..., DltResource] = dlt.resource
    return make(
        rows,
        name=table,
        table_name=table,
        write_disposition="append",
        columns=columns(reading.outcome.entity),
        parallelized=True,
    )
