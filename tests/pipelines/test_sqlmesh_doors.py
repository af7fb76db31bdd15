"""SQLMesh's way to the stores."""

import pytest
from sqlglot import exp
from sqlmesh.core.snapshot.definition import table_name

from pipelines.sqlmesh_doors import NAMES_OF_TABLES, make_ready
from sources.servicetitan.catalog import CATALOG, Entity
from store.settings import Settings
from store.warehouse import open_warehouse


def test_models_find_their_raw_tables_before_anything_has_landed(settings: Settings):
    """`sqlmesh plan` may be the first command on a new warehouse."""
    make_ready(settings)
    warehouse = open_warehouse(settings)
    for entity in CATALOG:
        assert warehouse.fetch(f"SELECT COUNT(*) FROM raw.{entity.raw_table}") == [(0,)]
    warehouse.close()


@pytest.mark.parametrize("entity", CATALOG, ids=lambda entity: entity.name)
def test_a_plan_can_make_another_table_beside_every_one(entity: Entity):
    """Its name, of the table's and the longest that SQLMesh puts behind it, is one that PostgreSQL takes."""
    table = table_name("", f"master.{entity.name}", str(2**32 - 1), naming_convention=NAMES_OF_TABLES)
    assert len(f"{exp.to_table(table).name}_schema_tmp") <= 63
