"""What is done by itself, from the catalog and a timetable."""

from datetime import time, timedelta
from zoneinfo import ZoneInfo

import pytest

from pipelines.duties import Duty, Work, duties
from sources.servicetitan.catalog import BY_NAME, CATALOG
from sources.servicetitan.exceptions import UnknownEntityError
from store.timetable import INTERVALS, Daily, Every, Timetable


def of(timetable: Timetable, work: Work) -> list[Duty]:
    return [duty for duty in duties(timetable, [7]) if duty.work is work]


def test_every_entity_is_read_by_one_duty():
    """At the interval of its priority."""
    found = of(Timetable(), Work.SYNC)
    assert sorted(entity.name for duty in found for entity in duty.entities) == sorted(BY_NAME)
    for duty in found:
        assert {INTERVALS[entity.priority] for entity in duty.entities} == {duty.when.interval}


def test_an_entity_with_an_interval_of_its_own_has_a_duty_of_its_own():
    """And one that is off has none."""
    own = {"jobs": timedelta(minutes=2), "job_types": None}
    found = of(Timetable(own=own), Work.SYNC)
    by_entity = {entity.name: duty for duty in found for entity in duty.entities}
    assert by_entity["jobs"] == Duty(7, "sync jobs", Work.SYNC, Every(timedelta(minutes=2)), (BY_NAME["jobs"],))
    assert len(by_entity) == len(CATALOG) - 1
    assert "job_types" not in by_entity


def test_a_name_that_nobody_knows_is_an_error():
    """With the nearest one."""
    with pytest.raises(UnknownEntityError, match="jobs"):
        duties(Timetable(own={"jbs": None}), [7])


def test_each_tenant_has_all_duties():
    """The most urgent first; names are unique within the tenant."""
    daily = Daily(time(3), ZoneInfo("UTC"))
    found = duties(Timetable(reconcile=daily), [1, 2])
    names = ["sync priority 1", "sync priority 2", "sync priority 3", "sync priority 4", "reconcile", "dates"]
    assert [(duty.tenant_id, duty.name) for duty in found] == [(tenant, name) for tenant in (1, 2) for name in names]
    assert found[4].entities == CATALOG
