"""How a routine sample (`routine.py`) sees a pass through the model: what follows each activation."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import nn

from .activations import EVERYWHERE, FLAT, METRICS, RELU, REUSED, SAMPLED, WINDOW
from .attribution import exchanged
from .carried import Swapped
from .functions import ACTIVATIONS
from .standby import KEY

if TYPE_CHECKING:
    from .layers import Layers
    from .layout import Layout


class Plans:
    """``look(plan, module, args, output)`` is what the kernel does at an activation."""

    def __init__(self, layers: Layers, layout: Layout, look: Callable[..., None]) -> None:
        self._seen = layers.activations
        self._widths = layers.widths
        self._layout = layout
        self._look = look
        self.layers: list[tuple[weakref.ref[nn.Module], Any, bytearray]] = []
        """Of each activation layer its forward hook and the number of its calls: 255 when one was not as planned."""
        names = self._seen.names
        for ref, name in layers.leaves:
            module = ref()
            own = [each for each in (name, *(f"{name}#{call}" for call in range(2, REUSED + 1))) if each in names]
            if module is not None and own:
                hook, calls = self._hook(own, type(module))
                self.layers.append((ref, hook, calls))
        held = [ACTIVATIONS[carrier.function] for carrier in layers.carriers]
        self._functions = [f"{name}() {call}" for call, (name, _) in enumerate(held, 1)]
        self.alike = len(set(held)) <= 1 and all(each in names for each in self._functions)
        """Are the functions that modules hold all the same one?"""
        hook, self._called = self._hook(self._functions if self.alike else [], held[0][1] if held else nn.ReLU)
        self.functions = Swapped(layers.carriers, hook)
        fused = tuple(layers.fused.modules)
        self.in_c = tuple(self.layers), fused, self.functions if held else None, *exchanged(), KEY
        """As `pass.c` has it."""

    def _hook(self, own: list[str], kind: type[nn.Module]) -> tuple[Any, bytearray]:
        """For the calls of an activation of that ``kind``, by their names; and their number."""
        seen, calls = self._seen, bytearray(1)
        low, high = FLAT.get(kind, EVERYWHERE)
        called = (*own, None) if len(own) == REUSED else tuple(own)  # later calls are left out
        plan = (
            self._layout.record, calls, called, tuple(seen.names.index(each) for each in own),
            tuple(self._layout.at(metric) for metric in METRICS), low, high,
            seen.fired if issubclass(kind, RELU) else None, seen.samples, self._widths, SAMPLED, WINDOW,
        )  # fmt: skip
        return functools.partial(self._look, plan), calls

    def begin(self) -> None:
        """A step begins."""
        self._called[0] = 0

    @property
    def kept(self) -> bool:
        """Was all of the step's pass as planned?"""
        return all(calls[0] < 255 for _, _, calls in self.layers) and self._called[0] == len(self._functions)
