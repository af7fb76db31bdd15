"""The compose files: valid, and as hard and as limited as they say."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.alive import NAMES
from cli.main import COMMANDS
from store.settings import SETTINGS
from tests.deploy.compose import DEPLOY, FILES, OURS, ROOT, NeededError, loaded, megabytes, settings_of

PROD = {"LAZI_HOST": "lazi.example.com"}
LIMITS = {"api": ("1", "512M"), "sync": ("2", "1G"), "outbound": ("0.5", "256M")}
SERVICES = [
    pytest.param(name, service, id=f"{file}-{name}")
    for file, path in FILES.items()
    for name, service in loaded(path, PROD)["services"].items()
]
SETTING_NAMES = {name for one in SETTINGS for name in (one.name, f"{one.name}_FILE")}
COMPOSE = ("docker", "compose")
IGNORED = ("git", "check-ignore")


def has_compose() -> bool:
    """Whether Docker has Compose here; no daemon is needed to read a file."""
    version = [*COMPOSE, "version"]
    return bool(shutil.which(COMPOSE[0])) and not subprocess.run(version, capture_output=True, check=False).returncode


@pytest.mark.parametrize("file", FILES)
def test_a_file_is_valid(file: str):
    """By the schema of the compose specification."""
    command = [Path(sys.executable).parent / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", FILES[file]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(not has_compose(), reason="needs `docker compose`")
@pytest.mark.parametrize("file", FILES)
def test_compose_takes_a_file(file: str):
    """With every profile: it refuses more than its schema does, such as `pids_limit` beside other limits."""
    command = [*COMPOSE, "--profile", "*", "--file", str(FILES[file]), "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | PROD)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("file", FILES)
def test_what_stands_beside_a_file_is_never_committed(file: str):
    """Its settings, its secrets and its dumps: Git passes over every file of the machine that it reads, and what is written."""
    content = loaded(FILES[file], PROD)
    beside = {".env", *(one["file"] for one in content.get("secrets", {}).values())}
    beside |= {
        f"{volume['source']}/lazi-20260101T000000Z.dump"
        for service in content["services"].values()
        for volume in service.get("volumes", [])
        if isinstance(volume, dict) and volume["type"] == "bind"
    }
    assert len(beside) == {"compose": 1, "compose.prod": 7}[file]
    paths = sorted(str((DEPLOY / name).resolve()) for name in beside)
    done = subprocess.run([*IGNORED, *paths], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == paths


@pytest.mark.parametrize(("name", "service"), SERVICES)
def test_a_service_may_do_nothing_that_it_need_not(name: str, service: dict[str, Any]):
    """A root that is read-only, no rights but PostgreSQL's to become its user, none to gain, a health check, time to end."""
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert set(service.get("cap_add", [])) <= {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}
    assert bool(service.get("cap_add")) == (name == "postgres")
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "unless-stopped"
    assert service["stop_grace_period"]
    assert not service.get("privileged")
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert re.search(r":\d|:0\.|:dev$", service["image"])


@pytest.mark.parametrize("file", FILES)
def test_services_run_commands_that_there_are(file: str):
    """And are asked by the health check of their own name."""
    services = loaded(FILES[file], PROD)["services"]
    for name in OURS:
        assert services[name]["command"][0] in COMMANDS
        assert services[name]["healthcheck"]["test"] == ["CMD", "lazi", "alive", name]
        assert name in NAMES
        assert set(services[name]["environment"]) <= SETTING_NAMES


@pytest.mark.parametrize("name", LIMITS)
def test_limits_are_the_original_services(name: str):
    """Sync 2 CPUs and 1 GB, what sends changes half a CPU and 256 MB; what is reserved is less."""
    resources = loaded(FILES["compose.prod"], PROD)["services"][name]["deploy"]["resources"]
    assert (resources["limits"]["cpus"], resources["limits"]["memory"]) == LIMITS[name]
    assert megabytes(resources["reservations"]["memory"]) <= megabytes(resources["limits"]["memory"])
    assert float(resources["reservations"]["cpus"]) <= float(resources["limits"]["cpus"])


def test_every_production_service_is_limited():
    """Memory and CPU, the size of its logs, and, where it is ours, the number of its processes."""
    for name, service in loaded(FILES["compose.prod"], PROD)["services"].items():
        wanted = {"cpus", "memory"} if name == "postgres" else {"cpus", "memory", "pids"}
        assert set(service["deploy"]["resources"]["limits"]) == wanted, name
        assert service["logging"]["options"]["max-size"], name
        assert "pids_limit" not in service, "Compose takes it in one place only: among the other limits"


def test_production_needs_the_name_at_which_it_is_reached():
    """Nothing is guessed: Compose says which variable, and where it belongs."""
    with pytest.raises(NeededError, match=r"LAZI_HOST: .*deploy/\.env"):
        loaded(FILES["compose.prod"])


def test_production_has_no_secret_in_an_environment():
    """Each stands in a file, which only the services that need it see."""
    found = loaded(FILES["compose.prod"], PROD)
    for name, service in found["services"].items():
        for setting, value in service.get("environment", {}).items():
            assert not re.search("PASSWORD|SECRET|KEY|DATABASE_URL|CLIENT", setting) or setting.endswith("_FILE"), (
                name,
                setting,
            )
            if setting.endswith("_FILE"):
                assert value.removeprefix("/run/secrets/") in service["secrets"]
    assert {Path(secret["file"]).parent for secret in found["secrets"].values()} == {Path("secrets")}
    explained = (DEPLOY / "secrets/README.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in explained for name in found["secrets"])


def test_traefik_is_told_of_the_api_alone():
    """By TLS from Let's Encrypt at the name, at the port that it listens at, over the network that is there already."""
    found = loaded(FILES["compose.prod"], PROD)
    assert [name for name, service in found["services"].items() if "labels" in service] == ["api"]
    api = found["services"]["api"]
    labels = {name.removeprefix("traefik."): value for name, value in api["labels"].items()}
    assert labels["http.routers.lazi.rule"] == "Host(`lazi.example.com`)"
    assert labels["http.routers.lazi.tls.certresolver"] == "letsencrypt"
    assert labels["http.services.lazi.loadbalancer.server.port"] == api["environment"]["PORT"]
    assert found["networks"]["traefik"] == {"external": True, "name": "traefik"}
    assert "traefik" in api["networks"]
    assert "ports" not in api


def test_example_settings_are_settings():
    """What the examples name is a setting, or a variable of the compose files."""
    used = set(re.findall(r"\$\{(\w+)", "".join(path.read_text(encoding="utf-8") for path in FILES.values())))
    for name in ("sandbox.env", "prod.env.example"):
        text = (DEPLOY / name).read_text(encoding="utf-8")
        named = {line.lstrip("#").partition("=")[0] for line in text.splitlines() if re.match(r"#?[A-Z_]+=", line)}
        assert named <= used | SETTING_NAMES | {"COMPOSE_PROFILES"}
        assert settings_of(DEPLOY / name)
