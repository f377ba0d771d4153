"""What can explain what: the causes by priority, and the edges between them with their tests.

The edge ``cause -> effect`` says that the cause, once there, makes the effect; its test asks the run whether this
mechanism was at work (``mechanisms.py``). Ids may be those of rules that are not switched on.
"""

from __future__ import annotations

from collections.abc import Mapping

from .belonging import died_late
from .mechanisms import (
    Test,
    always,
    astray,
    complained_of_nan,
    cut,
    fits,
    from_outside,
    from_the_start,
    given_targets,
    killed_units,
    large_eps,
    large_updates,
    misled,
    odd_targets,
    overflowed,
    own_targets,
    passed,
    recurrent,
    shrinking,
    skipped,
    slowed,
    stopped,
    strait,
    target_is_input,
    thrown,
    uncut,
    unlearned,
    usual_eps,
    usual_weights,
    val_is_worse,
    varies,
    wide,
)

PRIORITY = (
    # how it ended
    "cuda-out-of-memory", "disk-full", "crashed", "stalled",
    # data and code, exact
    "nan-input", "label-out-of-range", "nan-loss-fn", "nan-backward", "nan-optimizer", "amp-overflow",
    "softmax-twice", "shape-broadcast", "wrong-loss-sign", "wrong-loss", "wrong-output-activation",
    "wrong-reduction", "accumulated-loss-not-divided", "padding-in-loss", "loss-clipped",
    "missing-zero-grad", "checkpoint-no-grad", "stale-optimizer-params", "detached-graph", "frozen-params",
    "resume-mismatch", "low-precision-stall", "fp16-underflow",
    "not-shuffled", "sampler-epoch-not-set", "rank-divergence",
    "eval-mode-wrong", "val-in-train-mode", "causal-leak", "train-val-leak",
    "unnormalised-input", "unnormalised-target", "preprocessing-mismatch", "augmentation-on-validation",
    "label-misaligned", "input-ignored",
    # start, step size, and what goes through the layers
    "bad-init", "lr-too-high", "weight-decay-too-high", "exploding-gradient", "attention-logit-growth",
    "output-logit-drift", "kl-blowup", "divergence", "loss-spike", "saturated-activation", "vanishing-gradient",
    "dead-relu", "lr-too-low", "lora-lr-too-low", "adam-epsilon", "clip-too-low",
    "scheduler-misuse", "lr-decay-too-early", "lr-needs-decay", "oscillation", "loss-scale-imbalance",
    "posterior-collapse", "mode-collapse", "entropy-collapse",
    # data, of a kind that training shows
    "class-imbalance", "background-collapse", "label-noise", "batch-too-small", "batchnorm-stats",
    "prediction-collapse", "not-learning", "below-baseline", "below-persistence", "trivial-noise-prediction",
    "plateau", "dropout-too-high", "underfitting", "undertrained",
    # generalisation
    "ema-stale", "overfitting", "miscalibrated", "val-noise",
    # the machine
    "data-bottleneck", "memory-leak", "rank-straggler", "gpu-idle", "step-outlier", "goal-reached",
)  # fmt: skip
"""Who is primary among equals: exact faults of data and code first, then the optimisation, generalisation, machine."""

_SLOW: dict[str, Test] = {"lr-too-low": always, "plateau": always, "not-learning": always, "underfitting": wide}
_USELESS: dict[str, Test] = _SLOW | dict.fromkeys(
    ("prediction-collapse", "background-collapse", "below-baseline", "undertrained"), always
)
_NAN: dict[str, Test] = {"nan-loss-fn": always, "nan-backward": always}
_BROKEN: dict[str, Test] = {"crashed": complained_of_nan, "not-learning": always, "prediction-collapse": always}
_BLOWN: dict[str, Test] = (
    _NAN | _BROKEN | {"divergence": always, "loss-spike": always, "overfitting": unlearned, "below-baseline": always}
)
_THROWN: dict[str, Test] = dict.fromkeys(
    (*_BLOWN, "lr-too-high", "exploding-gradient", "loss-spike", "oscillation", "dead-relu"), from_the_start
)
"""What a scale or a start that the rate does not suit brings about: at once, or never."""
_VAL: dict[str, Test] = {
    "overfitting": val_is_worse, "below-baseline": val_is_worse, "miscalibrated": val_is_worse,
    "train-val-leak": always, "val-noise": always, "prediction-collapse": val_is_worse,
}  # fmt: skip

EDGES: Mapping[str, Mapping[str, Test]] = {
    # how it ended
    "cuda-out-of-memory": {"crashed": always},
    "memory-leak": {"cuda-out-of-memory": always, "step-outlier": always, "crashed": always},
    "disk-full": {"crashed": always},
    "label-out-of-range": _BLOWN | {"crashed": always},
    "data-bottleneck": {"gpu-idle": always, "step-outlier": always},
    "stalled": {"step-outlier": always},
    "rank-divergence": {"divergence": always, "overfitting": always, "not-learning": always},
    # numbers that are none
    "nan-input": dict.fromkeys(_BLOWN, from_outside),
    "nan-loss-fn": _BROKEN,
    "nan-optimizer": _BROKEN | _NAN,
    "nan-backward": _BROKEN | {"nan-loss-fn": always},
    "amp-overflow": {
        "nan-loss-fn": overflowed, "nan-backward": always, "frozen-params": skipped, **_BROKEN, **_SLOW,
    },
    "fp16-underflow": {"vanishing-gradient": always, "frozen-params": always, **_SLOW},
    # code
    "softmax-twice": _USELESS | {"vanishing-gradient": always, "saturated-activation": always},
    "shape-broadcast": _USELESS,
    "wrong-loss": _USELESS | dict.fromkeys(
        ("overfitting", "wrong-loss-sign", "divergence", "lr-too-high", "exploding-gradient", "label-misaligned"),
        always,
    ),
    "wrong-output-activation": _USELESS | {"dead-relu": always, "vanishing-gradient": always, "wrong-loss": always,
                                "overfitting": always},
    "wrong-loss-sign": {
        **_BLOWN, **_USELESS, "lr-too-high": always, "exploding-gradient": always, "overfitting": always,
        "entropy-collapse": always, "input-ignored": always, "vanishing-gradient": always,
    },
    "wrong-reduction": {"lr-too-high": always, "exploding-gradient": always, "loss-spike": always, **_BLOWN},
    "accumulated-loss-not-divided": {
        "lr-too-high": always, "exploding-gradient": always, "oscillation": always, "loss-spike": always, **_BLOWN,
    },
    "padding-in-loss": {
        "preprocessing-mismatch": always, "prediction-collapse": always, "overfitting": always, "underfitting": wide,
    },
    "loss-clipped": _USELESS | {"frozen-params": always, "dead-relu": always},
    "missing-zero-grad": {
        "lr-too-high": always, "exploding-gradient": always, "oscillation": always, "lr-needs-decay": always,
        "dead-relu": always, "saturated-activation": always, **_USELESS, **_BLOWN,
    },
    "checkpoint-no-grad": {"frozen-params": always, "detached-graph": always, **_USELESS},
    "stale-optimizer-params": {"frozen-params": always, "detached-graph": always, **_USELESS},
    "detached-graph": {"frozen-params": always, "vanishing-gradient": always, **_USELESS},
    "frozen-params": _USELESS,
    "resume-mismatch": {"loss-spike": always, "divergence": always, "lr-too-high": always, "overfitting": always},
    "low-precision-stall": _USELESS | {"lr-needs-decay": always},
    # data
    "not-shuffled": {
        "oscillation": always, "loss-spike": always, "prediction-collapse": always,
        "lr-needs-decay": always, "not-learning": always, "below-baseline": always, "train-val-leak": always,
        "batchnorm-stats": always, "val-noise": always, "plateau": always, "divergence": always,
    },
    "sampler-epoch-not-set": {"overfitting": always},
    "eval-mode-wrong": {"underfitting": wide, "not-learning": always, "overfitting": always, "divergence": always,
                        "loss-spike": always},
    "val-in-train-mode": _VAL,
    "batchnorm-stats": _VAL,
    "preprocessing-mismatch": _VAL,
    "augmentation-on-validation": _VAL,
    "causal-leak": {"train-val-leak": always},
    "unnormalised-input": {
        "bad-init": always, "saturated-activation": always, "vanishing-gradient": always, "input-ignored": varies,
        "below-persistence": always,
        "label-out-of-range": target_is_input, **_USELESS, **_THROWN,
    },
    "unnormalised-target": {
        "bad-init": odd_targets, "lr-too-low": always, "input-ignored": always, "clip-too-low": always,
        "saturated-activation": usual_weights,
        "below-persistence": always, **_USELESS, **dict.fromkeys(_THROWN, thrown),
    },
    "label-misaligned": {"not-learning": always, "below-baseline": always, "overfitting": always,
                         "undertrained": always, "prediction-collapse": always, "background-collapse": always,
                         "lr-too-high": fits, "dead-relu": misled, "input-ignored": died_late},
    "input-ignored": {"frozen-params": always, "dead-relu": passed, "not-learning": always,
                      "below-baseline": always, "prediction-collapse": always, "plateau": always,
                      "underfitting": wide},
    "class-imbalance": {"prediction-collapse": always, "below-baseline": always, "background-collapse": always,
                        "overfitting": always},
    "background-collapse": {"prediction-collapse": always},
    "prediction-collapse": {"below-baseline": always, "not-learning": always, "plateau": always},
    "label-noise": {"overfitting": always, "plateau": always, "lr-needs-decay": always, "underfitting": wide},
    "batch-too-small": {"batchnorm-stats": always, "oscillation": always, "undertrained": always,
                        "underfitting": wide, "not-learning": always},
    # optimisation
    "bad-init": {
        "saturated-activation": always, "vanishing-gradient": always, "input-ignored": always,
        "frozen-params": always, "output-logit-drift": always, **_USELESS, **_THROWN,
    },
    "lr-too-high": {
        "dead-relu": killed_units, "vanishing-gradient": large_updates, "frozen-params": large_updates,
        "saturated-activation": large_updates, "input-ignored": large_updates, "exploding-gradient": always,
        "attention-logit-growth": always,
        "output-logit-drift": always, "clip-too-low": always, "oscillation": always, "lr-needs-decay": always,
        "kl-blowup": always, "entropy-collapse": always, "amp-overflow": always, **_USELESS, **_BLOWN,
        "divergence": given_targets, "unnormalised-target": own_targets, "nan-input": own_targets,
        "label-misaligned": astray,
    },
    "weight-decay-too-high": {
        "lr-too-high": shrinking, "input-ignored": always, "dead-relu": always, "vanishing-gradient": always,
        **_USELESS,
    },
    "exploding-gradient": {
        **dict.fromkeys(_BLOWN, recurrent), "overfitting": unlearned, "dead-relu": always, "clip-too-low": always,
        "amp-overflow": always,
    },
    "attention-logit-growth": {**_BLOWN, "vanishing-gradient": always},
    "output-logit-drift": _BLOWN,
    "kl-blowup": _BLOWN,
    "divergence": {
        "dead-relu": always, "overfitting": unlearned, "saturated-activation": always, "below-baseline": always,
        "underfitting": wide, "miscalibrated": always, "plateau": always, "input-ignored": always,
        "unnormalised-target": own_targets, "nan-input": own_targets, **_BROKEN, **_NAN,
    },
    "saturated-activation": {
        "input-ignored": always, "vanishing-gradient": always, "frozen-params": always, **_USELESS,
    },
    "dead-relu": {
        "vanishing-gradient": cut, "frozen-params": cut, "input-ignored": stopped, "lr-needs-decay": always,
        **_USELESS, "lr-too-low": cut,
    },
    "vanishing-gradient": {"adam-epsilon": usual_eps, "input-ignored": always, "frozen-params": always, **_USELESS},
    "adam-epsilon": {"vanishing-gradient": large_eps, "undertrained": always, "below-baseline": always, **_SLOW},
    "clip-too-low": {"dead-relu": uncut, **_SLOW},
    "lr-too-low": {"not-learning": always, "lr-needs-decay": always, "plateau": always, "underfitting": wide,
                   "undertrained": always, "dead-relu": uncut},
    "lora-lr-too-low": {"lr-too-low": always, "not-learning": always, "underfitting": wide, "plateau": always},
    "scheduler-misuse": {"lr-decay-too-early": always, "lr-too-high": always, "undertrained": always,
                         "divergence": always, **_SLOW},
    "lr-decay-too-early": {"lr-too-low": slowed, "plateau": slowed, "underfitting": slowed, "undertrained": slowed,
                           "not-learning": slowed},
    "loss-scale-imbalance": {"underfitting": wide, "exploding-gradient": always, "posterior-collapse": always},
    "lr-needs-decay": {"plateau": always, "oscillation": always},
    "oscillation": {"plateau": always, "val-noise": always},
    "plateau": {"underfitting": wide},
    "underfitting": dict.fromkeys(
        ("dead-relu", "input-ignored", "prediction-collapse", "not-learning", "below-baseline", "plateau",
         "vanishing-gradient", "frozen-params", "label-misaligned"), strait
    ),
    "trivial-noise-prediction": {"not-learning": always, "plateau": always, "underfitting": wide},
    "dropout-too-high": {"label-misaligned": always, "underfitting": wide, "plateau": always,
                         "bad-init": always, "not-learning": always},
    "not-learning": {"below-baseline": always, "underfitting": wide, "plateau": always},
    # generalisation
    "ema-stale": {"label-misaligned": always, "below-baseline": always, "overfitting": always},
    "overfitting": {"miscalibrated": always},
    "below-baseline": {"overfitting": always, "miscalibrated": always},
}  # fmt: skip
