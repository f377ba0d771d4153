"""augmented-label."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Whether a picture that is mirrored takes its mask or points along.

    Why it matters
        The picture was mirrored, its label was not: half of the targets are wrong, and the loss just stays higher.

    How it is decided
        Exact: training samples are read several times with other random numbers. Where one picture is the mirror image
        of another reading, a target that has its height and width, or is a list of points or boxes, must differ, too.

    When it is a false alarm
        Targets that a mirror leaves as they are: those are not counted.

    What to do
        One transform for both (torchvision.transforms.v2 with tv_tensors), or flip the target by hand.
    """
    seen = at.set("train").get("geometry")
    if seen is None or not seen.get("flipped"):
        return None
    flipped, still = int(seen["flipped"]), int(seen["still"])
    if not still:
        return Verdict("pass", f"{flipped} mirrored pictures took their targets along", 0.0, 0.0)
    return Verdict(
        "error",
        f"{still} of {flipped} mirrored pictures kept the target of the picture as it was",
        still / flipped,
        0.0,
        "a flip of the picture → of picture and target together",
        "every mirrored picture has a mirrored target",
    )


CHECK = Check("augmented-label", "targets that move with their picture", "Note K8. Exact.", judge)
