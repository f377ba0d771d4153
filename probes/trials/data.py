"""The data report: all data sets of the script, read for a while, and what they have in common."""

from __future__ import annotations

from typing import Any

import torch

from . import again, overlap
from .found import find
from .pictures import worst
from .reading import Reading
from .sets import same_random
from .subject import NotPossibleError, Subject
from .tally import tally

SHARE = 0.15
"""Of the time that is left, for each data set, and once more for reading some samples of it again."""
SECONDS = 10.0
"""For each data set at most."""
SHOWN = 16


def data(subject: Subject) -> dict[str, Any]:
    """``sets`` by role, ``leaks``, ``groups``, ``near``, ``generators`` and ``predictions`` (``nnwatch/trial.py``).

    Raises NotPossibleError where no training data are found.
    """
    sources = find(subject)
    seconds = min(SECONDS, SHARE * subject.seconds)
    found: dict[str, Any] = {"sets": {}, "leaks": {}}
    with same_random():
        held = [Reading(source, seconds) for source in sources[1:]]  # every validation row before any training row
        train = Reading(sources[0], seconds)
        for read in (train, *held):
            told = tally(read) | _drawn_again(read, seconds)
            told["pictures"] = worst(read, _reasons(told))
            found["sets"][read.source.role] = told
    for read in held:
        if read.source.rows and len(read) and not train.source.partly:
            found["leaks"][read.source.role] = overlap.leak(train, read)
    for read in held[:1]:
        for name, common in (("groups", overlap.groups(train, read)), ("near", overlap.near(train, read))):
            if common is not None:
                found[name] = common
    found["generators"] = again.generators(train.source)
    found["predictions"] = _predictions(subject)
    return found


def _drawn_again(read: Reading, seconds: float) -> dict[str, Any]:
    """What changes when samples are read once more."""
    if read.errors:
        return {}
    known = {"varies": again.varies(read.source, seconds / 2)}
    if read.source.role == "train" and known["varies"]:
        known["geometry"] = again.geometry(read.source, seconds / 2)  # type: ignore[assignment]
    return {name: value for name, value in known.items() if value is not None}


def _reasons(told: dict[str, Any]) -> dict[int, str]:
    """Why samples are worth a look, the worst first."""
    reasons = dict.fromkeys(told["nonfinite"], "not finite")
    reasons |= {place: "constant" for place in told["constant"] if place not in reasons}
    for place, feature, value, z in told.get("outliers") or ():
        reasons.setdefault(place, f"{feature} = {value:.4g}, {abs(z):.0f} deviations off")
    return reasons


def _predictions(subject: Subject) -> list[list[Any]]:
    """Label, predicted class and confidence of the first samples of the captured step."""
    try:
        step = subject.step()
    except NotPossibleError:
        return []
    target = step.batch.term.target
    with step.passing(training=False), torch.no_grad():
        prediction = step.passed(step.batch).prediction
    classes = step.batch.term.name in ("cross_entropy", "nll_loss")
    if not classes or prediction is None or target is None or prediction.dim() != 2 or target.dim() != 1:
        return []
    sure, guess = torch.softmax(prediction[:SHOWN].float(), 1).max(1)
    rows = zip(target[:SHOWN].tolist(), guess.tolist(), sure.tolist(), strict=True)
    return [[str(label), str(one), round(share, 3)] for label, one, share in rows]
