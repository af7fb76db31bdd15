"""What is answered for dates."""

from typing import Any

import pytest

from sandbox.periods import is_made_for_dates
from sandbox.server import Sandbox
from sources.servicetitan.catalog import BY_NAME, CATALOG, Entity
from tests.sandbox.reader import Reader

MADE = [row for row in CATALOG if is_made_for_dates(row)]
CAPACITY = BY_NAME["capacity"]
MAY = {"from": "2026-05-01T00:00:00.000Z", "to": "2026-05-15T00:00:00.000Z", "id": "schedulers-1"}
JUNE = {"from": "2026-06-01T00:00:00.000Z", "to": "2026-06-15T00:00:00.000Z", "id": "schedulers-1"}
BODY = {"startsOnOrAfter": MAY["from"], "endsOnOrBefore": MAY["to"], "skillBasedAvailability": True}


@pytest.mark.parametrize("entity", MADE, ids=lambda entity: entity.name)
def test_the_same_dates_have_the_same_answer(reader: Reader, entity: Entity) -> None:
    """And other dates another one."""
    first, again, other = (reader.read_all(entity, dates) for dates in (MAY, MAY, JUNE))
    assert first == again != other


@pytest.mark.parametrize("entity", [row for row in MADE if row.method == "GET"], ids=lambda entity: entity.name)
def test_dates_are_demanded(reader: Reader, entity: Entity) -> None:
    """Without them, or with an end before the beginning, there is a 400."""
    where = entity.path.replace("{id}", "schedulers-1")
    assert reader.get(entity, where).status_code == 400
    assert reader.ask(entity, MAY | {"to": "2026-01-01"}).status_code == 400


def test_segments_of_performance_are_finer_and_finer(reader: Reader) -> None:
    """By campaign, ad group and keyword; the kind of segment is demanded."""
    names = ("marketing_performance", "marketing_performance_by_ad_group", "marketing_performance_by_keyword")
    counts = [len(reader.read_all(BY_NAME[name], MAY)) for name in names]
    assert counts == sorted(set(counts))
    dates = {"fromUtc": MAY["from"], "toUtc": MAY["to"]}
    assert reader.get(BY_NAME[names[0]], "performance", **dates).status_code == 400


def test_slots_lie_within_the_time(reader: Reader) -> None:
    """Each day's hours for each group of business units, not more of them free than there are."""
    slots = reader.read_all(CAPACITY, MAY)
    assert len({(slot["startUtc"], str(slot["businessUnitIds"])) for slot in slots}) == len(slots) == 28
    assert all(MAY["from"] <= slot["startUtc"] < slot["endUtc"] <= MAY["to"] for slot in slots)
    assert all(0 <= slot["openAvailability"] <= slot["totalAvailability"] for slot in slots)


@pytest.mark.parametrize(
    ("body", "query"),
    [
        (BODY, {"page": 1}),
        (BODY | {"endsOnOrBefore": "2026-05-15T00:00:01Z"}, {}),
        (BODY | {"skillBasedAvailability": "true"}, {}),
        *((({name: value for name, value in BODY.items() if name != missing}), {}) for missing in BODY),
    ],
    ids=str,
)
def test_capacity_refuses(reader: Reader, body: dict[str, Any], query: dict[str, Any]) -> None:
    """Query parameters, more than 14 days, text for a truth value, a missing field; it does not answer a GET."""
    address = f"{CAPACITY.base}1/capacity"
    assert reader.client.post(address, json=BODY).status_code == 200
    assert reader.client.post(address, json=body, params=query).status_code == 400
    assert reader.client.get(address).status_code == 405


def test_nothing_was_sold_before_the_business_began(sandbox: Sandbox) -> None:
    """Sums of long ago are zero, and lists of long ago empty."""
    sums = sandbox.records("scheduler_performance")
    assert sums[0]["totalSessions"] == 0
    assert sums[-1]["totalSessions"] > 0
