"""label-noise."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..passes import edges
from ..rule import Rule
from ..script import loss

INSPECT = "Look at these samples"
SMOOTH = "Use a loss that forgives"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Some validation samples are predicted wrong with great confidence, in every evaluation.

    Why it matters
        Sorted by loss, wrong labels come first, and so do broken inputs. They are the cheapest improvement of a data
        set, and they bound what an evaluation can show.

    How it is decided
        A cross entropy over 3 (less than 5 % for the label) at each of the three evaluations up to the best one, for
        the same samples in the same order, while most samples are right: so long as the net is at its best, it is not
        overfitting that speaks. Two
        per cent of at least 200 samples is told as a fact, ten per cent is *watch*. Nothing on the screen can tell a
        wrong label from a hard sample, so it is never more.

    When it is a false alarm
        Rare kinds of samples that the training set lacks.

    What to do
        Look at the listed samples with their labels and predictions. If half of them are wrong, clean the training set
        the same way; if they are right, collect more of their kind.
    """
    if loss(at).get("name") not in ("cross_entropy", "nll_loss") or at.several_terms:
        raise Abstain("only the cross entropy of a sample says how sure the net was")
    ev = at.evaluations
    if len(ev.loss) < 4 or not np.isfinite(ev.loss).any():
        raise Abstain("it needs four evaluations on validation data")
    best = int(np.nanargmin(ev.loss))
    if best < 2:
        return None
    losses = _same_samples(at, (best - 2, best - 1, best))
    if losses.shape[1] < limit["samples"]:
        raise Abstain("fewer than 200 validation samples in one order")
    if float(np.median(losses[-1])) > math.log(2):
        return None  # it has not learned the others either
    stuck = np.flatnonzero(np.min(losses, axis=0) > limit["loss"])
    share = len(stuck) / losses.shape[1]
    if not at.exceeds(share, limit["share"]):
        return None
    severity: Severity = "watch" if at.exceeds(share, limit["many"]) else "info"
    rows = ", ".join(map(str, stuck[np.argsort(-losses[-1, stuck])][:8]))
    expect = f"under {percent(limit['share'])} of the validation samples have a loss over {number(limit['loss'])}"
    return Found(
        severity,
        f"{len(stuck)} of {losses.shape[1]} validation samples are wrong with confidence (rows {rows}, ...)",
        (f"they have less than 5 % for their label in three evaluations up to the best, at step {ev.steps[best]}",),
        int(ev.steps[best - 2]),
        (Evidence("loss.val.each", share, limit["share"], "share of samples with a loss over 3", 0, at.step),),
        (
            Remedy(INSPECT, f"rows {rows} as they are → looked at with their labels", expect),
            Remedy(SMOOTH, "hard labels → label_smoothing=0.1", "the validation accuracy rises"),
        ),
        "If their labels are right, they are a kind of sample that the training set lacks.",
    )  # fmt: skip


def _same_samples(at: Context, evaluations: tuple[int, ...]) -> np.ndarray:
    """Losses (evaluations, samples) of samples that came at the same place in all of them; none if they did not."""
    each, order = at.view("loss.val.each"), at.view("val.order")
    first = edges(each)
    if len(first) - 1 < max(evaluations) + 1 or not np.array_equal(each.steps, order.steps):
        raise Abstain("not every evaluation has the losses of its samples")
    count = min(first[e + 1] - first[e] for e in evaluations)
    places = [slice(first[e], first[e] + count) for e in evaluations]
    if any(not np.array_equal(order.scalar[place], order.scalar[places[0]]) for place in places[1:]):
        raise Abstain("the validation samples come in another order each time")
    rows = np.stack([each.values[place].ravel() for place in places])
    return np.asarray(rows[:, np.isfinite(rows).all(axis=0)])


RULE = Rule(
    "label-noise",
    "labels that look wrong",
    "statistical",
    ("loss.val.each", "val.order", "loss.val"),
    (INSPECT, SMOOTH),
    "Notes K14, D2; Northcutt et al. 2021 (confident learning) on the losses of single samples.",
    check,
    {"loss": 3.0, "share": 0.02, "many": 0.1, "samples": 200},
    votes=(1, 1),
)
