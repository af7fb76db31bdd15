"""Names in `.env` that look like a setting's."""

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import misspelled
from store.setting import SETTINGS, environment_name
from store.settings import Places, load


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_a_settings_own_names_are_right(setting):
    """Ours and dlt's, and those that name a file."""
    names = [setting.name, environment_name(setting.dlt)]
    assert misspelled.misspelled([*names, *(name + "_FILE" for name in names)]) == {}


@given(st.sampled_from(SETTINGS), st.data())
def test_a_letter_left_out_is_noticed(setting, data):
    """Of any name that is longer than a few letters, at any place; what is proposed is a setting."""
    place = data.draw(st.integers(0, len(setting.name) - 1))
    name = setting.name[:place] + setting.name[place + 1 :]
    names = {each.name for each in SETTINGS}
    if len(name) > 5 and name not in names:
        assert set(misspelled.misspelled([name])) == {name}


@pytest.mark.parametrize("name", ["POSTGRES_PASSWORD", "LAZI_IMAGE", "LAZI_HOST", "COMPOSE_PROFILES", "PATH", "DEBUG"])
def test_what_other_programs_read_is_left_alone(name: str):
    """Also what our own compose files do."""
    assert misspelled.misspelled([name]) == {}


def test_it_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    """With the name that is meant, and without the value, which may be a secret."""
    monkeypatch.setattr(misspelled, "told", set())
    (tmp_path / ".env").write_text("DATABSE_URL=postgresql://u:hush@h/d\nLAZI_DATA_DIR=there\n", encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert load(Places({}, tmp_path)).is_embedded
    assert caplog.messages == [
        "`.env` sets `DATABSE_URL`, which is no setting and changes nothing. Is `DATABASE_URL` meant?"
    ]
