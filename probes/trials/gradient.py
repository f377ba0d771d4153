"""Which elements of the input reach the output, and which samples and positions they reach it from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from .captured import Batch, Passed, Step
from .sequence import order
from .subject import NotPossibleError, Subject

SAMPLES = 8


class _Embedded(TorchFunctionMode):
    """What is embedded of tokens becomes the beginning of the graph."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[torch.Tensor, torch.Tensor]] = []
        """Tokens, and the vectors for them."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if func is F.embedding or func is F.embedding_bag:
            output = output.detach().requires_grad_()
            self.found.append((args[0], output))
        return output


class Leaf(NamedTuple):
    """A beginning of the graph: ``values`` is what the model was given there, ``tensor`` that or the vectors for it,
    ``name`` the argument it came from, None for tokens that the model made itself."""

    name: str | None
    values: torch.Tensor
    tensor: torch.Tensor


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
    named = [leaf for leaf in leaves if leaf.name is not None]
    if not named:
        raise NotPossibleError("no input of the model can have a gradient")
    grads = torch.autograd.grad(passed.loss, [leaf.tensor for leaf in named], allow_unused=True, retain_graph=True)
    reached: dict[str, float] = {}
    for leaf, grad in zip(named, grads, strict=True):
        share = float((grad != 0).float().mean()) if grad is not None else 0.0
        reached[str(leaf.name)] = max(share, reached.get(str(leaf.name), 0.0))
    target = batch.term.target
    known = order([leaf.values for leaf in leaves], target) if target is not None else None
    time = known.time if known is not None else _time(subject, step, batch)
    asked = leaves if known is None else [leaves[known.input]]
    shift = known.shift if known is not None else None
    if shift == 0 and _later(passed.output, asked, time, own=True) == 0.0:
        shift = 1  # it is given the answer, and moves it on by a place itself
    return {
        "inputs": reached,
        "across": _across(passed.output, named, 1 - time, batch.rows),
        "future": _later(passed.output, asked, time),
        "shift": shift,
    }


def _passed(step: Step, batch: Batch) -> tuple[list[Leaf], Passed]:
    """A pass, and where its graph begins."""
    leaves: list[Leaf] = []

    def begin(name: int | str, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.is_floating_point():
            tensor = tensor.detach().clone().requires_grad_()
            leaves.append(Leaf(str(name), tensor.detach(), tensor))
        return tensor

    changed = batch.changed(begin)
    with step.passing(training=False), _Embedded() as embedded:
        passed = step.passed(changed, copied=False)
    leaves += [Leaf(_argument(changed, ids), ids, vectors) for ids, vectors in embedded.found if ids.dim()]
    return leaves, passed


def _argument(batch: Batch, ids: torch.Tensor) -> str | None:
    """The argument that tokens are, or are a view or a copy of."""
    tokens = [(str(name), tensor) for name, tensor in batch.named() if not tensor.is_floating_point()]
    for name, tensor in tokens:
        if tensor.untyped_storage().data_ptr() == ids.untyped_storage().data_ptr():
            return name
    for name, tensor in tokens:
        if tensor.numel() == ids.numel() and torch.equal(tensor.reshape(-1), ids.reshape(-1).to(tensor)):
            return name
    return None


def _time(subject: Subject, step: Step, batch: Batch) -> int:
    """The axis of positions where nothing says it but the loader: the second, unless that has the size of a batch."""
    size = subject.loader.batch_size if subject.loader is not None else None
    first = next(iter(step.batch.named()), None)
    shape = first[1].shape if first is not None else ()
    return 0 if size is not None and len(shape) > 1 and shape[1] == size != shape[0] else 1


def _across(output: torch.Tensor, leaves: Sequence[Leaf], samples: int, rows: int) -> float | None:
    """Share of the gradient of the first sample's output that lands on other samples; these lie along an axis."""
    count = output.shape[samples] if output.dim() > samples else 0
    mine = [leaf.tensor for leaf in leaves if leaf.tensor.dim() > samples and leaf.tensor.shape[samples] == count]
    if count < 2 or not mine or (samples == 0 and count != rows):
        return None
    return _share(output.select(samples, 0), mine, lambda grad: grad.narrow(samples, 1, count - 1))


def _later(output: torch.Tensor, leaves: Sequence[Leaf], time: int, own: bool = False) -> float | None:
    """Share of the gradient of the output in the middle that lands on later positions (``own``: or on its own), of all
    within its sample."""
    inside = [leaf.tensor for leaf in leaves if leaf.tensor.dim() == 3 and leaf.tensor.shape[:2] == output.shape[:2]]
    if output.dim() != 3 or not inside or not (middle := output.shape[time] // 2):
        return None
    begin = middle - own
    return _share(
        output.select(1 - time, 0)[middle - 1],
        inside,
        lambda grad: grad.select(1 - time, 0)[begin:],
        lambda grad: grad.select(1 - time, 0),
    )


_Part = Callable[[torch.Tensor], torch.Tensor]


def _share(
    output: torch.Tensor, leaves: list[torch.Tensor], part: _Part, whole: _Part = lambda grad: grad
) -> float | None:
    """Of the gradient of ``output`` with respect to all leaves, the share that is in ``part`` of ``whole``."""
    weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(0)).to(output.device, output.dtype)
    grads = torch.autograd.grad((output * weights).sum(), leaves, allow_unused=True, retain_graph=True)
    known = [grad for grad in grads if grad is not None]
    total = sum(float(whole(grad).abs().sum()) for grad in known)
    return sum(float(part(grad).abs().sum()) for grad in known) / total if total else None
