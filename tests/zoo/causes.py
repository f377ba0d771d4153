"""Causes in groups, and which rules only name a symptom."""

from __future__ import annotations

GROUPS: dict[str, tuple[str, ...]] = {
    "learning rate, schedule": (
        "lr-too-high", "lr-too-low", "lr-needs-decay", "lr-decay-too-early", "scheduler-misuse", "oscillation",
        "divergence", "loss-spike", "lora-lr-too-low", "clip-too-low", "weight-decay-too-high", "adam-epsilon",
    ),
    "not finite, precision": (
        "nan-input", "nan-loss-fn", "nan-backward", "amp-overflow", "fp16-underflow", "low-precision-stall",
    ),
    "initialisation, gradient flow": (
        "bad-init", "dead-relu", "vanishing-gradient", "exploding-gradient", "saturated-activation",
        "attention-logit-growth", "output-logit-drift",
    ),
    "wiring of the update": (
        "frozen-params", "stale-optimizer-params", "missing-zero-grad", "detached-graph", "checkpoint-no-grad",
        "accumulated-loss-not-divided", "ema-stale", "resume-mismatch", "sampler-epoch-not-set",
    ),
    "data, labels": (
        "unnormalised-input", "unnormalised-target", "input-ignored", "label-noise", "label-misaligned",
        "label-out-of-range", "not-shuffled", "class-imbalance", "background-collapse", "prediction-collapse",
        "batch-too-small",
    ),
    "loss, output": (
        "wrong-loss", "wrong-loss-sign", "wrong-reduction", "softmax-twice", "wrong-output-activation",
        "shape-broadcast", "padding-in-loss", "loss-scale-imbalance", "loss-clipped",
    ),
    "mode, validation": (
        "val-in-train-mode", "eval-mode-wrong", "batchnorm-stats", "train-val-leak", "causal-leak",
        "preprocessing-mismatch", "augmentation-on-validation", "val-noise",
    ),
    "capacity, generalisation": (
        "overfitting", "underfitting", "undertrained", "dropout-too-high", "miscalibrated", "below-persistence",
    ),
    "of one kind of task": ("posterior-collapse", "mode-collapse", "entropy-collapse", "kl-blowup"),
    "system": ("data-bottleneck", "memory-leak", "crashed", "stalled", "cuda-out-of-memory", "disk-full"),
}  # fmt: skip
SYMPTOMS = frozenset({
    "not-learning", "plateau", "underfitting", "undertrained", "below-baseline", "divergence", "loss-spike",
    "oscillation", "crashed", "miscalibrated", "prediction-collapse", "vanishing-gradient", "exploding-gradient",
    "dead-relu", "saturated-activation",
})  # fmt: skip
"""Rules that say what can be seen. As answers they are no cause, and not wrong either."""


def group(cause: str) -> str:
    return next(name for name, causes in GROUPS.items() if cause in causes)
