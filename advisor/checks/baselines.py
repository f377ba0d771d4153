"""baselines."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import number, percent
from ..trials import Trials
from ..window import median


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """What must be beaten: a guess that never looks at the input, and a linear model.

    Why it matters
        A net of a million parameters that does not beat a line is not worth its electricity, and mostly a bug.

    How it is decided
        Most frequent class or mean, the last value again for a series, and a linear model on the flattened input
        (least squares, or logistic regression by accelerated gradient descent), on validation data where they were
        found and on a tenth of the training data otherwise. Told, with the numbers, which stay as lines on the screen
        of later runs and are what the rule below-baseline compares with.

    When it is a false alarm
        It is no alarm. A linear model no better than a guess says that the task is not linear, or that inputs and
        labels do not belong together.

    What to do
        Beat them.
    """
    told = at.trial("baselines")
    parts, linear = [], told.get("linear") or {}
    names = (
        ("majority", "the most frequent class"),
        ("mean", "the mean"),
        ("linear", "a linear model"),
    )
    for name, words in names:
        entry = told.get(name) or {}
        if "accuracy" in entry:
            parts.append(f"{words} is right on {percent(float(entry['accuracy']))}")
        elif "loss" in entry:
            parts.append(f"{words} has a loss of {number(float(entry['loss']))}")
    if at.has("loss.persistence"):
        parts.append(f"the last value again has a loss of {number(median(at.view('loss.persistence').scalar))}")
    if not parts:
        return None
    guess = told.get("majority") or told.get("mean") or {}
    kind = "accuracy" if "accuracy" in linear else "loss"
    value, reference = linear.get(kind), guess.get(kind)
    said = "; ".join(parts) + f" ({told.get('on', 'training data')})"
    return Verdict(
        "pass", said, None if value is None else float(value), None if reference is None else float(reference)
    )


CHECK = Check("baselines", "what must be beaten", "Notes B24, K16.", judge)
