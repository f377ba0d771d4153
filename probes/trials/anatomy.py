"""What the modules of a model say of themselves: strides, kernels, biases, and weights that are all alike."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from ..model import plain, prefixes
from .subject import NotPossibleError, Subject

_POOLS = (nn.modules.pooling._MaxPoolNd, nn.modules.pooling._AvgPoolNd)
_GLOBAL = (nn.modules.pooling._AdaptiveAvgPoolNd, nn.modules.pooling._AdaptiveMaxPoolNd)
MOST = 200
"""Layers told of each kind."""


def anatomy(subject: Subject) -> dict[str, Any]:
    """``pools``, ``convs``, ``linears``, ``recurrent``, ``linear_chains``, ``alike``, ``last`` and ``field``
    (``nnwatch/trial.py``). Raises NotPossibleError without a model."""
    model = subject.training.model
    if model is None or not model.roots:
        raise NotPossibleError("no module that is trained was seen")
    subject.restore()
    named = [*_named(model.roots)]
    convs = [(name, module) for name, module in named if isinstance(module, nn.modules.conv._ConvNd)]
    pools = [(name, module) for name, module in named if isinstance(module, _POOLS)]
    linears = [(name, module) for name, module in named if isinstance(module, nn.Linear)]
    weighted = [name for name, module in named if isinstance(module, nn.Linear | nn.modules.conv._ConvNd)]
    found: dict[str, Any] = {
        "pools": [
            [name, type(pool).__name__, *_sides(pool, "kernel_size", "stride"), _ends(named, name)]
            for name, pool in pools[:MOST]
        ],
        "convs": [
            [
                name,
                type(conv).__name__,
                *_sides(conv, "kernel_size", "stride", "padding", "dilation"),
                conv.in_channels,
                conv.out_channels,
            ]
            for name, conv in convs[:MOST]
        ],
        "linears": [[name, linear.in_features, linear.out_features] for name, linear in linears[:MOST]],
        "recurrent": [[name, type(m).__name__, _forget(m)] for name, m in named if isinstance(m, nn.RNNBase)],
        "linear_chains": [*_chains(named)],
        "alike": [name for name, module in [*linears, *convs] if _alike(module.weight)],
        "field": _field(named),
    }
    return found | ({"last": {"name": weighted[-1]}} if weighted else {})


def _named(roots: list[nn.Module]) -> Iterator[tuple[str, nn.Module]]:
    for root, prefix in zip(roots, prefixes(roots), strict=True):
        for name, module in root.named_modules():
            yield prefix + plain(name), module


def _sides(module: nn.Module, *names: str) -> list[list[int]]:
    """Settings of a convolution or pooling along each axis. Padding that is given by a word is half of the kernel."""
    dims = int(type(module).__name__[-2]) if type(module).__name__[-2:-1].isdigit() else 2
    found = []
    for name in names:
        value = getattr(module, name, 1)
        if isinstance(value, str):
            kernel, dilation = (_tuple(getattr(module, n), dims) for n in ("kernel_size", "dilation"))
            value = [d * (k - 1) // 2 if value == "same" else 0 for k, d in zip(kernel, dilation, strict=True)]
        found.append(_tuple(value, dims))
    return found


def _tuple(value: Any, dims: int) -> list[int]:
    return [int(part) for part in value] if isinstance(value, list | tuple) else [int(value)] * dims


def _ends(named: list[tuple[str, nn.Module]], name: str) -> bool:
    """No convolution comes after it: it gathers what there is."""
    names = [other for other, _ in named]
    return not any(isinstance(module, nn.modules.conv._ConvNd) for _, module in named[names.index(name) :])


def _forget(module: nn.Module) -> float | None:
    """Mean of both biases of the forget gate of an LSTM's first layer, added (Jozefowicz et al. 2015)."""
    if not isinstance(module, nn.LSTM) or not module.bias:
        return None
    gate = slice(module.hidden_size, 2 * module.hidden_size)
    both: torch.Tensor = module.bias_ih_l0.detach() + module.bias_hh_l0.detach()  # type: ignore[operator]
    return float(both[gate].mean())


def _chains(named: list[tuple[str, nn.Module]]) -> Iterator[list[Any]]:
    """Linear layers in a row inside an nn.Sequential, the first not the narrow side of a factorisation."""
    for name, module in named:
        if type(module) is not nn.Sequential:
            continue
        for (a, first), (b, second) in pairwise(module.named_children()):
            if not (isinstance(first, nn.Linear) and isinstance(second, nn.Linear)):
                continue
            if first.out_features >= min(first.in_features, second.out_features):
                yield [f"{name}.{a}".lstrip("."), f"{name}.{b}".lstrip("."), None]


def _alike(weight: Any) -> bool:
    """All units have the same weights, and there are several of them; all zero is common in a last layer."""
    rows = weight.detach().reshape(len(weight), -1)
    several = weight.requires_grad and len(rows) > 1 and rows.shape[1] > 1
    return several and bool((rows == rows[:1]).all()) and bool(rows[0].any())


def _field(named: list[tuple[str, nn.Module]]) -> dict[str, Any] | None:
    """Receptive field of the last convolution in module order; ``joined`` where a linear layer on the flattened rest, a
    global pooling, attention or a transposed convolution brings all of it together."""
    size = jump = 1
    seen = False
    for _, module in named:
        if isinstance(module, nn.modules.conv._ConvTransposeNd):
            return {"size": size, "joined": True}
        if isinstance(module, (nn.modules.conv._ConvNd, *_POOLS)):
            kernel, stride, dilation = (max(side) for side in _sides(module, "kernel_size", "stride", "dilation"))
            size += dilation * (kernel - 1) * jump
            jump *= stride
            seen = True
    joined = any(isinstance(module, (nn.Linear, nn.MultiheadAttention, *_GLOBAL)) for _, module in named)
    return {"size": size, "joined": joined} if seen else None
