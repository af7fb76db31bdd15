"""Every command of the README and of each page runs, as it stands and in order: see `tests.docs.play`."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.fence import ROOT, pages

PLAYED = [(page.name, page.folder, store) for page in pages() if page.is_run for store in page.stores]
LONGEST = 3600  # seconds


def played(*arguments: str) -> None:
    """A run in a process of its own, in its own network."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.docs.play", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-4000:]}"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Synced stores of each kind, by name, filled when they are asked for."""
    return {store: tmp_path_factory.mktemp("prepared") / store for store in ("duckdb", "postgres")}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "folder", "store"), PLAYED, ids=[f"{name} {store}" for name, _, store in PLAYED])
def test_a_page_runs(name: str, folder: str, store: str, prepared: dict[str, Path]):
    """From its first block to its last, on the store that it is about."""
    if folder == "synced" and not prepared[store].exists():
        played("any", store, "--prepare", "--prepared", str(prepared[store]))
    page = name if name == "README.md" else name.removeprefix("docs/").removesuffix(".md")
    played(page, store, "--prepared", str(prepared[store]))
