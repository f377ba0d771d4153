"""Ordered lists of remedies. The order is what people who do this for a living agree on; the numbers are the run's.

A fix says what it changes in this run, or None where that is in use already or does not apply: it is then passed
over, and the first three of a list that remain are printed. Sources: notes T24-35 and B53-57 (overfitting), C290 and
C170-172 (underfitting), D69-81 and C350-358 (NaN), C85 and D13-15 (dead units), D11, C102, C114, C117 (vanishing),
D4 and C325-326 (imbalance).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from nnwatch.frame import Remedy

from .context import Context
from .finding import number
from .learning_rate import CLIP, LOWER, lower_change
from .place import of_layer, of_loss, of_optimizer
from .window import finite

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


def restore(at: Context, step: int) -> str:
    """The checkpoint to go back to, "best.pt (step 400)": the file last written at ``step`` or before, whose content
    is therefore still of that time; "the weights of step N" where none was saved."""
    saved = at.checkpoint(step)
    return f"{saved[0]} (step {saved[1]})" if saved else f"the weights of step {step}"


def restart(at: Context, step: int) -> tuple[Remedy, ...]:
    """Go on from the checkpoint that was saved before ``step``, where one was."""
    if at.checkpoint(step - 1) is None:
        return ()
    return (
        Remedy(RESTORE, f"the weights of step {step} → {restore(at, step - 1)}", "the first loss is finite and low"),
    )


def clip_change(at: Context, before: int) -> str:
    """A limit that nine of ten gradient norms before that step pass; a third of the one in use."""
    if at.has("grad.clip.max"):
        return f"max_norm {number(float(at.view('grad.clip.max').scalar[-1]))} → a third of it"
    norms = finite(at.view("grad.norm").before(before).last(200).scalar) if at.has("grad.norm") else np.empty(0)
    limit = number(float(np.quantile(norms, 0.9))) if len(norms) >= 10 else "1.0"
    return f"no clipping → clip_grad_norm_(model.parameters(), {limit})"


def _always(change: str) -> Callable[[Context], str | None]:
    return lambda at: change


def _more_data(at: Context) -> str:
    rows, parameters = at.train_rows, (at.facts.get("model") or {}).get("parameters")
    known = f"{rows:,} samples" if rows else "the data as they are"
    return f"{known}{f' for {parameters:,} parameters' if rows and parameters else ''} → more, or augmented"


def _pretrained(at: Context) -> str | None:
    parameters = (at.facts.get("model") or {}).get("parameters") or 0
    return None if at.finetune or parameters < 1e6 else f"{parameters:,} random weights → pre-trained ones"


def _smaller(at: Context) -> str | None:
    rows, parameters = at.train_rows or 0, (at.facts.get("model") or {}).get("parameters") or 0
    return f"{parameters:,} parameters → {parameters // 4:,}" if rows and parameters > 10 * rows else None


def _smaller_batch(at: Context) -> str | None:
    size = at.batch_size
    return f"batch {size:.0f} → {size / 2:.0f}" if at.batchnorm and size and size >= 32 else None


def _dropout(at: Context) -> str | None:
    known = [(str(name), float(p)) for name, p in at.facts.get("dropout") or ()]
    if known and not any(p for _, p in known):
        return f"{known[-1][0]}: p 0 → 0.2{of_layer(at, known[-1][0])}"
    return None if (at.facts.get("layers") or {}).get("dropout") else "no dropout → 0.2 in front of the last layers"


def _more_dropout(at: Context) -> str | None:
    return _scaled_dropout(at, lambda p: 0 < p <= 0.3, 0.5)


def _less_dropout(at: Context) -> str | None:
    return _scaled_dropout(at, lambda p: p >= 0.2, 0.1)


def _scaled_dropout(at: Context, applies: Callable[[float], bool], new: float) -> str | None:
    for name, p in at.facts.get("dropout") or ():
        if applies(float(p)):
            return f"{name}: p {number(float(p))} → {number(new)}{of_layer(at, str(name))}"
    return None


def _decay(at: Context) -> float:
    return float(at.optimizer.get("weight_decay") or 0)


def _more_decay(at: Context) -> str | None:
    decay = _decay(at)
    return None if decay >= 0.1 else f"weight_decay {number(decay)} → {number(10 * decay or 1e-2)}{of_optimizer(at)}"


def _less_decay(at: Context) -> str | None:
    decay = _decay(at)
    return f"weight_decay {number(decay)} → {number(decay / 10)}{of_optimizer(at)}" if decay > 0 else None


def _longer(at: Context) -> str | None:
    return f"{at.horizon:,} steps → {1.3 * at.horizon:,.0f}" if at.falling else None


def _units(at: Context) -> str:
    parameters = (at.facts.get("model") or {}).get("parameters")
    return f"{f'{parameters:,} parameters' if parameters else 'the width as it is'} → hidden layers twice as wide"


def _wider_type(at: Context) -> str | None:
    return "float16 → bfloat16, or float32 for the operation that overflows" if at.amp else None


def _input_scale(at: Context) -> str | None:
    if not at.has("input.mean"):
        return None
    mean, std = float(at.view("input.mean").scalar[0]), float(at.view("input.std").scalar[0])
    if abs(mean) < 1 and 0.2 < std < 5:
        return None
    return f"inputs of mean {number(mean)} and std {number(std)} → (x - {number(mean)}) / {number(std)}"


def _activation(at: Context) -> str | None:
    layers = at.facts.get("layers") or {}
    squashing = " and ".join(name for name in ("sigmoid", "tanh") if layers.get(name))
    return f"{squashing} → ReLU or GELU" if squashing or not layers else None


def _norm_layers(at: Context) -> str | None:
    layers = at.facts.get("layers") or {}
    return None if layers.get("batchnorm") or layers.get("layernorm") else "none → BatchNorm or LayerNorm per layer"


def _class_share(at: Context) -> tuple[int, float, int] | None:
    """Rarest class that occurs, its share of the labels seen, and the number of classes."""
    if not at.has("target.count"):
        return None
    counts = np.asarray(np.nansum(at.view("target.count").thin(400).values, axis=0, dtype=np.float64))
    if not counts.any():
        return None
    rare = int(np.argmin(np.where(counts > 0, counts, np.inf)))
    return rare, float(counts[rare] / counts.sum()), len(counts)


def _sampler(at: Context) -> str | None:
    share = _class_share(at)
    rare = f"class {share[0]} in {100 * share[1]:.2g} % of the samples" if share else "classes as frequent as they are"
    if at.facts.get("shuffle") == "WeightedRandomSampler":
        return None
    return f"{rare} → WeightedRandomSampler(1 / count[label]): all equally frequent"


def _class_weights(at: Context) -> str | None:
    if (at.facts.get("loss") or {}).get("weighted"):
        return None
    share = _class_share(at)
    weight = f", {number(1 / (share[1] * share[2]))} for class {share[0]}" if share else ""
    return f"no class weights → weight = N / (C * count){weight}{of_loss(at)}"


def _prior_bias(at: Context) -> str:
    share = _class_share(at)
    value = f", {number(math.log(share[1]))} for class {share[0]}" if share else ""
    return f"bias of the last layer → log of the share of each class{value}"


def _larger_batch(at: Context) -> str | None:
    size = at.batch_size
    if not size or size >= 64:
        return None
    factor = 64 / size
    rate = math.sqrt(factor) if "Adam" in str(at.optimizer.get("class")) else factor
    return f"batch {size:.0f} → 64, lr {number(at.lr)} → {number(at.lr * rate)}{of_optimizer(at)}"


def _workers(at: Context) -> str | None:
    workers = at.facts.get("workers")
    return None if workers is None or workers >= 4 else f"num_workers={workers} → 4, persistent_workers=True"


def _pin(at: Context) -> str | None:
    on_gpu = str(at.facts.get("device") or "").startswith("cuda")
    return "pin_memory=False → True" if on_gpu and at.facts.get("pin_memory") is False else None


def _prefetch(at: Context) -> str | None:
    return "prefetch_factor=2 → 4" if at.facts.get("workers") else None


OVERFIT = (
    Fix("More data, or stronger augmentation", _more_data),
    Fix("Start from pre-trained weights", _pretrained),
    Fix("A smaller model", _smaller),
    Fix("A smaller batch", _smaller_batch),
    Fix("Add dropout", _dropout),
    Fix("More dropout", _more_dropout),
    Fix("Raise the weight decay", _more_decay),
    Fix("Stop early", _always("to the end of the plan → patience of 5 evaluations")),
    Fix("A larger model, stopped early", _always("the model as it is → twice as wide, stopped at its best evaluation")),
    Fix("Average several models", _always("1 model → the mean of 3 to 5, trained from other seeds")),
)
UNDERFIT = (
    Fix("Train longer", _longer),
    Fix("More layers", _always("the depth as it is → one or two layers more, with normalisation or residual")),
    Fix("More units", _units),
    Fix("Less dropout", _less_dropout),
    Fix("Less weight decay", _less_decay),
    Fix("Less augmentation", _always("the augmentation as it is → half as strong")),
)
NAN = (
    Fix(LOWER, lower_change),
    Fix(CLIP, lambda at: clip_change(at, at.step)),
    Fix("Normalise the input", _input_scale),
    Fix("Compute in a wider type", _wider_type),
)
DEAD = (
    Fix(LOWER, lower_change),
    Fix("Start the biases at zero", _always("biases as they are → 0, weights by kaiming_normal_")),
    Fix("Normalise the input", _input_scale),
    Fix("Let the units leak", _always("ReLU → LeakyReLU(0.01) or GELU, and start again: dead units rarely revive")),
)
VANISH = (
    Fix("Use an activation that does not flatten out", _activation),
    Fix("Initialise for this activation", _always("default → kaiming_normal_ (ReLU) or xavier_normal_ (tanh)")),
    Fix("Normalise between the layers", _norm_layers),
    Fix("Add residual connections", _always("x = f(x) → x = x + f(x)")),
    Fix("Fewer layers", _always("the depth as it is → half as many layers")),
)
IMBALANCE = (
    Fix("Look at each class's own recall", _always("accuracy → recall per class, or balanced accuracy")),
    Fix("Draw all classes equally often", _sampler),
    Fix("Weigh the classes in the loss", _class_weights),
    Fix("Start the last bias at the class frequencies", _prior_bias),
    Fix("Use a focal loss", _always("cross entropy → focal loss, gamma 2")),
)
BATCH = (Fix("A larger batch, with a rate to match", _larger_batch),)
DATA_STALL = (
    Fix("More loader workers", _workers),
    Fix("Pin the host memory", _pin),
    Fix("Prefetch more", _prefetch),
    Fix("Prepare the data once", _always("decode and resize in every epoch → once, kept on disk or in memory")),
    Fix("Decode faster", _always("the decoder as it is → a faster one (libjpeg-turbo, nvJPEG), or smaller files")),
)
