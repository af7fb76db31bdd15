"""Sums for a time: what campaigns cost and brought, what schedulers did, and which hours are free."""

from typing import Any

from sandbox import clock
from sandbox.chance import salt
from sandbox.row import Row
from sandbox.stories.story import Story
from sandbox.words import CATEGORIES

HOURS, FREE = salt("hours"), salt("free")
OPENS, CLOSES = 8 * clock.HOUR, 17 * clock.HOUR
GROUPS = 4
"""So many slots' worth of business units share one."""
GROUP, WORD = "Group {}", "{} near me"
LIVE: dict[str, Any] = {"status": "Live"}
NO_SEGMENT: dict[str, Any] = {"id": "", "name": "", "status": None}


def campaign(row: Row, position: int) -> dict[str, Any]:
    """A campaign as advertising reports it."""
    business = row.business
    return LIVE | {
        "id": business.ident("campaigns", position),
        "externalId": None,
        "name": business.called("campaigns", position),
        "category": "Search",
        "launchDate": clock.date(business.horizon - 900 * clock.DAY),
    }


def segment(row: Row, campaigns: int, groups: int) -> dict[str, Any]:
    """The segment of a sum: so many records share a campaign, and so many an ad group."""
    group, word = row.position // max(groups, 1), row.position
    return {
        "campaign": campaign(row, row.position // campaigns),
        "adGroup": LIVE | {"id": f"ag{group + 1}", "name": GROUP.format(group + 1)} if groups else NO_SEGMENT,
        "keyword": LIVE | {"id": f"kw{word + 1}", "name": WORD.format(CATEGORIES[word % len(CATEGORIES)])}
        if groups > 1
        else NO_SEGMENT,
    }


def cost(row: Row) -> dict[str, Any]:
    """Whose cost it is."""
    return {
        "campaignId": row.business.ident("campaigns", row.position),
        "campaignName": row.business.called("campaigns", row.position),
    }


def scheduler(row: Row) -> dict[str, Any]:
    """Whose numbers they are."""
    return {
        "id": f"schedulers-{row.position + 1}",
        "schedulerName": row.business.called("schedulers", row.position),
        "brandName": "Blue Heron",
    }


def slot(row: Row) -> dict[str, Any]:
    """The working hours of a day for some business units."""
    business, start, end = row.business, row.created + OPENS, row.created + CLOSES
    units = range(row.position * GROUPS, min((row.position + 1) * GROUPS, business.sizes["business_units"]))
    total = 8.0 * len(units)
    left = row.chance(int(total) * 2 + 1, FREE) / 2
    technicians = [
        {
            "id": business.ident("technicians", place),
            "name": business.called("technicians", place),
            "status": "Available" if left else "Unavailable",
            "hasRequiredSkills": None,
        }
        for place in units
    ]
    return {
        "start": clock.stamp(start),
        "end": clock.stamp(end),
        "startUtc": clock.stamp(start),
        "endUtc": clock.stamp(end),
        "businessUnitIds": [business.ident("business_units", place) for place in units],
        "totalAvailability": total,
        "openAvailability": left,
        "technicians": technicians,
        "isAvailable": left > 0,
        "isExceedingIdealBookingPercentage": left < total / 5,
    }


STORIES = {
    "campaign_cost_summary": Story(cost),
    "marketing_performance": Story(lambda row: segment(row, 1, 0)),
    "marketing_performance_by_ad_group": Story(lambda row: segment(row, 2, 1)),
    "marketing_performance_by_keyword": Story(lambda row: segment(row, 4, 2)),
    "scheduler_performance": Story(scheduler),
    "capacity": Story(slot),
}
