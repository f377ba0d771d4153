"""broadcast."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Whether prediction and target have one shape where the loss compares them number by number.

    Why it matters
        (N, 1) against (N,) becomes (N, N): the best a net can do against all targets at once is their mean.

    How it is decided
        The rule shape-broadcast: exact, from the shapes at the loss call.

    When it is a false alarm
        A loss over all pairs that is meant.

    What to do
        prediction.squeeze(-1) or target.unsqueeze(-1).
    """
    return at.by_rules(("shape-broadcast",), "prediction and target have shapes that fit")


CHECK = Check("broadcast", "prediction and target of one shape", "Exact.", judge)
