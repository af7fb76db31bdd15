"""The SQLMesh project: models, macros and audits of this folder, on the warehouse that the settings name."""

import gc
import os

from sqlmesh.core import constants
from sqlmesh.core.config import (
    Config,
    ModelDefaultsConfig,
    PlanConfig,
)
from sqlmesh.core.config.categorizer import AutoCategorizationMode, CategorizerConfig

from pipelines.engines import gateway
from pipelines.sqlmesh_doors import NAMES_OF_TABLES
from pipelines.warming import cache_folder
from store.folder import prepare_folder
from store.settings import load

# A loaded project is millions of objects that stay: looking them through costs a fifth of the time.
gc.set_threshold(200_000, 50, 50)
if "MAX_FORK_WORKERS" not in os.environ:
    constants.MAX_FORK_WORKERS = 1  # passing models between processes costs a fifth more

settings = load()

config = Config(
    project="lazi",
    gateways={"warehouse": gateway(settings)},
    default_gateway="warehouse",
    model_defaults=ModelDefaultsConfig(
        dialect="postgres",
        start="2000-01-01",
        cron="*/5 * * * *",
        interval_unit="month",
        allow_partials=True,
        post_statements=["@master_indexes()"],
    ),
    before_all=["@install_functions()"],
    variables={  # thresholds of the crm models, in days and in the tenant's currency
        "new_days": 90,
        "active_days": 90,
        "recent_days": 180,
        "dormant_days": 365,
        "high_value": 10_000,
        "medium_value": 2_500,
        "due_days": 3,
        "overdue_days": 14,
        "stale_days": 60,
    },
    plan=PlanConfig(
        auto_categorize_changes=CategorizerConfig(sql=AutoCategorizationMode.FULL),
        enable_preview=False,
    ),
    physical_table_naming_convention=NAMES_OF_TABLES,
    physical_schema_mapping={"^master$": "master_store", "^crm$": "crm_store", "^audit$": "audit_store"},
    cache_dir=str(cache_folder(prepare_folder(settings.data_dir))),
    infer_python_dependencies=False,  # a second of each plan; `requirements.lock` pins what macros need
    disable_anonymized_analytics=True,
)
