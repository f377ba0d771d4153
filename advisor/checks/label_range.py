"""label-range."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import number, some
from ..place import of_loss
from ..script import loss
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Labels that the loss cannot mean: beyond the outputs of the model, or no probability.

    Why it matters
        A label without an output raises when its batch comes, on a GPU without a line; targets outside of 0 to 1 make
        binary cross entropy fall below any bound, silently.

    How it is decided
        Exact. Labels of cross_entropy against the number of outputs (all labels that were read, not those of one
        batch), targets of binary cross entropy against 0 and 1, and what the rule label-out-of-range saw in the steps.

    When it is a false alarm
        ignore_index is no label and is left out.

    What to do
        Count the labels from 0, or give the last layer as many outputs as there are classes.
    """
    seen = at.findings.get("label-out-of-range")
    if seen is not None:
        return at.by_rules(("label-out-of-range",), "")
    name, classes = str(loss(at).get("name") or ""), at.facts.get("classes")
    labels = name in ("cross_entropy", "nll_loss") and classes is not None
    if not labels and not name.startswith("binary_cross_entropy"):
        return None
    top = float(classes or 2) - 1
    ignored = float(loss(at).get("ignore_index", -100)) if labels else None
    outside, ends = [], []
    for role, data in at.found.items():
        target = data.get("target") or {}
        numbers = () if labels else (target.get("min"), target.get("max"))  # of several targets the last is told
        values = [float(value) for value in (*(target.get("counts") or ()), *numbers) if value is not None]
        outside += [f"{role}: {number(v)}" for v in values if not 0 <= v <= top and v != ignored]
        ends += [v for v in values if v != ignored]
    if not ends:
        return at.by_rules(("label-out-of-range",), f"the labels seen are within 0 and {top:.0f}")
    if not outside:
        return Verdict(
            "pass", f"labels from {number(min(ends))} to {number(max(ends))}, within 0 and {top:.0f}", max(ends), top
        )
    change = f"labels up to {number(max(ends))} → 0 to {top:.0f}, or {max(ends) + 1:.0f} outputs{of_loss(at)}"
    if not labels:
        change = f"targets from {number(min(ends))} to {number(max(ends))} → 0 to 1{of_loss(at)}"
    has = f"{classes} outputs" if labels else "a probability"
    return Verdict(
        "error", f"labels that {has} cannot be: {some(outside)}", max(ends), top, change, "no label is outside"
    )


CHECK = Check("label-range", "labels the loss cannot mean", "Note K12. Exact.", judge)
