"""wrong-loss."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Found, number
from ..place import of_loss
from ..rule import Rule
from ..script import LAYERS, calls, loss, maker
from ..window import Numbers, finite

FIT = "Use the loss that fits the targets"
RAW = LAYERS | {"Linear", "Bmm"}
"""Operations whose result is no logarithm of a probability."""
LOGARITHMS = {
    "nll_loss": "cross_entropy, or log_softmax(x, dim=1) in front",
    "kl_div": "log_softmax(x, dim=1)",
    "ctc_loss": "log_softmax(x, dim=2) in front",
}
"""Losses that take logarithms of probabilities, and what gives these."""


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The loss function does not fit what it is given.

    Why it matters
        It runs without an error and measures something else than the task: a cross entropy over one class is 0 for
        any output, a regression on class numbers says that class 9 is nine times class 1.

    How it is decided
        Exact: cross_entropy or nll_loss over a single output; nll_loss, ctc_loss or kl_div of what a layer gives, with
        no logarithm between, from autograd's graph; nll_loss or ctc_loss below 0, which no log-probability gives;
        cross_entropy on class probabilities that sum to over 1.5. Of every loss call of a step.
        A squared or absolute error on whole-number targets is *watch*: counts are predicted that way too.

    When it is a false alarm
        Whole numbers that are quantities (counts, ratings), which is why that is only asked about.

    What to do
        One output: binary_cross_entropy_with_logits on float targets. Class numbers: cross_entropy with one output per
        class. Numbers of any kind: mse_loss on float targets of about unit scale.
    """
    return next(filter(None, (_misused(call, measured=call is at) for call in calls(at))), None)


def _misused(at: Context, *, measured: bool) -> Found | None:
    """One loss call; ``measured`` is the loss of a step that has no other."""
    name = str(loss(at).get("name"))
    losses = at.loss.scalar
    severity: Severity = "error"
    if name in ("cross_entropy", "nll_loss") and at.facts.get("classes") == 1:
        what, why = f"{name}{of_loss(at)} over one output", "over one class its value is 0 whatever the output is"
        new, expect = "binary_cross_entropy_with_logits(x.squeeze(1), y.float())", "the loss is about 0.69 at first"
    elif name in LOGARITHMS and maker(at) in RAW:
        what = f"{name}{of_loss(at)} gets the raw outputs of a layer"
        why = f"{name} takes the logarithms of probabilities, and a layer gives numbers of any size"
        new = LOGARITHMS[name]
        expect = "no loss is below 0"
    elif name == "cross_entropy" and (sums := _sums(at)):
        what = f"{name}{of_loss(at)} on targets whose sums over the classes are {number(sums[0])} to {number(sums[1])}"
        why = "it compares distributions, which sum to 1: these are several answers to each sample"
        new, expect = "binary_cross_entropy_with_logits", "each answer is learned by itself"
    elif measured and name in ("nll_loss", "ctc_loss") and (low := _below_zero(losses)) < 0:
        what = f"{name}{of_loss(at)} is below 0: {number(low)}"
        why = "the negative logarithm of a probability is never below 0: it does not get log-probabilities"
        new, expect = LOGARITHMS[name], "no loss is below 0"
    elif name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss") and _whole(at):
        severity = "watch"
        what = f"{name}{of_loss(at)} on whole-number targets"
        why = "if they are class numbers, the loss takes neighbouring numbers for similar classes"
        new, expect = "cross_entropy with one output per class (y.float() if they are quantities)", "accuracy rises"
    else:
        return None
    begin = at.track.segment.first_step + 1
    return Found(
        severity,
        what,
        (why,),
        begin,
        (Evidence("loss.train", float(losses[-1]), None, "the newest loss", begin, at.step),),
        (Remedy(FIT, f"{name}{of_loss(at)} → {new}", expect),),
        "If it is meant so, write down beside the call what it measures.",
        exact=True,
    )


def _below_zero(losses: Numbers) -> float:
    """The lowest of the first and of the newest losses."""
    return float(np.min(finite(np.concatenate((losses[:200], losses[-200:]))), initial=0.0))


def _sums(at: Context) -> tuple[float, float] | None:
    """The smallest and the largest sum of the targets over the classes, where they are no distributions."""
    low, high = (at.facts.get("loss.graph") or {}).get("target_sums") or (1.0, 1.0)
    return (low, high) if high > 1.5 else None


def _whole(at: Context) -> bool:
    return any(kind in str((at.facts.get("loss.graph") or {}).get("target_dtype", "")) for kind in ("int", "long"))


RULE = Rule(
    "wrong-loss",
    "the loss does not fit the targets",
    "invariant",
    ("loss.train",),
    (FIT,),
    "Exact; note C67 (classification: softmax, regression: squared error).",
    check,
    votes=(1, 1),
)
