"""index-off-by-one."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..place import of_loss
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Labels or targets that are shifted by one place.

    Why it matters
        A language model whose target is its own input learns to copy and reports a loss of nearly 0. Labels counted
        from 1 leave the first output without any sample and need one output too many.

    How it is decided
        Exact. The tokens that enter the model and those that the loss compares with are the same at every place (they
        should be shifted by one). Or: a classifier of three classes or more, of which class 0 occurs in none of the
        labels that were read while the last one does.

    When it is a false alarm
        An autoencoder of tokens copies on purpose. A class 0 kept for "unknown" is meant: the second form is a
        warning only where 20 samples per class were read.

    What to do
        logits[:, :-1] against tokens[:, 1:]; labels - 1, and one output less.
    """
    shift = (at.experiments.get("gradient") or {}).get("shift")
    if shift == 0:
        return Verdict(
            "error",
            "the target is the input itself at every place: the model is asked to copy",
            1.0,
            0.0,
            f"loss(logits, tokens){of_loss(at)} → loss(logits[:, :-1], tokens[:, 1:])",
            "the first loss is about ln(vocabulary), and does not fall to 0 within an epoch",
        )
    if shift is not None:
        return Verdict("pass", f"the target is the input {shift} places on", float(shift), 1.0)
    classes = int(at.facts.get("classes") or 0)
    counts = {int(label): int(n) for label, n in ((at.set("train").get("target") or {}).get("counts") or {}).items()}
    read = sum(counts.values())
    if classes < 3 or not counts or read < limit["samples"] * classes:
        return None
    if min(counts) == 1 and max(counts) == classes - 1 and len(counts) == classes - 1:
        return Verdict(
            "warn",
            f"labels run from 1 to {classes - 1}, the model has {classes} outputs: output 0 is never right",
            1.0,
            0.0,
            f"{classes} outputs{of_loss(at)} → {classes - 1}, labels - 1",
            "every output has samples",
        )
    return Verdict("pass", f"{len(counts)} labels from {min(counts)} for {classes} outputs", float(min(counts)), 0.0)


CHECK = Check("index-off-by-one", "labels shifted by one", "Met in practice; exact.", judge, {"samples": 20})
