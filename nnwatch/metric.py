"""The one table of everything that is measured.

No metric name is born anywhere else: probes declare what they emit, rules what they read, and the
screen takes titles and units from here. Names under ``user.`` belong to the user (``nnwatch.log``)
and need no entry. Runs inside the training process: standard library only.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Axis = Literal["run", "group", "parameter", "activation", "bin", "class", "row", "device"]
"""What one record of a metric holds: one number for the run, or one per param group, per parameter,
per activation layer, per histogram bin, per class, per sample of the batch, per GPU."""

CONFIDENCE_BINS = 20
"""Equal bins of the softmax maximum on [0, 1], kept apart for wrong and right predictions."""


class Metric(NamedTuple):
    """A named quantity. ``better`` says which way is progress, None where neither is."""

    name: str
    unit: str
    axis: Axis
    better: Literal["low", "high"] | None
    title: str
    meaning: str


class Field(NamedTuple):
    """One metric inside a record: ``width`` float32 numbers, named by the label list ``labels`` (0: none)."""

    metric: str
    width: int = 1
    labels: int = 0


def _table(*rows: tuple[str, str, Axis, Literal["low", "high"] | None, str, str]) -> dict[str, Metric]:
    table = {row[0]: Metric(*row) for row in rows}
    if len(table) != len(rows):
        raise ValueError("a metric is declared twice")
    return table


METRICS = _table(
    # name, unit, axis, better, title, meaning
    # every optimizer step
    ("loss.train", "", "run", "low", "loss", "Training loss: the loss function's own value, mean over the micro-batches of the step."),
    ("loss.root", "", "run", None, "backward root", "The number backward() was called on: the loss after scaling, division and regularisers."),
    ("lr", "", "group", None, "learning rate", "Learning rate of each parameter group when the step was taken."),
    ("batch.size", "samples", "run", None, "batch", "Samples in the step, all micro-batches together."),
    ("epoch", "", "run", None, "epoch", "Passes begun over the training loader, counted from 1."),
    ("step.seconds", "s", "run", "low", "step time", "Wall time from the end of one optimizer step to the end of the next."),
    ("data.wait", "s", "run", "low", "data wait", "Part of the step spent waiting for the next batch."),
    ("step.skipped", "", "run", None, "skipped", "Optimizer steps skipped by the gradient scaler since the previous record."),
    # sampled steps
    ("grad.norm", "", "run", None, "gradient norm", "L2 norm of the whole gradient as the optimizer saw it (after clipping)."),
    ("grad.norm.layer", "", "parameter", None, "gradient", "L2 norm of the gradient of one parameter as the optimizer saw it."),
    ("grad.clip.norm", "", "run", None, "norm before clip", "L2 norm of the whole gradient before clipping, as clip_grad_norm_ returned it."),
    ("grad.clip.max", "", "run", None, "clip limit", "max_norm given to clip_grad_norm_."),
    ("weight.norm", "", "parameter", None, "weight", "L2 norm of one parameter before the step (above 1,024 elements estimated from a strided sample)."),
    ("update.ratio", "", "parameter", None, "update/weight", "||w after - w before|| / ||w before|| of one parameter, from the real change (a strided sample of its elements)."),
    ("act.mean", "", "activation", None, "activation mean", "Mean output of an activation layer."),
    ("act.std", "", "activation", None, "activation std", "Standard deviation of the output of an activation layer."),
    ("act.dead", "", "activation", "low", "dead", "Share of units of a ReLU-like layer that never fired over the last 512 samples or more."),
    ("act.saturated", "", "activation", "low", "saturated", "Share of outputs at the flat ends of tanh (|y|>0.97) or sigmoid (outside 0.03-0.97)."),
    ("accuracy.train", "", "run", "high", "accuracy", "Share of the training batch predicted right, in the mode it trains in."),
    ("confidence.train", "samples", "bin", None, "confidence", "Counts of the softmax maximum on the training batch: 20 bins of wrong predictions, then 20 of right ones."),
    ("input.mean", "", "run", None, "input mean", "Mean of the first float tensor that enters the model (above 65,536 values of a strided sample, as the three below)."),
    ("input.std", "", "run", None, "input std", "Standard deviation of the first float tensor that enters the model."),
    ("input.min", "", "run", None, "input min", "Smallest value of the first float tensor that enters the model."),
    ("input.max", "", "run", None, "input max", "Largest value of the first float tensor that enters the model."),
    ("target.mean", "", "run", None, "target mean", "Mean of the training targets (regression, BCE)."),
    ("target.std", "", "run", None, "target std", "Standard deviation of the training targets (regression, BCE)."),
    ("target.count", "samples", "class", None, "labels", "Training labels seen per class in the batch (classification, up to 1,000 classes)."),
    ("predicted.count", "samples", "class", None, "predictions", "Predicted classes in the batch (classification, up to 1,000 classes)."),
    ("watch.cost", "", "run", "low", "cost of watching", "CPU time of the training thread spent in the probes as a share of the step, from medians of sampled and unsampled steps."),
    ("watch.every", "steps", "run", None, "sampled every", "Steps from one sampled step to the next, as the overhead budget allows."),
    # every validation batch, at the training step after which it ran
    ("loss.val", "", "run", "low", "val loss", "Loss of one validation batch; an evaluation is the size-weighted mean over its batches."),
    ("val.size", "samples", "run", None, "val batch", "Samples in the validation batch."),
    ("val.order", "", "run", None, "val order", "24-bit checksum of the batch's targets: equal when the same samples come at the same place again."),
    ("accuracy.val", "", "run", "high", "val accuracy", "Share of the validation batch predicted right."),
    ("confidence.val", "samples", "bin", None, "val confidence", "Counts of the softmax maximum on the validation batch: 20 bins wrong, 20 right."),
    ("loss.val.each", "", "row", "low", "val losses", "Loss of each of the first samples of a validation batch, for paired comparison between evaluations."),
    # the monitor, about once a second
    ("cpu.percent", "%", "run", None, "CPU", "CPU of the trainer's process tree; 100 is one core."),
    ("memory.rss", "B", "run", "low", "memory", "Resident memory of the trainer's process tree."),
    ("host.cpu.percent", "%", "run", None, "host CPU", "CPU of the whole machine; 100 is all cores."),
    ("host.memory.used", "B", "run", None, "host memory", "Memory in use on the machine, caches not counted."),
    ("host.memory.total", "B", "run", None, "host memory total", "Memory of the machine."),
    ("disk.free", "B", "run", "high", "disk free", "Free space on the file system that holds the session."),
    ("gpu.percent", "%", "device", None, "GPU", "Share of time a kernel was running."),
    ("gpu.memory.used", "B", "device", None, "GPU memory", "Memory in use on the GPU, by all processes."),
    ("gpu.memory.total", "B", "device", None, "GPU memory total", "Memory of the GPU."),
    ("gpu.power", "W", "device", None, "GPU power", "Power drawn by the GPU."),
    ("gpu.temperature", "°C", "device", None, "GPU temperature", "Temperature of the GPU."),
)  # fmt: skip


def describe(name: str) -> Metric:
    """The table's entry, or one made up for a ``user.`` metric. Raises KeyError for any other name."""
    if name.startswith("user."):
        return Metric(name, "", "run", None, name[5:], "Logged by the script with nnwatch.log().")
    return METRICS[name]
