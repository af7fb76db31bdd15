"""The frame around a master model's columns."""

import pytest
from sqlglot import exp

from macros.newest import LONGEST, text_of
from sources.servicetitan.catalog import CATALOG, Entity
from sources.servicetitan.registry import columns, load


@pytest.mark.parametrize("entity", CATALOG, ids=lambda entity: entity.name)
def test_names_inside_the_frame_fit_postgresql_and_differ(entity: Entity):
    """Also those of columns whose own name is nearly as long as PostgreSQL allows."""
    names = [text_of(exp.alias_(exp.null(), column.name)).name for column in columns(load()[entity.name])]
    assert max(map(len, names), default=0) <= LONGEST
    assert len(set(names)) == len(names)
