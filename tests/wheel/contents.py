"""What a wheel of this tree holds, by hatchling's own reckoning, and what stands in the tree. No network, nothing is built."""

import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[2]
PROJECT = "share/st-lazi"
SHARED = ("models", "macros", "audits", "config.py", "external_models.yaml")


@cache
def pyproject() -> dict[str, Any]:
    """The project's own description."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def packages() -> list[str]:
    """The packages that are installed."""
    found: list[str] = pyproject()["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    return found


@cache
def in_wheel() -> dict[str, Path]:
    """Every file of the wheel but its metadata: the path where it is installed, and the file in the tree."""
    builder = WheelBuilder(str(ROOT))
    own = list(builder.recurse_included_files())
    shared = list(builder.recurse_explicit_files(builder.config.shared_data))
    return {str(one.distribution_path): Path(one.path) for one in [*own, *shared]}


@cache
def in_tree() -> tuple[str, ...]:
    """Every file that is git's, or will be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return tuple(name for name in listed if (ROOT / name).is_file())
