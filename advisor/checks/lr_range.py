"""lr-range."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, State, Verdict
from ..finding import number
from ..place import of_optimizer
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """The learning rate against those at which the loss falls fastest and diverges.

    Why it matters
        No other setting decides as much, and a hundred steps tell its size.

    How it is decided
        A range test on a copy: the rate rises geometrically over some 120 steps (30 at least, where they are slow);
        the steepest fall of the smoothed loss is the suggestion, the rate at which it diverges the ceiling. A rate at
        the ceiling or above is a warning, an error ten times above it; one that is ten times over or under the
        suggestion is told, a hundred times under it is a warning.

    When it is a false alarm
        A warm-up makes room for a higher rate; fine-tuning wants a lower one (told only). A suggestion is right to a
        factor of three.

    What to do
        The suggested rate, and a schedule that brings it down.
    """
    told = at.trial("range")
    if told.get("suggested") is None:
        return None
    suggested, ceiling = float(told["suggested"]), told.get("ceiling")
    present = told.get("present")
    present = max(present) if isinstance(present, list) else present
    top = f", the loss diverges at {number(float(ceiling))}" if ceiling else ""
    if not present:
        return Verdict("info", f"the loss falls fastest at {number(suggested)}{top}", None, suggested)
    present = float(present)
    said = f"lr {number(present)}; the loss falls fastest at {number(suggested)}{top}"
    ratio = present / suggested
    change = f"lr {number(present)} → {number(suggested)}{of_optimizer(at)}"
    expect = "the loss falls within the first hundred steps"
    tuned = at.finetune or at.no_goal
    if ceiling and present >= float(ceiling):
        state: State = "error" if present >= 10 * float(ceiling) else "warn"
        return Verdict("info" if at.lr_warmup_end else state, said, present, suggested, change, expect)
    if ratio < 1 / limit["low"] and not tuned:
        return Verdict("warn", said, present, suggested, change, expect)
    if not 1 / limit["told"] <= ratio <= limit["told"]:
        return Verdict("info", said, present, suggested, change, expect)
    return Verdict("pass", said, present, suggested)


CHECK = Check(
    "lr-range",
    "a learning rate in reach of the best",
    "Note C85; measured: within 0.05 of the best accuracy of a grid in 15 of 15 cells (three tasks).",
    judge,
    {"told": 10, "low": 100},
    follows=("input-normalisation", "target-normalisation", "initial-scale", "loss-reduction"),
)
