"""What the model is made of: its modules and where they were made, and the kinds of them that rules ask for."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from .model import Model, plain, prefixes
from .source import Line

MODULES = 4000
"""Modules told of, the first ones."""
NAMES = 200
"""Layers of one kind told of."""
RANK = 0.5
"""A matrix pair counts as an adapter when its inner side is shorter than this share of the outer ones."""


def facts(model: Model, places: Mapping[int, Line], calls: Mapping[int, Line]) -> dict[str, Any]:
    """Where each module was made, and first called, by its id()."""
    rows: list[list[Any]] = []
    dropout: list[list[Any]] = []
    norms: list[list[Any]] = []
    roots = model.roots
    for root, prefix in zip(roots, prefixes(roots), strict=True):
        for name, module in root.named_modules():
            name = prefix + plain(name)
            if len(rows) < MODULES:
                own = sum(parameter.numel() for parameter in module._parameters.values() if parameter is not None)
                lines = (places.get(id(module)), calls.get(id(module)))
                rows.append([name, type(module).__name__, own, *(str(line) if line else None for line in lines)])
            if (rate := _dropout(module)) is not None and len(dropout) < NAMES:
                dropout.append([name, rate])
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and len(norms) < NAMES:
                norms.append([name, type(module).__name__, module.num_features, module.momentum])
    known: dict[str, Any] = {"modules": rows} if rows else {}
    if rows:
        known |= {"dropout": dropout, "norms": norms, "adapters": _adapters(roots) or None}
    trained = next((p for p in model.parameters() if p.is_floating_point()), None)
    if trained is not None:
        known["precision"] = str(trained.dtype).removeprefix("torch.")
    return known


def _dropout(module: nn.Module) -> float | None:
    """The rate of a dropout layer, or of a layer that has dropout inside."""
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return module.p
    if isinstance(module, nn.RNNBase | nn.MultiheadAttention) and module.dropout:
        return float(module.dropout)
    return None


def _adapters(roots: list[nn.Module]) -> bool:
    """Are narrow matrices (r, in) and (out, r) trained beside frozen ones of shape (out, in)? (LoRA, Hu et al. 2021)"""
    frozen = set()
    trained: list[torch.Size] = []
    for root in roots:
        for parameter in root.parameters():
            if parameter.dim() == 2:
                if parameter.requires_grad:
                    trained.append(parameter.shape)
                else:
                    frozen.add(tuple(parameter.shape))
    for first, second in pairwise(trained):
        for (rank, inner), (outer, other) in ((first, second), (second, first)):
            narrow = rank == other and rank < RANK * min(inner, outer)
            if narrow and frozen & {(outer, inner), (inner, outer)}:
                return True
    return False


def averaged(modules: list[nn.Module], places: Mapping[int, Line]) -> dict[str, Any]:
    """An averaged copy of the model, as torch.optim.swa_utils keeps it."""
    for module in modules:
        if isinstance(module, torch.optim.swa_utils.AveragedModel):
            place = places.get(id(module))
            return {"ema": {"class": "AveragedModel", "decay": _decay(module), "where": str(place) if place else None}}
    return {}


def _decay(module: torch.optim.swa_utils.AveragedModel) -> float | None:
    """What get_ema_avg_fn(decay) closed over; None for an equal average (SWA)."""
    function = inspect.unwrap(module.multi_avg_fn or module.avg_fn or _decay)
    code, cells = getattr(function, "__code__", None), getattr(function, "__closure__", None)
    known = dict(zip(code.co_freevars, (cell.cell_contents for cell in cells), strict=True)) if code and cells else {}
    decay = known.get("decay")
    return float(decay) if isinstance(decay, int | float) else None
