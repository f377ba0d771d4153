"""Does the model use its input? Weights that know some samples by heart meet inputs that are not theirs."""

from __future__ import annotations

from typing import Any

import torch

from .captured import Batch, Step
from .subject import NotPossibleError, Subject

SEED = 0
_ASIDE = ("mask", "position", "type", "length", "step")
"""In names of arguments that say how to read an input, and are none."""


def inputs(subject: Subject) -> dict[str, Any]:
    step = subject.step()
    if subject.learned is None:
        raise NotPossibleError("the samples have not been learned")
    batch, weights = subject.learned
    with torch.no_grad():
        for parameter, value in zip(step.parameters(), weights, strict=True):
            parameter.copy_(value)
    found = {
        "loss": _loss(step, batch),
        "permuted": _loss(step, permuted(batch)) if batch.rows > 1 else None,
        "blank": _loss(step, batch.changed(_blank)),
        "noise": _loss(step, batch.changed(_noise)),
        "samples": batch.rows,
    }
    subject.restore()
    return found


def permuted(batch: Batch) -> Batch:
    """Every sample has the input of another one."""
    return batch.changed(lambda name, tensor: tensor.roll(1, 0))


def _loss(step: Step, batch: Batch) -> float | None:
    try:
        with step.passing(), torch.no_grad():
            return float(step.passed(batch).loss)
    except Exception:  # an input that the model refuses
        return None


def _is_input(name: int | str, tensor: torch.Tensor) -> bool:
    return tensor.dtype != torch.bool and not any(word in str(name) for word in _ASIDE)


def _blank(name: int | str, tensor: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(tensor) if _is_input(name, tensor) else tensor


def _noise(name: int | str, tensor: torch.Tensor) -> torch.Tensor:
    if not _is_input(name, tensor):
        return tensor
    source = torch.Generator().manual_seed(SEED)
    if tensor.is_floating_point():
        noise = torch.randn(tensor.shape, generator=source).to(tensor.device, tensor.dtype)
        return noise * tensor.std() + tensor.mean() if tensor.numel() > 1 else noise
    order = torch.randperm(tensor.numel(), generator=source).to(tensor.device)
    return tensor.reshape(-1)[order].reshape(tensor.shape)
