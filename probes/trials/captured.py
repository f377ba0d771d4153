"""One training step of the script, captured: how the model was called, and how its output became the loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

from ..layers import Call
from ..loss import Term
from ..nested import tensors
from ..objective import WAYS, Way
from ..repeats import LABELS, SAME
from ..replay import cloned, inner
from ..undo import undone
from .still import Still
from .subject import NotPossibleError

_WAYS: tuple[Way, ...] = (
    *WAYS,
    lambda part: part.transpose(1, -1),
    lambda part: part[:, -1],
    lambda part: part[:, 0],
    lambda part: part[..., 0],
)
"""From what the model gives to what the loss function gets, whatever the number of samples."""
MEAN, SUM = "mean", "sum"


class Passed(NamedTuple):
    """What a pass gave: the loss (mean over the targets), what the loss function judged, and what the model gave (where
    that holds the loss, its first tensor of several axes)."""

    loss: torch.Tensor
    prediction: torch.Tensor | None
    output: torch.Tensor


class Batch:
    """Arguments of the model and the target of some samples. ``labels`` are the arguments that are targets."""

    def __init__(self, args: Any, kwargs: Any, term: Term, labels: set[int | str], rows: int) -> None:
        self.args, self.kwargs, self.term, self.labels, self.rows = args, kwargs, term, labels, rows

    def named(self) -> Iterator[tuple[int | str, torch.Tensor]]:
        """Tensors among the arguments that hold one row a sample, by place or name; targets are none of them."""
        for name, value in [*enumerate(self.args), *self.kwargs.items()]:
            for part in tensors(value):
                if name not in self.labels and part.dim() and part.shape[0] == self.rows:
                    yield name, part

    def changed(self, change: Callable[[int | str, torch.Tensor], torch.Tensor]) -> Batch:
        """The same with other inputs: ``change(name, tensor)`` of each."""
        new = {id(tensor): change(name, tensor) for name, tensor in self.named()}
        return Batch(_swapped(self.args, new), _swapped(self.kwargs, new), self.term, self.labels, self.rows)

    def first(self, rows: int) -> Batch:
        """The first samples; a target may hold several rows of each (positions of a sequence)."""
        term, target = self.term, self.term.target
        whole = target.shape[0] if target is not None and target.dim() else 0
        of_classes = term.name in ("cross_entropy", "nll_loss")
        args = [
            value if of_classes and place == 2 else _cut(value, whole, whole * rows // self.rows)
            for place, value in enumerate(term.args)
        ]
        kwargs = {
            name: value if of_classes and name == "weight" else _cut(value, whole, whole * rows // self.rows)
            for name, value in term.kwargs.items()
        }
        few = term._replace(args=args, kwargs=kwargs)
        return Batch(_cut(self.args, self.rows, rows), _cut(self.kwargs, self.rows, rows), few, self.labels, rows)


class Step:
    """``begun`` is what the pass began with (random states, autocast); ``batch`` the whole batch."""

    def __init__(self, call: Call, output: Any, term: Term) -> None:
        """Raises NotPossibleError where the loss cannot be made again from another pass."""
        self.begun = call.begun
        try:
            self.root = inner(call.module)
        except Exception:
            raise NotPossibleError("each pass of the model talks to other ranks") from None
        args, kwargs = cloned(tuple(call.args)), cloned(dict(call.kwargs))
        first = next((tensor for tensor in tensors([args, kwargs]) if tensor.dim()), None)
        if first is None:
            raise NotPossibleError("the model is called without a tensor that could be a batch")
        self.batch = Batch(args, kwargs, _cloned(term), labels(call, term), first.shape[0])
        self._find(output, term)

    def _find(self, output: Any, term: Term) -> None:
        """How the loss came from the output."""
        given = list(tensors(output))
        self._way: Way | None = None
        for self._place, part in enumerate(given):
            if part.dim() == 0 and part.grad_fn is not None and part.grad_fn._sequence_nr() == term.sequence:
                return
        if term.input is None:
            raise NotPossibleError("the loss function gets no prediction")
        wanted = term.input.detach()
        for self._place, part in enumerate(given):
            for way in _WAYS:
                try:
                    if torch.equal(way(part.detach()).to(wanted.dtype).reshape(wanted.shape), wanted):
                        self._way, self._form = way, wanted.shape
                        return
                except (RuntimeError, IndexError):  # not of such a shape
                    continue
        raise NotPossibleError("what happens between the model and the loss function cannot be made out")

    @property
    def inside(self) -> bool:
        """The model itself calls the loss function."""
        return self._way is None

    def parameters(self) -> list[torch.Tensor]:
        return [parameter for parameter in self.root.parameters() if parameter.requires_grad]

    def passed(self, batch: Batch, copied: bool = True) -> Passed:
        """A pass of these samples, and its loss. ``copied``: the model gets copies, which it may overwrite."""
        args, kwargs = (cloned(batch.args), cloned(batch.kwargs)) if copied else (batch.args, batch.kwargs)
        output = self.root(*args, **kwargs)
        every = list(tensors(output))
        given = every[self._place]
        if self._way is None:
            return Passed(given, None, next((part for part in every if part.dim() > 1 and part.requires_grad), given))
        rows = self._form[0] * batch.rows // self.batch.rows
        prediction = self._way(given).reshape((rows, *self._form[1:]))
        term = batch.term
        if term.args:
            loss = term.function(prediction, *term.args[1:], **term.kwargs)
        else:
            loss = term.function(**{**term.kwargs, "input": prediction})
        reduction = str(term.kwargs.get("reduction", MEAN))
        if reduction == SUM and term.target is not None:
            loss = loss / max(1, term.target.shape[0] if term.target.dim() else 1)
        return Passed(loss.mean(), prediction, given)

    @contextmanager
    def passing(self, training: bool = True, still: bool = True) -> Iterator[None]:
        """Passes are made as the step's own was begun; ``still``: without dropout. Buffers are copies, and gone after
        it; weights stay as they are made."""
        with undone(self.root, self.begun), torch.enable_grad():
            for part in self.root.modules():
                vars(part)["training"] = training
            if not still:
                yield
                return
            with Still(self.root):
                yield

    def repeats(self, value: float) -> bool:
        """Is the loss of the pass made again the one that the script saw?"""
        with self.passing(still=False), torch.no_grad():
            again = float(self.passed(self.batch).loss)
        scale = self.batch.term.target
        if self.batch.term.kwargs.get("reduction") == SUM and not self.inside and scale is not None and scale.dim():
            value = value / scale.shape[0]
        return abs(again - value) <= SAME * abs(value) + 1e-7


def own(model: Any, loss_fn: Any, x: Any, y: Any) -> Step:
    """The step that the script itself names: ``nnwatch.step(model, loss_fn, x, y)``."""
    with torch.enable_grad():
        output = model(*x) if isinstance(x, tuple) else model(x)
    first = next(iter(tensors(output)))
    term = Term(str(getattr(loss_fn, "__name__", type(loss_fn).__name__)), loss_fn, (first, y), {}, None, -1, None)
    call = Call(model, x if isinstance(x, tuple) else (x,), {}, None)
    return Step(call, first, term)


def labels(call: Call, term: Term) -> set[int | str]:
    """Arguments of the model that are targets: by their name, or because the loss function gets them too."""
    target = term.target.data_ptr() if term.target is not None else None
    named: list[tuple[int | str, Any]] = [*enumerate(call.args), *call.kwargs.items()]
    return {
        name
        for name, value in named
        if name in LABELS or (isinstance(value, torch.Tensor) and value.data_ptr() == target)
    }


def _cloned(term: Term) -> Term:
    return term._replace(args=tuple(cloned(tuple(term.args))), kwargs=cloned(dict(term.kwargs)), inputs=None)


def _swapped(value: Any, new: Mapping[int, torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        return new.get(id(value), value)
    if type(value) in (list, tuple):
        return type(value)(_swapped(part, new) for part in value)
    return {key: _swapped(part, new) for key, part in value.items()} if type(value) is dict else value


def _cut(value: Any, whole: int, rows: int) -> Any:
    """The first ``rows`` of every tensor that holds ``whole`` of them."""
    if isinstance(value, torch.Tensor):
        return value[:rows].clone() if value.dim() and value.shape[0] == whole else value
    if type(value) in (list, tuple):
        return type(value)(_cut(part, whole, rows) for part in value)
    return {key: _cut(part, whole, rows) for key, part in value.items()} if type(value) is dict else value
