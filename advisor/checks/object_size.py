"""object-size."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import number, percent
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """The size of objects, in pixels of what enters the model.

    Why it matters
        What is smaller than a few pixels after the resize can be told apart by nobody.

    How it is decided
        Boxes among the targets: the share whose shorter side is under 8 pixels. Told over 10 %.

    When it is a false alarm
        Detectors for points of light.

    What to do
        A larger input, or crops.
    """
    boxes = at.set("train").get("boxes")
    if boxes is None:
        return None
    small, median = float(boxes["small"]), float(boxes["median"])
    said = f"{percent(small)} of the boxes are under 8 pixels, half are under {number(median)}"
    if small <= limit["share"]:
        return Verdict("pass", said, small, limit["share"])
    return Verdict(
        "info", said, small, limit["share"], "the input size as it is → larger, or crops", "under 10 % are so small"
    )


CHECK = Check("object-size", "objects large enough to be seen", "Notes K14, K17.", judge, {"share": 0.1})
