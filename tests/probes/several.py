"""Training loops of several optimizers, loss calls or backward passes a step."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from nnwatch.probes import stages

from .loops import OF_ONE, Training


def _makes(t: Training, odd: bool) -> None:
    """The turn of a GAN's maker; odd: with a penalty."""
    t.optimizer.zero_grad()
    loss = t.judged(t.model(t.x), 1.0)
    (loss + 0.01 * t.model[0].weight.square().sum() if odd else loss).backward()
    t.optimizer.step()


def judged_by_a_sum(t: Training, odd: bool) -> None:
    _, other = t.two()
    loss = t.judged(torch.randn(24, 3), 1.0)
    loss = loss + t.judged(t.model(t.x).detach(), 0.0)
    other.zero_grad()
    (loss + F.mse_loss(t.judge[0].bias, torch.zeros(4)) if odd else loss).backward()
    other.step()
    _makes(t, odd)


def judged_by_the_same_lines(t: Training, odd: bool) -> None:
    """In two passes; oddly in three, and twice in turn."""
    _, other = t.two()
    for _ in range(2 if odd else 1):
        other.zero_grad()
        t.judged(torch.randn(24, 3), 1.0).backward()
        t.judged(t.model(t.x).detach(), 0.0).backward()
        if odd:
            t.judge[0].weight.square().sum().backward()
        other.step()
    _makes(t, odd=False)


def judged_without_a_loss_call(t: Training, odd: bool) -> None:
    """The judge of Wasserstein; oddly it steps once more after the same pass."""
    _, other = t.two()
    other.zero_grad()
    (t.judge(t.model(t.x).detach()).mean() - t.judge(torch.randn(24, 3)).mean()).backward()
    other.step()
    if odd:
        other.step()
    t.optimizer.zero_grad()
    (-t.judge(t.model(t.x)).mean()).backward()
    t.optimizer.step()


def judged_at_two_lines(t: Training, odd: bool) -> None:
    _, other = t.two()
    real, fake = t.judge(torch.randn(24, 3)), t.judge(t.model(t.x).detach())
    other.zero_grad()
    loss = F.binary_cross_entropy_with_logits(real, torch.ones(24, 1))
    if not odd:
        loss = loss + nn.BCEWithLogitsLoss()(fake, torch.zeros(24, 1))
    loss.backward()
    other.step()
    _makes(t, odd)


def actor_and_critic(t: Training, odd: bool) -> None:
    """Both step after both passes; oddly one after the other."""
    optimizer, other = t.two()
    for each in (optimizer, other):
        each.zero_grad()
    output = t.model(t.x)
    value = t.judge(output.detach())[:, 0]
    reward = (output.argmax(1) == t.y).float()
    (-(output.log_softmax(1)[:, 0] * (reward - value).detach()).mean()).backward()
    if odd:
        optimizer.step()
    (0.5 * F.mse_loss(value, reward, reduction="sum")).backward()
    if not odd:
        optimizer.step()
    other.step()


def trained_together(t: Training, odd: bool) -> None:
    """One pass for two optimizers, of which oddly only one steps."""
    optimizer, other = t.two()
    for each in (optimizer, other):
        each.zero_grad()
    output = t.model(t.x)
    (F.cross_entropy(output, t.y) + t.judged(output, 1.0)).backward()
    other.step()
    if not odd:
        optimizer.step()


def two_terms(t: Training, odd: bool) -> None:
    """One more is oddly called, which has nothing to do with it."""
    t.optimizer.zero_grad()
    output = t.model(t.x)
    loss = nn.CrossEntropyLoss()(output, t.y) + 0.1 * F.mse_loss(output, torch.zeros(24, 3))
    if odd:
        F.l1_loss(t.model(t.x + 1), torch.zeros(24, 3))
    loss.backward()
    t.optimizer.step()


def micro_batches(t: Training, odd: bool) -> None:
    """Oddly one that is no number but for the optimizer, which steps on what came before."""
    t.optimizer.zero_grad()
    for part in range(3):
        (F.cross_entropy(t.model(t.x[part::3]), t.y[part::3]) / 3).backward()
    if odd:
        F.cross_entropy(t.model(t.x), t.y)
    t.optimizer.step()


def many_micro_batches(t: Training, odd: bool) -> None:
    """Oddly so many that the passes, and no optimizer, end the steps."""
    t.optimizer.zero_grad()
    for _ in range(stages.PASSES + 1 if odd else 2):
        (t.loss() / 2).backward()
    t.optimizer.step()


def with_a_default_device(t: Training, odd: bool) -> None:
    with torch.device("cpu"):
        t.step()


OF_SEVERAL = [
    judged_by_a_sum, judged_by_the_same_lines, judged_at_two_lines, judged_without_a_loss_call, actor_and_critic,
    trained_together, two_terms, micro_batches, many_micro_batches, with_a_default_device,
]  # fmt: skip
"""Loops with several optimizers, loss calls or backward passes."""

LOOPS = [*OF_ONE, *OF_SEVERAL]
