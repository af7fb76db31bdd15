"""One trial in this process: `python -m bench.trial landing:ours '{"records": 20000}'` prints its figures as JSON.

`LAZI_BENCH_PROFILE=FILE` writes a profile of it as text, so that a figure can be explained.
"""

import cProfile
import io
import json
import os
import pstats
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.result import Figures

LINES = 45


def named(name: str) -> Callable[..., Figures]:
    """The function called `module:function` in this package."""
    module, _, function = name.partition(":")
    found: Callable[..., Figures] = getattr(import_module(f"bench.{module}"), function)
    return found


def profiled(trial: Callable[..., Figures], parameters: dict[str, Any], path: Path) -> Figures:
    """The trial's figures, and where its main thread spent its time as text in a file."""
    profile = cProfile.Profile()
    figures = profile.runcall(trial, **parameters)
    text = io.StringIO()
    statistics = pstats.Stats(profile, stream=text).strip_dirs()
    statistics.sort_stats("tottime").print_stats(LINES)
    statistics.sort_stats("cumulative").print_stats(LINES)
    path.write_text(text.getvalue(), encoding="utf-8")
    return figures


def main() -> None:
    name, parameters = sys.argv[1], json.loads(sys.argv[2])
    path = os.environ.get("LAZI_BENCH_PROFILE")
    figures = profiled(named(name), parameters, Path(path)) if path else named(name)(**parameters)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
