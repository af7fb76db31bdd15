"""Other versions of this program: a copy of its folders with another version number and what a test changes in it."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from store.migrating import newest
from store.settings import Settings
from tests.environment import store_environment

ROOT = Path(__file__).parents[2]
CODE = ("alarms", "api", "cli", "discovery", "outbound", "pipelines", "sandbox", "sources", "store")
PROJECT = ("audits", "config.py", "external_models.yaml", "macros", "models", ".cache")
ADDED = """-- What a test adds.
CREATE TABLE system.additions (n BIGINT PRIMARY KEY);

INSERT INTO system.additions (n) VALUES (1);
"""


@dataclass(frozen=True)
class Tree:
    """A version of the program as its own processes run it."""

    folder: Path
    settings: Settings

    def command(self, *arguments: str) -> list[str]:
        """`lazi` of this version; its code is what is first on the path."""
        return [sys.executable, "-m", "cli.main", *arguments]

    def environment(self, **more: str) -> dict[str, str]:
        """Nothing but the store, and what a test says."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.settings.data_dir.parent),
            **store_environment(self.settings),
            **more,
        }

    def lazi(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(**more),
            capture_output=True,
            text=True,
            check=False,
        )

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        """Begin a command."""
        options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(self.command(*arguments), cwd=self.folder, env=self.environment(**more), **options)


def present(settings: Settings) -> Tree:
    """The version that stands here."""
    return Tree(ROOT, settings)


def newer(settings: Settings, folder: Path, version: str = "99.0.0", migration: str = ADDED) -> Tree:
    """The next version, with one migration more."""
    folder.mkdir()
    for name in CODE:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in PROJECT:
        if (ROOT / name).exists():
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, folder / name)
    (folder / ".dlt").mkdir()
    shutil.copy(ROOT / ".dlt" / "config.toml", folder / ".dlt" / "config.toml")
    (folder / "store" / "migrations" / f"{newest() + 1:04}_additions.sql").write_text(migration)
    told = folder / f"st_lazi-{version}.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: st-lazi\nVersion: {version}\n")
    return Tree(folder, settings)


def with_other_models(tree: Tree) -> Tree:
    """The same, whose master tables must all be built anew: a macro says something else of what it makes."""
    macro = tree.folder / "macros" / "newest.py"
    text = macro.read_text(encoding="utf-8")
    assert text.count('"{}__text"') == 1
    macro.write_text(text.replace('"{}__text"', '"{}__words"'))
    return tree
