"""`lazi warehouse` tells what is so, and refuses with what to do."""

import json
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import lazi
from cli.sign import signed
from store.exceptions import StoreError
from store.settings import Settings
from store.warehouse import open_warehouse
from tests.environment import store_environment
from tests.warehouse.conftest import Site


def told(settings: Settings, *words: str) -> Result:
    return CliRunner().invoke(lazi, ["warehouse", *words], env=store_environment(settings))


def test_show_tells_what_the_engine_knows(copied: Site):
    """Rows, bytes and files of each schema, for the eye and for scripts."""
    with closing(open_warehouse(copied.lake)) as lake:
        rows = lake.fetch("SELECT COUNT(*) FROM raw.st_customers")[0][0]
    shown = json.loads(told(copied.lake, "show", "--json").stdout)
    assert shown["engine"] == "ducklake"
    assert copied.lake.lake_files in shown["place"]
    assert "lake_catalog" in shown["place"]
    assert shown["lacks"]
    assert shown["schemas"]["raw"]["rows"] > rows > 0
    assert shown["schemas"]["raw"]["bytes"] > 0
    assert shown["lake"]["snapshots"] > 1
    assert shown["lake"]["data_files"] == shown["schemas"]["raw"]["files"] > 0
    text = told(copied.lake, "show").stdout
    assert "inlined rows" in text
    assert "lacks: indexes" in text
    postgres = json.loads(told(copied.postgres, "show", "--json").stdout)
    assert postgres["schemas"]["raw"]["bytes"] > 0
    assert postgres["lake"] == {}


def test_show_names_no_password(copied: Site):
    """Wherever it stands in the address."""
    url = copied.postgres.database_url.replace("postgres:@", "postgres:very-secret@")
    assert "very-secret" in url
    for engine in ("postgres", "ducklake"):
        shown = CliRunner().invoke(
            lazi,
            ["warehouse", "show"],
            env=store_environment(copied.postgres) | {"DATABASE_URL": url, "LAZI_WAREHOUSE": engine},
        )
        assert shown.exit_code == 0
        assert "very-secret" not in shown.output


def test_show_of_the_embedded_store(tmp_path: Path):
    """Its file; of an empty one that there is nothing."""
    settings = Settings("", tmp_path / "data", 3001, "warning")
    shown = told(settings, "show")
    assert shown.exit_code == 0
    assert "lazi.duckdb" in shown.stdout


def test_copy_tells_how_to_switch(site: Site):
    """After the rows; for a look it says how many differ and does nothing."""
    assert "differ" in told(site.postgres, "copy", "--to", "ducklake", "--dry-run").stdout
    lake = str(site.postgres.data_dir / "elsewhere")
    done = told(site.postgres, "copy", "--to", "ducklake", "--lake", lake)
    assert done.exit_code == 0, done.output
    assert "LAZI_WAREHOUSE=ducklake" in done.stdout
    assert f"LAZI_LAKE={lake}" in done.stdout
    assert any(Path(lake).rglob("*.parquet"))
    again = json.loads(told(site.postgres, "copy", "--to", "ducklake", "--lake", lake, "--json").stdout)
    assert (again["rows"], again["done"]) == (0, True)
    wrong = told(site.postgres, "copy", "--to", "ducklake", "--lake", lake + "2", "--json")
    assert isinstance(wrong.exception, StoreError)
    assert "LAZI_LAKE" in str(wrong.exception)


@pytest.mark.parametrize("name", ["up", "sync", "outbound"])
def test_copy_is_refused_while_a_service_lives(copied: Site, name: str):
    """It would go on landing in the warehouse that it knows; `lazi api` only reads."""
    with signed(name, copied.postgres.data_dir):
        refused = told(copied.postgres, "copy", "--to", "ducklake")
        assert "would go on landing" in str(refused.exception)
        assert told(copied.postgres, "copy", "--to", "ducklake", "--dry-run").exit_code == 0


@pytest.mark.parametrize(
    ("words", "exit_code", "said"),
    [
        (["copy"], 2, "--to"),
        (["copy", "--to", "oracle"], 2, "'duckdb', 'postgres', 'ducklake'"),
        (["maintain", "--keep", "soon"], 2, "is no age"),
        (["maintain"], 0, "autovacuum"),
        (["maintain", "--json"], 0, '"steps": {}'),
    ],
)
def test_wrong_words_and_nothing_to_do(copied: Site, words: list[str], exit_code: int, said: str):
    """Each says what is allowed, or why nothing happens."""
    found = told(copied.postgres, *words)
    assert found.exit_code == exit_code
    assert said in found.output


def test_maintain_counts(copied: Site):
    """For a look every step has a number and nothing is changed."""
    before = told(copied.lake, "show").stdout
    found = json.loads(told(copied.lake, "maintain", "--dry-run", "--json").stdout)
    assert found["dry"] is True
    assert len(found["steps"]) == 6
    assert "snapshots expired" in told(copied.lake, "maintain", "--dry-run").stdout
    assert told(copied.lake, "show").stdout == before


@pytest.mark.slow
def test_publish_tells_what_it_served_and_what_not(copied: Site):
    """Of a lake whose models were not built nothing can be served, and each name says why, here and in `show`."""
    said = told(copied.postgres, "publish")
    assert (said.exit_code, "answers by itself" in said.stdout) == (0, True)
    one = store_environment(copied.lake) | {"LAZI_SERVING": "master.tag_types"}
    found = CliRunner().invoke(lazi, ["warehouse", "publish", "--json"], env=one)
    assert found.exit_code == 1, found.output
    assert "models have not built it" in json.loads(found.stdout)["refused"]["master.tag_types"]
    assert "NOT SERVED" in told(copied.lake, "show").stdout
    off = CliRunner().invoke(lazi, ["warehouse", "publish", "--full"], env=one | {"LAZI_SERVING": "off"})
    assert (off.exit_code, off.stdout) == (0, "Nothing is served.\n")
    assert json.loads(told(copied.lake, "show", "--json").stdout)["served"] == []
