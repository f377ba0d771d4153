"""wrong-output-activation."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy

from ..context import Context
from ..finding import Found, number
from ..place import of, of_layer, of_loss
from ..rule import Rule
from ..script import calls, loss, maker
from ..window import finite

REMOVE = "Drop the last activation"
LOGARITHM = "Give the loss log-probabilities"
RAW = "Give the loss the raw outputs"
LOGARITHMS = {
    "nll_loss": (RAW, "cross_entropy on raw outputs, or log_softmax(x, dim=1)"),
    "kl_div": (LOGARITHM, "log_softmax(x, dim=1)"),
    "ctc_loss": (LOGARITHM, "log_softmax(x, dim=2)"),
}
"""Losses that take logarithms of probabilities: what gives these."""
BENT = {"Relu", "Sigmoid", "Tanh", "Softmax"}
"""Activations whose result is no logarithm of a probability."""
ENDS = {"Sigmoid": (0.0, 1.0), "Tanh": (-1.0, 1.0), "ReLU": (0.0,), "Hardtanh": (-1.0, 1.0), "ReLU6": (0.0, 6.0)}
"""Where the outputs of an activation end."""
REGRESSION = {"mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"}


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The last activation cannot produce what the loss needs.

    Why it matters
        A ReLU in front of cross_entropy cannot say "rather not", a tanh cannot reach a target of 3, and nll_loss of
        anything but log-probabilities can fall without end while nothing is learned.

    How it is decided
        Exact, from the operation that made the prediction: ReLU or sigmoid in front of cross_entropy; nll_loss,
        ctc_loss or kl_div without a logarithm; sigmoid, tanh or ReLU in front of a squared or absolute error whose
        targets lie where the activation never gets (their mean outside its range, or a spread that the range has no
        room for); softmax there, whose outputs are shares of one, while the targets of a sample add up to something
        else: by a tenth, in ten batches.
        Where the loss is written by hand: the last module is such an activation, all its outputs lie at one end of its
        range at ten sampled steps in a row, and over 1 % of the first loss is left.

    When it is a false alarm
        Targets that lie outside the range by accident: a few outliers move the mean too little to be reported.

    What to do
        End the model in a plain linear layer for regression and for cross_entropy; log_softmax for nll_loss,
        ctc_loss and kl_div.
    """
    if not loss(at):
        return _pressed(at, limit)
    return next(filter(None, (_unfit(call, limit, measured=call is at) for call in calls(at))), None)


def _unfit(at: Context, limit: Mapping[str, float], *, measured: bool) -> Found | None:
    """One loss call; ``measured`` are the targets of the first one of a step."""
    name, made = str(loss(at).get("name")), maker(at)
    begin = at.track.segment.first_step + 1
    spoken = made.lower()
    if name == "cross_entropy" and made in ("Relu", "Sigmoid"):
        why = f"{spoken} lets only {'positive numbers' if made == 'Relu' else 'numbers from 0 to 1'} through, and "
        why += "cross_entropy needs numbers of any sign"
        remedy = Remedy(
            REMOVE,
            f"{spoken}(x) as the output{of(at, 'output')} → x{of_loss(at)}",
            "the loss falls under its best so far",
        )
    elif name in LOGARITHMS and made in BENT:
        why = f"{name} takes the logarithms of probabilities, and {spoken} gives none"
        title, new = LOGARITHMS[name]
        remedy = Remedy(title, f"{name} of {spoken}{of_loss(at)} → {new}", "no loss is below 0")
    elif measured and name in REGRESSION and made in ("Sigmoid", "Tanh", "Relu", "Softmax"):
        outside = _shared(at, limit) if made == "Softmax" else _outside(at, made)
        if outside is None:
            return None
        why = f"{spoken} gives {outside[0]}, and the targets have {outside[1]}"
        remedy = Remedy(
            REMOVE,
            f"{spoken}(x) as the output{of(at, 'output')} → x{of_loss(at)}",
            "the loss falls under its best so far",
        )
    else:
        return None
    first = float(at.loss.scalar[0]) if at.has("loss.train") else math.nan
    return Found(
        "error",
        f"{name}{of_loss(at)} gets the output of {spoken}",
        (why,),
        begin,
        (Evidence("loss.train", first, None, "first loss", begin, begin),),
        (remedy,),
        "If it is meant so, switch this rule off in nnwatch.toml.",
        exact=True,
    )


def _pressed(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The loss is written by hand, but the last module is an activation, and all that it gives lies at one end of it
    while the loss has not come to nothing: what is wanted lies beyond."""
    if at.no_goal or at.step < at.track.segment.first_step + limit["patience"]:
        return None
    rows = [(str(row[0]), str(row[1])) for row in at.facts.get("modules") or ()]
    name, kind = rows[-1] if rows else ("", "")
    if kind not in ENDS or not (at.has("act.std") and at.has("act.mean")) or name not in at.view("act.std").names:
        return None
    column = at.view("act.std").names.index(name)
    stds, means = (at.late(at.view(metric)).last(int(limit["samples"])) for metric in ("act.std", "act.mean"))
    if len(stds.steps) < limit["samples"] or not np.max(stds.values[:, column]) < limit["flat"]:
        return None
    end = float(means.values[-1, column])
    if min(abs(end - edge) for edge in ENDS[kind]) > limit["flat"] or at.recent_loss() < limit["left"] * at.first_loss:
        return None
    begin, spread = int(stds.steps[0]), float(np.max(stds.values[:, column]))
    return Found(
        "warn",
        f"all outputs of {name}, the {kind} at the end, are {number(end)}: the end of its range",
        (
            f"over {len(stds.steps)} sampled steps they differed by {number(spread)} at most",
            f"the loss is {number(at.recent_loss())}, so what is wanted lies beyond that end",
        ),
        begin,
        (Evidence("act.std", spread, limit["flat"], "deviation of the outputs", begin, at.step, name),),
        (Remedy(REMOVE, f"{kind} at the end{of_layer(at, name)} → none", "the loss falls under its best so far"),),
        "If the range is right, look at the layer in front: its outputs are far too large.",
        layer=name,
    )  # fmt: skip


def _shared(at: Context, limit: Mapping[str, float]) -> tuple[str, str] | None:
    """The same of softmax: one over the number of outputs is their mean, whatever they are."""
    if not at.has("target.mean") or not at.has("output.mean"):
        return None
    means = finite(at.view("target.mean").thin(200).scalar).astype(np.float64)
    given = finite(at.view("output.mean").thin(200).scalar).astype(np.float64)
    if len(means) < limit["samples"] or len(given) < 2 or np.ptp(given) > 1e-4 * abs(given[0]):
        return None
    share = float(given[0])
    if np.min(np.abs(means - share)) < limit["apart"] * share or np.ptp(np.sign(means - share)):
        return None
    return f"shares of one, of mean {number(share)}", f"mean {number(float(np.median(means)))}"


def _outside(at: Context, made: str) -> tuple[str, str] | None:
    """(range of the activation, what the targets have) where they cannot all lie in it; None where they can.

    Numbers of a range (a, b) have their mean m in it and at most the variance (m - a)(b - m) (Bhatia and Davis 2000).
    """
    if not at.has("target.mean") or not at.has("target.std"):
        return None
    means = finite(at.view("target.mean").thin(200).scalar).astype(np.float64)
    stds = finite(at.view("target.std").thin(200).scalar).astype(np.float64)
    if not len(means):
        return None
    if made == "Relu":
        low = float(np.min(means))
        return ("nothing below 0", f"batches of mean {number(low)}") if low < 0 else None
    a, b = (0.0, 1.0) if made == "Sigmoid" else (-1.0, 1.0)
    excess = stds**2 - (means - a) * (b - means)
    if a <= np.min(means) and np.max(means) <= b and (len(means) < 5 or np.median(excess) < 0.05 * (b - a) ** 2):
        return None
    m, std = float(np.median(means)), float(np.median(stds))
    return f"{a:g} to {b:g}", f"mean {number(m)} and standard deviation {number(std)}"


RULE = Rule(
    "wrong-output-activation",
    "the last activation does not fit the loss",
    "invariant",
    ("loss.train", "target.mean", "target.std", "output.mean", "act.mean", "act.std"),
    (REMOVE, LOGARITHM, RAW),
    "Exact; UMLAUT (CHI 2021) and NeuraLint (TOSEM 2022) look for it in the source.",
    check,
    {"patience": 60, "samples": 10, "flat": 0.01, "left": 0.01, "apart": 0.1},
    votes=(1, 1),
)
