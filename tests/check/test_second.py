"""How long the second run is: arithmetic, no clock."""

import pytest

from nnwatch.check.second import LEAST, RAMP, SAME, SECOND, Pace, lengths, too_late, too_short


def test_a_fast_script_is_compared_and_ramped_in_full():
    assert lengths(60, Pace(2, 0.01), 200, False, True) == (SAME, RAMP)
    assert lengths(60, Pace(2, 0.01), 20, False, True) == (20, RAMP)


def test_the_range_test_becomes_shorter_before_it_is_given_up_and_the_comparison_before_it():
    assert lengths(60, Pace(0, 0.5), 200, False, True) == (30, 90)
    assert lengths(22, Pace(2, 0.5), 200, False, True) == (10, LEAST)
    assert lengths(17.6, Pace(2, 0.5), 200, False, True) == (1, LEAST)
    assert lengths(17, Pace(2, 0.5), 200, False, True) == (1, 0)
    assert lengths(17, Pace(2, 0.5), 200, False, False) == (7, 0)


def test_a_script_without_a_loader_ends_where_it_ends():
    assert lengths(60, Pace(0, 0.01), 100, True, True) == (25, 75)
    assert lengths(60, Pace(0, 0.01), 20, True, True)[1] == 0
    assert "ends after 20 steps" in too_short(20)


@pytest.mark.parametrize("began", [20.0, 90.0, 140.0])
@pytest.mark.parametrize("step", [1.0, 4.0])
def test_the_minutes_that_are_named_are_enough(began, step):
    """The experiments before it end at their share of the time, or where they end."""
    pace = Pace(10, step)
    told = too_late(pace, began, 150, 0, 0)
    assert f"30 steps of {step:.2g} s" in told
    assert f"{max(0, SECOND * 150 - began):.0f} s of the 2.5 minutes were left" in told
    total = 60 * float(told.split("--minutes ")[1].split()[0])
    assert total > 150
    for later in (began, 0.6 * total):
        assert lengths(SECOND * total - min(later, 0.6 * total), pace, 200, False, True)[1] >= LEAST


def test_one_that_was_cut_off_says_how_far_it_came():
    assert too_late(Pace(5, 1.0), 60, 150, 63, 80).startswith(
        "the 2.5 minutes were over after 63 of its 80 steps; --min"
    )
