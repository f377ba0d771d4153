"""show-predictions."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Some samples with label, prediction and confidence, to look at.

    Why it matters
        Predictions that disagree with what one sees point at code, not at the net.

    How it is decided
        Nothing is judged: 16 samples of the captured step. `--html` pictures them.

    When it is a false alarm
        Never.

    What to do
        Look at them.
    """
    shown = (at.experiments.get("data") or {}).get("predictions")
    if not shown:
        return None
    listed = ", ".join(f"{label}→{guess} ({100 * sure:.0f} %)" for label, guess, sure in shown[:4])
    right = sum(label == guess for label, guess, _ in shown)
    return Verdict(
        "pass",
        f"label → prediction: {listed} ...; {right} of {len(shown)} right so far",
        float(right),
        float(len(shown)),
    )


CHECK = Check("show-predictions", "predictions to look at", "Note K16.", judge)
