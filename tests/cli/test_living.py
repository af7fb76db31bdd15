"""`lazi sync --schedule` and the schedule within `lazi up`, as a user starts them."""

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import duckdb
import pytest

import cli.living
from cli.living import UNAVAILABLE, Lines, at_work, opened
from pipelines.duties import Duty, Work
from sandbox.server import Sandbox
from sources.servicetitan.catalog import BY_NAME
from sources.servicetitan.reading import Outcome
from sources.servicetitan.stopping import Stopping
from store.exceptions import StoreUnwritableError
from store.operations import open_operations
from store.settings import Settings
from store.timetable import INTERVALS, Every
from tests.cli.test_api_commands import alive
from tests.cli.test_commands import NOWHERE, run
from tests.cli.test_mutations import living
from tests.environment import store_environment
from tests.ports import free_port

ONE = {"LAZI_SCHEDULE": "1=off, 2=off, 3=off, 4=off, campaigns=1s", "LAZI_RECONCILE": "off"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(seed=5, customers=12) as running:
        yield running


def landed(settings: Settings, at_least: int) -> bool:
    """Whether so many reads of campaigns end within three minutes."""
    with closing(open_operations(settings)) as operations:
        for _ in range(1800):
            runs = operations.run("batches_of_entity", entity="campaigns")
            if sum(run["status"] == "completed" for run in runs) >= at_least:
                return True
            time.sleep(0.1)
    return False


def heard(process: subprocess.Popen[str], word: str) -> str:
    """What it says on standard error until that word; a process that has not said it in five minutes is ended."""
    assert process.stderr
    late = threading.Timer(300, process.kill)
    late.start()
    said = ""
    for line in process.stderr:
        said += line
        if word in line:
            break
    late.cancel()
    return said


@pytest.mark.slow
@pytest.mark.parametrize("command", [("sync", "--schedule"), ("up", "--port", "0")], ids=" ".join)
def test_what_is_due_is_read_until_a_signal(
    command: tuple[str, ...], settings: Settings, sandbox: Sandbox, tmp_path: Path
):
    """Again and again, models too; SIGTERM ends it within seconds, without a word of error."""
    place = store_environment(settings)
    with living(tmp_path, "lazi", *command, **sandbox.environment(), **ONE, **place) as process:
        assert process.stderr
        err = heard(process, "models planned; ")
        assert landed(settings, 2), err
        process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        err += process.stderr.read()
        process.wait(timeout=60)
    assert process.returncode == 0, err
    assert time.monotonic() - begun < 30
    assert "sync campaigns: " in err
    assert err.index("models begin: ") < err.index("models planned; ")
    assert "Traceback" not in err, err
    assert "FAILED" not in err


def test_a_service_waits_for_its_store(sandbox: Sandbox, tmp_path: Path):
    """Another process holds the file; the service says who, and begins once it is free."""
    (tmp_path / "data").mkdir()
    holder = duckdb.connect(tmp_path / "data" / "lazi.duckdb")
    port = free_port()
    with living(tmp_path, "lazi", "up", "--port", str(port), **sandbox.environment(), **ONE) as process:
        time.sleep(6)
        assert process.poll() is None
        holder.close()
        assert alive(f"http://127.0.0.1:{port}/api/health", process)
        process.send_signal(signal.SIGTERM)
        err = process.communicate(timeout=60)[1]
    assert "Waiting for the store: " in err
    assert "The store is there." in err


def test_a_store_that_is_not_there_is_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture):
    """Each reason is said once."""
    tries = []

    class EnoughError(Exception):
        pass

    def sleep(_: float) -> None:
        tries.append(1)
        if len(tries) > 2:
            raise EnoughError

    with pytest.raises(EnoughError):
        opened(Settings("postgresql://u:hush@127.0.0.1:1/x", tmp_path, 3001, "warning"), sleep)
    err = capsys.readouterr().err
    assert err.count("PostgreSQL does not answer") == 1
    assert "hush" not in err


@pytest.mark.parametrize(
    ("arguments", "settings", "text"),
    [
        (["--schedule", "--full"], {}, "goes alone"),
        (["--schedule"], {"LAZI_SCHEDULE": "jbs=1m"}, "Did you mean `jobs`"),
        (["--schedule"], {"LAZI_SCHEDULE": "1=soon"}, "`soon`"),
        (["--schedule"], {"LAZI_TIME_ZONE": "Mars"}, "America/New_York"),
    ],
)
def test_what_cannot_begin_says_why(arguments: list[str], settings: dict[str, str], text: str, tmp_path: Path):
    """Exit code 2, no traceback."""
    done = run("lazi", "sync", *arguments, folder=tmp_path, **NOWHERE, **settings)
    assert done.returncode == 2, done.stderr
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def outcome(status: str, appended: int = 0, error: str = "") -> Outcome:
    made = Outcome(BY_NAME["jobs"], 7, "batch", datetime.now(UTC))
    made.tally.appended = appended
    made.end(status, error)
    return made


def test_lines_tell_news_alone(capsys: pytest.CaptureFixture):
    """What landed each time; what failed or is no longer to be had once, and once that it is well again."""
    lines, duty = Lines(lambda _: []), Duty(7, "sync priority 1", Work.SYNC, Every(INTERVALS[1]))
    for some in (
        [outcome("completed")],
        [outcome("completed", 1200)],
        [outcome("failed", error="No answer.")],
        [outcome("failed", error="No answer.")],
        [outcome("completed")],
        [outcome("unavailable", error="404 for it.")],
        [outcome("unavailable", error="404 for it.")],
        [outcome("completed")],
    ):
        lines.done(duty, some, 1.25)
    lines.failed(duty, ValueError("bad"))
    lines.failed(duty, ValueError("bad"))
    lines.done(duty, [], 1.0)
    said = [line.partition(" ")[2] for line in capsys.readouterr().err.splitlines()]
    assert said == [
        "sync priority 1: 1,200 rows of jobs; 1.2 s",
        "FAILED jobs: No answer.",
        "well again: jobs",
        f"NOT AVAILABLE jobs: 404 for it. {UNAVAILABLE}",
        "well again: jobs",
        "FAILED sync priority 1: bad",
        "well again: sync priority 1",
    ]


class Slow:
    """Something that takes its time to stop, or does not begin, or ends in an error."""

    def __init__(self, seconds: float = 0.0, error: Exception | None = None) -> None:
        self.seconds, self.error, self.stopping, self.stopped_at = seconds, error, Stopping(), 0.0

    def start(self) -> None:
        """Nothing."""

    def stop(self, _: float = 0.0) -> bool:
        time.sleep(self.seconds)
        self.stopped_at = time.monotonic()
        if self.error:
            raise self.error
        return self.seconds < cli.living.GRACE


def test_what_sends_is_stopped_with_what_syncs(monkeypatch: pytest.MonkeyPatch):
    """Both at once, so that a sync that takes long does not leave changes being sent to the end."""
    monkeypatch.setattr(cli.living, "GRACE", 2.0)
    schedule, sending = Slow(1.0), Slow(1.0)
    begun = time.monotonic()
    with at_work(cast("Any", schedule), cast("Any", sending)):
        pass
    assert time.monotonic() - begun < 1.8
    assert schedule.stopping


@pytest.mark.parametrize(
    ("slow", "inside", "code"),
    [
        ((1.0, 0.0), KeyboardInterrupt(), 0),
        ((0.0, 1.0), KeyboardInterrupt(), 0),
        ((1.0, 0.0), SystemExit(3), 3),
        ((1.0, 0.0), ValueError("bad"), 1),
    ],
)
def test_what_does_not_end_in_time_is_cut_off(
    slow: tuple[float, float], inside: BaseException, code: int, monkeypatch: pytest.MonkeyPatch
):
    """With the exit code of what ended the service: a port that is taken is not a good end."""
    codes: list[int] = []
    monkeypatch.setattr(cli.living, "GRACE", 0.3)
    monkeypatch.setattr(cli.living, "cut_off", codes.append)
    with pytest.raises(type(inside)), at_work(cast("Any", Slow(slow[0])), cast("Any", Slow(slow[1]))):
        raise inside
    assert codes == [code]


def test_what_ended_sending_before_its_time_is_told():
    """It is raised, so that the service ends with it."""
    with pytest.raises(StoreUnwritableError), at_work(None, cast("Any", Slow(error=StoreUnwritableError("full")))):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("command", [("api", "--port", "0"), ("outbound",)], ids=" ".join)
def test_each_process_waits_for_its_postgresql(command: tuple[str, ...], tmp_path: Path):
    """With a word, and as long as it takes; a signal ends it."""
    place = {"DATABASE_URL": "postgresql://u:hush@127.0.0.1:1/x"}
    with living(tmp_path, "lazi", *command, **{**NOWHERE, **place}) as process:
        time.sleep(6)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        err = process.communicate(timeout=20)[1]
    assert err.count("Waiting for the store: PostgreSQL does not answer") == 1
    assert "hush" not in err
    assert "Traceback" not in err
