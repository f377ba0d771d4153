"""Losses that are written by hand: seen on a few sampled steps, from when the model has given its output until the
backward pass begins; of validation, until a number has come that the training loss's own function gives.

A mode of torch functions sees them, which costs some microseconds for each function. It is only put where no mode of
the user's is, and taken off before the next pass through the model.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.overrides import _get_current_function_mode

from .attribution import attribute, restore
from .comparison import Comparison, Reader, whole
from .functions import Functions
from .fused import fused
from .loss import Term, Value, consumed
from .nested import tensors

FIRST = 4
"""Steps of a segment that are seen before it is left to thorough samples."""


class Written:
    """``failed(error)`` takes every error of ours."""

    def __init__(self, failed: Callable[[Exception], None]) -> None:
        self._failed = failed
        self._mode: Functions | None = None
        self._reader: Reader | None = None
        self._thread = 0
        self._exchanged = False
        """Has the mode exchanged ``warnings.warn``?"""
        self._other: Any = None
        """Tells of modules that are called while the mode is entered: a teacher."""
        self.begin(lambda name: None, lambda term: None)

    def begin(self, site: Callable[[str], str | None], validated: Callable[[Term], None]) -> None:
        """Nothing of an earlier segment. ``site`` names the line that is running, as of `terms.py`; ``validated`` gets
        what a validation batch came to."""
        self.end()
        self._site = site
        self._validated = validated
        self.own = False
        """The last backward pass was for no loss function's call."""
        self._seen = 0
        self._known: set[tuple[str, str]] = set()
        """Functions that have given the loss, and their reductions."""

    @property
    def validates(self) -> bool:
        """Would the loss of a validation batch be recognised?"""
        return self.own and bool(self._known)

    def follows(self, output: Any, wanted: bool) -> None:
        """The model has given ``output``, in training or, without gradients, in validation."""
        training = torch.is_grad_enabled()
        if not self.own or not (wanted or self._seen < FIRST if training else self._known):
            return
        default = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)  # it stays for good, at the bottom
        if self._mode is not None or torch._C._len_torch_function_stack() > (default is not None):
            return
        if self._reader is None:
            self._reader = Reader(self._site, self._reduced)
        self._seen += training
        self._mode = Functions(self._reader.follow(list(tensors(output))), self._failed)
        self._thread, self._exchanged = get_ident(), attribute()
        self._mode.__enter__()  # type: ignore[no-untyped-call]
        self._other = register_module_forward_pre_hook(self._called)

    def _called(self, module: nn.Module, args: Any) -> None:
        """Another model's part may be computed otherwise where a mode is."""
        if fused(module):
            self.pause()

    def pause(self) -> None:
        """What the model does itself is not looked at."""
        mode = self._mode
        if mode is None or self._thread != get_ident():
            return
        restore(self._exchanged)
        self._other.remove()
        if _get_current_function_mode() is mode:
            mode.leave()
            self._mode = None
        else:  # a mode of the user's lies above it, or it is that which tells us: later
            mode.watchers = {}

    def end(self) -> None:
        """Nothing of the user's is kept alive."""
        self.pause()
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.forget()

    def taken(self, node: Any, number: Value | None) -> tuple[list[Term], Term | None]:
        """The backward pass from ``node``, of ``number``, begins: calls of loss functions that would compare what it
        compares, and the one that it is as a whole."""
        found = list(self._reader.comparisons) if self._reader is not None else []
        self.end()
        if not found or node is None:
            return [], None
        calls = consumed(node, [comparison.term() for comparison in found if comparison.plain])
        if type(number) is float:
            for comparison in found:
                term = whole(comparison, number)
                if term is not None and self._confirmed(term):
                    return [term], term
        return calls, None

    def _confirmed(self, term: Term) -> bool:
        """Has this function given the loss before? One number may agree by chance."""
        kind = _kind(term)
        known = kind in self._known
        self._known.add(kind)
        return known

    def _reduced(self, comparisons: list[Comparison], number: torch.Tensor) -> None:
        """A number came of what a validation batch compares."""
        if not number.is_cpu:
            return
        for comparison in comparisons:
            term = whole(comparison, float(number)) or whole(comparison, -float(number))
            if term is not None and _kind(term) in self._known:
                assert self._reader is not None
                self._reader.forget()
                if self._mode is not None:
                    self._mode.watchers = {}
                self._validated(term)
                return


def _kind(term: Term) -> tuple[str, str]:
    """The function and its reduction."""
    return term.name, str(term.kwargs.get("reduction", "mean"))
