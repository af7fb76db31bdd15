"""Every alarm fires once and recovers once, on both stores: facts in the stores, messages at a webhook."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import gethostname
from typing import Any

import pytest
import time_machine

from alarms import facts as facts_module
from alarms.checks import findings
from alarms.condition import Condition
from alarms.facts import Facts, read
from alarms.finding import Finding, Level, worst
from alarms.hook import Hook
from alarms.limits import LIMITS, Limits
from alarms.notice import Notice
from alarms.watchman import Watchman
from outbound.queue import Queue
from outbound.state import State
from sources.servicetitan.exceptions import StoppedError
from store.exceptions import StoreUnreachableError
from store.named_queries import queries
from store.operations import Operations, open_operations
from store.settings import Settings
from store.timetable import Every, Hours, Timetable
from tests.outbound.test_queue import in_state

USUAL: Limits = {limit.name: limit.usual for limit in LIMITS}
NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
CLOCK = "EXTRACT(EPOCH FROM CLOCK_TIMESTAMP())"  # of PostgreSQL, in named queries


@dataclass
class Desk:
    """A webhook that keeps what comes, and can be out of order."""

    came: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200
    port: int = 0


@contextmanager
def hooked() -> Iterator[Desk]:
    desk = Desk()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if desk.status < 400:
                desk.came.append(body)
            self.send_response(desk.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    desk.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield desk
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Scene:
    """A store without models, whose facts a test makes."""

    operations: Operations
    quarantined: list[tuple[int, int]] = field(default_factory=list)
    free: int | None = None

    def fetch(self, _: str) -> list[tuple[Any, ...]]:
        return self.quarantined

    def batch(self, status: str, ago: timedelta, entity: str = "customers", error: str | None = None) -> None:
        ident, at = f"{entity}-{status}-{ago}", datetime.now(UTC) - ago
        run = self.operations.run
        run("start_batch", sync_batch_id=ident, tenant_id=7, entity=entity, started_at=at, feed="list")
        counts = dict.fromkeys(
            ("fetched", "appended", "unchanged", "bytes", "requests", "retries", "repaired", "pages"), 0
        )
        covered = {"covered_from": "", "covered_to": None}
        run("finish_batch", sync_batch_id=ident, finished_at=at, status=status, error=error, **counts, **covered)

    def turn(self, error: str | None, duty: str = "sync priority 1", *, is_locked_out: bool = False) -> None:
        now, values = datetime.now(UTC), {"tenant_id": 7, "duty": duty}
        self.operations.run("plan_turn", **values, due_at=now - HOUR, latest=now - HOUR)
        self.operations.run("take_turn", **values, now=now, due_at=now + HOUR)
        end = {"now": now, "latest": now - HOUR, "error": error, "is_locked_out": is_locked_out}
        self.operations.run("end_turn", **values, begun_at=now, **end)

    def reconciliation(self, found: int, ago: timedelta, status: str = "completed") -> None:
        at = datetime.now(UTC) - ago
        counts = dict.fromkeys(("served", "in_copy", "marked_deleted", "reappeared", "appended", "requests"), 0)
        self.operations.run(
            "add_reconciliation",
            reconciliation_id=f"r{ago}",
            tenant_id=7,
            entity="jobs",
            started_at=at,
            finished_at=at,
            status=status,
            proof="totals agree with the keys",
            missing_in_copy=found,
            vanished=0,
            differing=0,
            reason=None,
            **counts,
        )

    def models(self, status: str, ago: timedelta) -> None:
        at, ident = datetime.now(UTC) - ago, f"{status}{ago}"
        self.operations.run("start_model_run", model_run_id=ident, started_at=at, fingerprint="x")
        self.operations.run(
            "finish_model_run", model_run_id=ident, finished_at=at, status=status, error="an audit fails"
        )

    def ask(self, ago: timedelta, interval: timedelta) -> None:
        """A request of the budget, so long ago by the store's clock."""
        seconds = interval.total_seconds()
        text = queries()["take_from_budget"].replace(CLOCK, f"({CLOCK} - {ago.total_seconds()})")
        with pytest.MonkeyPatch.context() as then:
            then.setitem(queries(), "take_from_budget", text)
            self.operations.run("take_from_budget", application="a", tenant_id=7, interval=seconds, burst_seconds=0.0)

    def budget(self, busy: timedelta) -> None:
        """Requests that have come faster than they may go for so long."""
        for ago in (busy, timedelta(0)):
            self.ask(ago, ago + timedelta(minutes=1))

    def watchman(self, desk: Desk, form: str = "json", limits: Limits = USUAL) -> Watchman:
        look = partial(read, self.operations, self.fetch, Path())
        hook = Hook(f"http://127.0.0.1:{desk.port}/", form)
        return Watchman(self.operations, look, limits, Timetable(reconcile=Every(24 * HOUR)), hook)


@pytest.fixture
def scene(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with closing(open_operations(settings)) as operations:
        made = Scene(operations)
        monkeypatch.setattr(facts_module, "free", lambda _: made.free)
        yield made


ADDED = {"entity": "jobs", "path": "crewNotes", "kind": "added", "detail": "string"}


def land(scene: Scene) -> None:
    scene.models("completed", 2 * HOUR)
    scene.operations.run("note_landed", entity="jobs", now=datetime.now(UTC) - HOUR)


def forget(scene: Scene) -> None:
    scene.operations.run("forget_stale", entity="jobs", landings=1)


def leave_unpublished(scene: Scene) -> None:
    """Models that ran an hour ago, and a table that is served as it was two hours ago."""
    served(scene, NOW - 2 * HOUR)
    scene.models("completed", HOUR)


def publish(scene: Scene) -> None:
    """The same table, published behind the models' run."""
    served(scene, NOW)


def served(scene: Scene, until: datetime) -> None:
    """A table that is served and shows a run of the models."""
    no = dict.fromkeys(("definition", "mark", "lake", "source"), "")
    place = {"name": "crm.customer_facts", "place": "lazi_serving.facts"}
    scene.operations.run(
        "note_publication",
        **place,
        **no,
        snapshot=1,
        watermark=None,
        row_count=1,
        changed=1,
        modeled_until=until,
        now=NOW,
    )
    scene.operations.run("show_publication", **place)


STORIES: dict[str, tuple[Level, Callable[[Scene], object], Callable[[Scene], object]]] = {
    "stale": (Level.DEGRADED, lambda s: s.batch("completed", HOUR), lambda s: s.batch("completed", timedelta(0))),
    "failures": (
        Level.DEGRADED,
        lambda s: [s.batch("failed", minutes * timedelta(minutes=1), error="No answer.") for minutes in (3, 2, 1)],
        lambda s: s.batch("completed", timedelta(0)),
    ),
    "differences": (
        Level.DEGRADED,
        lambda s: s.reconciliation(500, HOUR),
        lambda s: s.reconciliation(0, timedelta(0)),
    ),
    "token": (
        Level.CRITICAL,
        lambda s: s.turn("ServiceTitan refused the credentials of tenant `7`.", is_locked_out=True),
        lambda s: s.turn("jobs: No usable answer from http://127.0.0.1/jobs."),
    ),
    "models": (Level.DEGRADED, land, forget),
    "serving": (Level.DEGRADED, leave_unpublished, publish),
    "quarantine": (
        Level.DEGRADED,
        lambda s: s.quarantined.append((7, 2000)),
        lambda s: s.quarantined.clear(),
    ),
    "drift": (
        Level.DEGRADED,
        lambda s: s.operations.run("note_drift", tenant_id=7, **ADDED, records=5, now=datetime.now(UTC)),
        lambda s: s.operations.run("forget_drift", **ADDED),
    ),
    "reconcile": (
        Level.DEGRADED,
        lambda s: s.reconciliation(0, timedelta(days=4)),
        lambda s: s.reconciliation(0, timedelta(0)),
    ),
    "budget": (
        Level.DEGRADED,
        lambda s: s.budget(2 * HOUR),
        lambda s: s.ask(-2 * HOUR, timedelta(0)),
    ),
    "disk": (Level.CRITICAL, lambda s: setattr(s, "free", 1000), lambda s: setattr(s, "free", 10**12)),
}


@pytest.mark.parametrize("name", STORIES)
def test_an_alarm_fires_once_and_recovers_once(scene: Scene, name: str):
    """However often one looks: with its text when it begins, and that it is over when it is."""
    level, breaks, mends = STORIES[name]
    with hooked() as desk:
        watchman = scene.watchman(desk)
        assert watchman.look() == []
        breaks(scene)
        for _ in range(3):
            found = watchman.look()
        assert [(one.check, one.level) for one in found] == [(name, level)]
        mends(scene)
        for _ in range(3):
            assert watchman.look() == []
    assert [(one["alarm"], one["status"]) for one in desk.came] == [(name, "firing"), (name, "recovered")]
    assert desk.came[0]["text"] == found[0].text
    assert desk.came[0]["level"] == str(level)


SOLVED = {
    State.PENDING: "cancel",
    State.FAILED: "cancel",
    State.CONFLICT: "resolve theirs",
    State.UNKNOWN: "resolve done",
}


@pytest.mark.parametrize("state", SOLVED)
def test_a_change_that_needs_somebody_fires_once_and_recovers_once(scene: Scene, state: State):
    """An hour later, as rows of the queue; it is well again when somebody decides."""
    queue = Queue(scene.operations)
    mutation = in_state(queue, state)
    with hooked() as desk, time_machine.travel(datetime.now(UTC) + HOUR, tick=True):
        watchman = scene.watchman(desk)
        for _ in range(3):
            watchman.look()
        queue.decide(mutation, SOLVED[state], "ann")
        for _ in range(3):
            assert watchman.look() == []
    name = "queue" if state is State.PENDING else str(state)
    assert [(one["alarm"], one["status"]) for one in desk.came] == [(name, "firing"), (name, "recovered")]
    assert desk.came[0]["tenant_id"] == mutation.tenant_id


def test_every_limit_has_its_story():
    """No alarm is untold; `token` has no limit, and a critical limit is another level of the same."""
    told = {*STORIES, "queue", *(str(state) for state in SOLVED if state is not State.PENDING)}
    assert told - {"token"} == {limit.name.removesuffix("_critical") for limit in LIMITS}


@pytest.mark.parametrize("state", ["pending", "failed", "conflict", "unknown"])
def test_changes_that_need_somebody_are_alarms(state: str):
    """Those that wait too long, failed, are in conflict or in doubt."""
    row = {"tenant_id": 7, "state": state, "mutations": 3, "oldest": NOW - HOUR}
    [found] = findings(Facts(NOW, mutations=[row]), USUAL, Timetable())
    assert (found.check, found.level) == ("queue" if state == "pending" else state, Level.DEGRADED)
    assert "3" in found.text
    row["mutations"], row["oldest"] = 0, NOW
    assert findings(Facts(NOW, mutations=[row]), USUAL, Timetable()) == []


def test_models_that_fail_are_an_alarm(scene: Scene):
    """Until they run again."""
    with hooked() as desk:
        watchman = scene.watchman(desk)
        scene.models("failed", timedelta(minutes=2))
        assert "an audit fails" in watchman.look()[0].text
        scene.models("completed", timedelta(minutes=1))
        assert watchman.look() == []


def test_what_gets_worse_is_told_again():
    """And what is of the service concerns every tenant, what is of one tenant no other."""
    row = {"tenant_id": 7, "state": "pending", "mutations": 1, "oldest": NOW - 3 * HOUR}
    [found] = findings(Facts(NOW, mutations=[row]), USUAL, Timetable())
    assert found.level is Level.CRITICAL
    everybody = Finding("disk", "", Level.DEGRADED, "full")
    condition = Condition(lambda: Facts(NOW, mutations=[row], free_bytes=10**9), USUAL, Timetable())
    assert [one.check for one in condition.now(7)] == ["queue", "disk"]
    assert [one.check for one in condition.now(8)] == ["disk"]
    assert worst([found, everybody]) is Level.CRITICAL
    assert worst([]) is Level.HEALTHY


def test_an_alarm_that_gets_worse_is_told_again(scene: Scene):
    """Once more, at its new level; and then that it is over."""
    with hooked() as desk:
        watchman = scene.watchman(desk)
        for free in (10**9, 10**9, 10**3, 10**3, 10**12):
            scene.free = free
            watchman.look()
    assert [one["level"] for one in desk.came] == ["degraded", "critical", "critical"]
    assert [one["status"] for one in desk.came] == ["firing", "firing", "recovered"]


def test_a_webhook_that_is_out_of_order_is_told_later(scene: Scene):
    """What could not be told is told with the next look that can."""
    with hooked() as desk:
        watchman = scene.watchman(desk)
        scene.free, desk.status = 1000, 500
        watchman.look()
        assert desk.came == []
        desk.status = 200
        watchman.look()
        watchman.look()
    assert [one["alarm"] for one in desk.came] == ["disk"]


def test_two_watchmen_tell_once(scene: Scene):
    """Of several processes one tells."""
    with hooked() as desk:
        scene.free = 1000
        for _ in range(2):
            scene.watchman(desk).look()
    assert len(desk.came) == 1


def test_slack_is_told_in_its_form():
    """What it would take for a command is escaped."""
    notice = Notice("failures", 7, "jobs", Level.DEGRADED, "a <b> & c", NOW)
    assert notice.as_slack() == {"text": ":warning: *failures jobs of tenant 7: degraded*\na &lt;b&gt; &amp; c"}
    assert "well again" in replace(notice, is_over=True).as_slack()["text"]


def test_a_store_that_is_away_is_a_finding():
    """And no error."""

    def away() -> Facts:
        raise StoreUnreachableError("PostgreSQL does not answer.")

    [found] = Condition(away, USUAL, Timetable()).now()
    assert (found.check, found.level) == ("store", Level.CRITICAL)


def test_a_limit_that_is_off_finds_nothing():
    """None of the checks."""
    facts = Facts(
        NOW,
        reads=[{"tenant_id": 7, "entity": "jobs", "last_success": NOW - 99 * HOUR, "failures": 99, "error": ""}],
        mutations=[{"tenant_id": 7, "state": "pending", "mutations": 1, "oldest": NOW - 99 * HOUR}],
        quarantine=[(7, 10**6)],
        drift=[{"tenant_id": 7, "differences": 3}],
        free_bytes=0,
        unshown_since=NOW - 99 * HOUR,
    )
    assert findings(facts, {}, Timetable()) == []
    assert len(findings(facts, USUAL, Timetable())) == 7


def test_quiet_hours_make_nothing_stale():
    """Nor what was not to be read in them; what is late for its awake time is."""
    zone = Timetable().zone
    asleep = Timetable(quiet=Hours((NOW - 9 * HOUR).time(), (NOW + HOUR).time(), zone))
    reads = [{"tenant_id": 7, "entity": "jobs", "last_success": NOW - 8 * HOUR, "failures": 0, "error": None}]
    assert findings(Facts(NOW, reads=reads), USUAL, asleep) == []
    reads[0]["last_success"] = NOW - 10 * HOUR
    assert [one.check for one in findings(Facts(NOW, reads=reads), USUAL, asleep)] == ["stale"]


def test_an_entity_that_is_off_does_not_fail():
    """Whatever its last reads were."""
    reads = [{"tenant_id": 7, "entity": "jobs", "last_success": NOW, "failures": 9, "error": "No."}]
    assert [one.check for one in findings(Facts(NOW, reads=reads), USUAL, Timetable())] == ["failures"]
    assert findings(Facts(NOW, reads=reads), USUAL, Timetable(own={"jobs": None})) == []


def test_a_tenant_that_is_no_longer_configured_is_of_no_interest(scene: Scene):
    """Its last reads stand in the store for ever."""
    scene.batch("completed", 9 * HOUR)
    scene.turn("refused", is_locked_out=True)
    for tenants, wanted in ((set(), {"stale", "token"}), ({7}, {"stale", "token"}), ({8}, set())):
        found = findings(read(scene.operations, scene.fetch, Path(), tenants), USUAL, Timetable())
        assert {one.check for one in found} == wanted


def test_what_asks_servicetitan_for_nothing_does_not_open_the_door(scene: Scene):
    """A tenant stays locked out until a read gets in."""
    scene.turn("refused", is_locked_out=True)
    scene.turn(None, duty="dates")
    found = findings(read(scene.operations, scene.fetch, Path()), USUAL, Timetable())
    assert [one.check for one in found] == ["token"]


def test_a_failed_reconciliation_hides_none_that_found_differences(scene: Scene):
    """It says nothing about them."""
    scene.reconciliation(500, HOUR)
    scene.reconciliation(0, timedelta(0), status="failed")
    found = findings(read(scene.operations, scene.fetch, Path()), USUAL, Timetable())
    assert [one.check for one in found] == ["differences"]


def test_reads_that_were_stopped_are_no_failures(scene: Scene):
    """However often a service is restarted."""
    for minutes in (3, 2, 1):
        scene.batch("failed", minutes * timedelta(minutes=1), error=StoppedError.__doc__)
    assert findings(read(scene.operations, scene.fetch, Path()), USUAL, Timetable()) == []


def levels(desk: Desk) -> list[tuple[str, str]]:
    return [(one["status"], one["level"]) for one in desk.came]


def test_a_recovery_that_could_not_be_told_is_told_later(scene: Scene):
    """At the next look at which the webhook answers."""
    with hooked() as desk:
        watchman = scene.watchman(desk)
        scene.free = 1000
        watchman.look()
        scene.free, desk.status = 10**12, 500
        watchman.look()
        desk.status = 200
        watchman.look()
        watchman.look()
    assert levels(desk) == [("firing", "critical"), ("recovered", "critical")]


def test_who_was_told_of_a_beginning_is_told_of_the_end(scene: Scene):
    """Also where it got worse in between and that could not be told."""
    with hooked() as desk:
        watchman = scene.watchman(desk)
        scene.free = 10**9
        watchman.look()
        scene.free, desk.status = 1000, 500
        watchman.look()
        scene.free, desk.status = 10**12, 200
        watchman.look()
    assert [status for status, _ in levels(desk)] == ["firing", "recovered"]


def test_what_a_dead_teller_had_claimed_is_told_by_another(scene: Scene):
    """Once its time is over."""
    with hooked() as desk:
        scene.free = 1000
        silent = scene.watchman(desk)
        silent.hook = None
        silent.look()
        own, now = {"check_name": "disk", "tenant_id": 0, "subject": gethostname()}, datetime.now(UTC)
        assert scene.operations.run("claim_notice", **own, now=now, until=now + timedelta(seconds=1))
        scene.watchman(desk).look()
        assert desk.came == []
        time.sleep(1.1)
        scene.watchman(desk).look()
    assert levels(desk) == [("firing", "critical")]


def test_who_has_no_webhook_takes_nothing_from_who_has_one(scene: Scene):
    """Nor where it was set later."""
    with hooked() as desk:
        scene.free = 1000
        silent = scene.watchman(desk)
        silent.hook = None
        silent.look()
        scene.watchman(desk).look()
    assert levels(desk) == [("firing", "critical")]


def test_another_machines_disk_is_not_ended_here(scene: Scene, monkeypatch: pytest.MonkeyPatch):
    """Each looks at its own; of one that says nothing for a day it is forgotten."""
    with hooked() as desk:
        watchman = scene.watchman(desk)
        scene.free = 1000
        watchman.look()
        monkeypatch.setattr(facts_module, "gethostname", lambda: "elsewhere")
        scene.free = 10**12
        for _ in range(2):
            watchman.look()
        assert levels(desk) == [("firing", "critical")]
        with time_machine.travel(datetime.now(UTC) + timedelta(days=2), tick=True):
            watchman.look()
    assert levels(desk) == [("firing", "critical"), ("recovered", "critical")]


def test_what_cannot_be_asked_at_present_ends_nothing(scene: Scene):
    """A warehouse that is busy says nothing about quarantine."""
    with hooked() as desk:
        watchman = scene.watchman(desk)
        scene.quarantined.append((7, 2000))
        watchman.look()
        watchman.read = partial(read, scene.operations, refuse, Path())
        watchman.look()
        watchman.read = partial(read, scene.operations, scene.fetch, Path())
        watchman.look()
    assert [one["status"] for one in desk.came] == ["firing"]


def refuse(_: str) -> list[tuple[Any, ...]]:
    raise StoreUnreachableError("PostgreSQL does not answer.")
