"""What is measured at one sampled step, gathered until the step closes and all of it has arrived."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from . import confidence, gradients, inputs
from .emit import Column, Emitter
from .fetch import Fetch
from .loss import Term
from .model import Model
from .weights import Snapshot

THOROUGH = 4
"""One sampled step in so many is looked at thoroughly: what costs more than its news is worth each time."""


class Sample:
    """The records of one sampled step: ``sample`` and, where it is ``thorough``, ``detail``. ``model`` is set as soon
    as an optimizer has shown what is being trained."""

    def __init__(self, fetch: Fetch, emit: Emitter, thorough: bool) -> None:
        self.thorough = thorough
        self.looked = False
        """At a batch: the first one of several micro-batches stands for all."""
        self.model: Model | None = None
        self.gradient = 0.0
        """L2 norm of the gradients seen so far; NaN or infinite when one of them is. Late on a device."""
        self.spoiled = False
        """A step has left weights that are not finite. Late on a device."""
        self._fetch = fetch
        self._emit = emit
        self._columns: list[Column] = []
        self._details: list[Column] = []
        self._wide: dict[str, NDArray[np.float64]] = {}
        self._asked = False
        self._snapshots: dict[int, tuple[Snapshot, list[int]]] = {}
        self._held: dict[int, tuple[list[torch.Tensor], list[int]]] = {}

    @property
    def has_gradients(self) -> bool:
        return self._asked

    def put(self, metric: str, value: Any, labels: int = 0) -> None:
        self._columns.append((metric, labels, value))

    def detail(self, metric: str, value: Any, labels: int = 0) -> None:
        self._details.append((metric, labels, value))

    def _put_places(self, metric: str, places: list[int], values: NDArray[np.float64]) -> None:
        """Values of some of the parameters; the others (of another optimizer, without a gradient) stay NaN."""
        assert self.model is not None
        if metric not in self._wide:
            self._wide[metric] = np.full(len(self.model.names), np.nan)
        self._wide[metric][places] = values

    def outputs(self, term: Term) -> None:
        """How right and how sure the model is on the training batch, and the targets."""

        def done(prediction: confidence.Prediction | None) -> None:
            self._columns += confidence.columns(prediction, confidence.TRAIN)

        native = confidence.native(term)
        if native is not None:
            done(native)
        elif (selected := confidence.select(term)) is not None:
            parts, reduce = selected
            self._fetch(parts, lambda arrays: done(reduce(arrays)))
        if term.target is not None and term.target.is_floating_point():
            inputs.moments("target", term.target, self._fetch, self.put)

    def gradients(self, optimizer: torch.optim.Optimizer) -> None:
        """Norms of what this optimizer is about to use, or has just used."""
        if getattr(optimizer, "grad_scale", None) is not None:
            return  # a fused optimizer unscales by itself: what is there now is not what it uses
        parameters, places = self._of(optimizer)
        self._asked = True

        def done(each: NDArray[np.float64], whole: float) -> None:
            self._put_places("grad.norm.layer", places, each)
            self.gradient = math.hypot(self.gradient, whole)

        gradients.norms(parameters, self._fetch, done)

    def weights_before(self, optimizer: torch.optim.Optimizer) -> None:
        parameters, places = self._of(optimizer)
        if parameters:
            self._snapshots[id(optimizer)] = Snapshot(parameters), places

    def weights_after(self, optimizer: torch.optim.Optimizer) -> None:
        snapshot, places = self._snapshots.pop(id(optimizer), (None, []))

        def done(norm: NDArray[np.float64], ratio: NDArray[np.float64]) -> None:
            self.spoiled |= not np.isfinite(ratio[norm > 0]).all()
            self._put_places("weight.norm", places, norm)
            self._put_places("update.ratio", places, ratio)

        if snapshot is not None:
            snapshot.compare(self._fetch, done)

    def _of(self, optimizer: torch.optim.Optimizer) -> tuple[list[torch.Tensor], list[int]]:
        """The optimizer's parameters and their places among the model's names."""
        held = self._held.get(id(optimizer))
        if held is None:
            assert self.model is not None
            index = self.model.index
            parameters = [p for group in optimizer.param_groups for p in group["params"] if id(p) in index]
            held = self._held[id(optimizer)] = parameters, [index[id(p)] for p in parameters]
        return held

    def write(self, step: int, when: float) -> None:
        """Publish the record once everything that was asked for has arrived."""

        def done(_: Any) -> None:
            if self.model is not None and self._wide:
                labels = self._emit.labels(self.model.names, self.model.notes)
                if "grad.norm.layer" in self._wide:
                    self.put("grad.norm", self.gradient)
                for metric, values in self._wide.items():
                    self.put(metric, values, labels)
            self._emit.columns("sample", step, when, self._columns)
            self._emit.columns("detail", step, when, self._details)

        self._fetch([], done)
