"""How dlt lands into a folder of Parquet files: by its own `filesystem`, with files that are whole or not there.

A file is named by its load and its place in it, so that a load which is tried again writes the same files.
"""

import json
from pathlib import Path
from typing import Any

import dlt
import pyarrow.parquet as pq
from dlt.destinations.impl.filesystem.filesystem import FilesystemClient, FilesystemLoadJob

from store.files import SparkFiles, land_rows, put

LAYOUT = "{table_name}/{load_id}.{file_id}.{ext}"


class FileJob(FilesystemLoadJob):
    """Lands one file, with the columns and types that the raw table has."""

    def run(self) -> None:
        """See the base class, which would write in place: a reader and a kill would meet half a file."""
        land_rows(pq.read_table(self._file_path), Path(self.make_remote_path()))


class FilesClient(FilesystemClient):
    """What loads."""

    def create_dataset(self) -> None:
        """See the base class. The folder is there when the warehouse was prepared."""
        Path(self.dataset_path).mkdir(parents=True, exist_ok=True)

    def get_load_job_class(self, table: Any, file_path: str) -> Any:
        """See the base class."""
        found = super().get_load_job_class(table, file_path)
        return FileJob if found is FilesystemLoadJob and file_path.endswith(".parquet") else found

    def _write_to_json_file(self, filepath: str, data: dict[str, Any]) -> None:
        """Cursors and what dlt tells of loads: whole or not there."""
        Path(filepath).parent.mkdir(parents=True, exist_ok=True)
        put(Path(filepath), json.dumps(data, default=str))


class FilesDestination(dlt.destinations.filesystem):
    """Dlt's own, by another door."""

    destination_type = "dlt.destinations.filesystem"

    @property
    def client_class(self) -> Any:
        """See the base class."""
        return FilesClient


def spark_destination(warehouse: SparkFiles) -> Any:
    """The folder of the files."""
    return FilesDestination(str(warehouse.files), layout=LAYOUT)
