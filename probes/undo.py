"""A second pass through a model, of which nothing stays: in the model, in the random numbers, on the screen.

The pass works on copies of the buffers; attributes of the modules are put back one by one, so that counters, training
flags and hidden states are those before it. Hooks on the modules do not run, except those that torch itself needs to
compute a weight (spectral norm and the like).
"""

from __future__ import annotations

import random
import sys
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from threading import get_ident
from typing import Any, NamedTuple, TextIO

import numpy as np
import torch
from torch import nn

_NUMPYS = "numpy.random"
"""Takes 10 ms to load, which is not for us to do: where nobody has, nobody draws from it."""
_HOOKS = ("_forward_hooks", "_forward_pre_hooks")


class Begun(NamedTuple):
    """What a pass began with: torch's random states (on the CPU, on each GPU; None where the pass is known to draw no
    random numbers) and autocast (device type, dtype)."""

    cpu: torch.Tensor | None
    cuda: tuple[torch.Tensor, ...]
    autocast: tuple[tuple[str, torch.dtype], ...]

    @classmethod
    def now(cls, random: bool = True) -> Begun:
        """With the random states 1.5 us on the CPU, and 20 between the operations of a model, whose caches the 5 kB
        of a state do not share. A GPU's generator lives on the host: nothing is waited for."""
        cuda = torch.cuda.is_initialized()
        kinds = ("cpu", "cuda") if cuda else ("cpu",)
        return cls(
            torch.default_generator.get_state() if random else None,
            tuple(generator.get_state() for generator in torch.cuda.default_generators) if cuda and random else (),
            tuple((kind, torch.get_autocast_dtype(kind)) for kind in kinds if torch.is_autocast_enabled(kind)),
        )

    def drawn(self) -> bool:
        """Have random numbers been drawn since?"""
        now = Begun.now()
        assert self.cpu is not None
        assert now.cpu is not None
        return len(self.cuda) != len(now.cuda) or not all(
            map(torch.equal, (self.cpu, *self.cuda), (now.cpu, *now.cuda))
        )

    def restore(self) -> None:
        """Put the random states back."""
        if self.cpu is not None:
            torch.default_generator.set_state(self.cpu)
        for generator, state in zip(torch.cuda.default_generators, self.cuda, strict=False):
            generator.set_state(state)


class Traces:
    """What a pass did besides computing. ``left`` is known when it is over."""

    def __init__(self) -> None:
        self.left = False
        """It printed, or changed a list, a dict, a set or a tensor that is no buffer: not to be done again lightly."""


@contextmanager
def undone(root: nn.Module, begun: Begun | None = None, also: Sequence[Any] = ()) -> Iterator[Traces]:
    """For the time of a pass through ``root``, begun as ``begun`` says; ``also`` are containers elsewhere that it may
    change. Errors of the pass go through."""
    traces = Traces()
    modules = [*root.modules()]
    kept = [(vars(module), dict(vars(module))) for module in modules]
    own_names = vars(nn.Module()).keys() - {"training"}  # what torch itself gives a module
    held = [value for _, before in kept for name, value in before.items() if name not in own_names]
    contents = [(value, value.copy()) for value in held if type(value) in (list, dict, set, deque)]
    contents += [(value, value.copy()) for value in also]
    tensors = [(value, value.detach().clone()) for value in held if isinstance(value, torch.Tensor)]
    versions = [value._version for value, _ in tensors]
    present, own = Begun.now(), random.getstate()
    numpys = np.random.get_state() if _NUMPYS in sys.modules else None
    try:
        for attributes, before in kept:
            if before["_buffers"]:
                attributes["_buffers"] = {
                    name: buffer.detach().clone() if buffer is not None else None
                    for name, buffer in before["_buffers"].items()
                }
            for name in _HOOKS:
                attributes[name] = OrderedDict((key, hook) for key, hook in before[name].items() if not foreign(hook))
        with ExitStack() as stack:
            for stream in ("stdout", "stderr"):
                stack.enter_context(_silent(stream, traces))
            if begun is not None:
                begun.restore()
                for device in ("cpu", "cuda") if torch.cuda.is_initialized() else ("cpu",):
                    dtype = dict(begun.autocast).get(device)
                    stack.enter_context(
                        torch.autocast(device, dtype=dtype, enabled=dtype is not None, cache_enabled=False)
                    )
            yield traces
    finally:
        present.restore()
        random.setstate(own)
        if numpys is not None:
            np.random.set_state(numpys)
        for attributes, before in kept:
            for name in [name for name in attributes if name not in before]:
                del attributes[name]
            for name, value in before.items():
                if attributes.get(name, attributes) is not value:
                    attributes[name] = value
        for value, copy in contents:
            if not _same(value, copy):
                traces.left = True
                value.clear()
                value.update(copy) if isinstance(value, dict | set) else value.extend(copy)
        for (value, copy), version in zip(tensors, versions, strict=True):
            if value._version != version:
                traces.left = True
                value.data.copy_(copy)


def _same(one: Any, other: Any) -> bool:
    """Do two containers hold the same objects, in the same order? Values are not compared: tensors would refuse."""
    if isinstance(one, set):
        return bool(one == other)
    if isinstance(one, dict):
        one, other = [*one.items()], [*other.items()]
        return len(one) == len(other) and all(a is c and b is d for (a, b), (c, d) in zip(one, other, strict=True))
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))


def foreign(hook: Any) -> bool:
    """Is it a hook of the user's, or of a probe: not one of torch's own?"""
    return not str(getattr(hook, "__module__", "")).startswith("torch.")


class _Silent:
    """A stream that drops what this thread writes; other threads write on."""

    def __init__(self, stream: TextIO, traces: Traces) -> None:
        self._stream = stream
        self._traces = traces
        self._thread = get_ident()

    def write(self, text: str) -> int:
        if get_ident() != self._thread:
            return self._stream.write(text)
        self._traces.left = True
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _silent(name: str, traces: Traces) -> Iterator[None]:
    stream = getattr(sys, name)
    if stream is None:  # a program without a console
        yield
        return
    silent = _Silent(stream, traces)
    setattr(sys, name, silent)
    try:
        yield
    finally:
        if getattr(sys, name) is silent:
            setattr(sys, name, stream)
