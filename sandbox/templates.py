"""Addresses with placeholders, and what is found at one."""

import re
from collections.abc import Mapping
from typing import Generic, TypeVar

Place = tuple[str, str, str]
"""Module, version (`v2`) and path behind the tenant's id, with placeholders in braces."""
Values = dict[str, str]
Found = TypeVar("Found")

BRACES = re.compile(r"\{([^{}]+)\}")

Pattern = tuple[tuple[str | None, ...], tuple[str, ...], Found]
"""The segments of a path, None for a placeholder; the placeholders' names; what is there."""


def blank(path: str) -> str:
    """A path whose placeholders have no names."""
    return BRACES.sub("{}", path)


class Templates(Generic[Found]):
    """What stands at which address; one with fewer placeholders comes first."""

    def __init__(self, places: Mapping[Place, Found]) -> None:
        """`places` is read once."""
        self.exact = {place: found for place, found in places.items() if "{" not in place[2]}
        self.patterns: dict[tuple[str, str, int], list[Pattern[Found]]] = {}
        for (module, version, path), found in sorted(places.items(), key=lambda item: item[0][2].count("{")):
            if "{" in path:
                segments = tuple(None if BRACES.fullmatch(part) else part for part in path.split("/"))
                pattern = (segments, tuple(BRACES.findall(path)), found)
                self.patterns.setdefault((module, version, len(segments)), []).append(pattern)

    def find(self, module: str, version: str, path: str) -> tuple[Found, Values] | None:
        """What is at a path and the values of its placeholders; None where there is nothing."""
        if (module, version, path) in self.exact:
            return self.exact[module, version, path], {}
        parts = path.split("/")
        for segments, names, found in self.patterns.get((module, version, len(parts)), ()):
            if all(segment is None or segment == part for segment, part in zip(segments, parts, strict=True)):
                values = [part for segment, part in zip(segments, parts, strict=True) if segment is None]
                return found, dict(zip(names, values, strict=True))
        return None
