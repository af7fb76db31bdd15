"""The benchmarks measure what they say."""

import json
import time

import pytest
from click.testing import CliRunner

from bench.__main__ import BENCHES, main
from bench.measure import Gauge, peak_megabytes
from bench.pages import FIRST_ID, export
from bench.result import TARGETS, Result, judged
from sources.servicetitan.answer import decode


def test_the_help_names_every_bench():
    """Each can be chosen, and is explained."""
    text = CliRunner().invoke(main, ["--help"]).output
    assert all(f"  {name} " in text for name in BENCHES)


def test_every_target_belongs_to_a_bench():
    """A renamed bench does not leave its targets behind."""
    assert {target.bench for target in TARGETS} <= BENCHES.keys()


@pytest.mark.parametrize(("ratio", "verdicts"), [(19.9, [False]), (20.0, [True])])
def test_a_figure_is_held_against_its_target(ratio: float, verdicts: list[bool]):
    """Only targets of that bench, case and store speak of it."""
    [result] = judged([Result("landing", "stock", "duckdb", 20_000, {"times_ours": ratio})])
    assert [verdict.is_met for verdict in result.targets] == verdicts
    [small] = judged([Result("memory", "first_sync", "duckdb", 20_000, {"peak_mb": 9999})])
    assert small.targets == []  # the target speaks of a million records


def test_pages_hold_different_records_up_to_the_end():
    """Every id once; the last page says that there is no more."""
    answers = [decode(export("estimates", 7000, token)) for token in (0, 5000)]
    ids = [json.loads(bytes(record))["id"] for answer in answers for record in answer.data or ()]
    assert ids == list(range(FIRST_ID, FIRST_ID + 7000))
    assert [(answer.has_more, answer.continue_from) for answer in answers] == [(True, "5000"), (False, "7000")]


def test_the_gauge_counts_cpu_and_not_waiting():
    """Sleeping costs wall time alone."""
    with Gauge().measured() as idle:
        time.sleep(0.05)
    with Gauge().measured() as busy:
        sum(range(3_000_000))
    assert idle.wall >= 0.05
    assert idle.client < busy.client
    assert peak_megabytes() > 1


def test_the_gauge_counts_the_server(postgres_url: str):
    """The CPU of PostgreSQL's processes is found, of backends that live and of those that ended."""
    import psycopg2  # noqa: PLC0415

    gauge = Gauge(postgres_url)
    connection = psycopg2.connect(postgres_url)
    with gauge.measured() as living, connection.cursor() as cursor:
        cursor.execute("SELECT SUM(SQRT(n)) FROM GENERATE_SERIES(1, 1000000) AS n")
    with gauge.measured() as closing:
        connection.close()
    assert living.server > living.client
    assert closing.server >= 0
