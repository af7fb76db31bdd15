"""`lazi alive` and the sign of life: who lives, who waits, who is stuck, who is gone."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli import alive, loops, sign
from cli.living import Lines
from cli.sign import Living, Sign, signed, signs
from outbound.queue import Queue
from outbound.runner import Runner
from pipelines.modelling import Models
from pipelines.schedule import Schedule
from pipelines.sync import Stores
from sandbox.server import Sandbox
from store.exceptions import StoreUnreachableError
from store.operations import open_operations
from store.settings import Places, Settings
from store.timetable import timetable
from tests.cli.test_commands import run
from tests.cli.test_mutations import living
from tests.environment import store_environment
from tests.ports import free_port
from tests.whole import reach

COMMANDS = {"api": ["api"], "sync": ["sync", "--schedule"], "outbound": ["outbound", "--no-models"], "up": ["up"]}
STARTS = {"sync": "sync --schedule"}
EVERYWHERE = "0.0.0.0"  # noqa: S104  nothing is bound
NOTHING_DUE = {"LAZI_SCHEDULE": "1=off, 2=off, 3=off, 4=off", "LAZI_RECONCILE": "off"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(seed=5, customers=2) as running:
        yield running


def made(**more: Any) -> Sign:
    return Sign("sync", 7, socket.gethostname(), **more)


def asked(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run("lazi", "alive", *arguments, folder=folder, **environment)


def found(folder: Path, name: str, word: str, seconds: float = 60.0) -> str:
    """What `lazi alive` says once a word is in it."""
    over = time.monotonic() + seconds
    while word not in (said := asked(folder, name).stdout):
        assert time.monotonic() < over, said
        time.sleep(0.1)
    return said


def environment(settings: Settings, sandbox: Sandbox) -> dict[str, str]:
    place = store_environment(settings)
    return {**sandbox.environment(), **NOTHING_DUE, **place}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_process_is_alive_until_it_ends(name: str, settings: Settings, sandbox: Sandbox, tmp_path: Path):
    """On both stores: it is found by name and without one, others are not; when it has ended, nothing is, and nothing is left."""
    port = {"PORT": str(free_port())}
    with living(tmp_path, "lazi", *COMMANDS[name], **environment(settings, sandbox), **port) as process:
        served = name in {"api", "up"}
        said = found(tmp_path, name, "answers 200" if served else "works")
        assert said.startswith(f"alive: `lazi {name}` (pid {process.pid}): works")
        assert asked(tmp_path).stdout.startswith("alive")
        other = next(each for each in COMMANDS if each != name)
        assert asked(tmp_path, other).returncode == 1
        [told] = json.loads(asked(tmp_path, "--json").stdout)["processes"]
        assert (told["name"], told["alive"], told["pid"]) == (name, True, process.pid)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    done = asked(tmp_path, name)
    nothing = f"NOT alive: `lazi {name}`: no such process runs here with the data folder `{settings.data_dir}`"
    assert (done.returncode, done.stdout) == (1, f"{nothing}; `lazi {STARTS.get(name, name)}` starts one\n")
    assert not list((settings.data_dir / "alive").iterdir())


def test_where_nothing_runs_the_folder_is_named_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Also where the setting is a relative one, so that one sees in which folder it was looked for."""
    monkeypatch.chdir(tmp_path)
    [nothing] = alive.verdicts(Path("data"), "sync")
    assert f"`{tmp_path}/data`; `lazi sync --schedule` starts one" in nothing.line


@pytest.mark.parametrize("name", COMMANDS)
def test_a_process_that_waits_for_its_database_is_alive_and_says_so(name: str, sandbox: Sandbox, tmp_path: Path):
    """With the reason, and without the password."""
    nowhere = {"DATABASE_URL": "postgresql://lazi:hush@127.0.0.1:1/lazi", "PORT": str(free_port())}
    with living(tmp_path, "lazi", *COMMANDS[name], **sandbox.environment(), **NOTHING_DUE, **nowhere):
        said = found(tmp_path, name, "waits for the store")
        assert "alive: `lazi" in said
        assert "waits for the store: PostgreSQL does not answer" in said
        assert "hush" not in said
        assert asked(tmp_path, name).returncode == 0


def test_what_a_killed_process_left_is_no_life(sandbox: Sandbox, tmp_path: Path):
    """Its file stands there, fresh; nobody holds it, and it is taken away."""
    with living(tmp_path, "lazi", "outbound", **sandbox.environment()) as process:
        found(tmp_path, "outbound", "works")
        process.kill()
        process.wait()
    assert list((tmp_path / "data" / "alive").iterdir())
    assert asked(tmp_path, "outbound").returncode == 1
    assert not list((tmp_path / "data" / "alive").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_process_that_stands_still_is_stuck(name: str, settings: Settings, sandbox: Sandbox, tmp_path: Path):
    """Within a minute and a half of the moment at which it was stopped, whatever it is; and alive again when it goes on."""
    port = {"PORT": str(free_port())}
    with living(tmp_path, "lazi", *COMMANDS[name], **environment(settings, sandbox), **port) as process:
        found(tmp_path, name, "answers 200" if name in {"api", "up"} else "works")
        process.send_signal(signal.SIGSTOP)
        said = found(tmp_path, name, "NOT alive", 90)
        assert "has given no sign for" in said or "does not answer" in said
        assert asked(tmp_path, name).returncode == 1
        process.send_signal(signal.SIGCONT)
        assert "works" in found(tmp_path, name, "works")


def test_it_costs_little(tmp_path: Path):
    """Less than half a second of CPU, and none of the large libraries is loaded: it runs every few seconds for years."""
    code = (
        "import sys, cli.main; sys.argv[1:] = ['alive']\ntry: cli.main.main()\nexcept SystemExit: print(*sys.modules)"
    )
    before = os.times()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"LAZI_DATA_DIR": str(tmp_path)}
    )
    after = os.times()
    assert after.children_user + after.children_system - before.children_user - before.children_system < 0.5
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "cli.sign" in loaded
    assert not loaded & {"dlt", "sqlmesh", "litestar", "duckdb", "pyarrow", "psycopg2", "httpx", "rich"}


def test_no_credentials_are_needed_and_nothing_is_made(tmp_path: Path):
    """An empty folder stays empty."""
    assert asked(tmp_path).returncode == 1
    assert not (tmp_path / "data").exists()
    assert asked(tmp_path, "cron").returncode == 2


def test_loops_that_do_not_turn_are_stuck():
    """The one that has been silent for longest is named."""
    now = 1000.0
    assert made(written=now, loops={"a": now - 59}).stuck(now) == ""
    assert made(written=now, loops={"a": now - 61, "b": now - 70}).stuck(now) == "`b` has given no sign for 70 s"
    assert made(written=now - 61).stuck(now) == "the process has given no sign for 61 s"


@given(
    st.builds(
        Sign,
        name=st.sampled_from(["api", "sync"]),
        pid=st.integers(1, 2**22),
        host=st.text(max_size=60),
        written=st.floats(0, 1e9),
        loops=st.dictionaries(st.text(max_size=20), st.floats(0, 1e9), max_size=3),
        waits=st.dictionaries(st.text(max_size=20), st.text(), max_size=3),
    )
)
def test_a_sign_is_read_as_it_was_written(one: Sign):
    """Whatever its texts hold; reasons may be cut."""
    text = sign.told(one)
    assert len(text) == sign.SIZE
    read = Sign(**json.loads(text))
    assert asdict(read) | {"waits": {}} == asdict(one) | {"waits": {}}
    assert all(one.waits[loop].startswith(reason) for loop, reason in read.waits.items())


def test_the_longest_reasons_fit():
    """A reason for each loop, of letters that take the most room."""
    one = made(waits=dict.fromkeys(("the store", loops.SENDING, loops.SCHEDULE), "🚰" * 10000))
    assert json.loads(sign.told(one))["waits"].keys() == one.waits.keys()


def test_signs_of_other_machines_are_not_ours(tmp_path: Path):
    """Containers that share a folder each look at themselves."""
    own, other = (
        Living(Sign("sync", pid, host), tmp_path / "alive")
        for pid, host in ((1, socket.gethostname()), (2, "elsewhere"))
    )
    for one in (own, other):
        one.start()
    try:
        assert [found.pid for found in signs(tmp_path)] == [1]
    finally:
        for one in (own, other):
            one.stop()


def test_of_several_one_that_is_stuck_is_told(tmp_path: Path):
    """Two of a name have a file each."""
    good, bad = (Living(made(), tmp_path / "alive") for _ in range(2))
    for one in (good, bad):
        one.start()
    try:
        assert all(one.is_alive for one in alive.verdicts(tmp_path, "sync"))
        bad.sign.loops["x"] = time.monotonic() - 100
        bad.write()
        assert sorted(one.is_alive for one in alive.verdicts(tmp_path, "sync")) == [False, True]
    finally:
        for one in (good, bad):
            one.stop()


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path: Path, capsys: pytest.CaptureFixture):
    """It is said, and the process goes on."""
    (tmp_path / "alive").write_text("a file", encoding="utf-8")
    with signed("api", tmp_path):
        sign.turns("x")
    assert "No sign of life can be left" in capsys.readouterr().err


class Answers(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(b'{"status": "critical"}')

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def answering(status: int) -> Iterator[str]:
    """A server that answers so; its address."""
    server = HTTPServer(("127.0.0.1", 0), type("Those", (Answers,), {"status": status}))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("status", "is_alive"), [(200, True), (404, True), (500, False), (503, False)])
def test_an_api_is_alive_where_it_answers(status: int, *, is_alive: bool):
    """Also with bad news: what is wrong elsewhere is not mended by starting it again."""
    with answering(status) as address:
        assert alive.asked(address, begins=False) == (is_alive, f"answers {status}, critical")


def test_an_api_that_does_not_answer_is_not_alive(monkeypatch: pytest.MonkeyPatch):
    """Nobody listens, which is no wonder in the first minute; or somebody does and says nothing."""
    monkeypatch.setattr(alive, "LONGEST", 0.2)
    port = free_port()
    assert alive.asked(f"127.0.0.1:{port}", begins=True)[0]
    assert alive.asked(f"127.0.0.1:{port}", begins=False) == (False, f"nobody listens at 127.0.0.1:{port}")
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        assert not alive.asked(f"127.0.0.1:{deaf.getsockname()[1]}", begins=True)[0]


@pytest.mark.parametrize(
    ("host", "shown"), [(EVERYWHERE, "127.0.0.1:5"), ("::", "[::1]:5"), ("10.0.0.9", "10.0.0.9:5")]
)
def test_where_an_api_is_asked(host: str, shown: str, tmp_path: Path):
    """Every address of this machine is its own too; a port that nobody knows is not asked."""
    with signed("api", tmp_path):
        sign.serves(host, 5)
        assert sign.OURS[0].sign.address == shown
        sign.serves(host, 0)
        assert sign.OURS[0].sign.address == ""


class Away:
    """Operations of a store that is away, or that never answers."""

    def __init__(self, answers: Callable[[], Any]) -> None:
        self.answers = answers

    def run(self, *_: Any, **__: Any) -> Any:
        return self.answers()


def unreachable() -> Any:
    raise StoreUnreachableError("PostgreSQL went away: hush.")


@contextmanager
def own_sign(folder: Path) -> Iterator[Sign]:
    with signed("up", folder):
        yield sign.OURS[0].sign


def test_a_runner_turns_and_waits(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Each look for work is a turn, also one that finds the store away; that is said until it is there again."""
    with closing(open_operations(settings)) as operations, own_sign(tmp_path) as own:
        runner = loops.Turning(Queue(operations), cast("Any", None))
        runner.take(cast("Any", None))
        turned = own.loops[loops.SENDING]
        with monkeypatch.context() as patch:
            patch.setattr(Runner, "take", lambda *_: unreachable())
            with pytest.raises(StoreUnreachableError):
                runner.take(cast("Any", None))
        assert own.loops[loops.SENDING] > turned
        assert "waits for the store: PostgreSQL went away" in sign.said(own)
        runner.take(cast("Any", None))
        assert sign.said(own) == "works"


def test_a_schedule_turns_unless_its_store_never_answers(
    settings: Settings, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """In one of its own threads; a store that is away is waited for, one that never answers is none that is waited for."""
    monkeypatch.setattr(loops, "LOOK_EVERY", 1)
    table = timetable(Places(NOTHING_DUE, tmp_path))
    with closing(Stores.open(settings)) as stores, own_sign(tmp_path) as own:
        schedule = Schedule(stores, reach(sandbox), table, Lines(lambda _: []), Models(settings))
        loops.look_after(schedule)
        schedule.start()
        try:
            until(lambda: loops.SCHEDULE in own.loops)
            turned = own.loops[loops.SCHEDULE]
            until(lambda: own.loops[loops.SCHEDULE] > turned)
            operations, stores.operations = stores.operations, cast("Any", Away(unreachable))
            until(lambda: "went away" in sign.said(own))
            hangs = threading.Event()
            stores.operations = cast("Any", Away(hangs.wait))
            time.sleep(1.5)  # a turn that began before
            turned = own.loops[loops.SCHEDULE]
            time.sleep(2.5)
            assert own.loops[loops.SCHEDULE] == turned
            stores.operations = operations
            hangs.set()
            until(lambda: own.loops[loops.SCHEDULE] > turned and sign.said(own) == "works")
        finally:
            assert schedule.stop()


def until(fact: Callable[[], bool], seconds: float = 20.0) -> None:
    over = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < over
        time.sleep(0.05)


def test_systemd_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """That the service has begun, that it turns, what it waits for, and that it stops; nothing while a loop is stuck."""
    monkeypatch.setattr(sign, "EVERY", 0.05)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with signed("sync", tmp_path):
            assert b"WATCHDOG=1\nSTATUS=works" in heard(systemd, b"WATCHDOG=1")
            assert heard(systemd, b"READY=1") == b"READY=1"
            sign.waits("the store", "the store: it is away")
            assert b"STATUS=waits for the store: it is away" in heard(systemd, b"waits")
            for ours in sign.OURS:
                ours.sign.loops["x"] = time.monotonic() - 100
            time.sleep(0.2)
            emptied(systemd)
            systemd.settimeout(0.3)
            with pytest.raises(TimeoutError):
                systemd.recv(500)
            systemd.settimeout(10)
        assert heard(systemd, b"STOPPING=1")


def heard(systemd: socket.socket, word: bytes) -> bytes:
    """The first message with a word in it."""
    while word not in (message := systemd.recv(500)):
        continue
    return message


def emptied(systemd: socket.socket) -> None:
    systemd.setblocking(False)
    try:
        while systemd.recv(500):
            continue
    except BlockingIOError:
        return
