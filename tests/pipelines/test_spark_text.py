"""What models say in PostgreSQL's words, in Spark's; and what is said where Spark cannot be had."""

import re
from pathlib import Path

import pytest
from sqlglot import exp, parse_one

from pipelines import spark_session
from pipelines.engines import ENGINES, called
from pipelines.modelling import PROJECT
from pipelines.spark_text import for_duckdb, for_spark, types_for_duckdb, types_for_spark, with_raw_tables
from store.exceptions import SettingsError, StoreUnfitError
from store.settings import Engine, Settings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a -> 'b' ->> 'c'", "TRY_VARIANT_GET(TRY_PARSE_JSON(a), '$.b.c', 'string')"),
        ("(a -> 'b') ->> 'odd name'", "TRY_VARIANT_GET(TRY_PARSE_JSON(a), '$.b[\\'odd name\\']', 'string')"),
        ("CAST(a -> 'b' AS JSONB)", "CAST(TO_JSON(TRY_VARIANT_GET(TRY_PARSE_JSON(a), '$.b', 'variant')) AS STRING)"),
        ("GREATEST(a -> 'b', c)", "GREATEST(TO_JSON(TRY_VARIANT_GET(TRY_PARSE_JSON(a), '$.b', 'variant')), c)"),
        ("EXTRACT(EPOCH FROM (a - b))", "((UNIX_MICROS(a) - UNIX_MICROS(b)) / 1000000.0)"),
        ("STRING_TO_ARRAY(a, ',')", "SPLIT(a, ',')"),
        ("raw.try_boolean(a ->> 'b')", None),
    ],
)
def test_models_are_said_in_sparks_words(text: str, expected: str | None):
    """Documents are text that is parsed, and the functions of the schema `raw` are put in place."""
    said = for_spark(parse_one(text, read="postgres")).sql(dialect="spark")
    if expected is None:
        assert said.count("TRY_PARSE_JSON(a)") == 1
        assert "THEN true" in said
        assert "raw." not in said
    else:
        assert said == expected


def test_every_function_of_raw_has_its_text_on_spark():
    """A model that calls one of them would fail there."""
    from macros.functions import DUCKDB  # noqa: PLC0415  of the project, which is on the path
    from macros.spark import CALLS  # noqa: PLC0415

    made = {name for text in DUCKDB for name in re.findall(r"MACRO raw\.(\w+)\(", text)}
    within = {
        name for name in made if name == "differ" or name.startswith("content_")
    }  # which only others of them call
    models = "".join(path.read_text(encoding="utf-8") for path in PROJECT.glob("m*/**/*.sql"))
    assert not [name for name in within if f"raw.{name}" in models]
    assert made - within == {*CALLS}
    assert len(made) > 5


def test_spark_has_no_information_schema():
    """A question for raw tables is answered by those that have rows."""
    query = parse_one("SELECT table_name FROM information_schema.tables WHERE table_schema = 'raw'", read="postgres")
    said = with_raw_tables(query, ["st_jobs"]).sql(dialect="spark")
    assert "information_schema" not in said
    assert "('raw', 'st_jobs')" in said


def test_readers_are_told_in_duckdbs_words():
    """Without Spark's catalog, and with JSON as JSON."""
    query = parse_one("SELECT a ->> 'b' AS b FROM spark_catalog.master_store.\"jobs__1\"", read="postgres")
    assert for_duckdb(query) == 'SELECT "a" ->> \'$.b\' AS "b" FROM "master_store"."jobs__1"'
    columns = {
        "a": exp.DataType.build("JSONB", dialect="postgres"),
        "b": exp.DataType.build("NUMERIC(18,6)", dialect="postgres"),
    }
    assert types_for_duckdb(columns) == {"a": "JSON", "b": "DECIMAL(18, 6)"}
    assert types_for_spark(columns) == {"a": "STRING", "b": "DECIMAL(18, 6)"}


def test_the_engine_stands_in_the_table_of_engines():
    """Where it lands, who builds its models, and what it lacks."""
    traits = ENGINES[Engine.SPARK]
    assert called(traits.destination).__name__ == "spark_destination"
    assert called(traits.gateway).__name__ == "spark_gateway"
    assert any("MERGE" in lack for lack in traits.lacks)


def test_pyspark_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With what installs it."""
    monkeypatch.setattr(spark_session, "find_spec", lambda _: None)
    with pytest.raises(StoreUnfitError, match=r"st-lazi\[spark\]"):
        spark_session.spark_gateway(Settings("postgresql://x", tmp_path, 3001, "warning", warehouse="spark"))


def test_a_remote_session_is_refused(monkeypatch: pytest.MonkeyPatch):
    """With its value, and what leads to a cluster instead."""
    monkeypatch.setattr(spark_session, "find_spec", lambda _: object())
    monkeypatch.setenv("SPARK_REMOTE", "sc://cluster")
    with pytest.raises(SettingsError, match=r"`sc://cluster`.*SPARK_CONF_DIR"):
        spark_session.check_spark()


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (None, "JAVA_HOME` is `.*`, and there is none"),
        ('openjdk version "11.0.2" 2019-01-15', "17 or later, but `.*java` is version 11"),
        ("what?", "of no known version"),
        ('openjdk version "17.0.15" 2025-04-15', None),
    ],
)
def test_a_java_that_will_not_do_is_named(
    said: str | None, expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Where it was looked for, and what is needed."""
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    if said:
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "java").write_text(f"#!/bin/sh\necho '{said}' >&2\n")
        (tmp_path / "bin" / "java").chmod(0o755)
    if expected:
        with pytest.raises(StoreUnfitError, match=expected):
            spark_session.check_java()
    else:
        spark_session.check_java()
