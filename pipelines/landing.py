"""Running dlt: one pipeline a priority, into the dataset `raw` of the warehouse.

Working files stand in the data folder, apart for each warehouse, so that two warehouses never share a cursor.
"""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dlt
from dlt.destinations.impl.postgres.configuration import PostgresCredentials
from dlt.pipeline.exceptions import PipelineStepFailed

from pipelines.names import pipeline_name
from sources.servicetitan.reading import Reading
from sources.servicetitan.source import servicetitan
from store.settings import Settings
from store.warehouse import DuckDB, Postgres

DATASET = "raw"
DEFAULTS: dict[str, Any] = {
    "runtime.dlthub_telemetry": False,
    "runtime.log_level": "ERROR",
    "extract.workers": 6,
    "normalize.workers": 1,
    "normalize.parquet_normalizer.add_dlt_load_id": True,
    "normalize.data_writer.disable_compression": True,  # gzip costs more than three times the time
    "data_writer.file_max_items": 100_000,
    "load.workers": 1,  # more take gigabytes on DuckDB
}
"""What landing relies on, where `.dlt/config.toml` says nothing else; so that it holds outside the repository too."""


class LandingError(Exception):
    """Rows were read and could not be written to the warehouse; they wait in the data folder for the next run."""


def working_folder(settings: Settings) -> Path:
    """Where dlt keeps its working files for this warehouse."""
    name = "duckdb" if settings.is_embedded else hashlib.sha256(settings.database_url.encode()).hexdigest()[:12]
    return settings.data_dir.resolve() / "dlt" / name


def prepare_working_folder(settings: Settings, warehouse: DuckDB | Postgres) -> Path:
    """The folder, emptied when it belongs to a warehouse that is no longer there: its cursors would skip rows."""
    folder = working_folder(settings)
    owner = folder / "warehouse"
    if not owner.exists() or owner.read_text(encoding="utf-8") != warehouse.identity:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        owner.write_text(warehouse.identity, encoding="utf-8")
    return folder


def configure() -> None:
    """Set what landing relies on."""
    for key, value in DEFAULTS.items():
        if key not in dlt.config:
            dlt.config[key] = value


def pipeline_for(priority: int, settings: Settings, warehouse: DuckDB | Postgres) -> Any:
    """The pipeline of a priority, on this warehouse."""
    configure()
    destination: Any
    if isinstance(warehouse, DuckDB):
        destination = dlt.destinations.duckdb(warehouse.root.cursor())
    else:
        credentials = PostgresCredentials(warehouse.url)
        credentials.host = (
            credentials.host or "localhost"
        )  # dlt demands one, also where `?host=` names a socket's folder
        credentials.password = credentials.password or ""
        destination = dlt.destinations.postgres(credentials)
    return dlt.pipeline(
        pipeline_name(priority),
        pipelines_dir=str(prepare_working_folder(settings, warehouse) / "pipelines"),
        destination=destination,
        dataset_name=DATASET,
    )


def land(priority: int, settings: Settings, warehouse: DuckDB | Postgres, readings: Sequence[Reading]) -> None:
    """Read these entities and append what is new; packages that an earlier run left behind go first.

    Raises LandingError when the warehouse does not take the rows.
    """
    pipeline = pipeline_for(priority, settings, warehouse)
    file_format = "parquet" if isinstance(warehouse, DuckDB) else "csv"
    try:
        if pipeline.has_pending_data:
            pipeline.run()
        source = servicetitan.with_args(name=pipeline.pipeline_name)  # a schema and a state of its own
        pipeline.run(source(readings), loader_file_format=file_format)
    except PipelineStepFailed as error:
        raise LandingError(
            f"dlt could not {error.step} into the warehouse: {innermost(error)}. Nothing is lost: the rows wait in "
            f"`{working_folder(settings)}`, and the next run loads them first."
        ) from error


def innermost(error: BaseException) -> str:
    """The first line of the error that began a chain."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return (str(error).strip() or type(error).__name__).splitlines()[0]
