"""trivial-noise-prediction."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..rule import Rule
from ..script import loss
from ..window import finite, median

TIME = "Check that noise level and step number reach the net"
TARGET = "Check which noise is the target"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """A diffusion model predicts zero instead of the noise.

    Why it matters
        Zero is the best guess about noise one knows nothing of, and costs exactly its variance. The loss sits at 1 and
        the samples are noise.

    How it is decided
        Only where the targets are standard normal noise: mean 0 and deviation 1 in every batch, far more closely than
        any data. Mechanism: the output varies by less than a tenth of that. Outcome: after a fifth of the run the loss
        is still over 95 % of the variance.

    When it is a false alarm
        The first part of a training: hence the wait.

    What to do
        See that the noisy input, and not the noise or the clean picture, enters the model, that the time step is
        embedded and used, and that the target is the noise that was mixed in, not a new draw.
    """
    if loss(at).get("name") not in ("mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss"):
        raise Abstain("no regression")
    if at.step < at.track.segment.first_step + max(at.warmup, limit["part"] * at.horizon):
        raise Abstain("too early: every net begins with zero")
    means, stds = (finite(at.view(f"target.{kind}").thin(200).scalar) for kind in ("mean", "std"))
    far = max(float(np.sqrt(np.mean(means**2))), float(np.sqrt(np.mean((stds - 1) ** 2)))) if len(stds) else 1.0
    if len(stds) < 10 or far > limit["close"]:
        raise Abstain("the targets are no standard noise")
    output, now = median(at.view("output.std").last(3).scalar), median(at.window(at.loss).scalar)
    trivial = 1.0 if loss(at).get("name") == "mse_loss" else 0.8
    if not at.undercuts(output, limit["output"]) or now < 0.95 * trivial:
        return None
    return Found(
        "warn",
        f"the output has a deviation of {number(output)}, the noise it is to predict has 1; the loss is {number(now)}",
        (
            f"the output varies by {percent(output)} of what it is to predict",
            f"the loss is {number(now)} after {at.step:,} steps, predicting 0 has {number(trivial)}",
        ),
        at.track.segment.first_step + 1,
        (
            Evidence("output.std", output, 1.0, "deviation of the output against the noise", 0, at.step),
            Evidence("loss.train", now, trivial, "against predicting 0", 0, at.step),
        ),
        (
            Remedy(TIME, "model(x) → model(noisy x, t), with t embedded in every block", "the loss falls under 0.9"),
            Remedy(TARGET, "a new draw → the very noise that was mixed into the input", "the loss falls under 0.9"),
        ),
        "If both are right, overfit one picture at one noise level: a sound script brings that to zero.",
    )


RULE = Rule(
    "trivial-noise-prediction",
    "the denoiser predicts zero",
    "statistical",
    ("target.mean", "target.std", "output.std", "loss.train"),
    (TIME, TARGET),
    "Ho et al. 2020: the target is standard normal, so zero costs exactly 1.",
    check,
    {"close": 0.03, "output": 0.1, "part": 0.2},
    slow=True,
)
