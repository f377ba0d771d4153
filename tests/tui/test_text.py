import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnwatch.tui.draw.grid import HEAT_LEVELS, Grid, Ink, plain
from nnwatch.tui.draw.heat import cividis, levels, shade
from nnwatch.tui.draw.sparkline import bar, spark_codes, sparkline
from nnwatch.tui.draw.text import duration, number, of_step, remaining, si, size, tick, wrapped


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (float("nan"), "NaN"),
        (float("inf"), "inf"),
        (float("-inf"), "-inf"),
        (0.0, "0"),
        (0.21312, "0.213"),
        (2.0, "2.00"),
        (123.4, "123"),
        (1234.5, "1,234"),
        (1.5e6, "1.5M"),
        (3.2e-4, "3.2e-4"),
        (1e-5, "1e-5"),
        (-0.5, "-0.500"),
        (1e30, "1.0e30"),
    ],
)
def test_number(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.05, "0.05"), (1e-4, "1e-4"), (25_000, "25k"), (2000, "2000"), (1e6, "1M")]
)
def test_tick(value, text):
    assert tick(value) == text


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_any_number_is_short(value):
    assert len(number(value)) <= 9
    if abs(value) < 1e300:
        assert len(si(value)) <= 10


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0, "0 s"),
        (2e-5, "20 µs"),
        (0.0123, "12.3 ms"),
        (3.14159, "3.14 s"),
        (42, "42 s"),
        (187, "3:07"),
        (7509, "2:05:09"),
        (273_600, "3 d 4 h"),
        (float("inf"), "–"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_bytes():
    assert size(1_536) == "1.5 KiB"
    assert size(None) == "–"


def test_what_remains_is_said_only_when_it_is_known():
    assert remaining(100, 400, 0.5) == 150
    assert remaining(0, 400, 0.5) is None
    assert remaining(500, 400, 0.5) == 0
    assert remaining(100, 400, 0.0) is None


@given(st.text(max_size=200), st.integers(1, 30))
def test_wrapped_lines_fit_and_keep_the_words(text, width):
    lines = wrapped(text, width)
    assert all(len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_a_sparkline_rises_and_holds_and_marks_what_is_not_finite():
    assert sparkline([0, 0.5, 1]) == "▁▅█"
    assert sparkline([np.nan, 0, np.nan, 1, np.nan]) == " ▁▁█ "
    assert sparkline([0, np.nan, 1], bad=[False, True, False]) == "▁✗█"
    assert sparkline([]) == ""


def test_a_bar_stays_in_its_width():
    assert [bar(share, 4) for share in (-1, 0.5, 9, float("nan"))] == ["────", "━━──", "━━━━", "────"]


def test_heat_goes_from_dark_to_light():
    light = [sum(cividis(share)) for share in np.linspace(0, 1, 12)]
    assert light == sorted(light)
    assert levels([0, 1, np.nan, 7]).tolist() == [0, HEAT_LEVELS - 1, -1, HEAT_LEVELS - 1]
    assert (shade(0), shade(HEAT_LEVELS - 1)) == (" ", "@")


def test_a_grid_cuts_at_its_edge():
    grid = Grid(8, 1)
    assert grid.put(2, 0, "longer than that", Ink.ERROR) == 8
    assert grid.lines() == ["  longe…"]
    assert (grid.inks[0, 2:] == Ink.ERROR).all()


def test_outside_a_grid_nothing_is_written():
    grid = Grid(4, 1)
    for x, y in ((4, 0), (0, 1), (-1, 0), (0, -1)):
        grid.put(x, y, "no")
    assert grid.lines() == ["    "]


@given(st.text(max_size=30), st.integers(1, 12))
def test_a_row_keeps_its_width_whatever_is_written(text, width):
    from rich.cells import cell_len

    grid = Grid(width, 1)
    grid.put(0, 0, text)
    assert grid.codes.shape == (1, width)
    if all(char.isprintable() and cell_len(char) == (2 if char >= "ᄀ" else 1) for char in text):
        assert cell_len(grid.lines()[0]) == width


@given(st.text(max_size=50))
def test_plain_is_ascii_of_the_same_length(text):
    assert plain(text).isascii()
    assert len(plain(text)) == len(text)


@given(st.lists(st.lists(st.one_of(st.just(np.nan), st.floats(0, 1)), min_size=9, max_size=9), min_size=1, max_size=5))
def test_many_sparklines_at_once_are_those_one_by_one(rows):
    together = spark_codes(np.array(rows))
    assert ["".join(map(chr, row)) for row in together] == [sparkline(row) for row in rows]


def test_a_cost_over_the_budget_says_so():
    assert of_step(0.012, 0.01) == "of a step, over the budget of 1.0%"
    assert of_step(0.009, 0.01) == of_step(0.5, None) == "of a step"
