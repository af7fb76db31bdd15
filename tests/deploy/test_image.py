"""The Dockerfile: linted, and executed line by line in a clean Debian; then the compose file's services on what it made."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.compose import DEPLOY, FILES, OURS, ROOT, Container, loaded, settings_of
from tests.deploy.dockerfile import context, stages
from tests.deploy.engine import Layers, build, debian, is_possible, network
from tests.deploy.postgres import served

DOCKERFILE = DEPLOY / "Dockerfile"
BUILD, FINAL = stages(DOCKERFILE)
needs_an_engine = pytest.mark.skipif(
    not is_possible(), reason="namespaces and a clean Debian need root, `debootstrap` and `ip`"
)


def test_the_linter_finds_nothing():
    """hadolint, with all of its rules."""
    done = subprocess.run(
        [Path(sys.executable).parent / "hadolint", DOCKERFILE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_image_is_not_roots():
    """It runs as a user by number, so that an orchestrator can see that it is not root; its base image has a whole version."""
    assert FINAL.last("USER").text == "10001:10001"
    assert FINAL.base.count(".") == 2
    assert BUILD.base == FINAL.base
    assert FINAL.instructions.index(FINAL.last("USER")) > max(
        number for number, one in enumerate(FINAL.instructions) if one.word in {"RUN", "COPY"}
    )


def test_the_image_has_one_version():
    """Its label says the version of the package."""
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    [version] = [one.pairs["VERSION"] for one in FINAL.instructions if one.word == "ARG" and "VERSION" in one.pairs]
    assert f'\nversion = "{version}"\n' in pyproject
    labels = FINAL.last("LABEL").pairs
    assert {"title", "description", "licenses", "version", "revision", "created"} <= {
        name.rpartition(".")[2] for name in labels
    }


def test_what_is_sent_to_the_builder_has_no_secrets():
    """What the package needs, and neither settings nor data nor tests."""
    names = context(ROOT)
    assert {
        "pyproject.toml",
        "requirements.lock",
        "models/crm/customer_360.sql",
        "cli/main.py",
        ".dlt/config.toml",
    } <= set(names)
    others = {name.split("/")[0] for name in names} & {
        ".env",
        "data",
        "tests",
        ".git",
        ".venv",
        "deploy",
        "bench",
        "build",
        "dist",
    }
    assert not others
    assert ".dlt/secrets.toml" not in names
    assert not [name for name in names if name.endswith(".pyc")]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Layers]:
    """What the Dockerfile makes of a clean Debian: each instruction executed as it stands."""
    folder = tmp_path_factory.mktemp("image")
    yield build(stages(DOCKERFILE), debian(folder / "debian"), folder / "layers", ROOT)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
@needs_an_engine
def test_a_lock_with_another_hash_is_not_built(tmp_path: Path, image: Layers):
    """What the registry answers must be what the lock names, for what builds and for what runs."""
    [_, tools, packages] = [one for one in BUILD.instructions if one.word in {"COPY", "RUN"}][:3]
    for instruction, package in ((tools, "hatchling"), (packages, "httpx")):
        layers = Layers([tmp_path / "lock", *image.lower], tmp_path / package)
        layers.environment, layers.place = image.environment | layers.environment, "/src"
        (layers.top / "src").mkdir()
        text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
        begin = text.index(f"\n{package}==")
        end = text.index("\n", text.index("sha256:", begin))
        block = text[begin : text.find("\n", text.index("\n", end))]
        wrong = block.replace("sha256:", "sha256:0000", 1)
        assert wrong != block
        (layers.top / "src/requirements.lock").write_text(text.replace(block, wrong), encoding="utf-8")
        shutil.copy(ROOT / "pyproject.toml", layers.top / "src")
        with pytest.raises(AssertionError, match=r"(?i)hash"):
            layers.run(instruction.command)


@dataclass
class Town:
    """The services of a compose file on the image, in a network with PostgreSQL in which there is nothing else."""

    image: Layers
    folder: Path
    netns: list[str]
    stack: ExitStack

    def start(self, name: str, service: dict[str, Any], env: dict[str, str], secrets: Path | None = None) -> Container:
        """A service, at work."""
        made = Container(self.image, service, self.folder / name, env, self.netns, secrets)
        return self.stack.enter_context(made.running(FINAL.last("ENTRYPOINT").command))


@pytest.fixture
def town(image: Layers, tmp_path: Path) -> Iterator[Town]:
    postgres = loaded(FILES["compose"])["services"]["postgres"]
    with ExitStack() as stack:
        netns = stack.enter_context(network(f"lazi-{uuid.uuid4().hex[:8]}"))
        stack.enter_context(served(postgres["environment"], netns))
        yield Town(image, tmp_path, netns, stack)


def healthy(container: Container, seconds: float = 180.0) -> str:
    """What the health check of the file says once it is content, within so long."""
    over = time.monotonic() + seconds
    while (done := container.check()).returncode:
        assert time.monotonic() < over, done.stdout + done.stderr + container.said
        time.sleep(0.2)
    return done.stdout


def asked(container: Container, path: str, key: str, body: dict[str, Any] | None = None) -> Any:
    """The API's answer, asked from within its container."""
    data = None if body is None else json.dumps(body).encode()
    ask = (
        "import urllib.request as r\n"
        f"q = r.Request('http://127.0.0.1:3005{path}', {data!r}, {{'x-api-key': '{key}', 'content-type': 'application/json'}})\n"
        "print(r.urlopen(q).read().decode())"
    )
    done = container.execute("python", "-c", ask)
    assert done.returncode == 0, done.stderr + container.said
    return json.loads(done.stdout)


NOT_YET = re.compile(r"HTTP Error 503|Connection refused")


def comes(answer: Callable[[], Any], seconds: float = 400.0) -> Any:
    """What is answered as soon as it is something; nothing is it where the API does not listen yet, or has not what to show."""
    over = time.monotonic() + seconds
    while True:
        try:
            if found := answer():
                return found
        except AssertionError as error:
            if not NOT_YET.search(str(error)) or time.monotonic() > over:
                raise
        assert time.monotonic() < over, "It did not come."
        time.sleep(1)


def put(folder: Path, values: dict[str, str]) -> Path:
    """A file for each secret, which only the image's user may read."""
    folder.mkdir()
    for name, value in values.items():
        path = folder / name
        path.write_text(value + "\n", encoding="utf-8")
        path.chmod(0o400)
        os.chown(path, 10001, 10001)
    return folder


OPEN = ["/tmp:mode=1777"]  # noqa: S108  within a container
SECRET = {"client_id": "CLIENT_ID", "client_secret": "CLIENT_SECRET", "app_key": "APP_KEY"}


@pytest.mark.slow
@needs_an_engine
@pytest.mark.parametrize("file", FILES)
def test_services_work_as_the_file_has_them(file: str, town: Town, tmp_path: Path):
    """Each command as it stands, read-only, without rights, with the file's environment and secrets.

    All become healthy by the file's own checks; what is in ServiceTitan is read, shown and changed; each ends within its grace.
    """
    services = loaded(FILES[file], {"LAZI_HOST": "lazi.example.com"})["services"]
    env, secrets = settings_of(DEPLOY / "sandbox.env"), None
    sandbox = town.start("sandbox", loaded(FILES["compose"])["services"]["sandbox"], {})
    if "DATABASE_URL_FILE" in services["api"]["environment"]:
        values = {name: env.pop(f"SERVICE_TITAN_{setting}") for name, setting in SECRET.items()}
        address = loaded(FILES["compose"])["services"]["api"]["environment"]["DATABASE_URL"]
        secrets = put(tmp_path / "secrets", values | {"database_url": address})
    ours = {name: town.start(name, services[name], env, secrets) for name in OURS}
    assert healthy(sandbox) == ""
    for name, container in ours.items():
        assert f"alive: `lazi {name}`" in healthy(container)
    made = ours["api"].execute("lazi", "keys", "create", "--name", "me", "--tenant", "1", "--scope", "read,mutate")
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    customer = comes(lambda: asked(ours["api"], "/api/v1/customers?limit=1", key)["data"])[0]
    change = {
        "entity_type": "customers",
        "entity_id": customer["id"],
        "operation": "update",
        "payload": {"name": "Ada Byron"},
    }
    asked(ours["api"], "/api/v1/mutations", key, change)
    comes(lambda: asked(ours["api"], f"/api/v1/customers/{customer['id']}", key)["data"]["name"] == "Ada Byron")
    for container in (*ours.values(), sandbox):
        nothing_is_writable(container)
        assert container.stop() in ENDS[container is sandbox], container.said
        assert not re.search("Traceback|FAILED", container.said), container.said


ENDS = {False: {0}, True: {0, 143}}
"""Exit codes of what is stopped; the sandbox has nothing to finish, and ends by the signal."""


def nothing_is_writable(container: Container) -> None:
    """Neither the root nor the code, by a user that is nobody; and no right can be gained."""
    tried = "for p in / /opt/lazi/bin /etc /usr; do touch $p/x 2>/dev/null && echo $p; done; touch /data/x /tmp/x && id -u; "
    done = container.execute("sh", "-c", tried + "grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status")
    assert done.stdout.split() == ["10001", "CapEff:", "0" * 16, "CapBnd:", "0" * 16, "NoNewPrivs:", "1"], done.stderr


@pytest.mark.slow
@needs_an_engine
def test_the_image_serves_by_itself(town: Town):
    """Without any setting it serves the embedded store; its own health check finds it, and a stranger finds nothing."""
    service = {
        "command": FINAL.last("CMD").command,
        "read_only": True,
        "tmpfs": OPEN,
        "stop_grace_period": "10s",
    }
    check = FINAL.last("HEALTHCHECK").command
    alone = town.start("alone", service | {"healthcheck": {"test": ["CMD", *check]}}, {})
    assert "answers 200, healthy" in comes(lambda: healthy(alone) if "answers 200" in alone.check().stdout else "")
    other = Container(town.image, service, town.folder / "other", {}, town.netns)
    done = other.execute(*check)
    assert (done.returncode, done.stdout) == (
        1,
        "NOT alive: nothing: no such process runs here with the data folder `/data`; `lazi up` starts one\n",
    )
    assert alone.stop() == 0


@pytest.mark.slow
@needs_an_engine
@pytest.mark.parametrize("command", ["up", "api", "sync --schedule", "outbound", "sync"])
def test_the_first_process_hands_signals_on(command: str, town: Town):
    """Whatever waits for its database ends at SIGTERM, where a first process by itself would not hear of it."""
    env = settings_of(DEPLOY / "sandbox.env") | {"DATABASE_URL": "postgresql://lazi@127.0.0.1:1/lazi"}
    service = {"command": command.split(), "read_only": True, "tmpfs": OPEN, "stop_grace_period": "10s"}
    waiting = town.start("waiting", service, env)
    if command == "sync":
        assert waiting.process
        assert waiting.process.wait(60) == 2
        return
    comes(lambda: "Waiting for the store" in waiting.said, 60)
    done = waiting.execute("lazi", "alive")
    assert done.returncode == 0
    assert "waits for the store: PostgreSQL does not answer" in done.stdout
    waiting.stop()
