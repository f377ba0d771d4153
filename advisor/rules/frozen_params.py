"""frozen-params."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Found, number, some
from ..place import of, of_call, of_optimizer
from ..rule import Rule
from ..untrained import moved, uncalled, untrained

_COPY = re.compile(r"target|teacher|momentum|\bema\b|_ema|ema_|encoder_k|averaged")
"""Names of copies that follow other weights, and are in no optimizer on purpose."""
ADD = "Give the optimizer every parameter"
CONNECT = "Reconnect the layer to the loss"
RATE = "Set a learning rate above zero"
DECLARE = "Declare what is meant to be frozen"
THAW = "Train more than that"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Parameters that ask for a gradient are never changed by any step.

    Why it matters
        The layer keeps its random initial weights. The net still trains around it and ends worse than it could, with
        nothing else to show for it.

    How it is decided
        Exact, after 20 steps: a parameter with requires_grad in no optimizer; a learning rate that was always 0; a
        weight matrix that never changed and never got a gradient while others moved, or got one of exactly zero at
        every sampled step (*watch* until half of the planned steps are made, and where no pass calls its module); all
        of them with a gradient of exactly zero at every sampled step, and a loss that is not. And where no weight
        matrix at all is trained, with a loss that has not fallen in half of the plan (60 to 200 steps): *warn*.

    When it is a false alarm
        Training only the head by giving the optimizer no other parameters: more than half of them left out is *watch*
        where weights were loaded, others are frozen or these were trained before, else *warn*, for nothing is known to
        have trained them. Copies that follow other weights, by their names (target, teacher, ema) are left out. Experts
        of a mixture that were not chosen. A head whose loss joins later, with a weight of 0 until then. A dead layer
        gives the ones in front of it no gradient either: then the dead layer is the cause.

    What to do
        Not in the optimizer: build it from model.parameters() after all layers exist. No gradient: look for detach(),
        .data, no_grad() or a layer that forward() does not use. Frozen on purpose: say requires_grad_(False), which
        is faster too.
    """
    if at.step - at.track.segment.first_step < limit["steps"]:
        return None
    return _not_optimized(at) or _no_rate(at) or _never_moved(at, limit) or _hardly_any(at, limit)


def _not_optimized(at: Context) -> Found | None:
    names = [str(name) for name in at.facts.get("unoptimized") or () if not _COPY.search(str(name))]
    if not names:
        return None
    known = set(at.view("weight.norm").names) if at.has("weight.norm") else set()
    most = bool(known) and len(names) > len(known.union(names)) / 2
    severity: Severity = "error"
    if most:
        severity = "watch" if at.finetune or any(moved(at, name) for name in names) else "warn"
    declare = Remedy(DECLARE, f"{some(names)} → requires_grad_(False)", "this finding is gone and the step is faster")
    add = Remedy(
        ADD,
        f"{_place(at)} → the optimizer also gets {some(names)}",
        "their update ratio is above 0 from the first step",
    )
    return untrained(
        at,
        names,
        severity,
        f"{len(names)} parameters are in no optimizer: {some(names)}",
        "they require a gradient, and no param group holds them",
        (declare, add) if most else (add, declare),
        "If the optimizer is made before the last layer is, make it afterwards.",
    )


def _no_rate(at: Context) -> Found | None:
    if not at.has("lr") or at.learning_rates[1].max() > 0:
        return None
    rate = "0.1" if at.optimizer.get("class") == "SGD" else "1e-3"
    return Found(
        "error",
        f"the learning rate has been 0 for all {at.step} steps",
        ("no step can change a weight",),
        at.track.segment.first_step + 1,
        (Evidence("lr", 0.0, None, "largest learning rate of any group so far", 1, at.step),),
        (Remedy(RATE, f"lr 0 → {rate}{of_optimizer(at)}", "the update ratio is about 1e-3 and the loss falls"),),
        "If the script sets another rate, look for a scheduler that multiplies it by 0.",
        title="the learning rate is 0",
        exact=True,
    )


def _never_moved(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Matrices with zero change and zero gradient at every sampled step: far cheaper to rule out than to prove."""
    if not (at.has("update.ratio") and at.has("grad.norm.layer")):
        return None
    ratios = at.view("update.ratio")
    if np.all(ratios.values[-1, at.matrices] != 0):
        return None
    names = ratios.names
    declared = set(at.facts.get("frozen") or ())
    matrices = [i for i in at.matrices if names[i] not in declared and "expert" not in names[i]]
    newest = ratios.values[-1, matrices]
    suspects = [i for i, last in zip(matrices, newest, strict=True) if last == 0]
    if not suspects or len(ratios.steps) < limit["samples"]:
        return None
    gradients = at.view("grad.norm.layer")
    still = [
        i
        for i in suspects
        if np.all(ratios.values[:, i] == 0) and not np.any(np.nan_to_num(gradients.values[:, i]) > 0)
    ]
    if len(still) == len(matrices):
        return _nothing(at)
    if not still or not any(np.any(ratios.values[-1, i] > 0) for i in matrices if i not in still):
        return None
    # a gradient of 0 is one: the graph reaches it, and what lies behind, a weight of a loss or a dead layer, may change
    waits = all(np.any(gradients.values[:, i] == 0) for i in still) and not _late(at, limit)
    names = [names[i] for i in still]
    return untrained(
        at,
        names,
        "watch" if waits or uncalled(at, names) else "error",
        f"in {at.step} steps these weight matrices have not moved at all: {some(names)}",
        "their gradient and their change were exactly 0 at every sampled step, while others moved",
        (
            Remedy(CONNECT, f"forward(){of_call(at, names[-1])} → uses {some(names)}, without detach() or no_grad()",
                   f"the gradient norm of {names[0]} is above {number(0.0)} from the first step"),
            Remedy(DECLARE, f"{some(names)} → requires_grad_(False)", "this finding is gone"),
        ),
        "If forward() does use it, look at the layers behind it: a dead one passes no gradient.",
    )  # fmt: skip


def _nothing(at: Context) -> Found | None:
    """Not one matrix has moved or got a gradient, and there is a loss: it does not depend on the weights."""
    if at.no_goal or not np.min(at.loss.scalar) > 0:
        return None
    return Found(
        "error",
        f"no weight has moved in {at.step} steps: the gradient is exactly 0 everywhere",
        ("gradient and change of every weight matrix were exactly 0 at each sampled step, and the loss was not",),
        at.track.segment.first_step + 1,
        (Evidence("grad.norm", 0.0, None, "gradient at every sampled step", 1, at.step),),
        (
            Remedy(CONNECT, f"what backward() is called on{of(at, 'backward')} → without detach(), round(), argmax() "
                   "or a factor of 0 between output and loss", "the gradient norm is above 0 from the first step"),
        ),
        "If nothing cuts it, look for numbers that half precision rounds to 0, and for a clamp that holds all samples.",
        title="nothing is trained",
        exact=True,
    )  # fmt: skip


def _late(at: Context, limit: Mapping[str, float]) -> bool:
    """Half of what is planned is over: what was to begin later would have begun."""
    first = at.track.segment.first_step
    return at.over or (at.planned is not None and at.step >= first + limit["part"] * (at.planned - first))


def _hardly_any(at: Context, limit: Mapping[str, float]) -> Found | None:
    """No weight matrix is left to train, and what is left does not bring the loss down."""
    model = at.facts.get("model") or {}
    every, trained = int(model.get("parameters") or 0), int(model.get("trainable") or 0)
    frozen = [str(name) for name in at.facts.get("frozen") or ()]
    if not frozen or not at.has("update.ratio") or at.adapters:
        return None
    names = at.view("update.ratio").names
    if any(names[i] not in frozen for i in at.matrices):
        return None
    outcome = at.loss_key(patient=False)
    if outcome is None:
        return None
    return Found(
        "warn",
        f"{trained:,} of {every:,} parameters are trained, no weight matrix among them",
        (f"{some(frozen)} have requires_grad=False", outcome),
        at.track.segment.first_step + 1,
        (Evidence("update.ratio", trained / max(every, 1), None, "share of parameters that are trained", 1, at.step),),
        (
            Remedy(
                THAW,
                f"{frozen[-1]} → requires_grad_(True), before the optimizer is made{of_optimizer(at)}",
                f"its update ratio is above 0 and the loss is under {number(0.9 * at.first_loss)}",
            ),
        ),
        "If only these few are meant to be trained, their rate has to be ten to a hundred times higher.",
    )


def _place(at: Context) -> str:
    return str(at.optimizer.get("where") or "the optimizer")


RULE = Rule(
    "frozen-params",
    "parameters never updated",
    "invariant",
    ("update.ratio", "grad.norm.layer", "weight.norm", "lr"),
    (ADD, CONNECT, RATE, DECLARE, THAW),
    "Exact; biases are left out because one in front of BatchNorm has a gradient of rounding errors only.",
    check,
    {"steps": 20, "samples": 10, "part": 0.5},
    votes=(1, 1),
)
