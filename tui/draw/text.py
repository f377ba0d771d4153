"""Numbers as people read them: few digits, SI letters, times."""

from __future__ import annotations

from datetime import datetime
from math import floor, isinf, isnan, log10

_SI = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_BINARY = (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))


def number(value: float | None, digits: int = 3) -> str:
    """A value in about ``digits`` significant digits; a missing one is ``–``."""
    if value is None:
        return "–"
    if isnan(value):
        return "NaN"
    if isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == 0:
        return "0"
    power = floor(log10(abs(value)))
    if power < -3:
        mantissa, _, exponent = f"{value:.{max(digits - 2, 0)}e}".partition("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    if power >= 6:
        return si(value, digits)
    if power >= 3:
        return f"{value:,.0f}"
    return f"{value:.{max(digits - 1 - power, 0)}f}"


def si(value: float, digits: int = 3) -> str:
    """1234 as 1.23k; beyond tera in powers of ten."""
    if not abs(value) < 1e15:
        return f"{value:.1e}".replace("e+", "e")
    for size, letter in _SI:
        if abs(value) >= size * 0.9995:
            scaled = value / size
            decimals = max(digits - 1 - floor(log10(abs(scaled) * 1.0005)), 0)
            text = f"{scaled:.{decimals}f}"
            return (text.rstrip("0").rstrip(".") if "." in text else text) + letter
    return f"{value:.{digits}g}"


def tick(value: float) -> str:
    """A round axis value in at most six characters: 0.05, 1e-4, 25k."""
    if value == 0:
        return "0"
    size = abs(value)
    if size < 1e-3 or size >= 1e15:
        mantissa, _, exponent = f"{value:.1e}".partition("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    if size >= 1e4:
        return si(value)
    return f"{value:.4g}"


def count(value: float) -> str:
    """A whole number with thousands separators."""
    return f"{value:,.0f}"


def size(value: float | None) -> str:
    """Bytes in binary units."""
    if value is None or value != value:
        return "–"
    for unit, factor in _BINARY:
        if value >= factor:
            return f"{value / factor:.1f} {unit}"
    return f"{value:.0f} B"


def duration(seconds: float | None) -> str:
    """850 ms, 12 s, 3:07, 2:05:09, 3 d 4 h."""
    if seconds is None or isnan(seconds) or isinf(seconds):
        return "–"
    if seconds == 0:
        return "0 s"
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s" if seconds < 10 else f"{seconds:.0f} s"
    whole = int(seconds)
    if whole >= 86_400:
        return f"{whole // 86_400} d {whole % 86_400 // 3_600} h"
    if whole >= 3_600:
        return f"{whole // 3_600}:{whole // 60 % 60:02}:{whole % 60:02}"
    return f"{whole // 60}:{whole % 60:02}"


def clock(time: float) -> str:
    """Seconds since 1970 as local time of day."""
    return datetime.fromtimestamp(time).strftime("%H:%M:%S")


def remaining(step: int, planned: int, seconds_per_step: float) -> float | None:
    """Seconds to the planned end, None when it cannot be said."""
    if planned <= 0 or step <= 0 or not seconds_per_step > 0:
        return None
    return max(planned - step, 0) * seconds_per_step


def wrapped(text: str, width: int) -> list[str]:
    """The text in lines of at most ``width``, broken at blanks, or anywhere in words that are too long."""
    lines: list[str] = []
    for paragraph in text.splitlines() or [""]:
        line = ""
        for word in paragraph.split(" "):
            while len(word) > width:
                if line:
                    lines.append(line)
                    line = ""
                lines.append(word[:width])
                word = word[width:]
            if line and len(line) + 1 + len(word) > width:
                lines.append(line)
                line = word
            else:
                line = f"{line} {word}" if line else word
        lines.append(line)
    return lines


def of_step(cost: float, budget: float | None) -> str:
    """What share ``cost`` is of, and that it is more than the ``budget`` allows, where it is."""
    return f"of a step, over the budget of {budget:.1%}" if budget is not None and cost > budget else "of a step"
