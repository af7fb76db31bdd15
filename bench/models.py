"""Models of customers in a living process: first build, a thousand changes, the same on a long history; loading all models."""

import shutil
from itertools import count
from pathlib import Path

from bench.history import add, execute
from bench.measure import Cost, Gauge, peak_megabytes
from bench.result import Figures
from pipelines.modelling import PROJECT, Models
from pipelines.sync import Stores
from store.settings import load

CHANGED = 1000
ENTITY = "customers"
ROUNDS = 3
DAYS = 48  # hours: rows so old are not read again
COUNT = "SELECT COUNT(*) FROM master.customers WHERE name LIKE '% {version}'"


class Workshop:
    """A planned, empty warehouse, and the models in this process."""

    def __init__(self) -> None:
        """Open the stores and build the empty models; neither is measured."""
        self.settings = load()
        self.stores = Stores.open(self.settings)
        self.models = Models(self.settings)
        self.models.refresh(self.stores.operations)
        self.gauge = Gauge(self.settings.database_url)
        self.numbers = count(1)

    def master(self) -> Cost:
        """What it costs to make changes visible in master."""
        with self.gauge.measured() as cost:
            self.models.evaluate([ENTITY], below=False)
        return cost

    def everything(self) -> Cost:
        """What it costs to bring master, crm and audit up to date."""
        with self.gauge.measured() as cost:
            self.models.evaluate([ENTITY])
        return cost

    def settle(self) -> None:
        """Do at once what PostgreSQL's daemons would do within minutes of so many new rows, and count as its CPU."""
        if not self.settings.is_embedded:
            execute(self.stores, "VACUUM (ANALYZE)")
            execute(self.stores, "CHECKPOINT")

    def close(self) -> None:
        """Let go of everything."""
        self.models.close()
        self.stores.close()


def changes(keys: int, versions: int) -> Figures:
    """A first build of so many keys; a thousand changes on it, on `versions` times the rows, and on rows a day young."""
    shop = Workshop()
    add(shop.stores, keys=keys, version="v0", hours_ago=DAYS)
    build = shop.master()
    figures = {"build_us": build.both / keys * 1e6, "build_s": build.both, "build_wall_s": build.wall}
    figures["build_crm_audit_s"] = shop.everything().both
    figures["build_mb"] = peak_megabytes()
    figures |= named("changed", best_change(shop, keys))
    figures["changed_crm_audit_s"] = shop.everything().both
    for version in range(1, versions):
        add(shop.stores, keys=keys, version=f"before {version}", hours_ago=DAYS * (1 + version))
    figures |= named("history", best_change(shop, keys))
    add(shop.stores, keys=keys, version="young", hours_ago=1)
    shop.master()
    figures |= named("young", best_change(shop, keys))
    shop.close()
    return figures


def named(word: str, cost: Cost) -> Figures:
    """A cost as figures whose names begin with a word."""
    return {f"{word}_cpu_s": cost.both, f"{word}_server_s": cost.server, f"{word}_wall_s": cost.wall}


def best_change(shop: Workshop, keys: int) -> Cost:
    """The least cost of a change, of some rounds; the first one warms caches."""
    shop.settle()
    return min((changed(shop, keys, next(shop.numbers)) for _ in range(ROUNDS)), key=lambda cost: cost.both)


def changed(shop: Workshop, keys: int, number: int) -> Cost:
    """Change a thousand records and make that visible in master."""
    add(shop.stores, keys=keys, version=f"changed {number}", hours_ago=0, step=keys // CHANGED)
    cost = shop.master()
    [(seen,)] = shop.stores.warehouse.fetch(COUNT.format(version=f"changed {number}"))
    assert seen == len(range(1, keys + 1, keys // CHANGED)), seen
    return cost


def loading(folder: str) -> Figures:
    """Load a copy of the project in `folder`, made when it is not there: the first time without a cache."""
    import os

    project = Path(folder) / "project"
    if not project.exists():
        project.mkdir()
        for name in ("models", "macros", "audits", "config.py", "external_models.yaml"):
            copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
            copy(PROJECT / name, project / name)
    gauge = Gauge(os.environ["DATABASE_URL"] if os.environ["DATABASE_URL"] != "embedded" else "")
    with gauge.measured() as imports:
        import sqlmesh
        from sqlmesh.core.console import NoopConsole, set_console
    set_console(NoopConsole())
    with gauge.measured() as cost:
        context = sqlmesh.Context(paths=str(project))
    models = len(context.models)
    context.close()
    return {"cpu_s": cost.both, "wall_s": cost.wall, "import_cpu_s": imports.both, "models": models}
