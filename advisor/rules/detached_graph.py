"""detached-graph."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found, count, some
from ..place import of_call, of_layer, of_loss
from ..policy import numbers
from ..rule import Rule
from ..untrained import moved, stood_still, uncalled, untrained

STEPS = 10
"""Measured steps of an optimizer after which what it has not moved is taken to be out of reach."""
CONNECT = "Reconnect the layer to the loss"
DECLARE = "Freeze or delete what is not used"
ATTACH = "Keep the graph of the log-probabilities"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Parameters that are trained are not connected to the loss: backward() never reaches them.

    Why it matters
        They keep their random weights. What is in front of a cut learns nothing at all; the rest trains on random
        features and looks almost right.

    How it is decided
        Exact: the graph of the loss is walked back from where backward() was called; these parameters ask for a
        gradient, are in the optimizer, and are not in it. Judged after 20 steps, and only while none of them has moved.
        Of a policy: log-probabilities of sampled actions are computed with a graph in ten samples or more, and no
        backward pass of any of them comes to one: the actions teach nothing.

    When it is a false alarm
        Layers that are made and that no pass calls (the pooler of a model that came from a library, the parts of a
        variant): *watch*. Norms that forward() no longer uses (no weight matrix among what is not reached: *watch*):
        what they normalised is trained without them. Layers used in some steps only: experts of a mixture, stochastic
        depth, a head that is trained later. Where nets are trained in turn (GAN), each loss reaches one of them: there
        a parameter counts when ten measured steps of its own optimizer have not moved it.

    What to do
        Look in forward() for detach(), .data, .item(), numpy(), no_grad(), an argmax, a new tensor made from old
        values; or for a layer that is made and not called.
    """
    if found := _no_actions(at, limit):
        return found
    if "unreached" not in at.facts:
        raise Abstain("the graph of the loss was not looked at")
    if at.step - at.track.segment.first_step < limit["steps"]:
        return None
    names = [str(name) for name in at.facts["unreached"] or () if "expert" not in str(name)]
    names = [name for name in names if (stood_still(at, name, STEPS) if at.multi_opt else not moved(at, name))]
    if not names:
        return None
    most = len(names) > limit["most"] * max(1, len(_trained(at)))
    spared = (most and at.finetune) or not _any_matrix(at, names) or uncalled(at, names)
    severity: Severity = "watch" if spared else "error"
    return untrained(
        at,
        names,
        severity,
        f"{count(len(names), 'trained parameter')} not connected to the loss: {some(names)}",
        "the graph of the loss does not reach them, and they have not moved",
        (
            Remedy(CONNECT, f"{some(names)}{of_layer(at, names[0])} → used in forward(){of_call(at, names[-1])}, "
                   "without detach() or no_grad()",
                   f"the gradient of {names[0]} is above 0 from the first step"),
            Remedy(DECLARE, f"{some(names)} → requires_grad_(False), or deleted", "this finding is gone"),
        ),
        "If forward() uses it, follow its output: somewhere it becomes a number, an index or a detached tensor.",
    )  # fmt: skip


def _no_actions(at: Context, limit: Mapping[str, float]) -> Found | None:
    """A policy whose log-probabilities no loss is made from. Where nets learn in turn, one of them may."""
    reached = numbers(at, "policy.reached") if at.rl and not at.multi_opt else np.empty(0)
    if at.step - at.track.segment.first_step < limit["steps"] or len(reached) < STEPS or np.any(reached):
        return None
    begin = at.track.segment.first_step + 1
    return Found(
        "error",
        "the loss is not connected to the log-probabilities of the actions: the policy learns nothing from rewards",
        (f"in {len(reached)} samples log_prob gave a result with a graph, and no backward pass came to it",),
        begin,
        (Evidence("policy.reached", 0.0, 1.0, "backward passes that came to a log-probability", begin, at.step),),
        (Remedy(ATTACH, f"log_prob(action).detach() → log_prob(action), in the loss{of_loss(at)}",
                "policy.reached is 1 from the first step"),),
        "If it is not detached, look for .item(), .data or no_grad() between log_prob and the loss.",
    )  # fmt: skip


def _trained(at: Context) -> list[str]:
    return at.view("weight.norm").names if at.has("weight.norm") else []


def _any_matrix(at: Context, names: list[str]) -> bool:
    """Whether one of them is a weight matrix; true where their shapes are not known."""
    if not at.has("update.ratio"):
        return True
    view = at.view("update.ratio")
    known = dict(zip(view.names, view.notes, strict=True))
    return any("x" in known.get(name, "x") for name in names)


RULE = Rule(
    "detached-graph",
    "parts of the net are cut off from the loss",
    "invariant",
    ("update.ratio", "weight.norm", "policy.reached"),
    (CONNECT, DECLARE, ATTACH),
    "Exact: the autograd graph itself.",
    check,
    {"steps": 20, "most": 0.5},
    votes=(1, 1),
)
