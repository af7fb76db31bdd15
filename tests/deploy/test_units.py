"""The systemd units and the crontab: valid, hardened, within the limits of the compose file, and of commands that there are."""

import re
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

from cli.main import COMMANDS
from tests.cli.test_commands import run
from tests.deploy.compose import DEPLOY, FILES, OURS, loaded, megabytes

UNITS = DEPLOY / "systemd"
SERVICES = sorted(path.stem for path in UNITS.glob("*.service"))
LIVING = ("lazi-up", "lazi-api", "lazi-sync", "lazi-outbound")
SYSTEM = Path("/usr/lib/systemd/system")
LOWEST = 1.5  # of 10: how much a service may do that it need not, as systemd counts it
needs_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze") or not SYSTEM.exists(), reason="needs systemd-analyze"
)


class Unit(ConfigParser):
    """A unit's file; names are as they stand, and of those that come again the last one."""

    def __init__(self, path: Path) -> None:
        super().__init__(interpolation=None, strict=False, delimiters=("=",), comment_prefixes=("#",))
        self.read(path)

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def unit(name: str) -> Unit:
    return Unit(UNITS / name)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the units and the programs at their places."""
    root = tmp_path_factory.mktemp("machine")
    shutil.copytree(SYSTEM, root / "usr/lib/systemd/system", symlinks=True, ignore_dangling_symlinks=True)
    shutil.copytree(UNITS, root / "etc/systemd/system")
    (root / "opt/lazi/bin").mkdir(parents=True)
    for name in ("lazi", "lazi-backup"):
        (root / "opt/lazi/bin" / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (root / "opt/lazi/bin" / name).chmod(0o755)
    return root


def analyzed(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(shutil.which("systemd-analyze")), "--no-pager", *arguments], capture_output=True, text=True, check=False
    )


@needs_systemd
@pytest.mark.parametrize(
    "name", sorted(path.name for path in UNITS.glob("*.*") if path.is_file() and path.suffix != ".md")
)
def test_a_unit_is_valid(name: str, machine: Path):
    """Systemd finds no word that it does not know, and every program."""
    done = analyzed("verify", f"--root={machine}", "--man=no", name)
    ours = [line for line in done.stderr.splitlines() if "lazi" in line]
    assert not ours, done.stderr


@needs_systemd
def test_a_bad_unit_would_be_found(machine: Path):
    """So that the test above can fail."""
    bad = machine / "etc/systemd/system/lazi-bad.service"
    bad.write_text("[Service]\nExecStart=/opt/lazi/bin/none\nMemoryMaximum=1G\n", encoding="utf-8")
    done = analyzed("verify", f"--root={machine}", "--man=no", bad.name)
    bad.unlink()
    assert "MemoryMaximum" in done.stderr
    assert "/opt/lazi/bin/none" in done.stderr


@needs_systemd
@pytest.mark.parametrize("name", SERVICES)
def test_a_service_may_do_little(name: str, machine: Path):
    """By systemd's own count, with what stands in `lazi-.service.d`."""
    done = analyzed("security", f"--root={machine}", "--offline=true", f"{name}.service")
    [level] = re.findall(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert float(level) <= LOWEST, done.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_runs_a_command_that_there_is(name: str, tmp_path: Path):
    """With options that it takes."""
    program, *arguments = unit(f"{name}.service")["Service"]["ExecStart"].split()
    assert program in {"/opt/lazi/bin/lazi", "/opt/lazi/bin/lazi-backup"}
    if program.endswith("lazi"):
        assert arguments[0] in COMMANDS
        assert run("lazi", *arguments, "--help", folder=tmp_path).returncode == 0
    else:
        assert f" {arguments[0]} " in (DEPLOY / "backup/backup.sh").read_text(encoding="utf-8").rpartition("case")[2]


@pytest.mark.parametrize("name", LIVING)
def test_a_process_that_hangs_is_started_again(name: str):
    """It tells systemd that it turns; when it does not for three times as long as a loop may be silent, it is stuck."""
    service = unit(f"{name}.service")["Service"]
    assert service["Type"] == "notify"
    assert service["NotifyAccess"] == "main"
    assert service["WatchdogSec"] == "3min"
    assert service["Restart"] == "always"


@pytest.mark.parametrize("name", OURS)
def test_limits_are_those_of_the_containers(name: str):
    """One number for both."""
    limits = loaded(FILES["compose.prod"], {"LAZI_HOST": "x"})["services"][name]["deploy"]["resources"]["limits"]
    command = loaded(FILES["compose.prod"], {"LAZI_HOST": "x"})["services"][name]["command"]
    service = unit(f"lazi-{name}.service")["Service"]
    assert megabytes(service["MemoryMax"]) == megabytes(limits["memory"])
    assert float(service["CPUQuota"].rstrip("%")) == float(limits["cpus"]) * 100
    assert service["ExecStart"].split()[1:] == command
    assert megabytes(service["MemoryHigh"]) < megabytes(service["MemoryMax"])


def test_the_target_wants_each_of_the_three():
    """And they stop with it."""
    assert set(unit("lazi.target")["Unit"]["Wants"].split()) == {f"lazi-{name}.service" for name in OURS}
    for name in OURS:
        assert unit(f"lazi-{name}.service")["Unit"]["PartOf"] == "lazi.target"


def test_memory_is_given_back_everywhere():
    """What keeps processes within their limits is said in the image, the units and the crontab alike."""
    wanted = {"MALLOC_ARENA_MAX=2", "MALLOC_MMAP_THRESHOLD_=262144", "MALLOC_TRIM_THRESHOLD_=262144"}
    for path in (DEPLOY / "Dockerfile", UNITS / "lazi-.service.d/common.conf", DEPLOY / "cron/lazi"):
        said = set(re.split(r"\s|Environment=", path.read_text(encoding="utf-8")))
        assert wanted | {"ARROW_DEFAULT_MEMORY_POOL=system"} <= said, path


def test_the_crontab_runs_commands_that_there_are(tmp_path: Path):
    """Each line has five times, a user, and a command with options that it takes."""
    lines = (DEPLOY / "cron/lazi").read_text(encoding="utf-8").splitlines()
    jobs = [line for line in lines if line and line[0] in "0123456789*"]
    assert len(jobs) == 6
    for job in jobs:
        assert job.split()[5] == "lazi"
        if found := re.search(r"/bin/lazi ([a-z].*)$", job):
            assert run("lazi", *found[1].split(), "--help", folder=tmp_path).returncode == 0
