"""Values that the script or its framework names itself: metrics under ``user.``."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from time import time
from typing import Any

import numpy as np
import torch

from .training import Training

NAMES = 256
"""Different names that are taken in one process; a name made anew for each step would fill the ring's catalogue."""
LENGTH = 80
"""Characters of a name."""


class User:
    """``log`` may be called at any time, before the first backward pass too; it raises nothing and never waits."""

    def __init__(self, training: Training) -> None:
        self._training = training
        self._names: set[str] = set()
        self._told = False
        self._latest = (-1, 0)

    def log(self, values: Mapping[str, Any]) -> None:
        """Record each value as ``user.NAME`` at the step that is being made, or at the last one between two steps.

        Numbers, numpy scalars, and tensors of one element, read from their device later. Anything else is left
        out, which is told once.
        """
        for name, value in values.items():
            self._training.probes.run("user", lambda name=name, value=value: self._log(str(name), value))  # type: ignore[misc]

    def _log(self, name: str, value: Any) -> None:
        training = self._training
        if training.deaf:
            return
        if name not in self._names:
            if not (name.isprintable() and 0 < len(name) <= LENGTH) or len(self._names) >= NAMES:
                self._refuse(f"{name[:LENGTH]!r}: a name is 1 to {LENGTH} printable characters, and {NAMES} are taken")
                return
            self._names.add(name)
        step, when, emit, metric = self._step(), time(), training.emit, f"user.{name}"
        if isinstance(value, torch.Tensor):
            if value.numel() != 1 or value.is_complex() or torch._C._functorch.is_functorch_wrapped_tensor(value):
                self._refuse(f"{name}: a tensor of shape {tuple(value.shape)} is not one number")
                return
            one = value.detach().reshape(1)
            training.fetch([one], lambda arrays: emit.columns(metric, step, when, [(metric, 0, float(arrays[0][0]))]))
            return
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.reshape(-1)[0]
        if not isinstance(value, Real | np.bool_):
            self._refuse(f"{name}: a value of type {type(value).__name__} is not a number")
            return
        try:
            number = float(value)
        except OverflowError:
            self._refuse(f"{name}: an integer of more than 1,023 bits")
            return
        emit.columns(metric, step, when, [(metric, 0, number)])

    def _step(self) -> int:
        """Steps go forward in a series, also where a gradient scaler takes one back."""
        training = self._training
        segment, lane = training.emit.segment, training.lane
        step = lane.step + (lane.passes + training.micro > 0)
        if self._latest[0] == segment:
            step = max(step, self._latest[1])
        self._latest = segment, step
        return step

    def _refuse(self, why: str) -> None:
        if not self._told:
            self._told = True
            self._training.emit.event("notice", self._training.lane.step, {"text": f"nnwatch.log left out {why}"})
