"""The one table of everything that is measured.

No metric name is born anywhere else: probes declare what they emit, rules what they read, and the
screen takes titles and units from here. Names under ``user.`` belong to the user (``nnwatch.log``)
and need no entry. Runs inside the training process: standard library only.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Axis = Literal["run", "group", "parameter", "activation", "module", "term", "bin", "class", "row", "device"]
"""What one record of a metric holds: one number for the run, or one per param group, per parameter,
per activation layer, per module of one kind, per loss call site, per histogram bin, per class, per sample
of the batch, per GPU."""

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
    ("loss.term", "", "term", "low", "loss terms", "Value of each loss call of the step that training consumed, by call site, mean over the calls from there (only where the script has several; NaN where this step had none)."),
    ("amp.scale", "", "run", None, "loss scale", "Factor of the gradient scaler when the step was taken."),
    # sampled steps
    ("momentum", "", "group", None, "momentum", "Momentum (SGD) or beta1 (Adam) of each parameter group."),
    ("grad.stale", "", "run", None, "gradient left over", "L2 norm of the gradient that was already there at the first backward pass after a step (0: zero_grad was called)."),
    ("grad.zeros", "", "parameter", "low", "zero gradients", "Share of exactly zero elements in the gradient of one parameter (a strided sample)."),
    ("grad.noise", "samples", "run", None, "gradient noise scale", "tr(covariance)/|gradient|^2 from the micro-batches of the step (McCandlish et al. 2018), where accumulation gives it for free."),
    ("weight.unchanged", "", "parameter", "low", "unchanged", "Share of the elements with a gradient other than zero that the step left exactly as they were (a strided sample)."),
    ("weight.checksum", "", "run", None, "weight checksum", "24-bit checksum of a strided sample of all parameters that are in no shard: equal on all ranks of data-parallel training."),
    ("adam.eps.ratio", "", "parameter", "high", "sqrt(v)/eps", "Median of Adam's bias-corrected sqrt(v) over eps, of one parameter (a strided sample)."),
    ("ema.distance", "", "run", None, "distance to average", "||averaged - weights|| / ||weights|| of an averaged copy of the model (AveragedModel, or a deep copy that follows)."),
    ("attention.logit", "", "module", None, "attention logits", "Upper bound of |q.k|/sqrt(d) of one attention layer, from sampled rows of q and k."),
    ("bn.variance.ratio", "", "module", None, "running/batch variance", "Median over channels of running variance over the batch's variance, of one BatchNorm layer."),
    ("bn.mean.shift", "", "module", "low", "running mean shift", "Median over channels of |running mean - batch mean| in batch standard deviations, of one BatchNorm layer."),
    ("mode.train", "", "run", None, "train mode in training", "Share of the dropout and BatchNorm layers (functional dropout too) that are in training mode in a training step."),
    ("output.mean", "", "run", None, "output mean", "Mean of what enters the loss function as prediction."),
    ("output.std", "", "run", None, "output std", "Standard deviation of what enters the loss function as prediction."),
    ("output.spread", "", "run", None, "output spread", "Standard deviation across the samples of the batch of what enters the loss as prediction, root mean square over its features: 0 when the output does not depend on the input."),
    ("output.logz", "", "run", None, "log Z", "Mean over the batch of logsumexp of the logits."),
    ("confidence.target", "", "run", "high", "confidence in the label", "Mean softmax probability given to the right class of the training batch."),
    ("right.count", "samples", "class", None, "right", "Right predictions per true class in the batch (classification, up to 1,000 classes)."),
    ("r2.train", "", "run", "high", "R2", "1 - squared error / variance of the targets of the training batch (regression)."),
    ("target.ignored", "", "run", None, "ignored targets", "Share of the targets that ignore_index leaves out of the loss."),
    ("target.padding", "", "run", None, "padding in the loss", "Share of the targets that equal the padding index of an embedding and are counted in the loss."),
    ("target.each", "", "row", None, "labels in order", "Label of each of the first 64 samples of the training batch, in order."),
    ("target.order", "", "run", None, "batch order", "24-bit checksum of the training batch's targets: equal when the same samples come at the same place again. Taken in the first four steps of each pass over the loader too."),
    ("input.rows", "", "row", None, "training rows", "24-bit fingerprint of each of the first 256 samples that enter the model in training."),
    ("loss.train.each", "", "row", "low", "losses in the batch", "Loss of each of the first 64 samples of the training batch, without reduction."),
    ("target.shown", "", "run", "low", "targets in the input", "Share of the targets asked for that stand in the input at their own place (sequences of which the loss leaves out most places)."),
    ("target.match", "", "term", "high", "targets fit", "Share of the pairs of samples that would cost more with their targets exchanged: 0.5 where the prediction says nothing of the target, whatever the loss; by kind of loss call."),
    ("target.pairs", "", "term", None, "pairs compared", "Pairs that target.match is the share of; those of equal targets are left out."),
    ("loss.persistence", "", "run", "low", "persistence", "Loss of predicting the last input value again (time series), with the script's own loss function."),
    ("distribution.entropy", "", "run", None, "policy entropy", "Mean entropy of the torch.distributions whose log_prob or sample a step used."),
    ("distribution.kl", "", "run", None, "KL", "Mean KL divergence per dimension that torch.distributions.kl_divergence, or a KL term written by hand, gave."),
    ("policy.reached", "", "run", None, "learns from actions", "1 where a backward pass of the step came to a log-probability that torch.distributions gave in it, 0 where to none."),
    ("policy.entropy", "", "run", None, "policy entropy share", "Entropy of a policy that chooses among a few actions, over that of pure chance: 1 all alike, 0 always the same."),
    ("policy.bonus", "", "run", None, "entropy bonus", "What the entropy of the policy is worth in the loss beside its actions: the factor it has, over the mean size of what the actions weigh (below 0: entropy is held down)."),
    ("policy.agreement", "", "run", "high", "rewards agree", "Correlation of how strongly the loss encourages each action with how much better than expected it was: by the critic's error, or by what the script calls an advantage, return or reward."),
    ("policy.critic", "", "run", None, "critic/actor", "Norm of the gradient by the critic's values over that by the log-probabilities of the actions."),
    ("policy.kl", "", "run", None, "policy KL", "KL divergence of the policy from the one that acted, estimated from their ratio r by r - 1 - log r."),
    ("policy.clipped", "", "run", None, "clipped actions", "Share of the actions that the loss has no gradient for, where it is made from a ratio (PPO's clip fraction)."),
    ("policy.drift", "", "run", None, "policy drift", "Standard deviation of the logarithm of the ratio of new to old probabilities over that of the log-probabilities: 0 before the policy has made a step."),
    # by replay of the step's own forward pass and loss, within the budget
    ("step.gain", "", "run", "high", "same-batch gain", "(loss before - loss after the step) / loss before, on the same batch with the same random numbers."),
    ("loss.train.eval", "", "run", "low", "loss in eval mode", "Loss of the training batch with the model in eval mode, before the step."),
    ("loss.permuted", "", "run", None, "permuted-input loss", "Loss of the training batch in eval mode with the inputs permuted among the samples; to be compared with loss.train.eval."),
    ("loss.permuted.alone", "", "row", None, "loss with one input permuted", "As loss.permuted, with only one input of several permuted; in the order of the call."),
    ("output.future", "", "run", "low", "looks ahead", "How far the first outputs of a sequence move when its end, which they are to foretell, is exchanged; in standard deviations. 0 where no output sees what it is asked for."),
    ("grad.norm", "", "run", None, "gradient norm", "L2 norm of the whole gradient as the optimizer saw it (after clipping); of the rank's own part where parameters are in shards."),
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
    ("memory.allocated", "B", "run", None, "allocator", "Memory that torch's CUDA allocator has given to tensors after the step."),
    ("memory.heap", "B", "run", None, "heap", "Memory that the C library has given out in this process (glibc); what is kept from step to step shows at once."),
    ("tensors.alive", "", "run", None, "tensors alive", "Tensors that Python keeps; counted only where memory.heap grows from look to look."),
    ("tensors.graph", "", "run", None, "tensors with a graph", "Those of them that keep the graph they were made by."),
    ("step.idle", "s", "run", "low", "asleep", "Part of the step in which the training thread neither computed nor waited for a core: it slept, for data, a disk or another process (Linux)."),
    ("watch.cost", "", "run", "low", "cost of watching", "Time that the probes take as a share of the step, measured while it goes on: medians of the training thread's CPU time in sampled and unsampled steps. The first 20 steps, which are all sampled, are a fixed cost that is not in it."),
    ("watch.every", "steps", "run", None, "sampled every", "Steps from one sampled step to the next, as the overhead budget allows; 256 at most, also where a step is so short that the cost is over the budget."),
    # every validation batch, at the training step after which it ran
    ("loss.val", "", "run", "low", "val loss", "Loss of one validation batch; an evaluation is the size-weighted mean over its batches."),
    ("val.size", "samples", "run", None, "val batch", "Samples in the validation batch."),
    ("val.order", "", "run", None, "val order", "24-bit checksum of the batch's targets: equal when the same samples come at the same place again."),
    ("accuracy.val", "", "run", "high", "val accuracy", "Share of the validation batch predicted right."),
    ("confidence.val", "samples", "bin", None, "val confidence", "Counts of the softmax maximum on the validation batch: 20 bins wrong, 20 right."),
    ("mode.val", "", "run", None, "train mode in validation", "Share of the dropout and BatchNorm layers that are in training mode while a validation batch runs; should be 0."),
    ("grad.val", "", "run", None, "gradients in validation", "1 when the validation batch was run with gradients enabled, else 0."),
    ("input.val.mean", "", "run", None, "val input mean", "Mean of the first float tensor that enters the model in validation."),
    ("input.val.std", "", "run", None, "val input std", "Standard deviation of the first float tensor that enters the model in validation."),
    ("input.val.order", "", "run", None, "val inputs", "24-bit checksum of the validation batch's inputs: differs at equal targets when the inputs are drawn at random (augmentation)."),
    ("input.val.rows", "", "row", None, "val rows", "24-bit fingerprint of each of the first 256 samples that enter the model in validation."),
    ("target.val.mean", "", "run", None, "val target mean", "Mean of the validation targets (regression, BCE)."),
    ("target.val.std", "", "run", None, "val target std", "Standard deviation of the validation targets (regression, BCE)."),
    ("target.val.count", "samples", "class", None, "val labels", "Validation labels per class (classification, up to 1,000 classes)."),
    ("predicted.val.count", "samples", "class", None, "val predictions", "Predicted classes in the validation batch."),
    ("right.val.count", "samples", "class", None, "val right", "Right predictions per true class in the validation batch."),
    ("r2.val", "", "run", "high", "val R2", "1 - squared error / variance of the targets of the validation batch (regression)."),
    ("output.val.spread", "", "run", None, "val output spread", "As output.spread, of the validation batch."),
    ("loss.val.persistence", "", "run", "low", "val persistence", "As loss.persistence, of the validation batch."),
    ("loss.val.each", "", "row", "low", "val losses", "Loss of each of the first samples of a validation batch, for paired comparison between evaluations."),
    ("target.val.match", "", "term", "high", "val targets fit", "As target.match, of the validation batch."),
    ("target.val.pairs", "", "term", None, "val pairs compared", "As target.pairs, of the validation batch."),
    # the monitor, about once a second
    ("cpu.percent", "%", "run", None, "CPU", "CPU of the trainer's process tree; 100 is one core."),
    ("memory.rss", "B", "run", "low", "memory", "Resident memory of the trainer's process tree."),
    ("host.cpu.percent", "%", "run", None, "host CPU", "CPU of the whole machine; 100 is all cores."),
    ("host.memory.used", "B", "run", None, "host memory", "Memory in use on the machine, caches not counted."),
    ("host.memory.total", "B", "run", None, "host memory total", "Memory of the machine."),
    ("disk.read", "B/s", "run", None, "disk read", "Bytes a second that the trainer's process tree read from disks."),
    ("disk.write", "B/s", "run", None, "disk write", "Bytes a second that the trainer's process tree wrote to disks."),
    ("net.received", "B/s", "run", None, "net in", "Bytes a second that the machine received, loopback not counted."),
    ("net.sent", "B/s", "run", None, "net out", "Bytes a second that the machine sent, loopback not counted."),
    ("disk.free", "B", "run", "high", "disk free", "Free space on the file system that holds the session."),
    ("gpu.percent", "%", "device", None, "GPU", "Share of time a kernel was running."),
    ("gpu.memory.used", "B", "device", None, "GPU memory", "Memory in use on the GPU, by all processes."),
    ("gpu.memory.total", "B", "device", None, "GPU memory total", "Memory of the GPU."),
    ("gpu.memory.mine", "B", "device", None, "GPU memory, own", "Memory of the GPU used by the trainer's process tree."),
    ("gpu.clock", "MHz", "device", None, "GPU clock", "Clock of the streaming multiprocessors."),
    ("gpu.throttle", "", "device", "low", "GPU throttled", "1 when heat or power slows the clock, else 0."),
    ("gpu.power", "W", "device", None, "GPU power", "Power drawn by the GPU."),
    ("gpu.temperature", "°C", "device", None, "GPU temperature", "Temperature of the GPU."),
)  # fmt: skip


def describe(name: str) -> Metric:
    """The table's entry, or one made up for a ``user.`` metric. Raises KeyError for any other name."""
    if name.startswith("user."):
        return Metric(name, "", "run", None, name[5:], "Logged by the script with nnwatch.log().")
    return METRICS[name]
