"""SQLMesh's way to the stores."""

from pipelines.sqlmesh_doors import make_ready
from sources.servicetitan.catalog import CATALOG
from store.settings import Settings
from store.warehouse import open_warehouse


def test_models_find_their_raw_tables_before_anything_has_landed(settings: Settings):
    """`sqlmesh plan` may be the first command on a new warehouse."""
    make_ready(settings)
    warehouse = open_warehouse(settings)
    for entity in CATALOG:
        assert warehouse.fetch(f"SELECT COUNT(*) FROM raw.{entity.raw_table}") == [(0,)]
    warehouse.close()
