"""A plan on a warehouse whose tables were built by other text."""

from datetime import datetime

import pytest

from tests.models.conftest import LONGEST, Models


def modeled_at(models: Models) -> datetime:
    """When the only row of `master.jobs` was modelled."""
    [(moment,)] = models.fetch("SELECT modeled_at FROM master.jobs")
    assert isinstance(moment, datetime)
    return moment


@pytest.mark.slow
def test_a_macro_that_says_something_else_builds_the_tables_anew(models: Models):
    """Also the one with the longest name, beside which the plan makes another table by a still longer name."""
    models.land("jobs", 1, days_ago=9, jobStatus="Scheduled", createdOn="?")
    models.refresh()
    assert models.fetch("SELECT job_status, bad_columns FROM master.jobs") == [("Scheduled", "created_on")]
    before = modeled_at(models)

    macro = models.folder / "macros" / "newest.py"
    text = macro.read_text(encoding="utf-8")
    assert text.count('"{}__text"') == 1
    macro.write_text(text.replace('"{}__text"', '"{}__words"'), encoding="utf-8")
    models.refreshes = 0  # plans again
    models.refresh()
    assert models.fetch("SELECT job_status, bad_columns FROM master.jobs") == [("Scheduled", "created_on")]
    assert modeled_at(models) > before
    assert models.fetch(f"SELECT COUNT(*) FROM master.{LONGEST}") == [(0,)]
