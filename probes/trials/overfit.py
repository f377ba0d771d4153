"""A few samples learned by heart (Karpathy, "A Recipe for Training Neural Networks", 2019): what cannot do that is
broken. By an optimizer of our own: at the script's learning rate healthy scripts would fail."""

from __future__ import annotations

from time import time
from typing import Any

import torch

from nnwatch.trial import LossKind, Rung

from .adam import Adam
from .captured import Batch, Passed, Step
from .floor import floor, kind
from .subject import NotPossibleError, Subject

SAMPLES = 16
RATES = (1e-3, 3e-4, 1e-2)
"""Of the ladder, in the order in which they are tried."""
STEPS = 500
SHARE, LEAST = 0.01, 1e-3
"""Learned: the loss is this share of the first one, or this small, above its floor."""
PART = 0.4
"""Of the time that is left, for this experiment."""


def overfit(subject: Subject) -> dict[str, Any]:
    """Raises NotPossibleError where the time is over before the last rung is: that says nothing."""
    step = subject.step()
    batch = _few(step)
    until = time() + PART * subject.seconds
    with step.passing(), torch.no_grad():
        first = step.passed(batch)
    least = floor(batch, first.prediction)
    rungs: list[Rung] = []
    best: list[float] = []
    for rate in RATES:
        subject.restore()
        losses, right = _learn(step, batch, rate, least or 0.0, until, subject)
        rungs.append(Rung(optimizer="Adam", rate=rate, first=losses[0], last=losses[-1], steps=len(losses) - 1))
        if not best or losses[-1] < best[-1]:
            best, accuracy = losses, right
            learned = [parameter.detach().clone() for parameter in step.parameters()]
        if is_learned(best, least or 0.0, accuracy):
            break
        if time() > until:
            subject.restore()
            made = sum(rung["steps"] for rung in rungs)
            raise NotPossibleError(
                f"the time was over after {made} steps with {batch.rows} samples; give more --minutes"
            )
    subject.learned = batch, learned
    subject.restore()
    return {
        "loss_kind": kind(batch.term),
        "samples": batch.rows,
        "rungs": rungs,
        "losses": best,
        "floor": least,
        "first": best[0],
        "last": best[-1],
        "accuracy": accuracy,
    }


def is_learned(losses: list[float], least: float, accuracy: float | None) -> bool:
    first, last = losses[0] - least, losses[-1] - least
    return last <= max(SHARE * first, LEAST) and accuracy in (None, 1.0)


def _few(step: Step) -> Batch:
    """The first samples of the batch; all of it where the model takes no part."""
    if step.batch.rows > SAMPLES:
        few = step.batch.first(SAMPLES)
        try:
            with step.passing(), torch.no_grad():
                step.passed(few)
            return few
        except Exception:  # a state or a graph that goes with the whole batch
            return step.batch
    return step.batch


def _learn(
    step: Step, batch: Batch, rate: float, least: float, until: float, subject: Subject
) -> tuple[list[float], float | None]:
    """Losses before each step and after the last one, and the accuracy then."""
    parameters = step.parameters()
    if not parameters:
        raise NotPossibleError("no parameter of the model requires a gradient")
    adam = Adam(parameters, rate)
    losses: list[float] = []
    with step.passing():
        while True:
            passed = step.passed(batch)
            losses.append(float(passed.loss.detach()))
            right = accuracy(batch, passed, kind(batch.term))
            over = len(losses) > STEPS or time() > until or losses[-1] != losses[-1]
            if over or is_learned(losses, least, right):
                return losses, right
            adam.step(torch.autograd.grad(passed.loss, parameters, allow_unused=True))
            if len(losses) % 50 == 0:
                subject.say(f"overfit {batch.rows} samples, Adam {rate:g}: step {len(losses)}, loss {losses[-1]:.4g}")


def accuracy(batch: Batch, passed: Passed, loss: LossKind) -> float | None:
    """Share of the targets that are predicted right."""
    prediction, target = passed.prediction, batch.term.target
    if prediction is None or target is None:
        return None
    if loss == "cross-entropy" and prediction.dim() > 1:
        wanted = target.argmax(1) if target.is_floating_point() else target
        right = prediction.argmax(1) == wanted
        kept = wanted != int(batch.term.kwargs.get("ignore_index", -100))
        return float(right[kept].float().mean()) if bool(kept.any()) else None
    if loss == "binary-cross-entropy":
        half = 0.0 if batch.term.name.endswith("logits") else 0.5
        return float(((prediction > half) == (target > 0.5)).float().mean())
    return None
