"""Round times of day for an axis, as the local clock shows them: whole minutes, hours, midnights."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import ceil

_DAY = 86_400.0
_STEPS = (
    *(0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200),
    *(_DAY, 2 * _DAY, 7 * _DAY, 14 * _DAY, 28 * _DAY, 91 * _DAY, 364 * _DAY),
)  # fmt: skip
"""Seconds between two ticks."""


def clock_ticks(first: float, last: float, most: int) -> list[tuple[float, str]]:
    """At most about ``most`` times in [first, last] (seconds since 1970) and what they are called; midnights are
    called by their date."""
    step = next((step for step in _STEPS if last - first <= most * step), _STEPS[-1])
    begin = datetime.fromtimestamp(first)
    midnight = begin.replace(hour=0, minute=0, second=0, microsecond=0)
    if step >= _DAY:  # the same days, whatever the first one shown is: weeks begin on Monday
        midnight -= timedelta(days=(midnight.toordinal() - 1) % int(step / _DAY))
    found: list[tuple[float, str]] = []
    number = ceil((begin - midnight).total_seconds() / step - 1e-6)
    while True:
        # in local time first, so that hours stay whole where the clocks change
        time = (midnight + timedelta(seconds=number * step)).timestamp()
        number += 1
        if time > last:
            return found or [(first, _name(first, step))]
        if time >= first and (not found or time > found[-1][0]):
            found.append((time, _name(time, step)))


def date(time: float) -> str:
    """``21 Nov``, in local time."""
    local = datetime.fromtimestamp(time)
    return f"{local.day} {local:%b}"


def _name(time: float, step: float) -> str:
    local = datetime.fromtimestamp(time)
    if step >= 28 * _DAY:
        return f"{local:%b %Y}"
    if step >= _DAY or (step >= 60 and local.hour == local.minute == 0):
        return date(time)
    if step >= 60:
        return f"{local:%H:%M}"
    return f"{local:%H:%M:%S}" if step >= 1 else f"{local:%H:%M:%S}.{local.microsecond // 100_000}"
