"""attention-logit-growth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..learning_rate import LOWER, lower_remedy
from ..place import of_layer
from ..rule import Rule
from ..window import block_medians, column_medians, median, trend

QK_NORM = "Normalise queries and keys"
WARM = "Warm the rate up for longer"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The attention logits of a layer grow and grow: its softmax becomes a choice of one.

    Why it matters
        Attention with an entropy of zero passes hardly any gradient to queries and keys; in large models the loss
        diverges soon after.

    How it is decided
        Mechanism: the bound of |q.k|/sqrt(d) of a layer is over 50, has grown since the start of the window by half and
        still grows (Mann-Kendall); or it was that before the first step of a net that was not trained before (usual is
        4). Outcome: the loss is half as much again over its best and has lost a fifth of what it had gained, or has not
        left its first value; from such a start also, that over a third of that is left in the second half of the plan.

    When it is a false alarm
        Logits that are large and stay as they are: a sharp attention can be what the task wants.

    What to do
        LayerNorm on queries and keys (qk-layernorm), a third of the learning rate, a longer warm-up.
    """
    view = at.view("attention.logit").last(200)
    if len(view.steps) < limit["samples"] or at.step < at.warmup:
        raise Abstain("it needs 20 sampled steps after the warm-up")
    now = at.once("attention", ("attention.logit",), lambda: np.nan_to_num(column_medians(view.values[-10:])))
    worst = int(np.argmax(now))
    logit, layer = float(now[worst]), view.names[worst]
    if not at.exceeds(logit, limit["large"]):
        return None
    blocks = block_medians(np.log(np.maximum(view.values[:, worst], 1e-6)))
    grown = logit / max(median(view.values[: max(5, len(view.values) // 4), worst]), 1e-6)
    began = float(np.nan_to_num(at.view("attention.logit").values[0, worst]))
    sharp = _little(at) if began > limit["large"] and not at.finetune else None
    if not (at.open or sharp) and (grown < limit["grown"] or trend(blocks) < 1.64):
        return None
    outcome = at.risen(limit["worse"]) or at.loss_key() or sharp
    came = f"grew by a factor of {number(grown)} since step {view.steps[0]}"
    key = f"they were {number(began)} before the first step: the softmax began as a choice" if sharp else f"they {came}"
    severity: Severity = "warn" if outcome else "watch"
    expect = f"the attention logits of {layer} stay under {limit['large']:g}"
    return Found(
        severity,
        f"attention logits of {layer} reach {number(logit)} (reference {limit['large']:g})",
        (key, *([outcome] if outcome else [])),
        int(view.steps[0]),
        (
            Evidence(
                "attention.logit", logit, limit["large"], "bound of |q.k|/sqrt(d)", int(view.steps[0]), at.step, layer
            ),
        ),
        (
            Remedy(QK_NORM, f"q, k as they are → LayerNorm(q), LayerNorm(k){of_layer(at, layer)}", expect),
            lower_remedy(at),
            Remedy(
                WARM, f"warm-up of {at.lr_warmup_end} steps → {max(2 * at.lr_warmup_end, at.horizon // 20)}", expect
            ),
        ),
        "If they grow with normalised queries and keys, cap them: tanh(logits / 50) * 50.",
        layer=layer,
    )


def _little(at: Context) -> str | None:
    """Half of the plan is over, and much of the loss is left."""
    left = at.recent_loss() / at.initial_loss
    half = at.planned is not None and at.step >= at.track.segment.first_step + max(60, 0.5 * at.planned)
    return f"after {at.step} steps {percent(left)} of the first loss is left" if half and left > 1 / 3 else None


RULE = Rule(
    "attention-logit-growth",
    "attention logits grow without bound",
    "statistical",
    ("attention.logit", "loss.train", "update.ratio", "lr"),
    (QK_NORM, LOWER, WARM),
    "Wortsman et al. 2023, Dehghani et al. 2023 (qk-layernorm).",
    check,
    {"samples": 20, "large": 50, "grown": 1.5, "worse": 1.5},
)
