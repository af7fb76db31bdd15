"""`python -m bench`: runs benches, prints a table, writes JSON."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
from rich.console import Console

from bench import benches
from bench.place import postgres
from bench.result import Result, judged, show, write

BENCHES: dict[str, Callable[[benches.Setting], Iterator[Result]]] = {
    "landing": benches.landing,
    "memory": benches.memory,
    "models": benches.models,
    "push": benches.push,
    "idle": benches.idle,
    "cold": benches.cold,
    "first": benches.first,
    "api": benches.api,
    "serving": benches.serving,
    "pages": benches.visits,
    "workers": benches.workers,
    "scale": benches.scale,
    "spark": benches.spark,
}
ASKED = {"spark"}  # run only by their name: they need what others do not
WIDTH = 180  # where the output is no terminal
STORES = ("duckdb", "postgres")


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(BENCHES)), metavar="[BENCH]...")
@click.option("--store", "stores", multiple=True, type=click.Choice(STORES), help="Only this store.  [default: both]")
@click.option("--full", is_flag=True, help="The sizes that the targets speak of; an hour instead of minutes.")
@click.option(
    "--records",
    type=click.IntRange(1),
    help="So many records (models: keys, workers: tenants) instead of the usual.",
)
@click.option("--entity", default="estimates", show_default=True, help="Whose records landing and memory use.")
@click.option(
    "--profile", is_flag=True, help="Write a profile of each trial beside the results; figures are then larger."
)
@click.option("--measure", is_flag=True, help="For scale: measure anew what it reckons with, half an hour.")
@click.option("--page", is_flag=True, help="For scale: write the tables of docs/scaling.md.")
@click.option("--out", default="build/bench", show_default=True, type=click.Path(path_type=Path, file_okay=False))
def main(
    *,
    names: tuple[str, ...],
    stores: tuple[str, ...],
    full: bool,
    records: int | None,
    entity: str,
    profile: bool,
    measure: bool,
    page: bool,
    out: Path,
) -> None:
    """Measure what ST-LAZI costs, by CPU, wall time and memory, beside other ways of doing the same in the same run.

    CPU and ratios are what to look at: wall time is this machine's, and its other work's.

    \b
    Benches:
      landing   one record to the store: stock dlt rest_api, RESTClient with a payload column, ours, the engine alone
      memory    the peak of a first sync
      models    a first build, a thousand changes, the same on ten times the history, loading the project
      idle      a sync with nothing to do in a living process, all entities
      cold      the same by `lazi sync`, and `sqlmesh plan` without a change
      first     10,000 customers and 10,000 jobs into raw and master, then again with nothing changed
      push      changes to ServiceTitan: how many a second, within a budget, and how long until one can be read
      api       details, filtered and sorted lists and searches beside a static handler of the same application
      serving   the API on a lake beside the same published to PostgreSQL, and what publishing costs
      pages     the overview of the operations page with a year of reads, and the search
      workers   all entities of many tenants, read once by one worker and by four, on PostgreSQL and on a lake
      scale     nothing is measured: a simulated day of 1, 20, 200 and 2,000 tenants, and the first wall, from bench/measured.json
      spark     models that Spark builds: a first build, a thousand changes, one, the same on ten times the history (only by name)

    \b
    Examples:
      python -m bench                               all, small sizes, a few minutes
      python -m bench landing --store postgres
      python -m bench landing --records 100000 --entity jobs
      python -m bench memory models --full
      python -m bench first --profile               and where the time goes
      python -m bench scale --measure --page        measure this machine, and write the page anew
    """
    if (measure or page) and (stores or (names and "scale" not in names)):
        raise click.UsageError("`--measure` and `--page` are for scale, and for all engines.")
    results: list[Result] = []
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    with postgres() as server:
        setting = benches.Setting(
            server, stores or STORES, full, records, entity, out if profile else None, measure, page
        )
        for name in names or [name for name in BENCHES if name not in ASKED]:
            for result in BENCHES[name](setting):
                console.print(f"[dim]{result.bench} {result.case} {result.store}: done")
                results.append(result)
    show(judged(results), console)
    console.print(f"written to {write(results, out)}")


if __name__ == "__main__":
    main()
