"""PostgreSQL goes away in the middle of a sync and comes back."""

import time
from pathlib import Path
from typing import Any

import pytest

from store.settings import Settings
from tests.chaos.power import crash, restart
from tests.chaos.town import town


@pytest.mark.slow
def test_a_server_that_went_away_costs_nothing(own_server: Any, tmp_path: Path):
    """The sync ends with a message and no traceback; the next one, with the server back, makes everything exact."""
    settings = Settings(own_server.get_uri(), tmp_path / "data", 3001, "warning")
    with town(settings) as living:
        failures = 0
        for _ in range(10):
            living.live(60)
            with living.start() as process:
                time.sleep(living.chance.uniform(1.0, 8.0))
                crash(own_server)
                said = "".join(process.communicate(timeout=120))
            failures += process.returncode != 0
            assert "Traceback" not in said, said
            restart(own_server)
            done = living.sync()
            assert done.returncode == 0, done.stdout + done.stderr
            living.check()
        assert failures > 0
