"""How long the second run of a script is: what there is time for, and how much time it would have taken."""

from __future__ import annotations

import math
from typing import NamedTuple

SAME = 50
"""Steps of two runs that are compared, at most."""
RAMP, LEAST = 120, 30
"""Steps of the range test, and the fewest that are worth it."""
FIRST, SECOND = 0.6, 0.95
"""Shares of the whole time after which the experiments in the process of the first run, and the second run, end."""


class Pace(NamedTuple):
    """Seconds before the first step, and of each step."""

    loading: float
    step: float


def lengths(left: float, pace: Pace, made: int, ends: bool, ramp: bool) -> tuple[int, int]:
    """Steps of the second run that are compared, and of its range test (``ramp``: is one wanted? 0: none, as not even
    the shortest fits). ``left`` are the seconds that it has, ``made`` the steps of the first run, with which the
    script ``ends`` or not. The comparison gives way to the range test."""
    affordable = int((left - pace.loading) / max(pace.step, 1e-6))
    affordable = min(affordable, made) if ends else affordable
    same = max(1, min(SAME, made, affordable // 4, affordable - LEAST if ramp else SAME))
    return same, min(RAMP, affordable - same) if ramp and affordable - same >= LEAST else 0


def too_short(made: int) -> str:
    """Why there is no range test of a script that ends by itself after so many steps."""
    return f"the script ends after {made} steps, and {LEAST} for it and one before them are needed; give it more to do"


def too_late(pace: Pace, began: float, total: float, made: int, wanted: int) -> str:
    """The same where the time was over. ``began``: seconds from the start of the check to that of the second run;
    ``total`` that the check had; ``made`` steps of the ``wanted`` ones."""
    needs = pace.loading + (LEAST + 1) * pace.step
    least = max((began + needs) / SECOND, needs / (SECOND - FIRST), 1.05 * total)
    enough = f"--minutes {math.ceil(least / 30) / 2:g} is enough"
    if made:
        return f"the {total / 60:g} minutes were over after {made} of its {wanted} steps; {enough}"
    takes = f"{LEAST} steps of {pace.step:.2g} s, and {pace.loading:.0f} s before the first one"
    left = max(0.0, SECOND * total - began)
    return f"its shortest form takes {takes}; {left:.0f} s of the {total / 60:g} minutes were left; {enough}"
