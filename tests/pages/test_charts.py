"""Charts: what is drawn is what the numbers say."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.pages.charts import LEAST, Chart, Column, chart, compact, scale
from api.pages.look import Look

MORNING = datetime(2026, 3, 1, 6, tzinfo=UTC)


def drawn(*values: tuple[float, ...], limit: float | None = None) -> Chart:
    """A chart of hours with these values."""
    names = ("fetched", "appended")[: len(values[0]) if values else 1]
    columns = [
        Column(f"{MORNING + timedelta(hours=place):%Y-%m-%d %H:%M} UTC", each, "06:00", MORNING)
        for place, each in enumerate(values)
    ]
    return chart(
        ident="records", title="Records", about="Many.", axis="From", series=names, columns=columns, limit=limit
    )


def length(text: str) -> float:
    """A length of SVG as a number."""
    return float(text.removesuffix("%"))


@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 10**12)), min_size=1, max_size=60))
def test_every_bar_stands_within_the_plot_and_in_its_own_place(values: list[tuple[int, int]]):
    """Whatever the numbers; what is not nothing can be seen, and nothing is not drawn."""
    for place, numbers in zip(drawn(*values).places, values, strict=True):
        assert [bar.series for bar in place.bars] == [series for series, value in enumerate(numbers) if value]
        for bar in place.bars:
            assert length(place.x) <= length(bar.x)
            assert length(bar.x) + length(bar.width) <= length(place.x) + length(place.width) + 0.02
            assert LEAST <= length(bar.height) <= 100
            assert length(bar.y) + length(bar.height) == pytest.approx(100, abs=0.02)


@given(st.floats(0, 1e15))
def test_a_scale_holds_its_values_and_wastes_no_more_than_half(highest: float):
    """Its half is a whole number, for the line in the middle."""
    top = scale(highest)
    assert top >= highest
    assert top % 2 == 0
    assert top == 2 or top <= 2 * highest


def test_heights_are_in_proportion_to_the_scale():
    """Twice the number is twice the height; the second series stands in front and is the narrower one."""
    [first, second] = drawn((40, 20), (10, 0)).places
    assert [bar.height for bar in first.bars] == ["100%", "50%"]
    assert [bar.height for bar in second.bars] == ["25%"]
    behind, front = first.bars
    assert length(front.width) < length(behind.width)
    assert [tick.text for tick in drawn((40, 20)).ticks] == ["40", "20", "0"]


def test_a_limit_is_within_the_scale():
    """Also above all bars."""
    made = drawn((30,), limit=90)
    assert made.limit is not None
    assert (made.ticks[0].text, made.limit.y, made.limit.text) == ("100", "10%", "90")
    assert drawn((30,)).limit is None


def test_a_limit_has_its_key():
    """What a dashed line means is told; without one, bars of one kind need no key."""
    macro = Look().environment.get_template("parts/chart.html").module.drawn  # type: ignore[attr-defined]
    assert "at most 3.6\u202fk</li>" in str(macro(drawn((1200,), limit=3600)))
    assert "at most" not in str(macro(drawn((1200, 7))))
    assert 'class="keys"' not in str(macro(drawn((1200,))))


@pytest.mark.parametrize("values", [(), ((0,), (0,))])
def test_nothing_is_a_chart_too(values: tuple[tuple[float, ...], ...]):
    """Without bars, and with a scale."""
    made = drawn(*values)
    assert [bar for place in made.places for bar in place.bars] == []
    assert [tick.text for tick in made.ticks] == ["2", "1", "0"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (950, "950"), (1500, "1.5\u202fk"), (2e7, "20\u202fM"), (3.25e9, "3.2\u202fG"), (1000, "1\u202fk")],
)
def test_numbers_of_a_scale_are_short(value: float, text: str):
    """With the unit that keeps them so."""
    assert compact(value) == text


def test_who_sees_no_bars_gets_the_same_numbers():
    """A title, a description, and a table with a row for each column."""
    look = Look()
    macro = look.environment.get_template("parts/chart.html").module.drawn  # type: ignore[attr-defined]
    html = str(macro(drawn((1200, 7), (5, 0))))
    assert re.search(r'<svg class="bars"[^>]* role="img" aria-labelledby="records-title records-about">', html)
    assert '<title id="records-title">Records</title>' in html
    assert '<desc id="records-about">Many.</desc>' in html
    assert re.findall(r'<td class="num">(.*?)</td>', html) == ["5", "0", "1\u202f200", "7"]
    assert "2026-03-01 07:00 UTC: 5 fetched, 0 appended" in html
    assert 'data-clock="2026-03-01T06:00:00+00:00"' in html
    assert " style=" not in html


def test_what_is_drawn_is_escaped():
    """Names may come from anybody."""
    columns = [Column("<b>", (1.0,))]
    made = chart(ident="a", title="<i>", about="<u>", axis="<p>", series=("<s>",), columns=columns)
    html = str(Look().environment.get_template("parts/chart.html").module.drawn(made))  # type: ignore[attr-defined]
    assert not re.search(r"<(b|i|u|s)>", html)


def test_the_last_label_stays_within_the_chart():
    """It ends at the right edge; the others stand below the middle of their columns."""
    macro = Look().environment.get_template("parts/chart.html").module.drawn  # type: ignore[attr-defined]
    labels = re.findall(r'<text x="([^"]+)" y="14" text-anchor="(\w+)"', str(macro(drawn((1, 2), (3, 4)))))
    assert labels == [("25%", "middle"), ("100%", "end")]
