"""overfit-batch."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, State, Verdict
from ..finding import count, number, percent
from ..trials import Trials

KINDS = ("cross-entropy", "binary-cross-entropy", "mse", "l1")


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Whether 16 samples can be learned by heart.

    Why it matters
        A net that cannot learn a few samples by heart cannot learn anything: there is a bug in what it is given, in
        the loss, or in the code between.

    How it is decided
        The captured step, on 16 samples that stay the same, input and labels together, with dropout and weight decay
        off and optimizers of nnwatch's own, one after the other, until one does it: the user's rate would fail sound
        scripts. The loss must come down to 1 % of the first one (or 0.001) above what is possible at all (label
        smoothing, soft targets, equal inputs with different labels), a classifier must be right on all. A verdict
        only for cross entropy, binary cross entropy, squares and absolute differences; told otherwise.

    When it is a false alarm
        Losses with a term that cannot become small (a prior, a penalty) have another floor. Nets that give back their
        own input through a narrow layer cannot give back all of it: told only.

    What to do
        In this order: input and output of the model, labels, loss, code. Never doubt the capacity first.
    """
    told = at.trial("overfit")
    kind, samples = str(told.get("loss_kind")), int(told.get("samples") or 0)
    first, last, floor = float(told["first"]), float(told["last"]), float(told.get("floor") or 0.0)
    accuracy = told.get("accuracy")
    rung = (told.get("rungs") or [{}])[-1]
    how = (
        f" with {rung['optimizer']} {number(float(rung['rate']))} in {count(rung['steps'], 'step')}"
        if rung.get("optimizer")
        else ""
    )
    right = f", {percent(float(accuracy))} right" if accuracy is not None else ""
    said = f"{samples} samples: loss {number(first)} → {number(last)}{right}{how}"
    goal = floor + max(limit["share"] * (first - floor), limit["least"])
    unsure = floor > 0 or kind not in KINDS[:2]  # some targets cannot all be right
    if last <= goal and (accuracy is None or accuracy >= 1 or unsure):
        return Verdict("pass", said, last, goal)
    alone = "train" in at.found and not at.found["train"].get("target")  # it learns its own input, through a strait
    if kind not in KINDS or (alone and kind != KINDS[0]):
        return Verdict("info", f"{said}; what is possible with this loss is not known", last, goal)
    near = last <= floor + limit["near"] * (first - floor)
    state: State = "warn" if near else "error"
    return Verdict(
        state,
        f"{said}, {number(goal)} is possible",
        last,
        goal,
        "the training as it is → look at the model's input and output, then labels, loss, code, in this order",
        f"16 samples are learned to a loss under {number(goal)}",
    )


CHECK = Check(
    "overfit-batch",
    "16 samples learned by heart",
    "Notes B36, T11, C58-62, C365; the ladder is measured.",
    judge,
    {"share": 0.01, "least": 1e-3, "near": 0.1},
    follows=(
        "corrupt",
        "label-range",
        "finite",
        "broadcast",
        "loss-type",
        "loss-clip",
        "optimizer-coverage",
        "gradient-to-input",
        "gradient",
        "initial-scale",
        "input-normalisation",
        "target-normalisation",
    ),
)
