"""Gradients that the script computes itself (``torch.autograd.Function``), against central differences in float64."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

import torch

from ..effects import KNOWN
from ..nested import tensors
from .subject import Subject

WIDTH = 1e-5
"""Of a difference, relative to the size of the input."""
DIRECTIONS = 4
MOST = 1 << 20
"""Elements of an argument, at most."""


class Applied:
    """Notes the first call of each function of the script's own."""

    def __init__(self) -> None:
        self.calls: dict[Any, tuple[Any, ...]] = {}
        original = torch.autograd.Function.apply.__func__  # type: ignore[attr-defined]
        calls = self.calls

        def apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
            if cls not in calls and cls.__module__.split(".")[0] not in KNOWN:
                calls[cls] = tuple(a.detach().clone() if isinstance(a, torch.Tensor) else a for a in args)
            return original(cls, *args, **kwargs)

        torch.autograd.Function.apply = classmethod(apply)  # type: ignore[assignment,method-assign]


def custom(subject: Subject) -> dict[str, Any]:
    return {
        "functions": [
            {"name": function.__name__, "line": _line(function), "error": error(function.apply, args)}
            for function, args in subject.applied.items()
        ]
    }


def error(apply: Callable[..., Any], args: tuple[Any, ...]) -> float | None:
    """Largest relative error of the gradient along random directions; None where there is none to compare.

    Functions that cannot work in float64 are compared as they are, with wider differences.
    """
    for dtype, width in ((torch.float64, WIDTH), (None, 1e-2)):
        try:
            found = [_along(apply, args, dtype, width, seed) for seed in range(DIRECTIONS)]
        except (RuntimeError, TypeError):
            continue
        known = [one for one in found if one is not None]
        return max(known) if known else None
    return None


def _along(apply: Any, args: tuple[Any, ...], dtype: Any, width: float, seed: int) -> float | None:
    """Relative difference between the gradient and the change of a weighted sum of the outputs, one direction."""
    source = torch.Generator().manual_seed(seed)

    def random(like: torch.Tensor) -> torch.Tensor:
        return torch.randn(like.shape, generator=source).to(like.device, like.dtype)

    floats = [isinstance(a, torch.Tensor) and a.is_floating_point() and a.numel() <= MOST for a in args]
    base = [a.to(dtype) if known and dtype is not None else a for a, known in zip(args, floats, strict=True)]
    moved = [a for a, known in zip(base, floats, strict=True) if known]
    if not moved:
        return None
    steps = [random(a) * width * max(1.0, float(a.abs().max())) for a in moved]

    def value(sign: float) -> torch.Tensor:
        left = iter(zip(moved, steps, strict=True))
        given = [
            (lambda pair: pair[0] + sign * pair[1])(next(left)) if known else a
            for a, known in zip(base, floats, strict=True)
        ]
        outputs = [out for out in tensors(apply(*given)) if out.is_floating_point()]
        return sum((out * weight).sum() for out, weight in zip(outputs, weights, strict=True))  # type: ignore[return-value]

    leaves = [a.clone().requires_grad_() for a in moved]
    fresh = iter(leaves)
    with torch.enable_grad():
        given = [next(fresh) * 1 if known else a for a, known in zip(base, floats, strict=True)]
        outputs = [out for out in tensors(apply(*given)) if out.is_floating_point()]
        weights = [random(out) for out in outputs]
        total = sum((out * weight).sum() for out, weight in zip(outputs, weights, strict=True))
        if not isinstance(total, torch.Tensor) or not total.requires_grad:
            return None
        grads = torch.autograd.grad(total, leaves, allow_unused=True)
    analytic = sum(float((g * s).sum()) for g, s in zip(grads, steps, strict=True) if g is not None)
    with torch.no_grad():
        numeric = float(value(1.0) - value(-1.0)) / 2
    size = max(abs(analytic), abs(numeric))
    return abs(analytic - numeric) / size if size else 0.0


def _line(function: type) -> str:
    try:
        path = getattr(sys.modules.get(function.__module__), "__file__", None) or inspect.getsourcefile(function)
        return f"{path}:{inspect.getsourcelines(function)[1]}"
    except (OSError, TypeError):
        return ""
