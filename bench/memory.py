"""The peak of memory of a first sync of one large entity."""

from bench.landing import connection_to, figures
from bench.measure import Cost, Gauge, peak_megabytes
from bench.result import Figures
from store.settings import load


def first_sync(url: str, entity: str, records: int) -> Figures:
    """Land so many records into an empty store."""
    from pipelines.sync import Stores, land_all
    from sources.servicetitan.catalog import select

    settings = load()
    stores = Stores.open(settings)
    with Gauge(settings.database_url).measured() as cost:
        report = land_all(stores, connection_to(url, records), select((entity,)))
    assert sum(outcome.tally.appended for outcome in report.outcomes) == records, report
    stores.close()
    return {"peak_mb": peak_megabytes()} | figures(cost, Cost(), records)
