"""label-noise."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import percent, some
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Labels that a simple model is sure are others.

    Why it matters
        A net large enough learns wrong labels by heart, and its validation number cannot rise above their share.

    How it is decided
        A linear model, trained on four fifths of the samples read and asked about the last fifth, five times: samples
        whose label it gives under 5 % while another class has over 60 %. More than 10 % of them is told, with their
        numbers; never judged, and nothing is dropped.

    When it is a false alarm
        A linear model may be sure and wrong: only where it is right on most is it asked at all.

    What to do
        Look at the samples named.
    """
    told = at.trial("baselines")
    suspects = told.get("suspects")
    if suspects is None:
        return None
    share = float(suspects["share"])
    names = [f"sample {i}" for i in suspects.get("samples") or ()]
    said = f"a linear model is sure of another label for {percent(share)} of the samples"
    if share <= limit["share"]:
        return Verdict("pass", said, share, limit["share"])
    return Verdict(
        "info",
        f"{said}: {some(names)}",
        share,
        limit["share"],
        "labels as they are → looked at, sample by sample",
        f"under {percent(limit['share'])} are in doubt",
    )


CHECK = Check("label-noise", "labels that look wrong", "Notes K14, D2.", judge, {"share": 0.1})
