"""A sync that is killed at any moment: the next one completes it, without help."""

import signal
import time

import pytest

from store.settings import Settings
from tests.chaos.town import town

ROUNDS = 50


@pytest.mark.slow
def test_kill_9_at_any_moment_loses_and_skips_nothing(settings: Settings):
    """Fifty times, while extracting, normalizing, loading or modelling; after each rerun master is exact."""
    with town(settings) as living:
        begun = time.monotonic()
        living.live(60)
        assert living.sync().returncode == 0
        whole = time.monotonic() - begun
        for _ in range(ROUNDS):
            living.live(60)
            with living.start() as process:
                time.sleep(living.chance.uniform(0.3, whole))
                process.send_signal(signal.SIGKILL)
            done = living.sync()
            assert done.returncode == 0, done.stdout + done.stderr
            living.check()


@pytest.mark.slow
def test_kill_9_during_a_first_sync_loses_and_skips_nothing(settings: Settings):
    """With nothing there yet, and many pages to go."""
    with town(settings) as living:
        for _ in range(6):
            with living.start("--full") as process:
                time.sleep(living.chance.uniform(1.5, 9.0))
                process.send_signal(signal.SIGKILL)
        assert living.sync("--full").returncode == 0
        living.check()
