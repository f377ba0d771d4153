"""optimizer-coverage."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import some
from ..place import of_optimizer
from ..trials import Trials

RULES = ("frozen-params", "stale-optimizer-params", "detached-graph", "checkpoint-no-grad", "missing-zero-grad")


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Whether every parameter that asks for a gradient gets one and is in an optimizer.

    Why it matters
        A layer that was made after the optimizer, or kept in a plain list, stays as random as it began, and nothing
        says so.

    How it is decided
        Exact: parameters that require a gradient and are in no param group; that the graph of the loss does not reach;
        that belong to no module any more; gradients that are never set back to zero (rules frozen-params,
        stale-optimizer-params, detached-graph, checkpoint-no-grad, missing-zero-grad).

    When it is a false alarm
        Parameters that a later phase trains: give them requires_grad=False until then.

    What to do
        Make the optimizer from model.parameters() after the last layer; nn.ModuleList instead of a list.
    """
    seen = at.by_rules(RULES, "every parameter that asks for a gradient is in an optimizer")
    if seen.state in ("warn", "error"):
        return seen
    left = [str(name) for name in at.facts.get("unoptimized") or ()]
    if left and (at.facts.get("model") or {}).get("class") is not None:
        return Verdict(
            "warn",
            f"{len(left)} parameters are in no optimizer: {some(left)}",
            float(len(left)),
            0.0,
            f"{some(left)} → model.parameters(){of_optimizer(at)}, or requires_grad_(False)",
            "none is left out",
        )
    return seen


CHECK = Check("optimizer-coverage", "parameters that are trained", "Exact.", judge)
