"""What is measured at one sampled step, gathered until the step closes and all of it has arrived."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import torch

from . import confidence, gradients, inputs
from .bill import queued
from .elements import Elements
from .emit import Column, Emitter
from .fetch import Fetch
from .loss import Term
from .model import Model
from .noise import Noise
from .weights import Snapshot

if TYPE_CHECKING:
    from numpy.typing import NDArray

THOROUGH = 5
"""One sampled step in so many is looked at thoroughly: what costs more than its news is worth each time. On a small
perceptron the probes take about twice as long in such a step as in another sampled one."""
ELEMENTWISE = 16
"""One in so many also by single elements of its parameters, which takes half as long again. A power of two, so that
ranks whose intervals differ share such steps."""
ELEMENTS = ("grad.zeros", "weight.unchanged", "adam.eps.ratio")


class Sample:
    """The records of one sampled step, the ``number``-th from 0: ``sample`` and, where it is ``thorough``, ``detail``,
    and, where it is ``elementwise``, ``elements``. ``model`` is set as soon as an optimizer has shown what is being
    trained."""

    def __init__(self, fetch: Fetch, emit: Emitter, number: int, elementwise: bool) -> None:
        self.thorough = number % THOROUGH == 0
        self._elementwise = elementwise
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
        self._elements_found: list[Column] = []
        self._wide: dict[str, NDArray[np.float64]] = {}
        self._asked = False
        self._snapshots: dict[int, tuple[Snapshot, list[int]]] = {}
        self._held: dict[int, tuple[list[torch.Tensor], list[int]]] = {}
        self._elements: dict[int, Elements] = {}
        self._checksum = 0
        self._stale: NDArray[np.float64] | None = None
        self._stepped: set[int] = set()
        self._ends: list[Callable[[Sample], None]] = []
        self._first: tuple[float, int] | None = None
        self._began = _clocks() if self.thorough else None

    @property
    def kind(self) -> int:
        """What it costs depends on: 0 for one like a routine sample."""
        return self.thorough + 2 * self._elementwise

    @property
    def has_gradients(self) -> bool:
        return self._asked

    def put(self, metric: str, value: Any, labels: int = 0) -> None:
        self._columns.append((metric, labels, value))

    def detail(self, metric: str, value: Any, labels: int = 0) -> None:
        self._details.append((metric, labels, value))

    def slept(self) -> None:
        """``step.idle``, of a step that is over."""
        if self._began is not None and sys.platform == "linux":
            wall, busy = (now - then for now, then in zip(_clocks(), self._began, strict=True))
            self.detail("step.idle", max(0.0, wall - busy))

    def at_end(self, put: Callable[[Sample], None]) -> None:
        """``put`` is called when the records are made up."""
        self._ends.append(put)

    def take(self, found: Mapping[str, NDArray[np.float32]], stale: float) -> None:
        """A look at the batch that was taken another way, NaN what is missing; ``stale`` as of ``grad.stale``."""
        self.looked = True
        self._columns += [(metric, 0, values) for metric, values in found.items() if not np.isnan(values).all()]
        if self.model is not None:
            self._stale = np.zeros(len(self.model.names))
            self._stale[:1] = stale

    def take_parameters(
        self,
        optimizer: torch.optim.Optimizer,
        found: Mapping[str, NDArray[np.float32]],
        gradient: float,
        before: tuple[list[torch.Tensor], bytearray] | None,
    ) -> None:
        """Of all parameters, which ``optimizer`` trains, found another way; the norm of their gradients; ``before``:
        the parameters and what ``kernel.snapshot`` gave, still to be compared."""
        self._asked = True
        self.gradient = gradient
        for metric, values in found.items():
            places = list(range(len(values)))
            self._stepped.update(places)
            if not np.isnan(values).all():
                self._put_places(metric, places, values)
        if before is not None:
            self._snapshots[id(optimizer)] = Snapshot(*before), list(range(len(before[0])))

    def stale(self, training_model: Model) -> None:
        """The gradients that are there before the first backward pass."""
        left = self._stale = np.zeros(len(training_model.names))

        def done(each: NDArray[np.float64], _: float) -> None:
            left[:] = np.nan_to_num(each, nan=0.0)

        parameters = training_model.parameters()
        if any(parameter.grad is not None for parameter in parameters):
            gradients.norms(parameters, self._fetch, done)

    def first_pass(self, rows: int) -> None:
        """The first of several micro-batches, of ``rows`` samples, has been passed backwards."""
        if self.model is not None:

            def done(_: NDArray[np.float64], whole: float) -> None:
                self._first = whole, rows

            gradients.norms(self.model.parameters(), self._fetch, done)

    def _put_places(self, metric: str, places: list[int], values: NDArray[np.floating[Any]]) -> None:
        """Values of some of the parameters; the others (of another optimizer, without a gradient) stay NaN."""
        assert self.model is not None
        if metric not in self._wide:
            self._wide[metric] = np.full(len(self.model.names), np.nan)
        self._wide[metric][places] = values

    def in_parts(self) -> None:
        """The norm before clipping is of the whole gradient, of which here is a part: what was measured of the first
        micro-batch has nothing to do with it."""
        self._first = None

    def outputs(self, term: Term, put: Callable[..., None]) -> None:
        """How right and how sure the model is on the training batch, and the targets. ``put`` or ``detail`` gets it."""

        def done(prediction: confidence.Prediction | None) -> None:
            for metric, labels, value in confidence.columns(prediction, confidence.TRAIN):
                put(metric, value, labels)

        native = confidence.native(term)
        if native is not None:
            done(native)
        elif (selected := confidence.select(term)) is not None:
            parts, reduce = selected
            self._fetch(parts, lambda arrays: done(reduce(arrays)))
        if term.target is not None and term.target.is_floating_point():
            inputs.moments("target", term.target, self._fetch, put)

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

    def elements_before(self, optimizer: torch.optim.Optimizer) -> None:
        parameters, places = self._of(optimizer)
        self._stepped.update(places)
        if self._elementwise and parameters:
            self._elements[id(optimizer)] = Elements(optimizer, parameters, places)

    def elements_after(self, optimizer: torch.optim.Optimizer) -> None:
        elements = self._elements.pop(id(optimizer), None)
        if elements is not None:
            elements.after(self._fetch, self._put_places, self._check)

    def _check(self, part: bytes) -> None:
        self._checksum = crc32(part, self._checksum)

    def _of(self, optimizer: torch.optim.Optimizer) -> tuple[list[torch.Tensor], list[int]]:
        """The optimizer's parameters and their places among the model's names."""
        held = self._held.get(id(optimizer))
        if held is None:
            assert self.model is not None
            index = self.model.index
            parameters = [p for group in optimizer.param_groups for p in group["params"] if id(p) in index]
            held = self._held[id(optimizer)] = parameters, [index[id(p)] for p in parameters]
        return held

    def write(self, step: int, when: float, micro: int, noise: Noise | None) -> None:
        """Publish the records once everything that was asked for has arrived. ``micro`` passes made the gradient;
        ``noise`` is None where its norms are not comparable."""

        def done(_: Any) -> None:
            if self.model is not None and self._wide:
                labels = self._emit.labels(self.model.names, self.model.notes)
                if "grad.norm.layer" in self._wide:
                    self.put("grad.norm", self.gradient)
                for metric, values in self._wide.items():
                    (self._elements_found if metric in ELEMENTS else self._columns).append((metric, labels, values))
            if self._checksum > 0:
                self._elements_found.append(("weight.checksum", 0, self._checksum & 0xFFFFFF))
            if self._stale is not None and self._stepped:
                self.put("grad.stale", np.linalg.norm(self._stale[sorted(self._stepped)]))
            if noise is not None and micro > 1:
                self._put_noise(noise, micro)
            for put in self._ends:
                put(self)
            self._emit.columns("sample", step, when, self._columns)
            self._emit.columns("detail", step, when, self._details)
            self._emit.columns("elements", step, when, self._elements_found)

        self._fetch([], done)

    def _put_noise(self, noise: Noise, micro: int) -> None:
        """From the norms after the first and after all micro-batches, before clipping."""
        clipped = next((float(np.ravel(v)[0]) for metric, _, v in self._columns if metric == "grad.clip.norm"), None)
        whole = clipped if clipped is not None else self.gradient
        if self._first is not None and self._first[1] and (self._stale is None or not self._stale.any()):
            scale = noise.scale(self._first[0], whole, micro, self._first[1])
            if scale is not None:
                self.put("grad.noise", scale)


def _clocks() -> tuple[float, float]:
    """Seconds that have gone by, and those in which this thread ran or waited for a core."""
    return perf_counter(), thread_time() + queued()
