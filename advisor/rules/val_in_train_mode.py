"""val-in-train-mode."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..passes import newest
from ..place import of
from ..rule import Rule
from ..script import layers

EVAL = "Switch to eval mode for validation"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Validation runs with dropout and BatchNorm layers in training mode: ``model.eval()`` was not called.

    Why it matters
        Dropout throws away part of the net, and BatchNorm takes its statistics from the validation batch and mixes
        them into those it will be used with. Every validation number is wrong, and a best checkpoint chosen by them
        is the wrong one.

    How it is decided
        Exact: the mode of every dropout and BatchNorm layer is looked at while a validation batch passes. It is an
        error when most of them were in training mode in all batches of the newest evaluation, *watch* when some were.

    When it is a false alarm
        Dropout that is left on to measure uncertainty (Monte Carlo dropout). A loss that is computed beside training
        on every step is no validation and is not judged, unless its targets are always the same ones and never those
        of training.

    What to do
        Call model.eval() before the loop over the validation data and model.train() after it, and put the loop under
        torch.no_grad().
    """
    view = newest(at, "mode.val", 1)
    steps = at.evaluations.steps
    if len(view.steps) == 1 and np.max(np.diff([*steps[-3:], at.step]), initial=0) <= 1 and not _held_out(at):
        raise Abstain("a loss beside training on every step is no validation")
    share = float(np.nanmin(view.scalar))
    if not share > 0:
        return None
    kinds = [name for name in ("batchnorm", "dropout") if layers(at).get(name)]
    loss = float(at.evaluations.loss[-1]) if len(steps) else float("nan")
    train = at.recent_loss() if at.has("loss.train") else float("nan")
    open_graph = at.has("grad.val") and float(at.view("grad.val").scalar[-1]) > 0
    return Found(
        "error" if share >= limit["most"] else "watch",
        f"{percent(share)} of the {' and '.join(kinds) or 'dropout and BatchNorm'} layers are in training mode in "
        f"validation (reference 0)",
        (f"so it was in all {len(view.steps)} batches of the evaluation after step {int(view.steps[-1])}",),
        int(view.steps[0]),
        (
            Evidence("mode.val", share, 0.0, "share of layers in training mode", int(view.steps[0]), at.step),
            Evidence("loss.val", loss, train, "validation loss as it was measured, beside training", 0, at.step),
        ),
        (
            Remedy(
                EVAL,
                f"the validation loop{of(at, 'validation')} → between model.eval() and model.train()"
                f"{', under torch.no_grad()' if open_graph else ''}",
                f"mode.val is 0 and the validation loss is another than {number(loss)}",
            ),
        ),
        "If eval() is called, look for a train() between it and the loop: a training step, a callback.",
        exact=True,
    )


def _held_out(at: Context) -> bool:
    """What is evaluated on every step is always the same, and is not what is trained on: a set of its own."""
    if not (at.has("val.order") and at.has("target.order")):
        return False
    shown = set(at.view("val.order").last(20).scalar)
    return len(shown) == 1 and not shown & set(at.view("target.order").scalar)


RULE = Rule(
    "val-in-train-mode",
    "validation in training mode",
    "invariant",
    ("mode.val", "grad.val", "loss.val", "loss.train", "val.order", "target.order"),
    (EVAL,),
    "Exact.",
    check,
    {"most": 0.5},
    votes=(1, 1),
)
