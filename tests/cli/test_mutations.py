"""`lazi mutations`, `lazi outbound` and `lazi up` as a user starts them, on both stores, against a sandbox."""

import getpass
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from cli import mutations
from cli.main import main
from outbound.queue import Mutation, Queue, Settlement
from outbound.request import Asked, prepared, wanted
from outbound.secrets import NOT_SHOWN
from outbound.state import State
from sandbox.server import Sandbox
from sources.servicetitan.catalog import BY_NAME
from sources.servicetitan.reading import raw_table
from store.operations import open_operations
from store.settings import Settings
from store.warehouse import DuckDB, Postgres, open_warehouse
from tests.cli.test_api_commands import alive
from tests.cli.test_commands import NOWHERE, ROOT
from tests.cli.test_commands import run as started
from tests.inserting import insert
from tests.ports import free_port

LOGIN = getpass.getuser()
EMBEDDED = pytest.mark.parametrize("settings", ["duckdb"], indirect=True)
"""The store makes no difference to it."""

ENDS = {
    State.COMPLETED: Settlement(
        "done", "Done.", after={"name": "x", "type": "y"}, not_applied={"name": {"wanted": "x", "found": "[b]old"}}
    ),
    State.FAILED: Settlement(
        "refused", "ServiceTitan answered 400:\nname is [too] long", answer_status=400, answer="{}"
    ),
    State.CONFLICT: Settlement(
        "changed there",
        "Changed there meanwhile: `name`.",
        conflict={"name": {"base": "a\x1b[31m", "theirs": {"b": 1}, "mine": "c"}},
    ),
    State.UNKNOWN: Settlement("in doubt", "It may have been done."),
}


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        """Standard output as JSON."""
        assert self.code in {0, 1}, self.err
        return json.loads(self.out)


Lazi = Callable[..., Done]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(seed=5, customers=12) as running:
        yield running


@pytest.fixture
def lazi(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Lazi:
    """`lazi` in this process, on an empty store of each kind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAZI_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("DATABASE_URL", settings.database_url or "embedded")

    def run(*arguments: object, stdin: str = "") -> Done:
        monkeypatch.setattr(sys, "argv", ["lazi", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as end:
            main()
        code = end.value.code
        assert isinstance(code, int)
        return Done(code, *capsys.readouterr())

    return run


@pytest.fixture
def reachable(lazi: Lazi, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Lazi:
    """The same with a ServiceTitan."""
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    return lazi


@pytest.fixture
def queue(settings: Settings) -> Iterator[Queue]:
    """The store's queue."""
    with closing(open_operations(settings)) as operations:
        yield Queue(operations)


def add(
    queue: Queue, *, by: str = "n8n", base: Any = None, is_held: bool = False, tenant: int = 1, **asked: Any
) -> int:
    """Queue a change as the API does; a customer's by default. Its id."""
    what = {"entity_type": "customers", "operation": "update", "entity_id": 5, "payload": {"name": "x"}} | asked
    request = Asked(**what)
    values = {"tenant_id": tenant, "key_id": "k1", "name": by, "base": base, "base_hash": None, "is_held": is_held}
    return queue.add(wanted(request, prepared(request), **values))[0].mutation_id


def ended(queue: Queue, state: State, **asked: Any) -> int:
    """A mutation in a state; its id."""
    mutation_id = add(queue, is_held=state is State.HELD, **asked)
    if state in ENDS:
        [mutation] = queue.claim("runner", 1)
        queue.mark_sent(mutation, {"name": "[b]old", "type": "z"}, ["phone"])
        assert queue.settle(mutation, ENDS[state])
    return mutation_id


def kept(queue: Queue, mutation_id: int) -> Mutation:
    return queue.get(mutation_id)


def customer(sandbox: Sandbox, place: int = 0) -> dict[str, Any]:
    return sandbox.records("customers")[place]


def test_the_list_is_for_the_eye_and_for_scripts(lazi: Lazi, queue: Queue):
    """The newest first, an error on one line, brackets as they are; JSON as the API gives it, and whose it is."""
    assert "No mutation fits." in lazi("mutations", "list").out
    failed, held = ended(queue, State.FAILED), ended(queue, State.HELD, by="anna")
    text = lazi("mutations", "list").out
    assert text.index("anna") < text.index("n8n")
    for word in ("customers:update", "failed", "held", "name is [too] long", " s "):
        assert word in text
    rows = lazi("mutations", "list", "--json").value
    assert [row["mutation_id"] for row in rows] == [held, failed]
    assert rows[0].items() >= {"entity_type": "customers", "entity_id": "5", "tenant_id": 1, "state": "held"}.items()
    assert "lease_token" not in rows[0]


def test_the_list_is_filtered(lazi: Lazi, queue: Queue):
    """By each option, the original's names among them."""
    update = add(queue)
    note = add(queue, by="anna", entity_type="jobs", operation="add-note", entity_id=7, payload={"text": "x"})
    held = ended(queue, State.HELD, entity_id=6)
    for options, expected in (
        ((), [held, note, update]),
        (("--limit", 2), [held, note]),
        (("--state", "held"), [held]),
        (("--entity", "customers"), [held, update]),
        (("--entity", "job-notes"), [note]),
        (("--entity", "jobs", "--operation", "add-note"), [note]),
        (("--operation", "update", "--id", 5), [update]),
        (("--by", "anna"), [note]),
        (("--since", "2d"), [held, note, update]),
        (("--since", "2999-01-01"), []),
        (("--since", f"{datetime.now(UTC):%Y-%m-%d}T00:00:00Z", "--state", "pending"), [note, update]),
    ):
        found = [row["mutation_id"] for row in lazi("mutations", "list", "--json", *options).value]
        assert found == expected, options
    assert "there may be older ones" in lazi("mutations", "list", "--limit", 2).out


@pytest.mark.parametrize("state", [State.PENDING, State.HELD, *ENDS])
def test_one_is_shown_with_all_that_happened(lazi: Lazi, queue: Queue, state: State):
    """Each step, a conflict's three values, what was not taken over; nothing that a terminal would obey."""
    mutation_id = ended(queue, state)
    text, value = lazi("mutations", "show", mutation_id).out, lazi("mutations", "show", mutation_id, "--json").value
    mutation = kept(queue, mutation_id)
    for step in mutation.history:
        assert step.by in text
        assert step.did in text
        assert step.said.splitlines()[0] in text if step.said else True
    assert (value["state"], value["error"]) == (str(state), mutation.error)
    assert [step["did"] for step in value["history"]] == [step.did for step in mutation.history]
    assert ("In conflict" in text, '{"b":1}' in text) == (state is State.CONFLICT,) * 2
    assert ("Not taken over" in text, "[b]old" in text) == (state is State.COMPLETED,) * 2
    assert ("What it changed" in text) is (state is State.COMPLETED)
    assert "\x1b" not in text


TECHNICIAN = {
    "name": "Ben",
    "login": "ben",
    "password": "Hush-4711",
    "roleId": 1,
    "positions": ["Service"],
    "accountCreationMethod": "AssignLoginAndPassword",
    "licenseType": "ManagedTech",
}


def test_a_password_is_shown_by_no_command(reachable: Lazi, queue: Queue):
    """Neither for the eye nor for scripts, also of what ended badly; ServiceTitan is to get it."""
    asked = {"entity_type": "technicians", "operation": "create", "entity_id": None, "payload": TECHNICIAN}
    failed, lost, wrong = (add(queue, **asked) for _ in range(3))
    conflict = {"deleted": {"base": None, "theirs": None, "mine": TECHNICIAN}}
    not_applied = {"password": {"wanted": "Hush-4711", "found": "Hush-4712"}}
    ends = {
        failed: Settlement("refused", "No."),
        lost: Settlement("changed there", "Gone.", conflict=conflict),
        wrong: Settlement("refused", "Not so.", after=TECHNICIAN, not_applied=not_applied),
    }
    for mutation in queue.claim("runner", 3):
        assert queue.mark_sent(mutation, TECHNICIAN, [])
        assert queue.settle(mutation, ends[mutation.mutation_id])
    pending = add(queue, **asked)
    preview = ("mutations", "preview", "--entity", "technicians", "--operation", "create", "--payload")
    shown = [
        *(reachable("mutations", "show", each, *form) for each in (*ends, pending) for form in ((), ("--json",))),
        reachable("mutations", "list", "--json"),
        reachable("mutations", "export"),
        reachable("mutations", "retry", failed, "--json"),
        reachable(*preview, json.dumps(TECHNICIAN)),
        reachable(*preview, json.dumps(TECHNICIAN), "--json"),
        reachable("outbound", "--dry-run"),
        reachable("outbound", "--dry-run", "--json"),
    ]
    for done in shown:
        assert (done.code, "Hush" in done.out + done.err, NOT_SHOWN in done.out) == (0, False, True), done
    assert kept(queue, pending).payload == TECHNICIAN
    copied = reachable(*preview, json.dumps(TECHNICIAN | {"password": NOT_SHOWN}))
    assert (copied.code, "`password`" in copied.err) == (2, True)


def test_another_one_approves(lazi: Lazi, queue: Queue):
    """Whoever initiated it does not, under neither name; the approval is in the history."""
    for name in (LOGIN, f"lazi:{LOGIN}"):
        own = ended(queue, State.HELD, by=name)
        for word in ("approve", "reject"):
            refused = lazi("mutations", word, own)
            assert (refused.code, "Somebody else" in refused.err) == (2, True)
        assert kept(queue, own).state is State.HELD
    other = ended(queue, State.HELD)
    done = lazi("mutations", "approve", other, "--note", "by phone")
    assert (done.code, done.out) == (0, f"Mutation {other} (customers:update 5) is pending.\n")
    mutation = kept(queue, other)
    assert (mutation.state, mutation.approved_by) == (State.PENDING, f"lazi:{LOGIN}")
    assert (mutation.history[-1].by, mutation.history[-1].said) == (f"lazi:{LOGIN}", "by phone")
    assert "is `pending`" in lazi("mutations", "approve", other).err


@EMBEDDED
@pytest.mark.parametrize(
    ("state", "words", "to"),
    [
        (State.HELD, ["reject"], "cancelled"),
        (State.HELD, ["cancel"], "cancelled"),
        (State.PENDING, ["cancel"], "cancelled"),
        (State.FAILED, ["cancel"], "cancelled"),
        (State.FAILED, ["retry"], "pending"),
        (State.CONFLICT, ["cancel"], "cancelled"),
        (State.CONFLICT, ["resolve", "--as", "mine"], "pending"),
        (State.CONFLICT, ["resolve", "--as", "theirs"], "cancelled"),
        (State.UNKNOWN, ["resolve", "--as", "done", "--new-id", "77"], "completed"),
        (State.UNKNOWN, ["resolve", "--as", "not_done"], "pending"),
    ],
    ids=str,
)
def test_a_decision_leads_where_it_is_drawn(lazi: Lazi, queue: Queue, state: State, words: list[str], to: str):
    """With the note and whoever is logged in; a second time it is refused, with what is possible."""
    mutation_id = ended(queue, state)
    value = lazi("mutations", words[0], mutation_id, *words[1:], "--note", "because", "--json").value
    last = value["history"][-1]
    assert (value["state"], last["by"], last["said"]) == (to, f"lazi:{LOGIN}", "because")
    assert value["new_id"] == ("77" if "--new-id" in words else None)
    again = lazi("mutations", words[0], mutation_id, *words[1:])
    assert (again.code, "cannot be done" in again.err) == (2, True)


@EMBEDDED
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["mutations", "list", "--state", "done"], "'held'"),
        (["mutations", "list", "--entity", "custmers"], "Did you mean `customers`"),
        (["mutations", "list", "--entity", "jobs", "--operation", "addnote"], "Did you mean `add-note`"),
        (["mutations", "list", "--since", "yesterday"], "30m"),
        (["mutations", "list", "--limit", "0"], "1<=x"),
        (["mutations", "show", "99"], "no mutation `99`"),
        (["mutations", "show", "x"], "integer"),
        (["mutations", "approve", "1"], "is `pending`, so that `approve` cannot be done"),
        (["mutations", "reject", "1"], "`reject` cannot be done"),
        (["mutations", "retry", "1"], "Possible: `cancel`"),
        (["mutations", "cancel", "99"], "no mutation `99`"),
        (["mutations", "resolve", "1"], "--as"),
        (["mutations", "resolve", "1", "--as", "won"], "not_done"),
        (["mutations", "resolve", "1", "--as", "done"], "`resolve done` cannot be done"),
        (["mutations", "resolve", "1", "--as", "mine", "--new-id", "7"], "goes with `--as done`"),
        (["mutations", "resolve", "1", "--as", "done", "--new-id", "a/b"], "`new_id` is `a/b`"),
        (["mutations", "export", "--out", "/dev/null/x"], "cannot be written"),
        (["mutations", "export", "--state", "done"], "'held'"),
        (["mutations", "preview", "--entity", "customers", "--operation", "updat"], "Did you mean `update`"),
        (["mutations", "preview", "--entity", "estimates", "--operation", "email"], "Nearest: `estimates:update`"),
        (["mutations", "preview", "--entity", "jobs", "--operation", "hold", "--id", "1"], "LAZI_WITHDRAWN_OPERATIONS"),
        (["outbound", "--once", "--dry-run"], "choose one"),
        (["outbound", "--json"], "`--once` or `--dry-run`"),
        (["outbound", "--at-once", "0"], "1<=x<=64"),
        (["outbound", "--once"], "SERVICE_TITAN_TENANT_ID"),
        (["outbound", "--dry-run"], "SERVICE_TITAN_TENANT_ID"),
        (["up", "--port", "70000"], "65535"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_says_why(lazi: Lazi, queue: Queue, arguments: list[str], text: str):
    """One message on standard error, exit code 2, and nothing changed."""
    assert add(queue) == 1
    before = queue.some()
    done = lazi(*arguments)
    assert (done.code, done.out) == (2, "")
    assert text in done.err
    assert "Traceback" not in done.err
    assert queue.some() == before


UPDATE = ("mutations", "preview", "--entity", "customers", "--operation", "update", "--id", 5, "--payload")


@EMBEDDED
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((*UPDATE, "{"), "It is not JSON"),
        ((*UPDATE, "@missing.json"), "`@missing.json` cannot be read"),
        ((*UPDATE, "-"), "It is not JSON"),
        ((*UPDATE, '{"nme": "x"}'), "did you mean `name`"),
        ((*UPDATE, '{"name": "x"}', "--path-param", "a"), "`a` is not NAME=VALUE"),
        ((*UPDATE, '{"name": "x"}', "--path-param", "a=b"), "`path_params` has `a`"),
        ((*UPDATE, '{"name": "x"}', "--tenant", 7), "these tenants is meant: `1`"),
    ],
    ids=lambda value: " ".join(map(str, value[8:])) if isinstance(value, tuple) else "",
)
def test_a_preview_that_cannot_be_made_says_why(reachable: Lazi, arguments: tuple[object, ...], text: str):
    """What is wrong with the body, the path or the tenant."""
    done = reachable(*arguments)
    assert (done.code, done.out) == (2, "")
    assert text in done.err


def test_a_preview_compares_and_sends_nothing(reachable: Lazi, sandbox: Sandbox, settings: Settings, queue: Queue):
    """The request, field by field what differs, what to beware of; the body from anywhere; the warehouse stays closed."""
    record = customer(sandbox)
    body = json.dumps({"name": "[b]x", "type": record["type"]})
    Path("body.json").write_text(body, encoding="utf-8")
    arguments = (*UPDATE[:-2], record["id"], "--payload")
    told = [reachable(*arguments, text, stdin=body).out for text in (body, "@body.json", "-")]
    assert told[0] == told[1] == told[2]
    for word in (f"PATCH /crm/v2/tenant/1/customers/{record['id']}", record["name"], "[b]x", "warning:", "`completed`"):
        assert word in told[0]
    value = reachable(*arguments, body, "--json").value
    assert value["changes"] == {"name": {"old": record["name"], "new": "[b]x"}}
    assert (value["state"], value["live"]["id"]) == ("completed", record["id"])
    gone = reachable(*UPDATE, '{"name": "x"}', "--json").value
    assert (gone["state"], "not there" in gone["warnings"][0]) == ("failed", True)
    assert customer(sandbox) == record
    assert queue.some() == []
    assert not (settings.data_dir / "lazi.duckdb").exists()


def test_on_postgres_a_preview_knows_what_changed_there(reachable: Lazi, sandbox: Sandbox, settings: Settings):
    """It is compared with the version in the copy; the embedded copy belongs to the service."""
    record = customer(sandbox, 1)
    if not settings.is_embedded:
        with closing(open_warehouse(settings)) as warehouse:
            assert isinstance(warehouse, DuckDB | Postgres)
            warehouse.prepare([raw_table(BY_NAME["customers"])])
            old = json.dumps(record | {"name": "old", "doNotMail": None})
            row = (1, record["id"], old, None, "h", False, 1, "b", "l", datetime.now(UTC))
            marks = ", ".join(["?" if isinstance(warehouse, DuckDB) else "%s"] * len(row))
            insert(
                warehouse,
                "INSERT INTO raw.st_customers (tenant_id, st_id, payload, modified_on, payload_hash, is_deleted, "
                f"key_bucket, sync_batch_id, _dlt_load_id, synced_at) VALUES ({marks})",
                row,
            )
    arguments = (*UPDATE[:-2], record["id"], "--payload", '{"name": "x"}')
    value, text = reachable(*arguments, "--json").value, reachable(*arguments).out
    is_known = not settings.is_embedded
    assert value["conflicts"] == ({"name": {"base": "old", "theirs": record["name"], "mine": "x"}} if is_known else {})
    assert value["merged"] == (["doNotMail"] if is_known else [])
    assert ("In conflict" in text, "`conflict`" in text) == (is_known, is_known)


@EMBEDDED
def test_of_several_tenants_one_is_named(lazi: Lazi, queue: Queue):
    """A preview asks for it; a dry run tells whose changes have no credentials."""
    Path(".dlt").mkdir()
    with Sandbox(customers=3, tenants=(1, 2)) as both:
        key = {"client_id": both.client_id, "client_secret": both.client_secret, "app_key": both.app_key}
        rows = [f"{name} = '{value}'" for name, value in key.items()]
        lines = ["[sources.servicetitan]", f"api_url = '{both.url}'", f"auth_url = '{both.token_url}'"]
        for tenant in (1, 2):
            lines += ["[[sources.servicetitan.tenants]]", f"tenant_id = {tenant}", *rows]
        Path(".dlt/secrets.toml").write_text("\n".join(lines), encoding="utf-8")
        second = both.records("customers", 2)[0]
        arguments = (*UPDATE[:-2], second["id"], "--payload", '{"name": "x"}')
        assert "which of these tenants is meant: `1`, `2`" in lazi(*arguments).err
        assert lazi(*arguments, "--tenant", 2, "--json").value["live"]["name"] == second["name"]
        for tenant in (2, 3):
            add(queue, tenant=tenant, entity_id=second["id"])
        known, unknown = lazi("outbound", "--dry-run", "--json").value
    assert (known["tenant_id"], known["state"], known["live"]["name"]) == (2, "completed", second["name"])
    assert (unknown["state"], "no credentials" in unknown["warnings"][0]) == ("pending", True)


def test_an_export_is_whole(lazi: Lazi, queue: Queue, monkeypatch: pytest.MonkeyPatch):
    """A line of JSON for each, over all pages, to standard output or to a file; it is said how many."""
    monkeypatch.setattr(mutations, "PAGE", 3)
    for number in range(7):
        add(queue, entity_id=number + 1, by="anna" if number % 2 else "ben", payload={"name": "ä\nb"})
    lines = lazi("mutations", "export").out.splitlines()
    assert [json.loads(line)["entity_id"] for line in lines] == list("7654321")
    assert json.loads(lines[0])["payload"] == {"name": "ä\nb"}
    done = lazi("mutations", "export", "--by", "anna", "--out", "some.ndjson")
    assert (done.code, done.out) == (0, "")
    assert "3 mutations are in some.ndjson" in done.err
    written = Path("some.ndjson").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["entity_id"] for line in written] == list("642")
    assert lazi("mutations", "export", "--state", "failed").out == ""


def test_a_dry_run_shows_what_would_be_sent(reachable: Lazi, sandbox: Sandbox, settings: Settings, queue: Queue):
    """Every pending one, the oldest first, with what it would come to; nothing is claimed, sent or opened."""
    assert "0 are pending" in reachable("outbound", "--dry-run").out
    first, second, third, fourth = (customer(sandbox, place)["id"] for place in range(4))
    ended(queue, State.UNKNOWN, entity_id=fourth)
    ended(queue, State.HELD)
    expected = {
        add(queue, entity_id=first): ("completed", ""),
        add(queue, entity_id=first): ("completed", "waits for mutation 3, which is `pending`"),
        add(queue, entity_id=second, base={"name": "somebody else"}): ("conflict", ""),
        add(queue, entity_id=999, payload={"name": "x"}): ("failed", "not there"),
        add(queue, tenant=2, entity_id=third): ("pending", "no credentials"),
        add(queue, entity_id=fourth): ("pending", "which is `unknown`"),
    }
    note = add(queue, entity_type="customers", operation="add-note", entity_id=third, payload={"text": "x"})
    before, records = queue.some(), sandbox.records("customers")
    found = reachable("outbound", "--dry-run", "--json").value
    assert [row["mutation_id"] for row in found] == [*expected, note]
    for row in found[:-1]:
        state, warning = expected[row["mutation_id"]]
        assert row["state"] == state, row
        assert warning in " ".join(row["warnings"]), row
    assert kept(queue, note).ref in found[-1]["body"]["text"]
    text = reachable("outbound", "--dry-run").out
    assert text.count("PATCH /crm/v2/tenant/") == len(expected)
    assert f"{len(found)} are pending; nothing was sent" in text
    assert (queue.some(), sandbox.records("customers")) == (before, records)
    assert not (settings.data_dir / "lazi.duckdb").exists()


def tagging(sandbox: Sandbox, place: int) -> dict[str, Any]:
    """A change that leaves nothing to land: the models need not be built for it."""
    tag = next(record for record in sandbox.records("tag_types") if record["active"])
    body = {"customerIds": [customer(sandbox, place)["id"]], "tagTypeIds": [tag["id"]]}
    return {"entity_type": "customers", "operation": "add-tags", "entity_id": None, "payload": body}


def test_what_is_due_is_worked_off_once(reachable: Lazi, sandbox: Sandbox, queue: Queue):
    """A line for each and how many came to what; what needs somebody makes the exit code 1."""
    assert "nothing was due; 0 landed" in reachable("outbound", "--once").out
    tags = [add(queue, **tagging(sandbox, place)) for place in (4, 5)]
    good = reachable("outbound", "--once")
    assert good.code == 0, good.err
    assert {f"{each} customers:add-tags: completed. Done." for each in tags} < {*good.out.splitlines()}
    assert "2 completed; 0 landed" in good.out
    add(queue, **tagging(sandbox, 6))
    conflict = add(queue, entity_id=999, base={"id": 999})
    bad = reachable("outbound", "--once", "--at-once", 2, "--json")
    assert (bad.code, bad.value["settled"]) == (1, {"completed": 1, "conflict": 1})
    assert f"{conflict} customers:update 999: conflict." in bad.err
    assert queue.counts() == {"completed": 3, "conflict": 1}


@EMBEDDED
def test_nothing_is_sent_with_wrong_credentials(reachable: Lazi, queue: Queue, monkeypatch: pytest.MonkeyPatch):
    """The mutations wait for right ones."""
    monkeypatch.setenv("SERVICE_TITAN_CLIENT_SECRET", "hush")
    add(queue)
    done = reachable("outbound", "--once")
    assert (done.code, "refused the credentials" in done.err) == (2, True)
    assert "hush" not in done.err
    assert queue.counts() == {"pending": 1}


@EMBEDDED
@pytest.mark.parametrize(
    "command", [*(("mutations", name) for name in mutations.mutations.commands), ("mutations",), ("outbound",), ("up",)]
)
def test_help_has_examples_that_exist(lazi: Lazi, command: tuple[str, ...]):
    """Each command shows how it is used, by commands that there are."""
    text = lazi(*command, "--help").out
    examples = text.partition("Examples:")[2].partition("\n\n")[0]
    assert examples
    for line in examples.splitlines():
        words = line.split()
        if words[:2] == ["lazi", "mutations"]:
            assert words[2] in mutations.mutations.commands, line


@contextmanager
def living(folder: Path, *command: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A command that lives, with only these settings, on the embedded store below a folder."""
    program = Path(sys.executable).parent / command[0]
    settings = {"PATH": os.environ["PATH"], "HOME": str(folder), "LAZI_DATA_DIR": str(folder / "data"), **environment}
    with subprocess.Popen(
        [program, *command[1:]],
        cwd=ROOT,
        env=settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def came_to(queue: Queue, mutation_id: int, state: State) -> bool:
    """Whether a mutation comes to a state within a minute."""
    for _ in range(600):
        if kept(queue, mutation_id).state is state:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT], ids=lambda sign: sign.name)
def test_the_runner_works_until_it_is_told_to_stop(tmp_path: Path, sandbox: Sandbox, stop: signal.Signals):
    """What another process queues is sent within moments; a signal ends it without a word of error."""
    with (
        closing(open_operations(Settings("", tmp_path / "data", 3001, "warning"))) as operations,
        living(tmp_path, "lazi", "outbound", **sandbox.environment()) as process,
    ):
        queue = Queue(operations)
        mutation_id = add(queue, **tagging(sandbox, 7))
        assert came_to(queue, mutation_id, State.COMPLETED)
        process.send_signal(stop)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out == f"{mutation_id} customers:add-tags: completed. Done.\n"
    assert "Sending the changes of tenant 1" in err
    assert "Traceback" not in err


def test_the_service_serves_and_sends(tmp_path: Path, sandbox: Sandbox):
    """The API answers, changes are sent by the same process, SIGTERM ends all of it."""
    port = free_port()
    with (
        closing(open_operations(Settings("", tmp_path / "data", 3001, "warning"))) as operations,
        living(tmp_path, "lazi", "up", "--port", str(port), **sandbox.environment()) as process,
    ):
        queue, address = Queue(operations), f"http://127.0.0.1:{port}/api"
        mutation_id = add(queue, **tagging(sandbox, 8))
        assert alive(f"{address}/health", process) == {"status": "healthy"}
        assert came_to(queue, mutation_id, State.COMPLETED)
        assert httpx.get(f"{address}/v1/customers").status_code == 401
        process.send_signal(signal.SIGTERM)
        err = process.communicate(timeout=60)[1]
    assert process.returncode == 0, err
    assert "The first key, for tenant 1" in err
    assert f"{mutation_id} customers:add-tags: completed. Done." in err
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT], ids=lambda sign: sign.name)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_api_alone_ends_well_at_a_signal(postgres_url: str, tmp_path: Path, workers: str, stop: signal.Signals):
    """With exit code 0, as the other commands, and not as if somebody had killed it."""
    port, place = free_port(), {"DATABASE_URL": postgres_url}
    with living(tmp_path, "lazi", "api", "--port", str(port), "--workers", workers, **place) as process:
        assert alive(f"http://127.0.0.1:{port}/api/health", process)
        process.send_signal(stop)
        err = process.communicate(timeout=60)[1]
    assert process.returncode == 0, err
    assert f"The operations page and the API: http://127.0.0.1:{port}/" in err
    assert "Traceback" not in err


BEFORE_ITS_THREADS = """
import sys
from cli import up

def begun(stores, models):
    print(f"sqlglot.dialects.{stores.warehouse.dialect}" in sys.modules)
    raise SystemExit

up.begun = begun
up.up([])
"""


def test_the_service_loads_its_dialect_before_its_threads(settings: Settings, tmp_path: Path):
    """Two threads that load it at once, one by SQLMesh and one by SQLGlot, can wait for each other for ever."""
    done = started(
        "python",
        "-c",
        BEFORE_ITS_THREADS,
        folder=tmp_path,
        LAZI_DATA_DIR=str(settings.data_dir),
        DATABASE_URL=settings.database_url or "embedded",
    )
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


def test_the_service_without_credentials_serves_and_lets_changes_wait(tmp_path: Path):
    """And says so."""
    port = free_port()
    with living(tmp_path, "lazi", "up", "--port", str(port)) as process:
        assert alive(f"http://127.0.0.1:{port}/api/health", process) == {"status": "healthy"}
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=60)[1]
    assert process.returncode == 0, err
    assert "changes wait, because no credentials" in err
    assert "SERVICE_TITAN_TENANT_ID" in err
    assert "Traceback" not in err


def test_a_held_file_says_who_holds_it_and_hinders_no_look(tmp_path: Path):
    """The test itself does: the runner ends, the list does not."""
    (tmp_path / "data").mkdir()
    with closing(duckdb.connect(tmp_path / "data" / "lazi.duckdb")):
        held = started("lazi", "outbound", "--once", folder=tmp_path, **NOWHERE)
        seen = started("lazi", "mutations", "list", folder=tmp_path, **NOWHERE)
    assert (held.returncode, f"held by process {os.getpid()}" in held.stderr) == (2, True)
    assert (seen.returncode, seen.stdout) == (0, "No mutation fits.\n")
