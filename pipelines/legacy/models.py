"""The models behind a takeover.

They look for new rows a day back from the newest one they show, and history is older: what was built before it is built
anew, from all that is in raw. What was never built is built whole anyway.
"""

import secrets
from datetime import UTC, datetime

from pipelines.modelling import ModelError, Models, fingerprint, finish, landed, shortened
from store.lock import held, memory_held
from store.operations import Operations
from store.settings import Settings

LOG = "audit.log"


def bring_up(settings: Settings, operations: Operations) -> str:
    """Have the models show what a takeover landed. `unchanged`, `refreshed`, `planned` or `rebuilt`. Raises ModelError."""
    owed = [str(row["entity"]) for row in operations.run("legacy_models_owed")]
    were_built = bool(operations.run("last_model_run"))
    models = Models(settings)
    try:
        done = models.refresh(operations)
        if owed and were_built:
            rebuild(models, settings, operations, owed)
            done = "rebuilt"
    finally:
        models.close()
    for entity in owed:
        operations.run("legacy_models_made", entity=entity)
    return done


def rebuild(models: Models, settings: Settings, operations: Operations, entities: list[str]) -> None:
    """Build the models of these entities anew, and all that hang on them. Raises ModelError."""
    mark, run_id, begun = fingerprint(settings), secrets.token_hex(8), datetime.now(UTC)
    with held(settings, "the models"), memory_held(settings):
        shown = landed(operations)
        operations.run("start_model_run", model_run_id=run_id, started_at=begun, fingerprint=mark)
        try:
            models.loaded(mark).plan(
                restate_models=[*(f"master.{entity}" for entity in entities), LOG],
                no_prompts=True,
                auto_apply=True,
                skip_tests=True,
            )
        except Exception as error:
            finish(operations, run_id, "failed", str(error)[:2000])
            raise ModelError(
                f"The models could not be rebuilt: {shortened(error)}. Raw tables are complete. Run the command again."
            ) from error
        finish(operations, run_id, "completed", None)
        operations.run_all("forget_stale", [{"entity": name, "landings": times} for name, times in shown.items()])
        operations.run_all("still_stale", [{"entity": name, "since": begun} for name in shown])
