"""label-noise."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..belonging import explained, held_out, kinds, trained
from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..passes import edges
from ..rows import come_again
from ..rule import Rule
from ..script import loss
from ..window import median

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
        Or the labels of training alone: the same rows enter in every epoch, and yet, in evaluation mode, they cost more
        than validation rows did before, by a tenth of the first loss, at each of the last two looks; what is trained on
        should cost less. And fewer of them are right than in validation, by a twentieth of all; or, where nothing is
        right or wrong, fewer pairs would cost more with their targets exchanged. Or, in the second half of the steps,
        and of each kind of loss call: the share of pairs that would cost more is so far under that of validation, by
        four standard errors, that less than four fifths of it are left above a half, which is a guess; and no other
        finding explains it. Then it is *warn*, from half of the run on.

    When it is a false alarm
        Rare kinds of samples that the training set lacks; validation data that are easier than those of training.

    What to do
        Look at the listed samples with their labels and predictions. If half of them are wrong, clean the training set
        the same way; if they are right, collect more of their kind.
    """
    found = _in_training(at, limit) or _fits_less(at, limit)
    if found is None and (loss(at).get("name") not in ("cross_entropy", "nll_loss") or at.several_terms):
        raise Abstain("only the cross entropy of a sample says how sure the net was")
    return found or _in_validation(at, limit)


def _in_training(at: Context, limit: Mapping[str, float]) -> Found | None:
    """What is trained on, and came before, costs more than what is not."""
    made = loss(at)
    if made.get("label_smoothing") or made.get("weighted") or at.step < at.track.segment.first_step + 0.5 * at.horizon:
        return None
    if not (at.has("loss.train.eval") and len(at.evaluations.loss) and come_again(at)):
        return None
    looks = at.view("loss.train.eval").since(at.track.segment.first_step + int(0.3 * at.step))
    ev = at.evaluations
    before = np.searchsorted(ev.steps, looks.steps, side="left") - 1
    known = (before >= 0) & np.isfinite(looks.scalar)
    trained, validated = looks.scalar[known], ev.loss[before[known]]
    if len(trained) < limit["looks"]:
        return None
    newest = slice(-int(limit["looks"]), None)
    excess = float(np.min(trained[newest] - validated[newest]))
    worse = _worse(at, limit)
    if excess < limit["dearer"] * at.initial_loss or worse is None or _changed(at):
        return None
    now, then, step = float(np.median(trained)), float(np.median(validated)), int(looks.steps[0])
    return Found(
        "warn",
        f"training rows cost {number(now)} in evaluation mode, validation rows {number(then)}: their labels look wrong",
        (
            "the same rows came in earlier epochs, and should cost less than what was never seen",
            worse,
        ),
        step,
        (Evidence("loss.train.eval", now, then, "training rows, against validation rows", step, at.step),),
        _inspect("loss.train.eval comes down to the validation loss"),
        "If the labels are right, the validation data are easier: are they of the same kind?",
    )  # fmt: skip


def _worse(at: Context, limit: Mapping[str, float]) -> str | None:
    """Fewer of the training rows are right than in validation; where nothing is right or wrong, fewer pairs of them
    would cost more with their targets exchanged."""
    if at.has("accuracy.train") and at.has("accuracy.val"):
        a, b = (median(at.late(at.view(f"accuracy.{part}")).scalar) for part in ("train", "val"))
        if b - a > limit["less"]:
            return f"{percent(a)} of them are right, and {percent(b)} in validation"
    elif at.has("target.match") and (there := held_out(at, 0.5)) is not None:
        here = trained(at, 0.5)
        if there.beside(here) > limit["apart"]:
            return f"{percent(here.share)} of their pairs fit as they are, and {percent(there.share)} in validation"
    return None


def _fits_less(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Targets that are trained on fit their own samples far less than those of validation do."""
    if not at.has("target.match") or at.step < at.track.segment.first_step + 0.5 * at.horizon:
        return None
    for kind in kinds(at):
        there = held_out(at, 0.5, kind)
        if there is None or not there.told or explained(at):
            continue
        here = trained(at, 0.5, kind)
        fitted = (here.share - 0.5) / (there.share - 0.5)
        if here.told and there.beside(here) > limit["apart"] and fitted < limit["fitted"]:
            return Found(
                "warn",
                f"in training {percent(here.share)} of the pairs of targets fit as they are, and "
                f"{percent(there.share)} in validation",
                ("what is trained on should fit as well as what was never seen: some of its targets are wrong",
                 f"the two are {number(there.beside(here))} standard errors apart in the second half of the steps"),
                here.step,
                (Evidence("target.match", here.share, there.share, "share of pairs in which the own target costs less, "
                          "against validation", here.step, at.step),),
                _inspect("target.match comes up to that of validation"),
                "If the labels are right, training inputs are made harder than those of validation.",
            )  # fmt: skip
    return None


def _inspect(expect: str) -> tuple[Remedy, ...]:
    return (
        Remedy(INSPECT, "training rows as they are → those of the highest loss looked at with their labels", expect),
        Remedy(SMOOTH, "hard labels → label_smoothing=0.1", "the validation accuracy rises"),
    )


def _changed(at: Context) -> bool:
    """Validation inputs have another spread: they are not prepared alike."""
    if not (at.has("input.std") and at.has("input.val.std")):
        return False
    a, b = (median(at.view(name).last(20).scalar) for name in ("input.std", "input.val.std"))
    return not 0.95 < a / b < 1.05


def _in_validation(at: Context, limit: Mapping[str, float]) -> Found | None:
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
    (
        "loss.val.each",
        "val.order",
        "loss.val",
        "loss.train.eval",
        "accuracy.train",
        "target.match",
        "target.pairs",
        "target.val.match",
        "target.val.pairs",
        "accuracy.val",
        "input.rows",
        "input.std",
        "input.val.std",
    ),
    (INSPECT, SMOOTH),
    "Notes K14, D2; Northcutt et al. 2021 (confident learning) on the losses of single samples.",
    check,
    {
        "loss": 3.0,
        "share": 0.02,
        "many": 0.1,
        "samples": 200,
        "looks": 2,
        "dearer": 0.1,
        "less": 0.05,
        "apart": 4,
        "fitted": 0.8,
    },
    votes=(1, 1),
)
