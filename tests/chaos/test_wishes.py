"""A service that is killed while it grants a wish: the next one grants it whole."""

import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sandbox.server import Sandbox
from sources.servicetitan.catalog import BY_NAME
from store.operations import Operations, Row, open_operations
from store.settings import Settings
from store.warehouse import open_warehouse
from tests.cli.test_mutations import living
from tests.environment import store_environment
from tests.exact import differences

NEVER = {"LAZI_SCHEDULE": "1=off, 2=off, 3=off, 4=off", "LAZI_RECONCILE": "off"}
WISHES = [("campaigns", "full"), ("campaigns", "reconcile"), ("customers", "sync"), ("tag_types", "sync")]
NAMES = sorted({name for name, _ in WISHES})
KILLS = 6


def wished(operations: Operations) -> list[tuple[str, str]]:
    """What is still wished for."""
    return sorted((row["entity"], row["work"]) for row in operations.run("wishes", tenant_id=1))


def soon(is_so: Callable[[], bool], seconds: float = 300.0) -> bool:
    """Whether it comes to be so."""
    until = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.slow
def test_kill_9_in_the_middle_of_wishes_costs_none(settings: Settings, tmp_path: Path):
    """Killed again and again while it reads what was wished for; what the last one leaves is read whole, once there is time."""
    place = store_environment(settings)
    with Sandbox(seed=5, customers=40) as sandbox, closing(open_operations(settings)) as operations:
        sandbox.switch_faults({"slow": 1.0})  # each answer
        sandbox.faults.measure("slow", 3.0)
        command = ("lazi", "sync", "--schedule")
        for kill in range(KILLS):
            for entity, work in WISHES:
                operations.run("wish", tenant_id=1, entity=entity, work=work, wished_at=datetime.now(UTC))
            known = len(begun(operations))
            with living(tmp_path, *command, **sandbox.environment(), **NEVER, **place) as process:
                assert soon(lambda: len(begun(operations)) > known), process.stderr  # noqa: B023  it is asked within
                time.sleep(0.4 * kill)
                process.kill()
            assert wished(operations), begun(operations)
        sandbox.switch_faults([])
        with living(tmp_path, *command, **sandbox.environment(), **NEVER, **place) as process:
            assert soon(lambda: not wished(operations)), (wished(operations), begun(operations))
            assert soon(lambda: not operations.run("stale_entities")), "the models do not show what landed"
            process.terminate()
            err = process.communicate(timeout=60)[1]
        assert process.returncode == 0, err
        assert "Traceback" not in err
        assert operations.run("reconciliations_of_entity", entity="campaigns")
        last = [max(begun(operations, name), key=lambda run: run["started_at"]) for name in NAMES]
        assert {run["status"] for run in last} == {"completed"}
    with closing(open_warehouse(settings)) as warehouse:
        assert not list(differences(sandbox, warehouse.fetch, [BY_NAME[name] for name in NAMES]))


def begun(operations: Operations, *names: str) -> list[Row]:
    """The runs of these entities; of all that was wished for, where none is named."""
    return [run for name in names or NAMES for run in operations.run("batches_of_entity", entity=name)]
