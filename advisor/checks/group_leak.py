"""group-leak."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import percent
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Members of one group (a person, a film, a session) on both sides of the split.

    Why it matters
        Two frames of one film are nearly the same sample: a net that remembers the film is right on both.

    How it is decided
        Exact, where the data say what belongs together: an attribute of the data set (groups, subjects, patients,
        speakers, sessions ...) with an entry for each sample. Where images of 32 pixels or more are near to each other
        by a 64-bit difference hash (four bits) more often between the sets than within training, that is told.

    When it is a false alarm
        Groups that do not matter for the question, such as the camera all samples share.

    What to do
        GroupShuffleSplit or GroupKFold of scikit-learn, by that attribute.
    """
    data = at.trial("data")
    near = data.get("near")
    if (groups := data.get("groups")) is not None:
        shared, of = int(groups["shared"]), int(groups["of"])
        if not shared:
            return Verdict("pass", f"no {groups['name']} of {of} in validation is in training", 0.0, 0.0)
        return Verdict(
            "error",
            f"{shared} of {of} {groups['name']} in validation are in training too",
            shared / max(of, 1),
            0.0,
            f"a split by sample → by {groups['name']} (GroupShuffleSplit)",
            f"no {groups['name']} is in both sets",
        )
    if near is not None:
        between, within = float(near["between"]), float(near["within"])
        said = (
            f"{percent(between)} of the validation images are near a training image, {percent(within)} within training"
        )
        odd = between > limit["times"] * within + limit["least"]
        change = "a split by image → by film, person or place" if odd else ""
        return Verdict("info" if odd else "pass", said, between, within, change)
    if "validation" not in at.sets():
        return None
    return None


CHECK = Check(
    "group-leak",
    "one group on both sides of the split",
    "Notes K14, K17. Perceptual hashes only for images of 32 pixels or more, against their rate within training.",
    judge,
    {"times": 2, "least": 0.05},
)
