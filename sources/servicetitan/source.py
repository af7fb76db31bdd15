"""The dlt source: one resource an entity, landing in `raw.st_<name>`, read in parallel threads."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import dlt
import pyarrow as pa
from dlt.extract import DltResource

from sources.servicetitan.begun import Begun
from sources.servicetitan.landing import columns
from sources.servicetitan.reading import Reading, State


@dlt.source(name="servicetitan", section="servicetitan", max_table_nesting=0)
def servicetitan(begun: Iterable[Begun]) -> Iterator[DltResource]:
    """A resource for each reading. Cursors are kept by entity and tenant in dlt's state, beside the data."""
    for one in begun:
        yield resource(one)


def resource(begun: Begun) -> DltResource:
    """The resource of one reading."""
    outcome = begun.reading.outcome
    table, tenant = outcome.entity.raw_table, str(outcome.tenant_id)

    def rows() -> Iterator[pa.Table]:
        state: dict[str, Any] = dlt.current.resource_state(table)
        yield from begun.tables(state.setdefault(tenant, {}))

    make: Callable[..., DltResource] = dlt.resource
    return make(
        rows,
        name=table,
        table_name=table,
        write_disposition="append",
        columns=columns(outcome.entity),
        parallelized=True,
    )


def cursor_of(reading: Reading, state: Mapping[str, Any], source: str) -> State:
    """Where the state of a pipeline has the cursor of a reading that a source of this name would make."""
    outcome = reading.outcome
    resources = state.get("sources", {}).get(source, {}).get("resources", {})
    cursor: State = resources.get(outcome.entity.raw_table, {}).get(str(outcome.tenant_id), {})
    return cursor
