"""Training loops of every form: what comes out of the ordinary in some of their steps."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Training:
    """A small classifier; ``step()`` is the ordinary step."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model: Any = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        self.optimizer: Any = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        self.x, self.y = torch.randn(24, 4), torch.randint(0, 3, (24,))
        self.judge: Any = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
        """Of what the model gives."""

    def two(self) -> Any:
        """The optimizer, and one of the judge."""
        if not hasattr(self, "other"):
            self.other = torch.optim.Adam(self.judge.parameters(), lr=0.01)
        return self.optimizer, self.other

    def judged(self, x: torch.Tensor, wanted: float) -> torch.Tensor:
        found = self.judge(x)
        return F.binary_cross_entropy_with_logits(found, torch.full_like(found, wanted))

    def loss(self) -> torch.Tensor:
        return F.cross_entropy(self.model(self.x), target=self.y)

    def step(self) -> None:
        self.optimizer.zero_grad()
        self.loss().backward()
        self.optimizer.step()


def ordinary(t: Training, odd: bool) -> None:
    t.step()


def changed_in_place(t: Training, odd: bool) -> None:
    t.optimizer.zero_grad()
    loss = t.loss()
    if odd:
        loss /= 2
    loss.backward()
    t.optimizer.step()


def regularised(t: Training, odd: bool) -> None:
    t.optimizer.zero_grad()
    loss = t.loss()
    (loss + 0.01 * t.model[0].weight.square().sum() if odd else loss).backward()
    t.optimizer.step()


def accumulated(t: Training, odd: bool) -> None:
    if odd:
        t.loss().backward()
    t.step()


def validated(t: Training, odd: bool) -> None:
    t.step()
    if odd:
        t.model.eval()
        with torch.no_grad():
            F.cross_entropy(t.model(t.x[:7] + 1), t.y[:7].clone())
        t.model.train()


def metric_in_the_step(t: Training, odd: bool) -> None:
    loss = t.loss()
    if odd:
        F.cross_entropy(t.model(t.x).detach(), t.y)
    t.optimizer.zero_grad()
    loss.backward()
    t.optimizer.step()


def looked_at_only(t: Training, odd: bool) -> None:
    if odd:
        F.cross_entropy(t.model(t.x + 1), t.y)
    t.step()


def closure(t: Training, odd: bool) -> None:
    def again() -> torch.Tensor:
        t.optimizer.zero_grad()
        loss = t.loss()
        loss.backward()
        return loss

    if odd:
        t.optimizer.step(again)
    else:
        t.step()


def closure_after_backward(t: Training, odd: bool) -> None:
    t.loss().backward()
    t.optimizer.step((lambda: t.loss()) if odd else None)
    t.optimizer.zero_grad()


def not_a_number(t: Training, odd: bool) -> None:
    if odd:
        t.x = t.x.clone()
        t.x[5, 2] = float("nan")
    t.step()


def bad_gradient(t: Training, odd: bool) -> None:
    t.optimizer.zero_grad()
    loss = t.loss()
    loss.backward()
    if odd:
        t.model[0].bias.grad[1] = float("nan")
    nn.utils.clip_grad_norm_(t.model.parameters(), 1.0)
    t.optimizer.step()


def another_rate(t: Training, odd: bool) -> None:
    t.optimizer.param_groups[0]["lr"] *= 0.9
    if odd:
        t.optimizer.param_groups[0]["lr"] = 1
        t.optimizer.add_param_group({"params": [nn.Parameter(torch.ones(2))], "lr": 0.5})
    t.step()


def huge(t: Training, odd: bool) -> None:
    t.optimizer.param_groups[0]["lr"] = 1e300 if odd else 0.0
    t.optimizer.zero_grad()
    t.loss().backward()
    t.model.zero_grad()
    t.optimizer.step()


def second_optimizer(t: Training, odd: bool) -> None:
    if odd:
        other = torch.optim.SGD(t.model[2].parameters(), lr=0.01)
        t.loss().backward()
        other.step()
    t.step()


def skipped_backward(t: Training, odd: bool) -> None:
    if odd:
        t.optimizer.step()
    t.step()


def stepped_twice(t: Training, odd: bool) -> None:
    t.step()
    if odd:
        t.optimizer.step()


def failing_backward(t: Training, odd: bool) -> None:
    if odd:
        loss = t.loss()
        handle = t.model[0].weight.register_hook(lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            loss.backward()
        handle.remove()
    t.step()


def scaled(t: Training, odd: bool) -> None:
    if not odd:
        t.step()
        return
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    t.optimizer.zero_grad()
    scaler.scale(t.loss()).backward()
    scaler.step(t.optimizer)


def saved(t: Training, odd: bool) -> None:
    t.optimizer.zero_grad()
    loss = t.loss()
    if odd:
        pickle.dumps(t.model)
    loss.backward()
    t.optimizer.step()


def unreduced(t: Training, odd: bool) -> None:
    t.optimizer.zero_grad()
    if odd:
        F.cross_entropy(t.model(t.x), t.y, reduction="none").mean().backward()
    else:
        t.loss().backward()
    t.optimizer.step()


def several_roots(t: Training, odd: bool) -> None:
    t.optimizer.zero_grad()
    if odd:
        loss = t.loss()
        torch.autograd.backward([loss, t.model[0].bias.sum()])
    else:
        t.loss().backward()
    t.optimizer.step()


def penalised(t: Training, odd: bool) -> None:
    t.optimizer.zero_grad()
    loss = t.loss()
    (loss if odd else loss + 0.01 * sum(p.square().sum() for p in t.model.parameters())).backward()
    t.optimizer.step()


def averaged_by_hand(t: Training, odd: bool) -> None:
    """Once it is what two calls add up to."""
    t.optimizer.zero_grad()
    loss = F.cross_entropy(t.model(t.x), t.y, reduction="sum")
    if odd:
        loss = loss + F.cross_entropy(t.model(t.x + 1), t.y, reduction="sum")
    (loss / len(t.y)).backward()
    t.optimizer.step()


def by_hand(t: Training, odd: bool) -> None:
    t.optimizer.zero_grad()
    loss = -t.model(t.x).log_softmax(1)[range(len(t.y)), t.y].mean()
    (t.loss() if odd else loss).backward()
    t.optimizer.step()


def by_hand_without_an_end(t: Training, odd: bool) -> None:
    t.optimizer.zero_grad()
    (t.model(t.x).square().mean() * (torch.inf if odd else 1.0)).backward()
    t.optimizer.step()


def of_something_else(t: Training, odd: bool) -> None:
    """Once a loss is only looked at, and another one trained on."""
    t.optimizer.zero_grad()
    loss = t.loss()
    (t.model(t.x).square().mean() if odd else 0.5 * loss).backward()
    t.optimizer.step()


def penalised_without_an_end(t: Training, odd: bool) -> None:
    t.optimizer.zero_grad()
    loss = t.loss()
    (loss + (torch.nan if odd else 0.01) * t.model[0].weight.square().sum()).backward()
    t.optimizer.step()


def left_after_the_pass(t: Training, odd: bool) -> None:
    t.optimizer.zero_grad()
    (0.5 * t.loss()).backward()
    if odd:
        F.cross_entropy(t.model(t.x + 1), t.y)
    t.optimizer.step()


FORMS = [penalised, averaged_by_hand, by_hand, by_hand_without_an_end, of_something_else, penalised_without_an_end,
         left_after_the_pass]  # fmt: skip
"""Loops that train on something else than the value of a loss call."""
OF_ONE = [
    *FORMS, ordinary, changed_in_place, regularised, accumulated, validated, metric_in_the_step,
    looked_at_only, closure, closure_after_backward, not_a_number, bad_gradient, another_rate, huge, second_optimizer,
    skipped_backward, stepped_twice, failing_backward, scaled, saved, unreduced, several_roots,
]  # fmt: skip


def over_a_loader(t: Training) -> None:
    """Two epochs of training and, with gradients on, of something else in between."""
    for _ in range(3):
        t.model.train()
        for t.x, t.y in DataLoader(TensorDataset(torch.randn(39, 4), torch.randint(0, 3, (39,))), batch_size=4):
            t.step()
        t.model.eval()
        for x, y in DataLoader(TensorDataset(torch.randn(8, 4), torch.randint(0, 3, (8,))), batch_size=4):
            F.cross_entropy(t.model(x), y)
