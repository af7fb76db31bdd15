"""Settings whose value stands in a file of its own."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.exceptions import SettingsError
from store.secret_file import unusable
from store.settings import DATABASE_URL, SETTINGS, Places, Setting, connection, environment_name, load
from tests.cli.test_commands import NOWHERE, run


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_may_stand_in_a_file(setting: Setting, tmp_path: Path):
    """By our name and by dlt's, in the environment and in `.env`; white space around it is not its own."""
    (tmp_path / "value").write_text("\n a value \n", encoding="utf-8")
    for name in (setting.name, environment_name(setting.dlt)):
        assert Places({f"{name}_FILE": str(tmp_path / "value")}, tmp_path).text(setting) == "a value"
    (tmp_path / ".env").write_text(f"{setting.name}_FILE=./value\n", encoding="utf-8")
    assert Places({}, tmp_path).text(setting) == "a value"


def test_a_value_goes_before_a_file(tmp_path: Path):
    """In one place; and the environment's file before a value in `.env`. An empty value is none."""
    (tmp_path / "value").write_text("of the file", encoding="utf-8")
    file = {"DATABASE_URL_FILE": str(tmp_path / "value")}
    assert Places(file | {"DATABASE_URL": "own"}, tmp_path).text(DATABASE_URL) == "own"
    assert Places(file | {"DATABASE_URL": ""}, tmp_path).text(DATABASE_URL) == "of the file"
    (tmp_path / ".env").write_text("DATABASE_URL=of-dotenv\n", encoding="utf-8")
    assert Places(file, tmp_path).text(DATABASE_URL) == "of the file"


def test_a_connection_is_made_of_files_alone(tmp_path: Path):
    """Everything that is secret, as containers get it."""
    values = {
        "DATABASE_URL": "postgresql://lazi:hush@db/lazi",
        "SERVICE_TITAN_CLIENT_ID": "cid",
        "SERVICE_TITAN_CLIENT_SECRET": "hush",
        "SERVICE_TITAN_APP_KEY": "key",
        "SERVICE_TITAN_TENANT_ID": "42",
    }
    for name, value in values.items():
        (tmp_path / name).write_text(f"{value}\n", encoding="utf-8")
    places = Places({f"{name}_FILE": str(tmp_path / name) for name in values}, tmp_path)
    assert load(places).database_url == values["DATABASE_URL"]
    [tenant] = connection(places).tenants
    assert (tenant.tenant_id, tenant.client_secret, tenant.app_key) == (42, "hush", "key")


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path):
    """With the setting, the path, the reason, and what to do; never with what it holds."""
    (tmp_path / "empty").write_text(" \n", encoding="utf-8")
    (tmp_path / "bytes").write_bytes(b"hush\xff\xfe")
    (tmp_path / "large").write_text("hush" * 20_000, encoding="utf-8")
    cases = {
        "empty": "it is empty",
        "bytes": "no text in UTF-8",
        "large": "more than 65,536 bytes",
        "none": "no such file",
    }
    for name, reason in {**cases, "": "is a directory"}.items():
        with pytest.raises(SettingsError) as caught:
            Places({"SERVICE_TITAN_CLIENT_SECRET_FILE": f"{tmp_path}/{name}"}, tmp_path).text(SETTINGS[1])
        assert reason in str(caught.value)
        assert f"`{tmp_path}/{name}`" in str(caught.value)
        assert "set `SERVICE_TITAN_CLIENT_SECRET` instead" in str(caught.value)
        assert "hush" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_of_somebody_else_is_named(tmp_path: Path):
    """Permission denied, by its path."""
    (tmp_path / "closed").write_text("hush", encoding="utf-8")
    (tmp_path / "closed").chmod(0)
    with pytest.raises(SettingsError, match="permission denied"):
        Places({"DATABASE_URL_FILE": str(tmp_path / "closed")}, tmp_path).text(DATABASE_URL)


@given(st.text(min_size=1).filter(lambda text: not text.startswith(("/", "./", "../", "~/"))))
def test_what_is_no_path_is_not_shown(text: str):
    """It may be the secret itself, set by mistake."""
    assert f"`{text}`" not in str(unusable("X_FILE", text, "why"))
    assert "not shown" in str(unusable("X_FILE", text, "why"))


@pytest.mark.parametrize("value", ["cs1.hush", "postgresql://lazi:hush@db/lazi", "ak1/hush", "\0hush", "hush" * 1000])
def test_a_secret_in_the_place_of_its_path_is_not_shown(value: str, tmp_path: Path):
    """Whatever the system says of such a path."""
    with pytest.raises(SettingsError) as caught:
        Places({"DATABASE_URL_FILE": value}, tmp_path).text(DATABASE_URL)
    assert "hush" not in str(caught.value)


def test_a_command_says_it_in_a_line(tmp_path: Path):
    """Exit code 2, no traceback, no secret."""
    settings = {**NOWHERE, "SERVICE_TITAN_CLIENT_SECRET": "", "SERVICE_TITAN_CLIENT_SECRET_FILE": "cs1.hush"}
    done = run("lazi", "sync", folder=tmp_path, **settings)
    assert done.returncode == 2
    assert "`SERVICE_TITAN_CLIENT_SECRET_FILE` names the file (not shown" in done.stderr
    assert "cs1.hush" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
