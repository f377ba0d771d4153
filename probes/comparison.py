"""What a loss that is written by hand compares, read off the functions that make it: ``((model(x) - y) ** 2).mean()``.

What is told is checked on the numbers: a function of torch that gives the same number on prediction and target is the
loss. A difference that is squared, or whose size is taken, compares its parts whatever becomes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

from .attribution import quiet
from .functions import Watcher
from .loss import Term

MOST = 8
"""Comparisons of a step that are kept, at most."""
FUNCTIONS = 64
"""Calls after a pass that are looked at, at most."""
ELEMENTS = 1 << 20
"""Elements of a tensor that is kept until the backward pass, at most."""
MOST_PAIRS = 1024
"""Pairs whose similarities are kept, at most."""
SAME = 1e-4
"""How far the number of another function may be from that of the script, relative: sums in another order."""

_T, _f = torch.Tensor, torch
LESS = (_T.sub, _T.subtract, _f.sub, _f.subtract)
POWERS = (_T.pow, _T.__pow__, _f.pow)
SQUARES = (_T.square, _f.square)
SIZES = (_T.abs, _f.abs)
NORMS = (_T.norm, _f.norm, _f.linalg.norm, _f.linalg.vector_norm)
PRODUCTS = (_T.mul, _f.mul)
CHOSEN = (_T.__getitem__, _T.gather, _f.gather)
DIAGONALS = (_T.diag, _T.diagonal, _f.diag, _f.diagonal)
KEPT = (_f.softmax, _f.log_softmax, _f.sigmoid, _T.softmax, _T.log_softmax, _T.sigmoid, _T.float, _T.clamp, _f.clamp,
        F.softmax, F.log_softmax, F.sigmoid, F.logsigmoid, _T.log, _f.log, _T.exp, _f.exp, _T.matmul, _T.__matmul__,
        _f.matmul, _T.add, _T.mul, _T.div, F.normalize)  # fmt: skip
"""Made of a prediction they are one."""
CARRIED = (_T.mean, _T.sum, _f.mean, _f.sum, _T.neg, _f.neg, _T.div, _T.add, _T.__rsub__, _T.log, _f.log, _T.clamp,
           _f.clamp, _T.squeeze, _T.reshape, _T.view, _T.flatten, F.relu, F.softplus, *LESS, *PRODUCTS)  # fmt: skip
"""Made of a part of a loss they are one."""


class Comparison(NamedTuple):
    """``output`` and ``target`` of one shape, or ``target`` the classes of the rows of ``output``. ``sequence`` is that
    of the node that made it, 0 without a graph; ``site`` the line, named as by `terms.py`."""

    name: str
    output: torch.Tensor
    target: torch.Tensor
    sequence: int
    site: str | None

    @property
    def plain(self) -> bool:
        """It is one whatever becomes of it."""
        return self.name in ("mse_loss", "l1_loss")

    def term(self) -> Term:
        """The call of a loss function that would compare the same, its number unknown."""
        function, compared = _function(self.name), (self.output, self.target)
        return Term(self.name, function, compared, {}, None, self.sequence, None, site=self.site)


def hinge(output: torch.Tensor, target: torch.Tensor, reduction: str = "mean") -> torch.Tensor:
    """Of support vector machines, for targets -1 and 1; torch has it for distances only."""
    found = (1 - target * output).clamp_min(0)
    return found if reduction == "none" else found.sum() if reduction == "sum" else found.mean()


def _function(name: str) -> Callable[..., torch.Tensor]:
    """A loss function, of torch's without our patch."""
    found = getattr(F, name, hinge)
    return getattr(found, "__wrapped__", found)


def whole(comparison: Comparison, number: float) -> Term | None:
    """The call of a loss function that gives ``number`` for what is compared. Of tensors on the CPU only: others would
    have to be waited for."""
    if not comparison.output.is_cpu:
        return None
    with torch.no_grad(), quiet():
        for name, output, target in _ways(comparison):
            function = _function(name)
            for options in ({}, {"reduction": "sum"}):
                try:
                    again = float(function(output, target, **options))
                except (RuntimeError, ValueError, IndexError):  # not of such a form
                    break
                if abs(again - number) <= SAME * abs(number):
                    term = Term(name, function, (output, target), options, number, comparison.sequence, None)
                    return term._replace(site=comparison.site)
    return None


def _ways(comparison: Comparison) -> Iterator[tuple[str, torch.Tensor, torch.Tensor]]:
    """Functions that may compare so, and what they would be given."""
    name, output, target = comparison.name, comparison.output, comparison.target
    if comparison.plain:
        yield name, output, target
    elif name == "nll_loss":
        yield name, output, target
        yield "cross_entropy", output, target  # less their logsumexp
        if bool((output >= 0).all()):  # probabilities, whose logarithm is taken later
            yield name, output.log(), target
    else:
        shares = bool(((target >= 0) & (target <= 1)).all())
        target = target.to(output.dtype)
        if shares and output.dim() > 1 and torch.allclose(target.sum(1), target.new_ones(())):
            yield "cross_entropy", output, target
        elif shares:
            if bool((output <= 0).all()):
                yield "binary_cross_entropy", output.exp(), target
            yield "binary_cross_entropy_with_logits", output, target
        elif bool((target.abs() == 1).all()):
            for signs in (target, -target):  # softplus(-y * x) is one product or the other
                yield "soft_margin_loss", output, signs
                yield "hinge", output, signs
        elif bool((target >= 0).all()):
            yield "poisson_nll_loss", output, target


class Reader:
    """Gets the functions that are called after the model has given ``outputs``; under ``torch.no_grad``, where nothing
    else tells what a prediction is, ``reduced(comparisons, number)`` is told of each number that comes of one."""

    def __init__(
        self, site: Callable[[str], str | None], reduced: Callable[[list[Comparison], torch.Tensor], None]
    ) -> None:
        self.comparisons: list[Comparison] = []
        self._site = site
        self._reduced = reduced
        self._predictions: dict[int, torch.Tensor] = {}
        self._differences: dict[int, tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = {}
        """Difference, prediction and target by the id() of the first."""
        self._parts: dict[int, torch.Tensor] = {}
        """Of losses, without a graph."""
        self._meant: dict[Any, Watcher] = {
            **dict.fromkeys(LESS, self._less),
            **dict.fromkeys((*POWERS, *SQUARES), self._square),
            **dict.fromkeys((*SIZES, *NORMS), self._size),
            **dict.fromkeys(PRODUCTS, self._product),
            **dict.fromkeys(CHOSEN, self._choose),
            **dict.fromkeys(DIAGONALS, self._match),
        }
        self._functions = 0

    def follow(self, outputs: list[torch.Tensor]) -> Mapping[Any, Watcher]:
        """The model has given ``outputs``: the functions that matter from now on."""
        if not torch.is_grad_enabled():
            self.forget()
            self._predictions = {id(output): output for output in outputs if output.numel() <= ELEMENTS}
        self._functions = 0
        return dict.fromkeys((*self._meant, *(() if torch.is_grad_enabled() else (*KEPT, *CARRIED))), self._see)

    def _see(self, func: Any, args: Any, kwargs: Any, output: Any) -> None:
        self._functions += 1
        if self._functions <= FUNCTIONS and isinstance(output, torch.Tensor) and args:
            if func in self._meant:
                self._meant[func](func, args, kwargs, output)
            if not torch.is_grad_enabled():
                self._carry(func, args, output)
        elif not torch.is_grad_enabled():  # no backward pass ends it
            self.forget()

    def forget(self) -> None:
        """Nothing of the user's is kept alive."""
        for kept in (self.comparisons, self._predictions, self._differences, self._parts):
            kept.clear()

    # the functions

    def _carry(self, func: Any, args: Any, output: torch.Tensor) -> None:
        """Without a graph: what becomes of predictions and of parts of losses."""
        if output.numel() > ELEMENTS:
            return
        if func in CARRIED and any(id(part) in self._parts for part in args):
            self._parts[id(output)] = output
            if output.numel() == 1:
                self._reduced(self.comparisons, output)
        elif func in KEPT and self._predicted(args[0]):
            self._predictions[id(output)] = output

    def _predicted(self, value: Any) -> bool:
        """Does it come from the model?"""
        if not isinstance(value, torch.Tensor) or not value.is_floating_point():
            return False
        if torch.is_grad_enabled():
            return value.requires_grad
        memory = value.untyped_storage().data_ptr()
        return any(memory == known.untyped_storage().data_ptr() for known in self._predictions.values())

    def _both(self, args: Any) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Prediction and target among two arguments of one shape."""
        if len(args) < 2 or not all(isinstance(part, torch.Tensor) and part.dim() for part in args[:2]):
            return None
        one, other = args[:2]
        if one.shape != other.shape or one.numel() > ELEMENTS or self._predicted(one) == self._predicted(other):
            return None
        return (one, other) if self._predicted(one) else (other, one)

    def _less(self, func: Any, args: Any, kwargs: Any, output: Any) -> None:
        both = self._both(args)
        if both is not None and both[1].is_floating_point() and len(self._differences) < MOST:
            self._differences[id(output)] = output, *both

    def _square(self, func: Any, args: Any, kwargs: Any, output: Any) -> None:
        if func in SQUARES or (len(args) > 1 and isinstance(args[1], int | float) and args[1] == 2):
            self._penalise("mse_loss", args[0], output)

    def _size(self, func: Any, args: Any, kwargs: Any, output: Any) -> None:
        self._penalise("l1_loss" if func in SIZES else "mse_loss", args[0], output)

    def _product(self, func: Any, args: Any, kwargs: Any, output: Any) -> None:
        if len(args) > 1 and args[0] is args[1]:
            self._penalise("mse_loss", args[0], output)
            return
        both = self._both(args)
        if both is not None:
            self._add("product", *both, output)

    def _choose(self, func: Any, args: Any, kwargs: Any, output: Any) -> None:
        values = args[0]
        if len(args) < 2 or values.dim() < 2 or not self._predicted(values) or values.numel() > ELEMENTS:
            return
        if func is _T.__getitem__:
            labels = _labels(values, args[1])
        else:
            labels = args[2] if len(args) > 2 and args[1] in (-1, values.dim() - 1) else None
            labels = labels[..., 0] if labels is not None and labels.shape == (*values.shape[:-1], 1) else None
        if labels is not None:
            self._add("nll_loss", values.flatten(0, -2), labels.flatten(), output)

    def _match(self, func: Any, args: Any, kwargs: Any, output: Any) -> None:
        """Each row of a square is to choose the one of its own number: similarities of pairs."""
        values = args[0]
        square = values.dim() == 2 and len(values) == values.shape[1] <= MOST_PAIRS and len(args) == 1 and not kwargs
        if square and self._predicted(values):
            self._add("nll_loss", values, torch.arange(len(values), device=values.device), output)

    def _penalise(self, name: str, difference: Any, output: torch.Tensor) -> None:
        found = self._differences.get(id(difference))
        if found is not None:
            self._add(name, *found[1:], output)

    def _add(self, name: str, output: torch.Tensor, target: torch.Tensor, made: torch.Tensor) -> None:
        sequence = made.grad_fn._sequence_nr() if made.grad_fn is not None else 0
        if len(self.comparisons) < MOST:
            self.comparisons.append(Comparison(name, output, target, sequence, self._site(name)))
            if not torch.is_grad_enabled():
                self._parts[id(made)] = made


def _labels(values: torch.Tensor, key: Any) -> torch.Tensor | None:
    """The classes that ``values[key]`` takes, one of each row: ``values[range(n), labels]``."""
    if values.dim() != 2 or not isinstance(key, tuple) or len(key) != 2:
        return None
    rows, labels = key
    if not isinstance(labels, torch.Tensor) or labels.dtype != torch.int64 or labels.shape != values.shape[:1]:
        return None
    if isinstance(rows, range):
        return labels if rows == range(len(values)) else None
    if not (isinstance(rows, torch.Tensor) and rows.is_cpu and rows.shape == labels.shape):
        return None
    return labels if torch.equal(rows, torch.arange(len(values))) else None
