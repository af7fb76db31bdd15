"""What holds the business together: for some entities, the fields that must agree with other records."""

from sandbox.share import ESTIMATE_ITEMS, INVOICE_ITEMS, Share
from sandbox.stories import billing, people, sales, skills, work
from sandbox.stories.story import Story

STORIES: dict[str, Story] = {
    **people.STORIES,
    **work.STORIES,
    **sales.STORIES,
    **billing.STORIES,
    **skills.STORIES,
}
PLAIN = Story()
"""The story of every other entity: it belongs to a job, and that is all."""

EMBEDDED: dict[str, tuple[str, str, Share]] = {
    "estimates": ("items", "estimate_items", ESTIMATE_ITEMS),
    "invoices": ("items", "invoice_items", INVOICE_ITEMS),
}
"""Arrays that show another entity's records: the field, the entity and whose they are."""


def story_of(name: str) -> Story:
    """The story of an entity."""
    return STORIES.get(name, PLAIN)
