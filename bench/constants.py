"""What has been measured of each engine, kept in `bench/measured.json`; `python -m bench scale --measure` renews it.

Nothing in there is written by hand. Seconds are of CPU.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from bench.place import Place, pages, sandbox
from bench.result import Figures

FILE = Path(__file__).with_name("measured.json")
ENGINES = ("duckdb", "postgres", "ducklake")
RECORDS = 20_000  # by which what a version costs is measured
WAREHOUSE = "LAZI_WAREHOUSE"
Placed = Callable[[str], AbstractContextManager[Place]]


@dataclass(frozen=True, slots=True)
class Cpu:
    """Seconds of a worker and of the database server."""

    client: float = 0.0
    server: float = 0.0

    def __add__(self, other: "Cpu") -> "Cpu":
        """Both together."""
        return Cpu(self.client + other.client, self.server + other.server)

    def __mul__(self, times: float) -> "Cpu":
        """So many times."""
        return Cpu(self.client * times, self.server * times)

    @property
    def both(self) -> float:
        """Of worker and server."""
        return self.client + self.server


@dataclass(frozen=True, slots=True)
class Constants:
    """An engine's measured figures."""

    engine: str
    figures: Mapping[str, float]

    def __getitem__(self, name: str) -> float:
        """A figure; 0 for what an engine does not have, such as a lake's files."""
        return self.figures.get(name, 0.0)

    def cpu(self, word: str) -> Cpu:
        """What a thing costs, such as `idle1`, `package`, `table`, `version`, `model`, `model_entity`, `reread`, `tenant`."""
        return Cpu(self.figures[f"{word}_client"], self.figures[f"{word}_server"])


def kept(path: Path = FILE) -> dict[str, Constants]:
    """What was measured, by engine; engines that were not are left out."""
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {engine: Constants(engine, found[engine]) for engine in ENGINES if engine in found}


def measure(placed: Placed, engines: Sequence[str] = ENGINES, path: Path = FILE) -> Iterator[tuple[str, Figures]]:
    """Measure engines anew on this machine; each is kept as soon as it is done."""
    for engine in engines:
        store, chosen = "duckdb" if engine == "duckdb" else "postgres", {WAREHOUSE: engine}
        with pages("customers", "jobs") as url, placed(store) as here:
            figures = here.trial("gauging:growing", environment=chosen, url=url, records=RECORDS)
        for trial in ("gauging:living", "gauging:waiting"):
            with sandbox() as servicetitan, placed(store) as here:
                figures |= here.trial(trial, environment=servicetitan | chosen)
        keep(engine, figures, path)
        yield engine, figures


def keep(engine: str, figures: Figures, path: Path = FILE) -> None:
    """Write down what was measured of an engine, beside the others."""
    found = {name: dict(each.figures) for name, each in kept(path).items()}
    found[engine] = {name: float(f"{value:.4g}") for name, value in sorted(figures.items())}
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
