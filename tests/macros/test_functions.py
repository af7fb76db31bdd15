"""`raw.try_<type>`: a cast that gives NULL instead of an error, the same on both engines."""

from collections.abc import Callable
from typing import Any

import duckdb
import psycopg2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from macros.functions import DUCKDB, FLOAT, INTEGER, MOMENT, NUMBER, PLAIN_INTEGER, PLAIN_MOMENT, PLAIN_NUMBER, POSTGRES
from tests.conftest import MakeDatabase

Ask = Callable[[str, str], Any]

CASES = {
    "bigint": {
        "0": 0,
        "007": 7,
        "999999999999999999": 10**18 - 1,
        "-5": -5,
        "12.0": 12,
        "12.5": None,
        "": None,
        "1e3": None,
    },
    "numeric": {
        "12.50": "12.5",
        "1": "1",
        ".5": None,
        "5.": None,
        "1e2": "100",
        " 3 ": "3",
        "1.2.3": None,
        "": None,
        "-7.25": "-7.25",
        "999999999999": "999999999999",
        "1234567890123": None,
        "0.1234567": "0.123457",
    },
    "double": {"1.5": 1.5, "-85.82235": -85.82235, "1e3": 1000.0, "north": None, "": None, "1.": None},
    "boolean": {"true": True, "False": False, "1": None, "": None},
    "timestamptz": {
        "2026-01-02T16:28:55.8446003Z": "2026-01-02 16:28:55.844600",
        "2026-01-02T16:28:55.8446009Z": "2026-01-02 16:28:55.844600",
        "2026-01-02T16:28:55.5Z": "2026-01-02 16:28:55.500000",
        "2026-01-02T16:28:55Z": "2026-01-02 16:28:55.000000",
        "2026-01-31T23:59:59Z": "2026-01-31 23:59:59.000000",
        "2024-02-29T00:00:00Z": "2024-02-29 00:00:00.000000",
        "0001-01-01T00:00:00Z": "0001-01-01 00:00:00.000000",
        "2026-01-02T16:28:55+02:00": "2026-01-02 14:28:55.000000",
        "2026-01-02": "2026-01-02 00:00:00.000000",
        "2026-02-30T00:00:00Z": None,
        "2026-13-01T00:00:00Z": None,
        "2026-01-00T00:00:00Z": None,
        "2026-01-02T24:00:00Z": None,
        "2026-01-02T16:60:00Z": None,
        "2026-01-02T16:28:55.Z": None,
        "2026-01-02T16:28:55.1.2Z": None,
        "2026-0a-02T16:28:55Z": None,
        "soon": None,
    },
    "date": {"2026-01-02T16:28:55Z": "2026-01-02", "2026-02-30": None, "": None},
}
SHOWN = {
    "timestamptz": {
        "postgres": "to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')",
        "duckdb": "strftime({} AT TIME ZONE 'UTC', '%Y-%m-%d %H:%M:%S.%f')",
    },
    "date": {"postgres": "CAST({} AS TEXT)", "duckdb": "CAST({} AS TEXT)"},
    "numeric": {"postgres": "CAST(trim_scale({}) AS TEXT)", "duckdb": "rtrim(rtrim(CAST({} AS TEXT), '0'), '.')"},
}
PLAIN = {
    "bigint": (PLAIN_INTEGER, INTEGER),
    "numeric": (PLAIN_NUMBER, NUMBER),
    "double": (PLAIN_NUMBER, FLOAT),
    "timestamptz": (PLAIN_MOMENT, MOMENT),
}


@pytest.fixture(scope="module")
def postgres(make_database: MakeDatabase) -> Any:
    connection = psycopg2.connect(make_database(), options="-c timezone=UTC")
    connection.autocommit = True
    with connection.cursor() as cursor:
        for statement in POSTGRES:
            cursor.execute(statement)
        yield cursor
    connection.close()


@pytest.fixture(scope="module")
def engines(postgres: Any) -> dict[str, Ask]:
    """What each engine says of an expression over a text."""
    embedded = duckdb.connect()
    embedded.execute("SET TimeZone = 'UTC'")
    for statement in DUCKDB:
        embedded.execute(statement)

    def ask_postgres(expression: str, text: str) -> Any:
        postgres.execute("CREATE TEMP TABLE IF NOT EXISTS given (v text)")
        postgres.execute("TRUNCATE given")
        postgres.execute("INSERT INTO given VALUES (%s)", (text,))
        postgres.execute(f"SELECT {expression} FROM given")
        return postgres.fetchone()[0]

    def ask_duckdb(expression: str, text: str) -> Any:
        return embedded.execute(f"SELECT {expression} FROM (SELECT ? AS v)", [text]).fetchone()[0]  # type: ignore[index]

    return {"postgres": ask_postgres, "duckdb": ask_duckdb}


@pytest.mark.parametrize("engine", ["postgres", "duckdb"])
@pytest.mark.parametrize("kind", list(CASES))
def test_a_cast_gives_the_value_or_null(engines: dict[str, Ask], engine: str, kind: str):
    """Both engines agree with the table above; a value that does not fit is NULL, never an error."""
    shown = SHOWN.get(kind, {}).get(engine, "{}").format(f"raw.try_{kind}(v)")
    assert {text: engines[engine](shown, text) for text in CASES[kind]} == CASES[kind]


@pytest.mark.parametrize("kind", list(PLAIN))
@given(
    text=st.one_of(
        st.text("0123456789.-+eE ", max_size=24),
        st.from_regex(r"[0-9]{2,4}-[0-9a]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9.]{0,10})?Z?", fullmatch=True),
        st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    )
)
def test_what_is_plain_is_valid(postgres: Any, kind: str, text: str):
    """On PostgreSQL the cheap comparisons accept nothing that the regular expression refuses, and the cast then works."""
    plain, pattern = PLAIN[kind]
    postgres.execute("CREATE TEMP TABLE IF NOT EXISTS given (v text)")
    postgres.execute("TRUNCATE given")
    postgres.execute("INSERT INTO given VALUES (%s)", (text,))
    postgres.execute(
        f"SELECT {plain}, v ~ '{pattern}', raw.try_{kind}(v) IS NOT NULL FROM given".replace("%", "%%"), ()
    )
    is_plain, fits, has_value = postgres.fetchone()
    assert not is_plain or (fits and has_value)
