"""vanishing-gradient."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Severity

from ..context import Context
from ..finding import Abstain, Found, number
from ..fixes import VANISH, remedies, titles
from ..rule import Rule
from ..window import medians


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The gradient shrinks on its way back until the first layers get none to speak of.

    Why it matters
        The first layers keep their random weights; the last ones can only fit what random features leave over.

    How it is decided
        Mechanism, over the last 20 sampled steps: the root mean square gradient of the first weight matrix is under
        1/1000 of the last one's and under 1/10,000 of the median layer's, and its update is under 1e-5 of its size.
        Outcome: the loss has not left its first value. Under a millionth of the last one's (healthy: a hundredth and
        more) whatever its update is: there it is outcome enough that the loss stands at over a third of its first value
        in the second half of the plan.

    When it is a false alarm
        Adam makes small gradients into normal steps, hence the update is judged and not the gradient alone. A loss near
        zero has small gradients everywhere. Frozen and fine-tuned first layers are left out.

    What to do
        ReLU or GELU instead of sigmoid or tanh, then He or Xavier initialisation, then BatchNorm or LayerNorm, then
        residual connections.
    """
    if at.finetune:
        raise Abstain("the net was trained before: small gradients in its first layers are meant")
    gradients = at.late(at.view("grad.norm.layer")).last(int(limit["samples"]))
    ratios = at.late(at.view("update.ratio")).last(int(limit["samples"]))
    if len(gradients.steps) < limit["samples"] or len(at.matrices) < 3:
        raise Abstain("it needs 20 sampled steps of three or more weight matrices")
    update = float(medians(ratios.values[:, at.matrices[0]]))
    rms = medians(gradients.values[:, at.matrices].T) / at.matrix_scales
    if not np.isfinite(rms).all() or min(rms) <= 0:
        return None  # exactly zero is another fault: a dead layer, a detached one
    down, middle = float(rms[0] / rms[-1]), float(rms[0] / max(float(medians(rms)), 1e-300))
    first, last = (gradients.names[at.matrices[i]] for i in (0, -1))
    gone = at.undercuts(down, limit["gone"])
    still = at.undercuts(update, limit["update"]) and at.undercuts(middle, limit["middle"])
    if not (gone or (still and at.undercuts(down, limit["last"]))):
        return None
    outcome = at.loss_key() or (at.stands_key() if gone else None)
    if outcome is None and not still:
        return None
    keys = [f"the gradient of {first} is {number(down)} of that of {last}, its update {number(update)} of its size"]
    severity: Severity = "watch"
    if outcome:
        keys.append(outcome)
        severity = "error"
    return Found(
        severity,
        f"{first} gets {number(down)} of the gradient that {last} gets (reference 1e-3)",
        tuple(keys),
        _since(at, limit["last"]),
        (
            Evidence("grad.norm.layer", down, limit["last"], "first matrix against the last, per element",
                     int(gradients.steps[0]), at.step, first),
            Evidence("update.ratio", update, limit["update"], "median", int(ratios.steps[0]), at.step, first),
        ),
        remedies(at, VANISH, f"the gradient of {first} is over 1/100 of that of {last}"),
        "If it persists, make the net shallower and look for a detach() between the layers.",
        layer=first,
    )  # fmt: skip


def _since(at: Context, ratio: float) -> int:
    """The sampled step since which the first matrix has had that little of what the last one has."""
    view = at.view("grad.norm.layer").thin(200)
    ends = at.matrices[0], at.matrices[-1]
    scale = at.matrix_scales[0] / at.matrix_scales[-1]
    more = np.flatnonzero(~(view.values[:, ends[0]] < ratio * scale * view.values[:, ends[1]]))
    return int(view.steps[min(more[-1] + 1, len(view.steps) - 1) if len(more) else 0])


RULE = Rule(
    "vanishing-gradient",
    "vanishing gradient",
    "statistical",
    ("grad.norm.layer", "update.ratio", "loss.train"),
    titles(VANISH),
    "AutoTrainer (first/last under 1e-3); the update and the loss as further keys keep Adam and pre-norm nets silent.",
    check,
    {"last": 1e-3, "middle": 1e-4, "update": 1e-5, "samples": 20, "gone": 1e-6},
)
