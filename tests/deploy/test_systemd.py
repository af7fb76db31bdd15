"""The units in a Debian that systemd boots, set up by the page's own commands: they live, hang, end and do little."""

import re
import shutil
import time
from collections.abc import Iterator

import pytest

from tests.deploy.compose import DEPLOY, OURS, settings_of
from tests.deploy.engine import debian
from tests.deploy.machine import PACKAGES, PROGRAMS, Machine, booted, is_possible
from tests.docs.fence import DOCS, page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not is_possible(), reason=f"a machine needs root, control groups, {', '.join(PROGRAMS)}"),
]
[SET_UP] = [fence.text for fence in page(DOCS / "deployment.md").fences if "useradd" in fence.text]
[BY_HAND] = [fence.text for fence in page(DOCS / "deployment.md").fences if "systemd-run" in fence.text]
[ALIVE] = re.findall(r"`(sudo -u lazi [^`]+)`", (DEPLOY / "systemd/README.md").read_text(encoding="utf-8"))
UP = "lazi-up.service"
SANDBOX = settings_of(DEPLOY / "sandbox.env") | {
    "SERVICE_TITAN_API_URL": "http://127.0.0.1:8765",
    "SERVICE_TITAN_AUTH_URL": "http://127.0.0.1:8765/connect/token",
}
ADDRESS = "postgresql://lazi:choose-one@127.0.0.1:5432/lazi"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine that was set up as the page says, with a stand-in for ServiceTitan."""
    folder = tmp_path_factory.mktemp("machine")
    base = debian(folder / "debian", PACKAGES)
    try:
        with booted(base, folder) as machine:
            machine.shell(SET_UP)
            yield machine
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def machine(whole: Machine) -> Iterator[Machine]:
    """The machine with `lazi-up.service` on, as the page leaves it, and nothing read yet."""
    serves(whole)
    yield whole
    whole.say("systemctl", "disable", "lazi.target", "lazi-once.timer")
    whole.say("systemctl", "stop", "lazi.target", "lazi-once.timer", "lazi-*", "sandbox")
    whole.shell(
        "rm -rf /var/lib/lazi/* /run/systemd/system/*.d/test.conf; systemctl daemon-reload; systemctl reset-failed"
    )
    whole.shell(f"install -m 0600 .env.example /etc/lazi/lazi.env; systemctl start {UP}")


def serves(machine: Machine) -> None:
    """Wait until the service answers."""
    machine.comes(lambda: "answers 200, healthy" in machine.say("bash", "-c", ALIVE), 60, UP)


def filled_in(machine: Machine, **more: str) -> None:
    """The settings of the stand-in for ServiceTitan, which runs beside, and others."""
    machine.write("/etc/lazi/lazi.env", "".join(f"{name}={value}\n" for name, value in (SANDBOX | more).items()))
    machine.run("systemd-run", "--quiet", "--collect", "--unit=sandbox", "/opt/lazi/bin/lazi", "sandbox")
    machine.comes(lambda: "Ctrl-C" in machine.journal("sandbox"), 60, "sandbox")


def changed(machine: Machine, unit: str, text: str) -> None:
    """A drop-in until the next boot."""
    machine.write(f"/run/systemd/system/{unit}.d/test.conf", text)
    machine.run("systemctl", "daemon-reload")


def by_hand(machine: Machine, *command: str) -> str:
    """What a command says that is run as the page says."""
    before = BY_HAND.partition("/opt/lazi")[0].split()
    done = machine.run(*before, *command, check=False)
    return done.stdout + done.stderr


def test_the_page_sets_up_a_service_that_lives(machine: Machine):
    """It is on after the page's commands, and at each boot; `lazi alive` finds it, and it answers without any setting."""
    assert machine.state(UP, "ActiveState") == "active"
    assert machine.state(UP, "UnitFileState") == "enabled"
    assert machine.shell(ALIVE).startswith("alive: `lazi up`")
    assert machine.state(UP, "StatusText") == "works"
    assert machine.state(UP, "NRestarts") == "0"


def test_a_command_by_hand_has_the_services_settings(machine: Machine):
    """A key is made beside the running service, by its user in its folder, and the service takes it."""
    key = machine.shell(BY_HAND).strip()
    ask = f"r.Request('http://127.0.0.1:3001/api/v1/entities', headers={{'x-api-key': '{key}'}})"
    machine.run("/opt/lazi/bin/python", "-c", f"import urllib.request as r; r.urlopen({ask})")
    assert by_hand(machine, "/usr/bin/id", "-un").strip() == "lazi"
    assert by_hand(machine, "/usr/bin/pwd").strip() == "/var/lib/lazi"


def test_a_process_may_do_little(machine: Machine):
    """No right of root's and none to gain, calls of the system are filtered, and nothing is written but its folder."""
    status = machine.shell(f"cat /proc/$(systemctl show --property=MainPID --value {UP})/status")
    found = dict(re.findall(r"^(CapEff|CapBnd|NoNewPrivs|Seccomp):\s+(\w+)$", status, re.MULTILINE))
    assert found == {"CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2"}
    places = "/etc /opt/lazi /usr /var/lib /root /home"
    tried = by_hand(
        machine,
        *(
            "/bin/sh",
            "-c",
            f"for p in {places}; do touch $p/x && echo WRITTEN $p; done; touch /var/lib/lazi/x && echo own",
        ),
    )
    assert "WRITTEN" not in tried
    assert "own\n" in tried
    assert "Permission denied" in by_hand(machine, "/bin/cat", "/etc/lazi/lazi.env")


def test_a_process_that_hangs_is_started_again(machine: Machine):
    """By the watchdog, whose three minutes are fifteen seconds here."""
    changed(machine, UP, "[Service]\nWatchdogSec=15\n")
    machine.run("systemctl", "restart", UP)
    time.sleep(20)
    assert machine.state(UP, "NRestarts") == "0", "one that works is left alone"
    hung = machine.state(UP, "MainPID")
    machine.shell(f"kill -STOP {hung}")
    machine.comes(lambda: machine.state(UP, "NRestarts") == "1", 60, UP)
    machine.comes(lambda: machine.state(UP, "ActiveState") == "active", 60, UP)
    assert machine.state(UP, "MainPID") not in {hung, "0"}
    assert "Watchdog timeout" in machine.journal(UP)


def test_it_ends_in_time_while_it_builds_models(machine: Machine):
    """`systemctl stop` is no failure, and takes less than systemd would wait."""
    filled_in(machine)
    machine.run("systemctl", "restart", UP)
    machine.comes(lambda: "models begin" in machine.journal(UP), 120, UP)
    begun = time.monotonic()
    machine.run("systemctl", "stop", UP)
    assert time.monotonic() - begun < 25
    assert machine.state(UP, "Result") == "success"
    assert machine.state(UP, "ExecMainStatus") == "0"
    assert "Traceback" not in machine.journal(UP)


def test_the_timer_runs_a_sync(machine: Machine):
    """A sync by the timer, whose quarter of an hour is ten seconds here: rows land, and models are built."""
    machine.run("systemctl", "stop", UP)
    filled_in(machine)
    changed(machine, "lazi-once.timer", "[Timer]\nOnCalendar=\nOnCalendar=*:*:0/10\nRandomizedDelaySec=0\n")
    machine.run("systemctl", "enable", "--now", "lazi-once.timer")
    said = "rows appended from 176 entities"
    machine.comes(lambda: said in machine.journal("lazi-once"), 900, "lazi-once")
    machine.run("systemctl", "stop", "lazi-once.timer")
    assert "FAILED" not in machine.journal("lazi-once")
    assert "models planned" in machine.journal("lazi-once")


def test_three_processes_work_on_postgresql(machine: Machine):
    """`lazi.target` starts them, each is alive, what was read is backed up, and they stop with the target."""
    machine.run("systemctl", "stop", UP)
    filled_in(machine, DATABASE_URL=ADDRESS)
    sql = "CREATE ROLE lazi LOGIN PASSWORD 'choose-one'"
    create = "createdb --owner lazi --encoding UTF8 --template template0 lazi"
    machine.shell(f'cd /; sudo -u postgres psql --quiet --command "{sql}"; sudo -u postgres {create}')
    machine.run("systemctl", "enable", "--now", "lazi.target")
    machine.comes(lambda: "models planned" in machine.journal("lazi-sync"), 900, "lazi-sync")
    alive = machine.shell(ALIVE)
    for name in OURS:
        assert f"alive: `lazi {name}`" in alive
        assert machine.state(f"lazi-{name}", "NRestarts") == "0"
    machine.run("systemctl", "start", "lazi-backup.service")
    assert re.search(r"made /var/lib/lazi-backups/\S+, \d{6,} bytes", machine.journal("lazi-backup"))
    machine.run("systemctl", "stop", "lazi.target")
    for name in OURS:
        machine.comes(lambda name=name: machine.state(f"lazi-{name}", "ActiveState") == "inactive", 30, f"lazi-{name}")
        assert machine.state(f"lazi-{name}", "Result") == "success"
