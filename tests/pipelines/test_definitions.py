"""What models are in PostgreSQL when they are published there."""

from pathlib import Path
from typing import Any

from sqlmesh import Context, macro
from sqlmesh.core.config import Config, DuckDBConnectionConfig, ModelDefaultsConfig
from sqlmesh.core.dialect import parse
from sqlmesh.core.model import load_sql_based_model

from pipelines.definitions import defined

MODELS = (
    "MODEL (name master.zones, kind FULL, grain st_id); SELECT 1::BIGINT AS st_id, 'a'::TEXT AS name",
    "MODEL (name master.odd, kind FULL, grain st_id); SELECT 1::BIGINT AS st_id; @no_index()",
    "MODEL (name crm.good, kind VIEW); SELECT st_id FROM master.zones",
    "MODEL (name crm.odd, kind VIEW); SELECT st_id FROM master.odd",
)


@macro()
def no_index(evaluator: Any) -> None:
    """Fails where a table has just been made."""
    if evaluator.runtime_stage == "creating":
        raise ValueError("no index of this sort")


def test_a_model_that_cannot_be_written_for_postgresql_keeps_none_of_the_others_back(tmp_path: Path):
    """It is refused with why, and so is what reads it."""
    config = Config(default_connection=DuckDBConnectionConfig(), model_defaults=ModelDefaultsConfig(dialect="postgres"))
    context = Context(config=config, paths=[str(tmp_path)])
    for text in MODELS:
        parsed = parse(text, default_dialect="postgres")
        context.upsert_model(load_sql_based_model(parsed, dialect="postgres", default_catalog="memory"))
    found = defined(context, ["crm.good", "crm.odd"], None)
    assert [one.name for one in found.tables] == ["master.zones"]
    assert [one.name for one in found.views] == ["crm.good"]
    assert found.tables[0].place in found.views[0].query.replace('"', "")
    assert "no index of this sort" in found.refused["master.odd"]
    assert found.refused["crm.odd"].startswith("it reads `master.odd`: SQLMesh cannot write it for PostgreSQL:")
