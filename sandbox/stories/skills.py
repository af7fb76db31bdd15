"""Records whose key is made of other records' ids."""

from typing import Any

from sandbox.business import Business
from sandbox.row import Row
from sandbox.stories.story import Near, Story
from sandbox.words import SKILLS

EACH = 3
"""So many skills a technician, so many labor types a location."""
LABOR = (("RES", "Residential"), ("COM", "Commercial"), ("PW", "Prevailing wage"))


def skill(row: Row) -> dict[str, Any]:
    """What a technician can do: `{technicianId}_{skillId}`."""
    business = row.business
    technician = business.ident("technicians", row.position // EACH % business.sizes["technicians"])
    number = (row.position // EACH + row.position % EACH) % len(SKILLS)
    return {"id": f"{technician}_{number + 1}", "technicianId": technician, "name": SKILLS[number]}


def near_labor(business: Business, _name: str, position: int) -> Near:
    """The location of a rate."""
    location = position // EACH % business.sizes["locations"]
    return {"locations": location, "jobs": location % business.sizes["jobs"]}


def labor(row: Row) -> dict[str, Any]:
    """What an hour costs at a location."""
    code, name = LABOR[row.position % EACH]
    return {
        "locationId": row.business.ident("locations", row.near["locations"]),
        "laborTypeCode": code,
        "laborTypeName": name,
    }


STORIES = {"technician_skills": Story(skill), "location_labor_types": Story(labor, near_labor)}
