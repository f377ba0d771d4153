"""outliers."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import number, percent
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Values far from the rest of their feature.

    Why it matters
        Outliers nearly always show errors in the data or in their preparation; one value of 60,000 rules the mean.

    How it is decided
        Per feature (per channel of an image) the distance to the median in median absolute deviations; over 20 is
        told, with the sample's number and its place. Never judged: heavy tails exist.

    When it is a false alarm
        Counts, prices and other heavy tails: take their logarithm.

    What to do
        Look at the samples named.
    """
    found = at.set("train").get("outliers")
    if found is None:
        return None
    far = [entry for entry in found if abs(float(entry[3])) > limit["z"]]
    if not far:
        return Verdict("pass", f"no value is further than {limit['z']:.0f} deviations from its median", 0.0, limit["z"])
    listed = ", ".join(f"sample {i}, {place} = {number(float(v))}" for i, place, v, _ in far[:3])
    more = f" and {len(far) - 3} more" if len(far) > 3 else ""
    worst = max(abs(float(entry[3])) for entry in far)
    return Verdict(
        "info",
        f"{listed}{more}, up to {number(worst)} deviations from the median",
        worst,
        limit["z"],
        f"{len(far)} samples → looked at",
        f"no value beyond {percent(limit['z'] / worst)} of that",
    )


CHECK = Check("outliers", "values far from the rest", "Notes K15, B19.", judge, {"z": 20})
