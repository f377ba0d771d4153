"""stale-optimizer-params."""

from __future__ import annotations

import re
from collections.abc import Mapping

from nnwatch.frame import Remedy

from ..context import Context
from ..finding import Abstain, Found, some
from ..place import of_optimizer
from ..rule import Rule
from ..untrained import untrained

_OUTSIDE = re.compile(r"parameter \d+")
"""How the probes call a parameter that is in an optimizer and in no module."""
AFTER = "Build the optimizer after the model is complete"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The optimizer holds parameters that are no longer part of the model.

    Why it matters
        The model was changed after the optimizer was made (a new head, adapters, a deep copy, a conversion that made
        new tensors): it steps the old parameters, and the new ones are never trained.

    How it is decided
        Exact: parameters in the optimizer belong to no module of the model that is trained, while parameters of that
        model are in no optimizer. Parameters outside of the model alone (a learned temperature, the weights of a loss)
        are a sign only if no loss depends on them.

    When it is a false alarm
        A part of the model left out on purpose, together with parameters of one's own.

    What to do
        Make the optimizer last: after replacing layers, after .to() of a model that makes new tensors, after loading.
    """
    stale = at.facts.get("stale_parameters")
    if stale is None:
        raise Abstain("the parameters of the optimizer were not compared with those of the model")
    missing = [str(name) for name in at.facts.get("unoptimized") or ()]
    if stale and not missing:
        return _useless(at)
    if not stale:
        return None
    return untrained(
        at,
        missing,
        "error",
        f"{stale} parameters in the optimizer are not in the model; {len(missing)} of the model are in no optimizer",
        f"the optimizer steps tensors that the model does not use, and never {some(missing)}",
        (
            Remedy(AFTER, f"the optimizer{of_optimizer(at)} → made after the last change of the model",
                   f"the update ratio of {missing[0]} is above 0 from the first step"),
        ),
        "If the model must change later, call optimizer.add_param_group for what is new.",
    )  # fmt: skip


def _useless(at: Context) -> Found | None:
    """Parameters of no module that no loss reaches either: whatever their optimizer is to train, it does not."""
    names = [str(name) for name in at.facts.get("unreached") or () if _OUTSIDE.fullmatch(str(name))]
    if not names:
        return None
    return untrained(
        at,
        names,
        "error",
        f"the optimizer{of_optimizer(at)} holds {len(names)} parameters that no loss depends on: {some(names)}",
        "they belong to no module of a net that is trained, and the graph of the loss does not reach them",
        (
            Remedy(AFTER, f"the optimizer{of_optimizer(at)} → made of the parameters of the net that it is to train",
                   "the update ratio of that net's layers is above 0 from the first step"),
        ),
        "If they are meant to be trained, use them in the forward pass.",
    )  # fmt: skip


RULE = Rule(
    "stale-optimizer-params",
    "the optimizer holds parameters of an older model",
    "invariant",
    ("update.ratio",),
    (AFTER,),
    "Exact: identity of tensors.",
    check,
    votes=(1, 1),
)
