"""Models of customers that Spark builds on this machine: a first build, and changes on a short and on a long history."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.history import ROWS
from bench.measure import Cost, server_cpu
from bench.result import Figures
from pipelines.modelling import PROJECT, evaluate_models, load_project, masters
from pipelines.sync import Stores
from sources.servicetitan.catalog import select
from sources.servicetitan.reading import raw_table
from store.files import SparkFiles, raw_types, text
from store.settings import load

CHANGED = 1000
ENTITY = "customers"
ROUNDS = 2
DAYS = 48  # hours: rows so old are not read again
WHOLE = ("audits", "macros", "config.py", "external_models.yaml")


class Workshop:
    """A warehouse of files with one entity's model, built while it was empty."""

    def __init__(self, folder: Path) -> None:
        """Plan the model; it is not measured."""
        self.stores = Stores.open(load())
        self.context: Any = load_project(self.stores.settings, project(folder))
        self.context.plan(no_prompts=True, auto_apply=True, skip_tests=True)
        self.scheduler = self.context.scheduler(environment="prod")

    @property
    def warehouse(self) -> SparkFiles:
        """The files."""
        assert isinstance(self.stores.warehouse, SparkFiles)
        return self.stores.warehouse

    def add(self, *, keys: int, version: str, hours_ago: float, step: int = 1) -> None:
        """A version of every `step`th key, as one file of raw rows that landed so many hours ago."""
        table = raw_table(select((ENTITY,))[0])
        rows = ROWS.format(keys=keys, version=version, hours_ago=hours_ago, step=step)
        names, _, query = rows.partition("(")[2].partition(")\nSELECT")
        types = raw_types(table)
        picked = ", ".join(
            f'CAST({name if name != "scope" else "NULL"} AS {kind}) AS "{name}"' for name, kind in types.items()
        )
        file = self.warehouse.files / "raw" / table.name / f"{version.replace(' ', '-')}.parquet"
        made = f"SELECT {picked} FROM (SELECT {query}) AS made ({names})"
        self.warehouse.cursor().execute(f"COPY ({made}) TO {text(file)} (FORMAT PARQUET, COMPRESSION ZSTD)")

    def master(self) -> Cost:
        """What it costs to make what landed visible in master: CPU of this process and of Java."""
        with measured() as cost:
            evaluate_models(self.scheduler, masters(self.context, [ENTITY]), [ENTITY])
        return cost

    def partitions(self) -> dict[str, tuple[int, int]]:
        """By partition of the table when it was written, and its bytes."""
        [folder] = (self.warehouse.files / "master_store").glob(f"{ENTITY}*")
        files = (each.stat() for each in folder.glob("key_bucket=*/part-*.parquet"))
        names = (each.parent.name for each in folder.glob("key_bucket=*/part-*.parquet"))
        return {name: (each.st_mtime_ns, each.st_size) for name, each in zip(names, files, strict=True)}

    def close(self) -> None:
        """Let go of everything."""
        self.context.close()
        self.stores.close()


@contextmanager
def measured() -> Iterator[Cost]:
    """A cost that is filled in at the end: Java is a child of this process that lives on."""
    import time

    cost, begun, moment = Cost(), server_cpu(os.getpid()), time.monotonic()
    yield cost
    cost.client, cost.wall = server_cpu(os.getpid()) - begun, time.monotonic() - moment


def project(folder: Path) -> Path:
    """The project with one model."""
    made = folder / "project"
    (made / "models" / "master").mkdir(parents=True)
    for name in WHOLE:
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
        copy(PROJECT / name, made / name)
    shutil.copy(PROJECT / "models" / "master" / f"{ENTITY}.sql", made / "models" / "master")
    return made


def changes(keys: int, versions: int, folder: str) -> Figures:
    """A first build of so many keys; a thousand changes and one change on it, and the thousand on `versions` times the rows."""
    shop = Workshop(Path(folder))
    shop.add(keys=keys, version="v0", hours_ago=DAYS)
    figures = named("build", shop.master())
    figures |= changed(shop, keys, "short", CHANGED) | changed(shop, keys, "one", 1)
    for version in range(1, versions):
        shop.add(keys=keys, version=f"before {version}", hours_ago=DAYS * (1 + version))
    figures |= changed(shop, keys, "history", CHANGED)
    shop.close()
    return figures


def changed(shop: Workshop, keys: int, word: str, number: int) -> Figures:
    """The least cost of changing so many records, of some rounds, and how much of the table was written."""
    costs = []
    for turn in range(ROUNDS):
        before = shop.partitions()
        version = f"{word} {turn}"
        shop.add(keys=keys, version=version, hours_ago=0, step=max(1, keys // number))
        costs.append(shop.master())
        [(seen,)] = shop.warehouse.fetch(f"SELECT COUNT(*) FROM master.customers WHERE name LIKE '% {version}'")
        assert seen == len(range(1, keys + 1, max(1, keys // number))), seen
    after = shop.partitions()
    written = [size for name, (time, size) in after.items() if before.get(name, (0, 0))[0] != time]
    share = {f"{word}_partitions": float(len(written)), f"{word}_written_mb": sum(written) / 1e6}
    return named(word, min(costs, key=lambda cost: cost.both)) | share


def named(word: str, cost: Cost) -> Figures:
    """A cost as figures whose names begin with a word."""
    return {f"{word}_cpu_s": cost.both, f"{word}_wall_s": cost.wall}
