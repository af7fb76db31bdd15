"""What holds the business together: for some entities, the fields that must agree with other records."""

from dataclasses import replace
from functools import cache

from sandbox import clock
from sandbox.business import Business
from sandbox.chance import below
from sandbox.share import ESTIMATE_ITEMS, INVOICE_ITEMS, Share
from sandbox.sizes import PER_PARENT
from sandbox.stories import billing, details, marketing, people, reporting, sales, skills, work
from sandbox.stories.story import DELAY, Near, Story, created_any, near_any

STORIES: dict[str, Story] = {
    **people.STORIES,
    **work.STORIES,
    **sales.STORIES,
    **billing.STORIES,
    **skills.STORIES,
    **details.STORIES,
    **marketing.STORIES,
    **reporting.STORIES,
}
PLAIN = Story()
"""The story of every other entity: it belongs to a job, and that is all."""

EMBEDDED: dict[str, tuple[str, str, Share]] = {
    "estimates": ("items", "estimate_items", ESTIMATE_ITEMS),
    "invoices": ("items", "invoice_items", INVOICE_ITEMS),
}
"""Arrays that show another entity's records: the field, the entity and whose they are."""


def near_owner(business: Business, owner: str, position: int) -> Near:
    """A record of the entity called `owner` and what it belongs to."""
    return story_of(owner).near(business, owner, position) | {owner: position}


def near_parent(business: Business, name: str, position: int) -> Near:
    """The parent of a record and what that belongs to."""
    parent, share = PER_PARENT[name]
    return near_owner(business, parent, share.parent(position))


def created_for_parent(business: Business, name: str, position: int, near: Near) -> int:
    """Within a day of the parent."""
    parent, number = PER_PARENT[name][0], business.number(name, position)
    created = story_of(parent).created(business, parent, near[parent], near)
    return business.capped(created + clock.MINUTE + below(clock.DAY, number, DELAY), number)


@cache
def story_of(name: str) -> Story:
    """The story of an entity; what is known to have a parent follows that one unless its story says otherwise."""
    story = STORIES.get(name, PLAIN)
    if name not in PER_PARENT:
        return story
    near = near_parent if story.near is near_any else story.near
    return replace(story, near=near, created=created_for_parent if story.created is created_any else story.created)
