"""A landing that also counts heads: which keys ServiceTitan shows, and how they differ from the copy."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sources.servicetitan.head import Head, Key
from sources.servicetitan.landing import Landing
from store.warehouse import Version


@dataclass(slots=True)
class Survey(Landing):
    """Lands what differs and remembers the keys that were served since `begin`. Each key counts once."""

    served: set[Key] = field(default_factory=set)
    deleted: set[Key] = field(default_factory=set)  # keys whose newest landed version is deleted
    missing: set[Key] = field(default_factory=set)
    reappeared: set[Key] = field(default_factory=set)
    differing: set[Key] = field(default_factory=set)

    def begin(self) -> None:
        """A new read: no key was served yet."""
        self.served = set()

    def meet(self, heads: Sequence[Head]) -> None:
        """Remember the keys."""
        Landing.meet(self, heads)
        self.served.update(head.key for head in heads)

    def learn(self, versions: dict[Key, Version]) -> None:
        """Remember which are deleted."""
        Landing.learn(self, versions)
        self.deleted.update(key for key, version in versions.items() if version.is_deleted)

    def is_news(self, head: Head, hash_: str) -> bool:
        """Also sorts a key whose version is news: new, back again or changed."""
        is_known = head.key in self.newest
        news = Landing.is_news(self, head, hash_)
        if news and head.key not in self.missing:
            self.sort(head, is_known=is_known).add(head.key)
        return news

    def sort(self, head: Head, *, is_known: bool) -> set[Key]:
        """Where a key with news belongs."""
        if not is_known:
            return self.missing
        return self.reappeared if head.key in self.deleted and not head.is_deleted else self.differing
