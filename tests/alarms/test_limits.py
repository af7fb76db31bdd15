"""From where on something is wrong."""

from pathlib import Path

import pytest

from alarms.limits import BY_NAME, LIMITS, limits
from store.exceptions import SettingsError
from store.settings import Places


def said(text: str) -> dict[str, float]:
    return dict(limits(Places({"LAZI_ALARMS": text}, Path("/nonexistent"))))


def test_each_limit_has_its_usual_value():
    """Where nothing is said."""
    assert said("") == {limit.name: limit.usual for limit in LIMITS}


def test_limits_are_moved_and_switched_off():
    """Each in its unit."""
    found = said("stale=5, queue = 2h,disk=1.5GB, quarantine=OFF, failed=10")
    assert (found["stale"], found["queue"], found["disk"], found["failed"]) == (5, 7200, 1.5e9, 10)
    assert "quarantine" not in found


@pytest.mark.parametrize("text", ["stlae=5", "stale", "stale=", "stale=5m", "queue=5", "disk=5 PB", "failed=-1", "=1"])
def test_what_is_not_allowed_is_said_with_what_is(text: str):
    """The setting, the value, what is allowed."""
    with pytest.raises(SettingsError) as error:
        said(text)
    assert "LAZI_ALARMS" in str(error.value)
    assert text.replace(" ", "") in str(error.value).replace(" ", "") or next(iter(BY_NAME)) in str(error.value)
