"""loss-type."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..trials import RANK, Trials

RULES = ("softmax-twice", "wrong-output-activation", "wrong-loss", "wrong-loss-sign")


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Whether loss, last layer and targets belong together.

    Why it matters
        cross_entropy takes logits: after a softmax its gradient is flat and it cannot come under 1.46 for ten classes.
        nll_loss takes logarithms, binary_cross_entropy_with_logits no sigmoid. Linear layers with nothing between them
        are one linear layer.

    How it is decided
        Exact, from the operations that autograd saw before the loss (rules softmax-twice, wrong-output-activation,
        wrong-loss, wrong-loss-sign); and from the children of nn.Sequential: a linear layer that follows on a linear
        one, unless the first is the narrower side of a factorisation.

    When it is a false alarm
        A factorised matrix (LoRA, a bottleneck narrower than both sides) is meant and silent.

    What to do
        Give the loss what it expects; put ReLU or GELU between the layers.
    """
    said = at.by_rules(RULES, "loss, last layer and targets belong together")
    chain = _chain(at)
    return max((said, chain), key=lambda v: RANK.index(v.state)) if chain is not None else said


def _chain(at: Trials) -> Verdict | None:
    """Two linear layers in a row inside an nn.Sequential."""
    told = at.experiments.get("model") or {}
    chains = told.get("linear_chains") or ()
    if not chains:
        return None
    first, second, where = chains[0]
    place = f" ({where})" if where else ""
    return Verdict(
        "warn",
        f"{first} and {second} are linear layers with nothing between them: together they are one",
        None,
        None,
        f"{first}, {second}{place} → an activation between them",
        "the net can learn what a linear model cannot",
    )


CHECK = Check("loss-type", "loss, last layer and targets that belong together", "Note C63. Exact.", judge)
