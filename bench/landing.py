"""Landing: the same pages to the same store by four ways. What one record costs, start-up and a run's fixed cost apart.

Each way runs several times in its process: on ten records (imports, tables), on ten again (what a run costs whatever it
brings), and on all of them in some rounds. A record's cost is what the best round took above the second run.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.measure import Cost, Gauge, peak_megabytes
from bench.result import Figures
from store.settings import Connection, Settings, Tenant, load

WAYS = ("ours", "floor", "payload_column", "stock")
FEW = 10
ROUNDS = 2
Run = Callable[[int], None]


def costs(run: Run, records: int, gauge: Gauge) -> Figures:
    """The figures of a way; `run(count)` lands as many records."""
    run(FEW)
    with gauge.measured() as fixed:
        run(FEW + 1)
    rounds = [round_of(lambda: run(records + number), gauge) for number in range(ROUNDS)]  # noqa: B023  called at once
    best = Cost(*(min(values) for values in zip(*((one.client, one.server, one.wall) for one in rounds), strict=True)))
    return figures(best.less(fixed), fixed, records) | {"peak_mb": peak_megabytes()}


def round_of(run: Callable[[], None], gauge: Gauge) -> Cost:
    """What a run costs."""
    with gauge.measured() as cost:
        run()
    return cost


def figures(cost: Cost, fixed: Cost, records: int) -> Figures:
    """Microseconds a record, and what a run costs apart from them."""
    each = 1e6 / records
    return {
        "client_us": cost.client * each,
        "server_us": cost.server * each,
        "wall_us": cost.wall * each,
        "fixed_cpu_s": fixed.both,
    }


def connection_to(url: str, records: int) -> Connection:
    """How to reach the page server's tenant that has so many records."""
    return Connection(url, f"{url}/connect/token", (Tenant(records, "bench", "bench", "bench"),), 1000)


def ours(url: str, entity: str, records: int) -> Figures:
    """The way of `lazi sync`."""
    from pipelines.sync import Stores, land_all
    from sources.servicetitan.catalog import select

    settings = load()
    stores = Stores.open(settings)

    def run(count: int) -> None:
        report = land_all(stores, connection_to(url, count), select((entity,)))
        landed = sum(outcome.tally.appended for outcome in report.outcomes)
        assert landed == count, report

    found = costs(run, records, Gauge(settings.database_url))
    stores.close()
    return found


def pipeline(settings: Settings) -> Any:
    """A dlt pipeline at its defaults."""
    import dlt

    dlt.config["runtime.dlthub_telemetry"] = False
    engine: Any = dlt.destinations.duckdb(str(settings.data_dir / "bench.duckdb"))
    if not settings.is_embedded:
        from dlt.destinations.impl.postgres.configuration import PostgresCredentials

        credentials = PostgresCredentials(settings.database_url)
        credentials.host, credentials.password = credentials.host or "localhost", credentials.password or ""
        engine = dlt.destinations.postgres(credentials)
    return dlt.pipeline("stock", pipelines_dir=str(settings.data_dir / "dlt"), destination=engine, dataset_name="stock")


def stock(url: str, entity: str, records: int) -> Figures:
    """The `rest_api` source of dlt as its documentation configures it: rows and child tables."""
    from dlt.sources.rest_api import rest_api_source

    def source(count: int) -> Any:
        paging: Any = {
            "type": "cursor",
            "cursor_path": "continueFrom",
            "cursor_param": "from",
            "has_more_path": "hasMore",
        }
        endpoint: Any = {"path": path_of(entity, count), "data_selector": "data", "paginator": paging}
        return rest_api_source(
            {"client": {"base_url": url}, "resources": [{"name": entity, "endpoint": endpoint}]}, name="stock"
        )

    return by_dlt(source, records)


def payload_column(url: str, entity: str, records: int) -> Figures:
    """The RESTClient of dlt and one column for the record."""
    import dlt
    from dlt.sources.helpers.rest_client.client import RESTClient
    from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator

    def source(count: int) -> Any:
        paging = JSONResponseCursorPaginator("continueFrom", "from", has_more_path="hasMore")

        def rows() -> Iterator[list[dict[str, Any]]]:
            client = RESTClient(url, paginator=paging, data_selector="data")
            for page in client.paginate(path_of(entity, count)):
                yield [{"st_id": record["id"], "payload": record} for record in page]

        return dlt.resource(rows, name=entity, columns={"payload": {"data_type": "json"}})

    return by_dlt(source, records)


def by_dlt(source: Callable[[int], Any], records: int) -> Figures:
    """The figures of a dlt source that gives as many records as it is asked for."""
    settings = load()
    running = pipeline(settings)
    return costs(lambda count: running.run(source(count)), records, Gauge(settings.database_url))


def path_of(entity: str, count: int) -> str:
    """The export's path for the tenant that has so many records."""
    from sources.servicetitan.catalog import BY_NAME

    return f"{BY_NAME[entity].base}{count}/{BY_NAME[entity].export_path}"


def floor(url: str, entity: str, records: int) -> Figures:  # noqa: ARG001  every way is called alike
    """The engine alone, from a file with the very columns: parquet for DuckDB, COPY of csv for PostgreSQL."""
    from sources.servicetitan.catalog import BY_NAME
    from sources.servicetitan.reading import raw_table
    from store.warehouse import DuckDB, open_warehouse

    settings = load()
    warehouse = open_warehouse(settings)
    warehouse.prepare([raw_table(BY_NAME[entity])])
    load_file = load_parquet if isinstance(warehouse, DuckDB) else copy_csv
    with tempfile.TemporaryDirectory() as folder:
        counts = (FEW, FEW + 1, *range(records, records + ROUNDS))
        files = {count: write_file(entity, count, Path(folder), warehouse.dialect) for count in counts}
        return costs(lambda count: load_file(warehouse, entity, files[count]), records, Gauge(settings.database_url))


def write_file(entity: str, count: int, folder: Path, dialect: str) -> Path:
    """A file of `count` rows as the raw table takes them, made by another process whose memory does not count."""
    path = folder / f"{count}.{'parquet' if dialect == 'duckdb' else 'csv'}"
    subprocess.run([sys.executable, "-m", "bench.rowfile", entity, str(count), str(path)], check=True)  # noqa: S603
    return path


def load_parquet(warehouse: Any, entity: str, path: Path) -> None:
    """DuckDB reads the file."""
    warehouse.cursor().execute(f"INSERT INTO raw.st_{entity} BY NAME SELECT * FROM read_parquet('{path}')")


def copy_csv(warehouse: Any, entity: str, path: Path) -> None:
    """PostgreSQL is sent the file."""
    with path.open(encoding="utf-8") as file, warehouse.cursor() as cursor:
        columns = file.readline().replace('"', "").strip()
        cursor.copy_expert(f"COPY raw.st_{entity} ({columns}) FROM STDIN WITH (FORMAT csv)", file)
