"""Which elements of the input reach the output, and which samples and positions they reach it from."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from .captured import Batch, Step
from .subject import NotPossibleError, Subject

SAMPLES = 8
SHIFTS = 4
ALIKE = 0.95
"""Share of the targets that have to be the tokens some positions later."""


class _Embedded(TorchFunctionMode):
    """What is embedded of tokens becomes the beginning of the graph."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[torch.Tensor, torch.Tensor]] = []
        """Tokens, and the vectors for them."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if func is F.embedding:
            output = output.detach().requires_grad_()
            self.found.append((args[0], output))
        return output


def gradient(subject: Subject) -> dict[str, Any]:
    step = subject.step()
    subject.restore()
    batch = step.batch
    if batch.rows > SAMPLES:
        try:
            batch = batch.first(SAMPLES)
            with step.passing(training=False), torch.no_grad():
                step.passed(batch)
        except Exception:  # a state or a graph that goes with the whole batch
            batch = step.batch
    leaves, passed = _passed(step, batch)
    if not leaves:
        raise NotPossibleError("no input of the model can have a gradient")
    grads = torch.autograd.grad(passed.loss, [*leaves.values()], allow_unused=True, retain_graph=True)
    reached = {
        name: float((grad != 0).float().mean()) if grad is not None else 0.0
        for name, grad in zip(leaves, grads, strict=True)
    }
    output = passed.output
    across = future = None
    if batch.rows > 1 and output.dim() and output.shape[0] == batch.rows:
        across = _share(output[0], leaves, lambda grad: grad[1:])
    sequences = {name: leaf for name, leaf in leaves.items() if leaf.dim() == 3 and output.dim() == 3}
    sequences = {name: leaf for name, leaf in sequences.items() if leaf.shape[:2] == output.shape[:2]}
    if sequences and (middle := output.shape[1] // 2):
        future = _share(output[0, middle - 1], sequences, lambda grad: grad[0, middle:], lambda grad: grad[0])
    return {"inputs": reached, "across": across, "future": future, "shift": _shift(batch)}


def _passed(step: Step, batch: Batch) -> tuple[dict[str, torch.Tensor], Any]:
    """A pass, and where its graph begins, by argument of the model."""
    leaves: dict[str, torch.Tensor] = {}
    tokens: dict[int, str] = {}

    def begin(name: int | str, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.is_floating_point():
            leaves[str(name)] = tensor = tensor.detach().clone().requires_grad_()
        return tensor

    changed = batch.changed(begin)
    for name, tensor in changed.named():
        tokens.setdefault(tensor.numel(), str(name))
    with step.passing(training=False), _Embedded() as embedded:
        passed = step.passed(changed, copied=False)
    for ids, vectors in embedded.found:
        known = tokens.get(ids.numel())
        if known is not None and ids.dim() and ids.shape[0] == batch.rows:
            leaves.setdefault(known, vectors)
    return leaves, passed


def _share(output: torch.Tensor, leaves: dict[str, torch.Tensor], part: Any, whole: Any = lambda grad: grad) -> Any:
    """Of the gradient of ``output`` with respect to all leaves, the share that is in ``part`` of ``whole``."""
    weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(0)).to(output.device, output.dtype)
    grads = torch.autograd.grad((output * weights).sum(), [*leaves.values()], allow_unused=True, retain_graph=True)
    known = [grad for grad in grads if grad is not None]
    total = sum(float(whole(grad).abs().sum()) for grad in known)
    return sum(float(part(grad).abs().sum()) for grad in known) / total if total else None


def _shift(batch: Batch) -> int | None:
    """How many positions later the tokens are the targets."""
    target = batch.term.target
    if target is None or target.is_floating_point() or target.numel() % batch.rows:
        return None
    rows = target.reshape(batch.rows, -1)
    for _, tokens in batch.named():
        if tokens.is_floating_point() or tokens.dim() != 2:
            continue
        for shift in range(min(SHIFTS, tokens.shape[1])):
            wanted = tokens[:, shift:]
            width = min(wanted.shape[1], rows.shape[1])
            mine, theirs = rows[:, :width], wanted[:, :width]
            kept = mine >= 0
            if width > 2 and bool(kept.any()) and float((mine == theirs)[kept].float().mean()) >= ALIKE:
                return shift
    return None
