"""What a remedy changes in this run, "present → new" in the run's own numbers; None where it is in use already or does
not apply."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .context import Context
from .finding import number
from .place import of_layer, of_loss, of_optimizer
from .window import finite


def restore(at: Context, step: int) -> str:
    """The checkpoint to go back to, "best.pt (step 400)": the file last written at ``step`` or before, whose content
    is therefore still of that time; "the weights of step N" where none was saved."""
    saved = at.checkpoint(step)
    return f"{saved[0]} (step {saved[1]})" if saved else f"the weights of step {step}"


def clip_change(at: Context, before: int) -> str:
    """A limit that nine of ten gradient norms before that step pass; a third of the one in use."""
    if at.has("grad.clip.max"):
        return f"max_norm {number(float(at.view('grad.clip.max').scalar[-1]))} → a third of it"
    norms = finite(at.view("grad.norm").before(before).last(200).scalar) if at.has("grad.norm") else np.empty(0)
    limit = number(float(np.quantile(norms, 0.9))) if len(norms) >= 10 else "1.0"
    return f"no clipping → clip_grad_norm_(model.parameters(), {limit})"


def always(change: str) -> Callable[[Context], str | None]:
    return lambda at: change


def more_data(at: Context) -> str:
    rows, parameters = at.train_rows, (at.facts.get("model") or {}).get("parameters")
    known = f"{rows:,} samples" if rows else "the data as they are"
    return f"{known}{f' for {parameters:,} parameters' if rows and parameters else ''} → more, or augmented"


def pretrained(at: Context) -> str | None:
    parameters = (at.facts.get("model") or {}).get("parameters") or 0
    return None if at.finetune or parameters < 1e6 else f"{parameters:,} random weights → pre-trained ones"


def smaller(at: Context) -> str | None:
    rows, parameters = at.train_rows or 0, (at.facts.get("model") or {}).get("parameters") or 0
    return f"{parameters:,} parameters → {parameters // 4:,}" if rows and parameters > 10 * rows else None


def smaller_batch(at: Context) -> str | None:
    size = at.batch_size
    return f"batch {size:.0f} → {size / 2:.0f}" if at.batchnorm and size and size >= 32 else None


def dropout(at: Context) -> str | None:
    known = [(str(name), float(p)) for name, p in at.facts.get("dropout") or ()]
    if known and not any(p for _, p in known):
        return f"{known[-1][0]}: p 0 → 0.2{of_layer(at, known[-1][0])}"
    return None if (at.facts.get("layers") or {}).get("dropout") else "no dropout → 0.2 in front of the last layers"


def more_dropout(at: Context) -> str | None:
    return _scaled_dropout(at, lambda p: 0 < p <= 0.3, 0.5)


def less_dropout(at: Context) -> str | None:
    return _scaled_dropout(at, lambda p: p >= 0.2, 0.1)


def _scaled_dropout(at: Context, applies: Callable[[float], bool], new: float) -> str | None:
    for name, p in at.facts.get("dropout") or ():
        if applies(float(p)):
            return f"{name}: p {number(float(p))} → {number(new)}{of_layer(at, str(name))}"
    return None


def _decay(at: Context) -> float:
    return float(at.optimizer.get("weight_decay") or 0)


def more_decay(at: Context) -> str | None:
    decay = _decay(at)
    return None if decay >= 0.1 else f"weight_decay {number(decay)} → {number(10 * decay or 1e-2)}{of_optimizer(at)}"


def less_decay(at: Context) -> str | None:
    decay = _decay(at)
    return f"weight_decay {number(decay)} → {number(decay / 10)}{of_optimizer(at)}" if decay > 0 else None


def longer(at: Context) -> str | None:
    return f"{at.horizon:,} steps → {1.3 * at.horizon:,.0f}" if at.falling else None


def units(at: Context) -> str:
    parameters = (at.facts.get("model") or {}).get("parameters")
    return f"{f'{parameters:,} parameters' if parameters else 'the width as it is'} → hidden layers twice as wide"


def wider_type(at: Context) -> str | None:
    return "float16 → bfloat16, or float32 for the operation that overflows" if at.amp else None


def input_scale(at: Context) -> str | None:
    if not at.has("input.mean"):
        return None
    mean, std = float(at.view("input.mean").scalar[0]), float(at.view("input.std").scalar[0])
    if abs(mean) < 1 and 0.2 < std < 5:
        return None
    return f"inputs of mean {number(mean)} and std {number(std)} → (x - {number(mean)}) / {number(std)}"


def activation(at: Context) -> str | None:
    layers = at.facts.get("layers") or {}
    squashing = " and ".join(name for name in ("sigmoid", "tanh") if layers.get(name))
    return f"{squashing} → ReLU or GELU" if squashing or not layers else None


def norm_layers(at: Context) -> str | None:
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


def sampler(at: Context) -> str | None:
    share = _class_share(at)
    rare = f"class {share[0]} in {100 * share[1]:.2g} % of the samples" if share else "classes as frequent as they are"
    if at.facts.get("shuffle") == "WeightedRandomSampler":
        return None
    return f"{rare} → WeightedRandomSampler(1 / count[label]): all equally frequent"


def class_weights(at: Context) -> str | None:
    if (at.facts.get("loss") or {}).get("weighted"):
        return None
    share = _class_share(at)
    weight = f", {number(1 / (share[1] * share[2]))} for class {share[0]}" if share else ""
    return f"no class weights → weight = N / (C * count){weight}{of_loss(at)}"


def prior_bias(at: Context) -> str:
    share = _class_share(at)
    value = f", {number(math.log(share[1]))} for class {share[0]}" if share else ""
    return f"bias of the last layer → log of the share of each class{value}"


def larger_batch(at: Context) -> str | None:
    size = at.batch_size
    if not size or size >= 64:
        return None
    factor = 64 / size
    rate = math.sqrt(factor) if "Adam" in str(at.optimizer.get("class")) else factor
    return f"batch {size:.0f} → 64, lr {number(at.lr)} → {number(at.lr * rate)}{of_optimizer(at)}"


def workers(at: Context) -> str | None:
    known = at.facts.get("workers")
    return None if known is None or known >= 4 else f"num_workers={known} → 4, persistent_workers=True"


def pin(at: Context) -> str | None:
    on_gpu = str(at.facts.get("device") or "").startswith("cuda")
    return "pin_memory=False → True" if on_gpu and at.facts.get("pin_memory") is False else None


def prefetch(at: Context) -> str | None:
    return "prefetch_factor=2 → 4" if at.facts.get("workers") else None
