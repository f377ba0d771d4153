"""overfitting."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..baseline import trivial_validation_loss
from ..changes import restore
from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..fixes import OVERFIT, remedies, titles
from ..rule import Rule
from ..window import median, medians, noise, trend

STOP = "Restore the best checkpoint and stop early"
BLOCKS = 20
"""Blocks that the evaluations are split into before the best is chosen."""


class Comparison(NamedTuple):
    """One evaluation against the best: z of the mean difference, samples in it, and whether they were the same ones."""

    z: float
    samples: int
    paired: bool


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The validation loss rises while the training loss still falls: the net learns its training data by heart.

    Why it matters
        From the best evaluation on every epoch makes the net worse on data it has not seen.

    How it is decided
        The last three evaluations are each compared with the best one sample by sample: the mean difference is over
        three standard errors, the loss (median of three) is higher by over 10 %, by 5 % of all that was gained since
        the untrained net and by twice its scatter from evaluation to evaluation, and the training loss is lower than at
        the best by 5 %. Of many evaluations the lowest
        is the luckiest: from forty on, medians of blocks are compared, a twentieth of the evaluations each. That comes
        about ten evaluations late, which the best checkpoint makes good; rules of patience or of the gap to the
        training loss cry wolf on healthy runs. Without the same samples in the same order, or with fewer than 200, it
        is *watch*. It is an error when the accuracy fell too. It takes three evaluations to raise it and three to clear
        it.

        And without a rise: at most 1,000 rows that were gone over ten times or more, of whose loss under 5 % is left
        after half of the run, while validation is behind by ten points of accuracy and three standard errors (a
        squared error: over half of the variance) and comes no closer.

    When it is a false alarm
        Validation run in train mode, or with another preprocessing. Where only the loss rises, stays under that of a
        guess, and the accuracy still rises too, the net becomes overconfident rather than worse: *watch*. Nets with
        about as many parameters as samples can come back (double descent). Where no evaluation was ever better than a
        guess it is *watch* until the end: some rules are found long after the rows are known (grokking).

    What to do
        Restore the best checkpoint, unless as many samples are right now as there. Then, in this order: more data,
        stronger augmentation, dropout, weight decay, a smaller net.
    """
    if len(np.flatnonzero(np.isfinite(at.evaluations.loss))) < 4:
        raise Abstain("it needs four evaluations on validation data")
    rising, by_heart = _rising(at, limit), _by_heart(at, limit)
    return by_heart if by_heart and (rising is None or rising.severity == "watch") else rising


def _rising(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The validation loss has risen since its best, sample by sample."""
    ev = at.evaluations
    known = np.flatnonzero(np.isfinite(ev.loss))
    size = max(1, len(known) // BLOCKS)
    blocks = known[len(known) % size :].reshape(-1, size)
    levels = medians(ev.loss[blocks])
    lowest = int(np.argmin(levels))
    best = int(blocks[lowest, np.argmin(np.abs(ev.loss[blocks[lowest]] - levels[lowest]))])
    after = blocks[lowest + 1 :].ravel()
    if len(after) < 3:
        return None
    last = after[-3:]
    now_at = np.max(ev.loss[last]) if at.open else medians(ev.loss[after[-max(3, size) :]])
    rise = float(now_at) / float(ev.loss[best]) - 1
    if float(ev.loss[best]) <= 0 or not at.exceeds(rise, limit["rise"]):
        return None
    if not at.exceeds(float(now_at) - float(ev.loss[best]), limit["lost"] * (at.first_loss - float(ev.loss[best]))):
        return None  # near its floor a loss moves by tenths and has lost next to nothing
    scatter = noise(ev.loss[known[-12:]]) / float(ev.loss[best])
    if not at.exceeds(rise, limit["scatter"] * scatter):
        return None
    then, now = _train(at, best), _train(at, int(last[-1]))
    if not now < limit["falls"] * then:
        return None
    compared = [_compare(at, int(e), best) for e in last]
    z = max(c.z for c in compared) if at.open else min(c.z for c in compared)  # three to raise it, three to clear it
    if not at.exceeds(z, limit["z"]):
        return None
    samples = compared[-1].samples
    fell, error = _accuracy(at, best, last)
    severity: Severity = "error" if at.exceeds(fell, 2 * error) else "warn"
    better = fell < -error or trend(ev.accuracy[known[len(known) // 2 :]]) > 1.64
    unsure = better and not _over_a_guess(at, float(ev.loss[last[-1]]))
    if unsure or _never_carried_over(at) or samples < limit["samples"] or not all(c.paired for c in compared):
        severity = "watch"
    same = "the same" if compared[-1].paired else "other"
    best_step = int(ev.steps[best])
    worst = float(ev.loss[last[-1]])
    return Found(
        severity,
        f"val loss {number(worst)}, best {number(float(ev.loss[best]))} at step {best_step} ({percent(rise)} higher)",
        (
            f"the last three evaluations are worse on {samples} samples ({same} ones): z = {number(z)}",
            f"the training loss still falls: {number(then)} then, {number(now)} now",
        ),
        best_step,
        (
            Evidence("loss.val", worst, float(ev.loss[best]), "last evaluation against the best", best_step, at.step),
            Evidence("loss.val.each", z, limit["z"], f"paired z over {samples} samples", best_step, at.step),
            Evidence("loss.train", now, then, "training loss now against then", best_step, at.step),
        ),
        _remedies(at, best_step, np.isnan(ev.accuracy[best]) or fell > 0),
        "If it still overfits, make the net smaller, or collect data where the validation loss is largest.",
    )


def _by_heart(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Few rows, gone over many times: next to nothing is left of their loss, and of the others many are wrong."""
    rows = at.train_rows or 0
    ev, size = at.evaluations, at.batch_size or math.nan
    if not 0 < rows <= limit["rows"] or not at.step * size >= limit["epochs"] * rows:
        return None
    now, first = at.recent_loss(), at.initial_loss
    late = at.over or at.step >= at.track.segment.first_step + limit["part"] * at.horizon
    if not late or _never_carried_over(at) or not 0 <= now < limit["left"] * first:
        return None
    missed = _missed(at, limit)
    if missed is None:
        return None
    what, value, reference, metric = missed
    return Found(
        "warn",
        f"{rows} training rows are known by heart: {what}",
        (
            f"the training loss is {number(now)}, {percent(now / first)} of the first, after "
            f"{at.step * size / rows:.0f} times through {rows} rows",
            what,
        ),
        int(ev.steps[0]),
        (
            Evidence(metric, value, reference, "the newest evaluations against training", int(ev.steps[0]), at.step),
            Evidence("loss.train", now, first, "training loss now against the first", 1, at.step),
        ),
        remedies(at, OVERFIT, f"{metric} comes closer to {number(reference)}", 3),
        "If no more rows can be had, start from a net that was trained on a larger set of the same kind.",
    )


def _missed(at: Context, limit: Mapping[str, float]) -> tuple[str, float, float, str] | None:
    """How far validation lies behind a training that is done: sentence, value, what training has, metric. None where
    it is not far, or comes closer still (a net can find the rule long after it knows the rows)."""
    ev = at.evaluations
    quarter = max(2, len(ev.loss) // 4)
    if at.has("accuracy.train") and np.isfinite(ev.accuracy).any():
        train, val = median(at.view("accuracy.train").last(20).scalar), median(ev.accuracy[-quarter:])
        error = math.sqrt(max(val * (1 - val), 1e-4) / max(float(ev.size[-1]), 1))
        closer = not at.over and val > median(ev.accuracy[-2 * quarter : -quarter]) + error
        if closer or not at.exceeds(train - val, max(limit["points"], limit["z"] * error)):
            return None
        return f"{percent(train)} are right in training, {percent(val)} in validation", val, train, "accuracy.val"
    if (at.facts.get("loss") or {}).get("name") != "mse_loss":
        return None
    guess = trivial_validation_loss(at)
    val = median(ev.loss[-quarter:])
    if (not at.over and val < 0.97 * median(ev.loss[-2 * quarter : -quarter])) or not at.exceeds(val, 0.5 * guess):
        return None
    return f"the validation loss is {number(val)}, a guess has {number(guess)}", val, at.recent_loss(), "loss.val"


def _over_a_guess(at: Context, val: float) -> bool:
    """The validation loss is above that of a guess: no matter of how sure the net is."""
    with suppress(Abstain):
        return val > trivial_validation_loss(at)
    return False


def _never_carried_over(at: Context) -> bool:
    """No evaluation was ever better than a guess, and the run goes on: a rule can be found long after the rows."""
    with suppress(Abstain):
        return not at.over and float(np.nanmin(at.evaluations.loss)) > 0.98 * trivial_validation_loss(at)
    return False


def _compare(at: Context, e: int, best: int) -> Comparison:
    """Sample by sample where the batches are the same; else by the means, with the spread of the samples."""
    if not at.has("loss.val.each"):
        raise Abstain("the losses of single validation samples are not measured")
    each = at.view("loss.val.each")
    a, b = (_rows(each.steps, int(at.evaluations.steps[i])) for i in (e, best))
    batches = min(a.stop - a.start, b.stop - b.start)
    now, then = each.values[a][:batches], each.values[b][:batches]
    paired = False
    if at.has("val.order"):
        order = at.view("val.order")
        x, y = (order.scalar[_rows(order.steps, int(at.evaluations.steps[i]))][:batches] for i in (e, best))
        paired = batches > 0 and len(x) == len(y) == batches and bool(np.array_equal(x, y))
    if paired:
        difference = (now - then)[np.isfinite(now - then)].astype(np.float64)
        if not len(difference):
            return Comparison(0.0, 0, True)
        error = float(np.std(difference)) / math.sqrt(len(difference))
        return Comparison(float(np.mean(difference)) / max(error, 1e-12), len(difference), True)
    now, then = now[np.isfinite(now)], then[np.isfinite(then)]
    n = min(len(now), len(then))
    if not n:
        return Comparison(0.0, 0, False)
    error = math.sqrt(float(np.var(now)) / len(now) + float(np.var(then)) / len(then))
    return Comparison((float(np.mean(now)) - float(np.mean(then))) / max(error, 1e-12), n, False)


def _rows(steps: np.ndarray, step: int) -> slice:
    return slice(int(np.searchsorted(steps, step, "left")), int(np.searchsorted(steps, step, "right")))


def _train(at: Context, e: int) -> float:
    """Mean training loss of the steps that led to evaluation ``e``."""
    steps = at.evaluations.steps
    since = int(steps[e - 1]) if e else at.track.segment.first_step
    losses = at.loss.since(since + 1).before(int(steps[e]) + 1).scalar
    return float(np.mean(losses)) if len(losses) else math.nan


def _accuracy(at: Context, best: int, last: np.ndarray) -> tuple[float, float]:
    """How much the accuracy fell since the best evaluation, and its standard error; (0, 1) where not measured."""
    accuracy, size = at.evaluations.accuracy, at.evaluations.size
    now, then = median(accuracy[last]), float(accuracy[best])
    if not (math.isfinite(now) and math.isfinite(then)):
        return 0.0, 1.0
    return then - now, math.sqrt(2 * max(then * (1 - then), 1e-4) / max(float(size[best]), 1))


def _remedies(at: Context, best_step: int, lost: bool) -> tuple[Remedy, ...]:
    """Back to the best checkpoint first, where it was better in what counts: a loss that rises while no fewer samples
    are right is no reason to throw the later weights away."""
    best = number(float(np.nanmin(at.evaluations.loss)))
    if not lost:
        return remedies(at, OVERFIT, f"the best validation loss is under {best}")
    stop = Remedy(
        STOP,
        f"weights of step {at.step} → {restore(at, best_step)}, patience 5 evaluations",
        f"the validation loss is {best} again",
    )
    return stop, *remedies(at, OVERFIT, f"the best validation loss is under {best}", 2)


RULE = Rule(
    "overfitting",
    "overfitting",
    "statistical",
    ("loss.val", "val.size", "val.order", "loss.val.each", "accuracy.val", "accuracy.train", "loss.train",
     "target.mean", "target.std", "target.count", "batch.size"),
    (STOP, *titles(OVERFIT)),
    "Notes T24-35, B53-57. 44 small runs: the paired test found 20 of 20, 0 of 24 false alarms; a gap rule has 24.",
    check,
    {"z": 3, "rise": 0.1, "scatter": 2, "lost": 0.05, "falls": 0.95, "samples": 200, "rows": 1000, "epochs": 10,
     "part": 0.5, "left": 0.05, "points": 0.1},
    votes=(1, 1),
    goal=True,
)  # fmt: skip
