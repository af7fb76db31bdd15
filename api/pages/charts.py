"""Bar charts: numbers in, geometry out. Pure; `parts/chart.html` draws it and gives the same numbers as a table.

Lengths are per cent of the plot, so that a chart has any width and its text keeps its size.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product

from api.pages.look import number

HALVES = (2, 4, 6, 8, 10)  # tops of a scale whose half is a whole number, too
ROUND = (1, 2, 3, 4, 5, 6, 8, 10)  # and those that are a tenth, a hundredth ... of a top
WIDTHS = (76.0, 38.0)  # of its place: what stands in front leaves what is behind it to be seen
LEAST = 1.5  # height of a bar that is not nothing
UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True, slots=True)
class Column:
    """A place on the axis: its name in full, a value for each series, and what stands below it, which may be nothing."""

    name: str
    values: tuple[float, ...]
    label: str = ""
    at: datetime | None = None  # where a stretch of time begins: label and table have the reader's time


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle, and which series it is of."""

    series: int
    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True, slots=True)
class Place:
    """A column with where it stands; `told` has its numbers."""

    column: Column
    told: str
    x: str
    width: str
    middle: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """A line across the plot, and its value."""

    y: str
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart as it is drawn. `ident` is its own on a page, `about` says in words what it shows."""

    ident: str
    title: str
    about: str
    axis: str  # what the table calls its columns' names: "From", "Day (UTC)"
    series: tuple[str, ...]
    places: tuple[Place, ...]
    ticks: tuple[Tick, ...]  # from the top down
    limit: Tick | None


def chart(
    *,
    ident: str,
    title: str,
    about: str,
    axis: str,
    series: tuple[str, ...],
    columns: Sequence[Column],
    limit: float | None = None,
) -> Chart:
    """Bars of one or two series from a common ground, the second in front. A `limit` is a line, and within the scale."""
    highest = max((value for column in columns for value in column.values), default=0.0)
    top = scale(max(highest, limit or 0.0))
    ticks = tuple(Tick(percent(100 - 50 * half), compact(top * half / 2)) for half in (2, 1, 0))
    line = None if limit is None else Tick(percent(100 - 100 * limit / top), compact(limit))
    return Chart(ident, title, about, axis, series, tuple(places(columns, series, top)), ticks, line)


def places(columns: Sequence[Column], series: tuple[str, ...], top: float) -> Iterator[Place]:
    """Each column in its share of the width."""
    share = 100 / max(len(columns), 1)
    for order, column in enumerate(columns):
        x = order * share
        bars = tuple(
            bar(place, value, x, share, top) for place, value in enumerate(column.values[: len(WIDTHS)]) if value > 0
        )
        told = ", ".join(f"{number(value)} {name}" for value, name in zip(column.values, series, strict=True))
        yield Place(column, told, percent(x), percent(share), percent(x + share / 2), bars)


def bar(series: int, value: float, x: float, share: float, top: float) -> Bar:
    """A series' rectangle in the middle of its place."""
    width, height = share * WIDTHS[series] / 100, max(100 * value / top, LEAST)
    return Bar(series, percent(x + (share - width) / 2), percent(100 - height), percent(width), percent(height))


def scale(highest: float) -> float:
    """The end of a scale that holds a value, in round numbers; half of it is a whole number."""
    for zeros, head in product(range(19), ROUND):
        top = float(head * 10**zeros)
        if top >= highest and (zeros or head in HALVES):
            return top
    return highest


def percent(value: float) -> str:
    """A length as SVG takes it, with two digits at most."""
    return f"{value:.2f}".rstrip("0").rstrip(".") + "%"


def compact(value: float) -> str:
    """A number in few characters: `950`, `1.5 k`, `20 M`."""
    for size, unit in UNITS:
        if value >= size:
            return f"{value / size:.1f}".removesuffix(".0") + f"\u202f{unit}"
    return f"{value:.0f}"
