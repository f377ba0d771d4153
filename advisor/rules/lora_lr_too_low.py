"""lora-lr-too-low."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..learning_rate import RAISE, killed, raise_remedy
from ..rule import Rule
from ..window import block_medians, column_medians


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The adapters are trained with a learning rate that was made for the whole net.

    Why it matters
        One of the two matrices of an adapter starts at zero, so its product begins at nothing and grows with the
        square of the rate: at the rate of full fine-tuning it hardly leaves zero.

    How it is decided
        For adapters only. Mechanism: the typical ||update|| / ||weight|| of the trained matrices, at its fastest so
        far, times the planned steps is under 0.1. Outcome: after a fifth of the plan the loss is still over 95 % of its
        first value. Never when an early update was over 3e-2, or a net was killed otherwise.

    When it is a false alarm
        A base model that is good at the task already has nothing to gain: then the loss starts at its floor.

    What to do
        Ten times the rate of full fine-tuning is usual for adapters (1e-4 to 1e-3 with Adam).
    """
    if not at.adapters:
        raise Abstain("no adapters are trained")
    if at.planned is None and not at.over:
        raise Abstain("the planned number of steps is not known: judged at the end")
    age = at.step - max(at.track.segment.first_step, at.lr_warmup_end)
    if age < max(limit["steps"], 0.2 * at.horizon):
        raise Abstain("too early: adapters start slowly")
    if killed(at):
        raise Abstain("another fault keeps the updates small")
    ratios = at.ratios(at.view("update.ratio").thin(400))
    moving = np.flatnonzero(np.nan_to_num(ratios).max(axis=0, initial=0) > 0)
    if not len(moving):
        raise Abstain("no trained matrix was measured while it moved")
    fastest = float(np.max(block_medians(column_medians(ratios[:, moving].T)), initial=0.0))
    reach = fastest * at.horizon
    now, first = at.recent_loss(), at.initial_loss
    if not at.undercuts(reach, limit["reach"]) or not at.exceeds(now, limit["loss"] * first):
        return None
    return Found(
        "warn",
        f"a step moves the adapters by {number(fastest)} of their size: {percent(reach)} at most in {at.horizon} steps",
        (
            f"update ratio {number(fastest)} times {at.horizon} steps is {number(reach)}, {limit['reach']:g} is needed",
            f"the loss is {number(now)} after {at.step} steps, it began at {number(first)}",
        ),
        at.track.segment.first_step + 1,
        (
            Evidence("update.ratio", fastest, limit["reach"] / at.horizon, "typical matrix at its fastest", 1, at.step),
            Evidence("loss.train", now, limit["loss"] * first, "newest losses against the first", 1, at.step),
        ),
        (raise_remedy(at, fastest, 10),),
        "If ten times the rate changes nothing, give the adapters a higher rank, or look whether they are merged in.",
    )


RULE = Rule(
    "lora-lr-too-low",
    "learning rate too low for adapters",
    "statistical",
    ("update.ratio", "weight.norm", "loss.train", "lr"),
    (RAISE,),
    "Hu et al. 2021 and common recipes: rates of 1e-4 to 1e-3, ten times those of full fine-tuning.",
    check,
    {"reach": 0.1, "loss": 0.95, "steps": 60},
    slow=True,
    goal=True,
)
