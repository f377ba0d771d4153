"""Ordered lists of remedies. The order is what people who do this for a living agree on; the numbers are the run's.

A fix says what it changes in this run, or None where that is in use already or does not apply: it is then passed
over, and the first three of a list that remain are printed. Sources: notes T24-35 and B53-57 (overfitting), C290 and
C170-172 (underfitting), D69-81 and C350-358 (NaN), C85 and D13-15 (dead units), D11, C102, C114, C117 (vanishing),
D4 and C325-326 (imbalance).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from nnwatch.frame import Remedy

from .changes import (
    activation,
    always,
    class_weights,
    clip_change,
    dropout,
    input_scale,
    larger_batch,
    less_decay,
    less_dropout,
    longer,
    more_data,
    more_decay,
    more_dropout,
    norm_layers,
    pin,
    prefetch,
    pretrained,
    prior_bias,
    restore,
    sampler,
    smaller,
    smaller_batch,
    units,
    wider_type,
    workers,
)
from .context import Context
from .learning_rate import CLIP, LOWER, lower_change

PRINTED = 3
"""Remedies a finding has at most: a longer list is not read."""
RESTORE = "Restore a checkpoint"


class Fix(NamedTuple):
    """One remedy of a list: ``change(context)`` is "present → new", None where it does not apply to this run."""

    title: str
    change: Callable[[Context], str | None]


def remedies(at: Context, fixes: Sequence[Fix], expect: str, most: int = PRINTED) -> tuple[Remedy, ...]:
    """The first ``most`` fixes that apply; ``expect`` is the number that will show that one worked."""
    changes = ((fix.title, fix.change(at)) for fix in fixes)
    return tuple(Remedy(title, change, expect) for title, change in changes if change)[:most]


def titles(*fixes: Sequence[Fix]) -> tuple[str, ...]:
    """The titles of some lists, for the declaration of a rule."""
    return tuple(dict.fromkeys(fix.title for group in fixes for fix in group))


def restart(at: Context, step: int) -> tuple[Remedy, ...]:
    """Go on from the checkpoint that was saved before ``step``, where one was."""
    if at.checkpoint(step - 1) is None:
        return ()
    return (
        Remedy(RESTORE, f"the weights of step {step} → {restore(at, step - 1)}", "the first loss is finite and low"),
    )


OVERFIT = (
    Fix("More data, or stronger augmentation", more_data),
    Fix("Start from pre-trained weights", pretrained),
    Fix("A smaller model", smaller),
    Fix("A smaller batch", smaller_batch),
    Fix("Add dropout", dropout),
    Fix("More dropout", more_dropout),
    Fix("Raise the weight decay", more_decay),
    Fix("Stop early", always("to the end of the plan → patience of 5 evaluations")),
    Fix("A larger model, stopped early", always("the model as it is → twice as wide, stopped at its best evaluation")),
    Fix("Average several models", always("1 model → the mean of 3 to 5, trained from other seeds")),
)
UNDERFIT = (
    Fix("Train longer", longer),
    Fix("More layers", always("the depth as it is → one or two layers more, with normalisation or residual")),
    Fix("More units", units),
    Fix("Less dropout", less_dropout),
    Fix("Less weight decay", less_decay),
    Fix("Less augmentation", always("the augmentation as it is → half as strong")),
)
NAN = (
    Fix(LOWER, lower_change),
    Fix(CLIP, lambda at: clip_change(at, at.step)),
    Fix("Normalise the input", input_scale),
    Fix("Compute in a wider type", wider_type),
)
DEAD = (
    Fix(LOWER, lower_change),
    Fix("Start the biases at zero", always("biases as they are → 0, weights by kaiming_normal_")),
    Fix("Normalise the input", input_scale),
    Fix("Let the units leak", always("ReLU → LeakyReLU(0.01) or GELU, and start again: dead units rarely revive")),
)
VANISH = (
    Fix("Use an activation that does not flatten out", activation),
    Fix("Initialise for this activation", always("default → kaiming_normal_ (ReLU) or xavier_normal_ (tanh)")),
    Fix("Normalise between the layers", norm_layers),
    Fix("Add residual connections", always("x = f(x) → x = x + f(x)")),
    Fix("Fewer layers", always("the depth as it is → half as many layers")),
)
IMBALANCE = (
    Fix("Look at each class's own recall", always("accuracy → recall per class, or balanced accuracy")),
    Fix("Draw all classes equally often", sampler),
    Fix("Weigh the classes in the loss", class_weights),
    Fix("Start the last bias at the class frequencies", prior_bias),
    Fix("Use a focal loss", always("cross entropy → focal loss, gamma 2")),
)
BATCH = (Fix("A larger batch, with a rate to match", larger_batch),)
DATA_STALL = (
    Fix("More loader workers", workers),
    Fix("Pin the host memory", pin),
    Fix("Prefetch more", prefetch),
    Fix("Prepare the data once", always("decode and resize in every epoch → once, kept on disk or in memory")),
    Fix("Decode faster", always("the decoder as it is → a faster one (libjpeg-turbo, nvJPEG), or smaller files")),
)
