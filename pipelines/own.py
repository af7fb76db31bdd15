"""The SQLMesh project of a folder that `lazi init` made: models of one's own, beside ours and on the same warehouse.

SQLMesh tells projects apart by their names. A plan of either takes the models of the other as they are in the warehouse, so
that neither drops the other's, and a sync runs both.
"""

import runpy
from typing import Any

from sqlmesh.core.config import Config

from store.project import PROJECT


def own_config(project: str = "own") -> Config:
    """The settings of a project called `project`; each folder of models needs a name of its own on one warehouse.

    Warehouse, state, dialect and plans are those of our own project. Indexes, functions and thresholds of our models are not.
    """
    ours: Config = runpy.run_path(str(PROJECT / "config.py"))["config"]
    own: dict[str, Any] = {
        "project": project,
        "before_all": None,
        "variables": {},
        "physical_schema_mapping": {},
        "model_defaults": ours.model_defaults.copy(update={"post_statements": None}),
    }
    return ours.copy(update=own)
