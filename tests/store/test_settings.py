"""Settings: where they are found, and what is said when they are not."""

import re
from pathlib import Path

import pytest

from store.exceptions import SettingsError
from store.settings import SETTINGS, Places, api_settings, connection, environment_name, load

COMPLETE = {
    "SERVICE_TITAN_CLIENT_ID": "cid",
    "SERVICE_TITAN_CLIENT_SECRET": "hush",
    "SERVICE_TITAN_APP_KEY": "key",
    "SERVICE_TITAN_TENANT_ID": "42",
}


def test_defaults_are_the_embedded_store_and_production(tmp_path: Path):
    """Without any setting but credentials, DuckDB in ./data and ServiceTitan's production hosts are used."""
    places = Places(COMPLETE, tmp_path)
    assert load(places).is_embedded
    assert load(places).data_dir == Path("./data")
    assert connection(places).api_url == "https://api.servicetitan.io"
    assert connection(places).tenants[0].tenant_id == 42


def test_integration_has_its_own_hosts(tmp_path: Path):
    """SERVICE_TITAN_ENV=integration changes both hosts, and the two URL settings override them."""
    places = Places({**COMPLETE, "SERVICE_TITAN_ENV": "Integration"}, tmp_path)
    assert "integration" in connection(places).api_url
    assert "integration" in connection(places).auth_url
    over = Places({**COMPLETE, "SERVICE_TITAN_API_URL": "http://127.0.0.1:9/"}, tmp_path)
    assert connection(over).api_url == "http://127.0.0.1:9"


@pytest.mark.parametrize("name", sorted(COMPLETE))
def test_a_missing_setting_is_named_with_the_places_looked_at(name: str, tmp_path: Path):
    """The message names the setting, dlt's name for it and both files."""
    rest = {key: value for key, value in COMPLETE.items() if key != name}
    with pytest.raises(SettingsError) as caught:
        connection(Places(rest, tmp_path))
    for place in (name, "SOURCES__SERVICETITAN__", ".env", "secrets.toml", "config.toml", "lazi sandbox"):
        assert place in str(caught.value)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("SERVICE_TITAN_TENANT_ID", "acme", "whole number"),
        ("SERVICE_TITAN_TENANT_ID", "-1", "whole number"),
        ("SERVICE_TITAN_ENV", "staging", "`production` or `integration`"),
        ("SERVICE_TITAN_API_URL", "api.servicetitan.io", "http"),
        ("SERVICE_TITAN_RATE", "fast", "requests a second"),
        ("SERVICE_TITAN_RATE", "0", "requests a second"),
        ("PORT", "70000", "65535"),
        ("LOG_LEVEL", "loud", "debug"),
        ("DATABASE_URL", "mysql://x", "postgresql://"),
        ("FORWARDED_ALLOW_IPS", "10.0.0.300", "addresses or networks"),
        ("FORWARDED_ALLOW_IPS", "proxy.example.com", "addresses or networks"),
    ],
)
def test_a_malformed_setting_is_named_with_its_value_and_what_is_allowed(
    name: str, value: str, allowed: str, tmp_path: Path
):
    """What, which value, what is allowed."""
    places = Places({**COMPLETE, name: value}, tmp_path)
    with pytest.raises(SettingsError) as caught:
        load(places)
        connection(places)
        api_settings(places)
    assert name in str(caught.value)
    assert allowed in str(caught.value)


def test_proxies_are_addresses_networks_or_any(tmp_path: Path):
    """As uvicorn takes them; this machine's, where nothing is said."""
    said = {"": ("127.0.0.1",), "*": ("*",), "10.0.0.2, 10.1.0.0/16, fe80::1": ("10.0.0.2", "10.1.0.0/16", "fe80::1")}
    for text, proxies in said.items():
        assert api_settings(Places({"FORWARDED_ALLOW_IPS": text}, tmp_path)).proxies == proxies


def test_a_database_password_is_never_in_a_message_or_a_representation(tmp_path: Path):
    """Neither a wrong scheme nor printing the settings shows the password."""
    with pytest.raises(SettingsError) as caught:
        load(Places({"DATABASE_URL": "mysql://user:hush@host/db"}, tmp_path))
    assert "hush" not in str(caught.value)
    good = load(Places({"DATABASE_URL": "postgresql://user:hush@host/db"}, tmp_path))
    assert "hush" not in repr(good)
    assert "hush" not in repr(connection(Places(COMPLETE, tmp_path)))


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_found_under_both_names_and_in_every_file(setting, tmp_path: Path):
    """Our name, dlt's name, .env, secrets.toml and config.toml all work, in that order."""
    section, _, key = setting.dlt.rpartition(".")
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "config.toml").write_text(f'[{section}]\n{key} = "from config"\n')
    assert Places({}, tmp_path).text(setting) == "from config"
    (tmp_path / ".dlt" / "secrets.toml").write_text(f'[{section}]\n{key} = "from secrets"\n')
    assert Places({}, tmp_path).text(setting) == "from secrets"
    (tmp_path / ".env").write_text(f"{setting.name}=from dotenv\n")
    assert Places({}, tmp_path).text(setting) == "from dotenv"
    assert Places({environment_name(setting.dlt): "dlt's"}, tmp_path).text(setting) == "dlt's"
    assert Places({setting.name: "ours", environment_name(setting.dlt): "dlt's"}, tmp_path).text(setting) == "ours"


def test_several_tenants_stand_in_the_secrets_file(tmp_path: Path):
    """Each row opens one tenant; the application's key may stand once for all."""
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "secrets.toml").write_text(
        '[sources.servicetitan]\napp_key = "shared"\n'
        '[[sources.servicetitan.tenants]]\ntenant_id = 1\nclient_id = "a"\nclient_secret = "b"\n'
        '[[sources.servicetitan.tenants]]\ntenant_id = 2\nclient_id = "c"\nclient_secret = "d"\napp_key = "own"\n'
    )
    first, second = connection(Places({}, tmp_path)).tenants
    assert (first.tenant_id, first.app_key) == (1, "shared")
    assert (second.tenant_id, second.app_key) == (2, "own")


def test_a_tenant_row_that_lacks_something_says_what(tmp_path: Path):
    """The missing keys are named."""
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "secrets.toml").write_text("[[sources.servicetitan.tenants]]\ntenant_id = 1\n")
    with pytest.raises(SettingsError, match="client_id, client_secret, app_key"):
        connection(Places({}, tmp_path))


def test_a_file_that_is_not_toml_is_named(tmp_path: Path):
    """A broken secrets file is a message, not a traceback."""
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "secrets.toml").write_text("client_id: nope")
    with pytest.raises(SettingsError, match=r"secrets\.toml"):
        Places({}, tmp_path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"A=1\nDATABASE_URL postgresql://u:hush@h/x\n", "line 2"),
        (b"A='hush\nB=2\n\n=hush\n", "line 1, 4"),
        (b"A=hush\xff\n", "not UTF-8 at byte 6"),
    ],
    ids=["no sign", "quotation mark, no name", "bytes"],
)
def test_a_line_of_the_env_file_that_says_nothing_is_refused(content: bytes, told: str, tmp_path: Path):
    """By its number: passed over, it would be another database that is used; shown, it may be a secret."""
    (tmp_path / ".env").write_bytes(content)
    with pytest.raises(SettingsError, match=re.escape(told)) as caught:
        Places({}, tmp_path)
    assert str(tmp_path / ".env") in str(caught.value)
    assert "hush" not in str(caught.value)


def test_an_env_file_is_read_as_others_read_it(tmp_path: Path):
    """Comments, `export`, quotation marks over lines, a name alone; a folder of that name is none."""
    (tmp_path / ".env").write_text("# said\nexport A = 'x\ny' # why\nB\n\nC=${A}z\n", encoding="utf-8")
    assert Places({}, tmp_path).dotenv == {"A": "x\ny", "B": "", "C": "x\nyz"}
    (tmp_path / "venv" / ".env").mkdir(parents=True)
    assert Places({}, tmp_path / "venv").dotenv == {}


def test_the_example_file_names_every_setting():
    """`.env.example` and the settings module agree."""
    example = Path(__file__).parents[2].joinpath(".env.example").read_text(encoding="utf-8")
    assert [setting.name for setting in SETTINGS if setting.name not in example] == []
