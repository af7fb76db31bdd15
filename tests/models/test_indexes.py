"""What PostgreSQL finds in indexes of modelled tables, without a look at every row."""

import re

import pytest

from api.pages.customer_search import CONDITIONS
from tests.models.conftest import Models


@pytest.mark.slow
def test_customers_are_searched_in_an_index(models: Models):
    """By pieces of every text that the search asks of their facts; DuckDB's tables have no index."""
    models.refresh()
    if models.warehouse.dialect == "duckdb":
        assert models.fetch("SELECT index_name FROM duckdb_indexes() WHERE schema_name LIKE '%_store'") == []
        return
    [(text,)] = models.fetch("SELECT indexdef FROM pg_indexes WHERE indexdef LIKE '%gin_trgm_ops%'")
    asked = set(re.findall(r"(\w+) ILIKE", " ".join(CONDITIONS.values())))
    assert set(re.findall(r"(\w+) (?:\w+\.)?gin_trgm_ops", text)) == asked
    assert "address_street" in asked
