"""What can explain what: the causes by priority, the edges between them, and the test that each edge has to pass.

The edge ``cause -> effect`` says that the cause, once there, makes the effect; its test asks the run whether this
mechanism was at work. Ids may be those of rules that are not switched on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

import numpy as np

from .beginning import FAINT, LOUD, scaled
from .belonging import trained
from .context import Context
from .entering import entering
from .finding import Abstain
from .nonfinite import complaint
from .script import no_activation
from .window import median

Test = Callable[[Context], bool]
EPS = 1e-6
"""An eps of Adam over this was chosen."""

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


def _always(at: Context) -> bool:
    return True


def _from_the_start(at: Context) -> bool:
    """The loss was not falling until the rate was raised: what goes wrong may be a fault that the run began with."""
    with suppress(Abstain):
        return at.raised is None
    return True


def _large_updates(at: Context) -> bool:
    """The first updates were large enough to throw units out of their range."""
    try:
        return at.first_peak[0] > 0.1
    except Abstain:
        return True  # the rule that found the rate too high had another reason to


def _killed_units(at: Context) -> bool:
    """Large updates came first, dead units afterwards."""
    if not _large_updates(at):
        return False
    with suppress(Abstain):
        return at.dead_before(at.first_peak[1]) < 0.4
    return True


def _cut(at: Context) -> bool:
    """A layer is so dead that hardly any gradient passes it."""
    return at.dead[0] >= 0.9


def _stopped(at: Context) -> bool:
    """What is dead is what stops the input: the first layer itself gets something, and not the same for all samples."""
    found = entering(at)
    return _cut(at) and (found is None or (found.size > 0 and not found.constant))


def _passed(at: Context) -> bool:
    """The opposite: what is dead is not what stops the input."""
    return not _stopped(at)


def _usual_weights(at: Context) -> bool:
    """The weights began on the usual scale: what is far off is what the outputs are compared with."""
    return not at.has("weight.norm") or scaled(at, FAINT, LOUD) is None


def _given_targets(at: Context) -> bool:
    """The targets are not made by the net itself: then what runs away does so by its steps."""
    return not at.moving_targets


def _complained_of_nan(at: Context) -> bool:
    """The exception that ended the script speaks of a number that is none."""
    return complaint(at) is not None


def _unlearned(at: Context) -> bool:
    """The training loss itself got worse: a net that forgets does not overfit."""
    with suppress(Abstain):
        return at.broken or at.risen(1.5) is not None
    return True


def _target_is_input(at: Context) -> bool:
    """What is to be put out is what was put in (an autoencoder): the targets have the scale of the input."""
    with suppress(Abstain):
        given, wanted = (median(at.view(f"{kind}.mean").thin(100).scalar) for kind in ("input", "target"))
        return abs(given - wanted) <= 0.01 * abs(given)
    return False


def _varies(at: Context) -> bool:
    """What enters the net does vary; an input that hardly does is ignored with good reason."""
    with suppress(Abstain):
        return median(at.view("input.std").thin(100).scalar) > 0.1
    return False


def _overflowed(at: Context) -> bool:
    """The first number that was none is one that its type could not hold."""
    return at.amp and any(e.data.get("origin") == "overflow" for e in at.events("nonfinite"))


def _evened(at: Context) -> bool:
    """BatchNorm evens out any scale of the input: it is too large for half precision alone."""
    return at.batchnorm


def _skipped(at: Context) -> bool:
    """Steps were left out while the scaler looked for a scale."""
    return at.has("step.skipped")


def _val_is_worse(at: Context) -> bool:
    """The last validation loss is above the training loss: what runs differently in validation shows there."""
    with suppress(Abstain):
        ev = at.evaluations
        return len(ev.loss) > 0 and float(ev.loss[-1]) > at.recent_loss()
    return False


def _recurrent(at: Context) -> bool:
    """Gradients explode by themselves through many steps of time; elsewhere they grow with a loss that runs away."""
    return bool((at.facts.get("layers") or {}).get("recurrent"))


def _fits(at: Context) -> bool:
    """The training targets have come to fit their own samples: steps and units do what they should."""
    with suppress(Abstain):
        return trained(at, 0.5).told
    return False


def _strait(at: Context) -> bool:
    """A layer is too narrow for anything to pass, or nothing bends: what goes wrong behind it is no wonder."""
    with suppress(Abstain):
        return at.strait or no_activation(at)
    return False


def _wide(at: Context) -> bool:
    """The opposite: the net can hold more than that."""
    return not _strait(at)


def _large_eps(at: Context) -> bool:
    """Somebody chose an eps under which usual gradients are small."""
    return float(at.optimizer.get("eps") or 0) > EPS


def _usual_eps(at: Context) -> bool:
    """The opposite: gradients that are as small as that vanish by themselves."""
    return not _large_eps(at)


def _shrinking(at: Context) -> bool:
    """A usual rate makes weights grow, and these have shrunk to a tenth: what moved them is the decay."""
    weights = at.view("weight.norm").values[:, at.matrices]
    return bool(np.median(weights[-1]) < 0.1 * np.median(weights[0]))


def _slowed(at: Context) -> bool:
    """The rate is far under what it was at its highest."""
    with suppress(Abstain):
        return at.lr_at(at.step) < 0.1 * at.lr
    return False


_SLOW: dict[str, Test] = {"lr-too-low": _always, "plateau": _always, "not-learning": _always, "underfitting": _wide}
_USELESS: dict[str, Test] = _SLOW | dict.fromkeys(
    ("prediction-collapse", "background-collapse", "below-baseline", "undertrained"), _always
)
_NAN: dict[str, Test] = {"nan-loss-fn": _always, "nan-backward": _always}
_BROKEN: dict[str, Test] = {"crashed": _complained_of_nan, "not-learning": _always, "prediction-collapse": _always}
_BLOWN: dict[str, Test] = (
    _NAN
    | _BROKEN
    | {"divergence": _always, "loss-spike": _always, "overfitting": _unlearned, "below-baseline": _always}
)
_THROWN: dict[str, Test] = dict.fromkeys(
    (*_BLOWN, "lr-too-high", "exploding-gradient", "loss-spike", "oscillation", "dead-relu"), _from_the_start
)
"""What a scale or a start that the rate does not suit brings about: at once, or never."""
_VAL: dict[str, Test] = {
    "overfitting": _val_is_worse, "below-baseline": _val_is_worse, "miscalibrated": _val_is_worse,
    "train-val-leak": _always, "val-noise": _always, "prediction-collapse": _val_is_worse,
}  # fmt: skip

EDGES: Mapping[str, Mapping[str, Test]] = {
    # how it ended
    "cuda-out-of-memory": {"crashed": _always},
    "memory-leak": {"cuda-out-of-memory": _always, "step-outlier": _always, "crashed": _always},
    "disk-full": {"crashed": _always},
    "label-out-of-range": _BLOWN | {"crashed": _always},
    "data-bottleneck": {"gpu-idle": _always, "step-outlier": _always},
    "stalled": {"step-outlier": _always},
    "rank-divergence": {"divergence": _always, "overfitting": _always, "not-learning": _always},
    # numbers that are none
    "nan-input": _BLOWN,
    "nan-loss-fn": _BROKEN,
    "nan-optimizer": _BROKEN | _NAN,
    "nan-backward": _BROKEN | {"nan-loss-fn": _always},
    "amp-overflow": {
        "nan-loss-fn": _overflowed, "nan-backward": _always, "frozen-params": _skipped, "unnormalised-input": _evened,
        **_BROKEN, **_SLOW,
    },
    "fp16-underflow": {"vanishing-gradient": _always, "frozen-params": _always, **_SLOW},
    # code
    "softmax-twice": _USELESS | {"vanishing-gradient": _always, "saturated-activation": _always},
    "shape-broadcast": _USELESS,
    "wrong-loss": _USELESS | dict.fromkeys(
        ("overfitting", "wrong-loss-sign", "divergence", "lr-too-high", "exploding-gradient", "label-misaligned"),
        _always,
    ),
    "wrong-output-activation": _USELESS | {"dead-relu": _always, "vanishing-gradient": _always, "wrong-loss": _always,
                                "overfitting": _always},
    "wrong-loss-sign": {
        **_BLOWN, **_USELESS, "lr-too-high": _always, "exploding-gradient": _always, "overfitting": _always,
    },
    "wrong-reduction": {"lr-too-high": _always, "exploding-gradient": _always, "loss-spike": _always, **_BLOWN},
    "accumulated-loss-not-divided": {
        "lr-too-high": _always, "exploding-gradient": _always, "oscillation": _always, "loss-spike": _always, **_BLOWN,
    },
    "padding-in-loss": {"prediction-collapse": _always, "overfitting": _always, "underfitting": _wide},
    "loss-clipped": _USELESS | {"frozen-params": _always, "dead-relu": _always},
    "missing-zero-grad": {
        "lr-too-high": _always, "exploding-gradient": _always, "oscillation": _always, "lr-needs-decay": _always,
        "dead-relu": _always, "saturated-activation": _always, **_USELESS, **_BLOWN,
    },
    "checkpoint-no-grad": {"frozen-params": _always, "detached-graph": _always, **_USELESS},
    "stale-optimizer-params": {"frozen-params": _always, "detached-graph": _always, **_USELESS},
    "detached-graph": {"frozen-params": _always, "vanishing-gradient": _always, **_USELESS},
    "frozen-params": _USELESS,
    "resume-mismatch": {"loss-spike": _always, "divergence": _always, "lr-too-high": _always, "overfitting": _always},
    "low-precision-stall": _USELESS | {"lr-needs-decay": _always},
    # data
    "not-shuffled": {
        "oscillation": _always, "loss-spike": _always, "prediction-collapse": _always,
        "lr-needs-decay": _always, "not-learning": _always, "below-baseline": _always, "train-val-leak": _always,
        "batchnorm-stats": _always, "val-noise": _always, "plateau": _always, "divergence": _always,
    },
    "sampler-epoch-not-set": {"overfitting": _always},
    "eval-mode-wrong": {"underfitting": _wide, "not-learning": _always, "overfitting": _always, "divergence": _always,
                        "loss-spike": _always},
    "val-in-train-mode": _VAL,
    "batchnorm-stats": _VAL,
    "preprocessing-mismatch": _VAL,
    "augmentation-on-validation": _VAL,
    "causal-leak": {"train-val-leak": _always},
    "unnormalised-input": {
        "bad-init": _always, "saturated-activation": _always, "vanishing-gradient": _always, "input-ignored": _varies,
        "below-persistence": _always,
        "label-out-of-range": _target_is_input, **_USELESS, **_THROWN,
    },
    "unnormalised-target": {
        "bad-init": _usual_weights, "lr-too-low": _always, "input-ignored": _always, "clip-too-low": _always,
        "saturated-activation": _usual_weights,
        "below-persistence": _always, **_USELESS, **_THROWN,
    },
    "label-misaligned": {"not-learning": _always, "below-baseline": _always, "overfitting": _always,
                         "undertrained": _always, "prediction-collapse": _always, "background-collapse": _always,
                         "lr-too-high": _fits, "dead-relu": _fits},
    "input-ignored": {"frozen-params": _always, "dead-relu": _passed, "not-learning": _always,
                      "below-baseline": _always, "prediction-collapse": _always, "plateau": _always,
                      "underfitting": _wide},
    "class-imbalance": {"prediction-collapse": _always, "below-baseline": _always, "background-collapse": _always,
                        "overfitting": _always},
    "background-collapse": {"prediction-collapse": _always},
    "prediction-collapse": {"below-baseline": _always, "not-learning": _always, "plateau": _always},
    "label-noise": {"overfitting": _always, "plateau": _always, "lr-needs-decay": _always, "underfitting": _wide},
    "batch-too-small": {"batchnorm-stats": _always, "oscillation": _always, "undertrained": _always,
                        "underfitting": _wide, "not-learning": _always},
    # optimisation
    "bad-init": {
        "saturated-activation": _always, "vanishing-gradient": _always, "input-ignored": _always,
        "frozen-params": _always, "output-logit-drift": _always, **_USELESS, **_THROWN,
    },
    "lr-too-high": {
        "dead-relu": _killed_units, "vanishing-gradient": _large_updates, "frozen-params": _large_updates,
        "saturated-activation": _large_updates, "input-ignored": _large_updates, "exploding-gradient": _always,
        "attention-logit-growth": _always,
        "output-logit-drift": _always, "clip-too-low": _always, "oscillation": _always, "lr-needs-decay": _always,
        "kl-blowup": _always, "entropy-collapse": _always, "amp-overflow": _always, **_USELESS, **_BLOWN,
        "divergence": _given_targets,
    },
    "weight-decay-too-high": {
        "lr-too-high": _shrinking, "input-ignored": _always, "dead-relu": _always, "vanishing-gradient": _always,
        **_USELESS,
    },
    "exploding-gradient": {
        **dict.fromkeys(_BLOWN, _recurrent), "overfitting": _unlearned, "dead-relu": _always, "clip-too-low": _always,
        "amp-overflow": _always,
    },
    "attention-logit-growth": {**_BLOWN, "vanishing-gradient": _always},
    "output-logit-drift": _BLOWN,
    "kl-blowup": _BLOWN,
    "divergence": {
        "dead-relu": _always, "overfitting": _unlearned, "saturated-activation": _always, "below-baseline": _always,
        "underfitting": _wide, "miscalibrated": _always, "plateau": _always, "input-ignored": _always,
        **_BROKEN, **_NAN,
    },
    "saturated-activation": {
        "input-ignored": _always, "vanishing-gradient": _always, "frozen-params": _always, **_USELESS,
    },
    "dead-relu": {
        "vanishing-gradient": _cut, "frozen-params": _cut, "input-ignored": _stopped, "lr-needs-decay": _always,
        **_USELESS,
    },
    "vanishing-gradient": {"adam-epsilon": _usual_eps, "input-ignored": _always, "frozen-params": _always, **_USELESS},
    "adam-epsilon": {"vanishing-gradient": _large_eps, "undertrained": _always, "below-baseline": _always, **_SLOW},
    "clip-too-low": _SLOW,
    "lr-too-low": {"not-learning": _always, "lr-needs-decay": _always, "plateau": _always, "underfitting": _wide,
                   "undertrained": _always},
    "lora-lr-too-low": {"lr-too-low": _always, "not-learning": _always, "underfitting": _wide, "plateau": _always},
    "scheduler-misuse": {"lr-decay-too-early": _always, "lr-too-high": _always, "undertrained": _always,
                         "divergence": _always, **_SLOW},
    "lr-decay-too-early": {"lr-too-low": _slowed, "plateau": _slowed, "underfitting": _slowed, "undertrained": _slowed,
                           "not-learning": _slowed},
    "loss-scale-imbalance": {"underfitting": _wide, "exploding-gradient": _always, "posterior-collapse": _always},
    "lr-needs-decay": {"plateau": _always, "oscillation": _always},
    "oscillation": {"plateau": _always, "val-noise": _always},
    "plateau": {"underfitting": _wide},
    "underfitting": dict.fromkeys(
        ("dead-relu", "input-ignored", "prediction-collapse", "not-learning", "below-baseline", "plateau",
         "vanishing-gradient", "frozen-params", "label-misaligned"), _strait
    ),
    "trivial-noise-prediction": {"not-learning": _always, "plateau": _always, "underfitting": _wide},
    "dropout-too-high": {"label-misaligned": _always, "underfitting": _wide, "plateau": _always,
                         "bad-init": _always, "not-learning": _always},
    "not-learning": {"below-baseline": _always, "underfitting": _wide, "plateau": _always},
    # generalisation
    "ema-stale": {"label-misaligned": _always, "below-baseline": _always, "overfitting": _always},
    "overfitting": {"miscalibrated": _always},
    "below-baseline": {"overfitting": _always, "miscalibrated": _always},
}  # fmt: skip
