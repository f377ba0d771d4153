"""Steps of the optimizers, and what a scaler or clipping does to the gradients before."""

from __future__ import annotations

import weakref
from typing import Any

import torch

from .closing import Closing
from .loss import scalar
from .nonfinite import NonFinite
from .repeats import Repeats
from .sample import Sample
from .segments import Segments
from .training import Training


class Stepping:
    def __init__(
        self, training: Training, nonfinite: NonFinite, segments: Segments, repeats: Repeats, closing: Closing
    ) -> None:
        self._training = training
        self._nonfinite = nonfinite
        self._segments = segments
        self._repeats = repeats
        self._closing = closing
        self.calls = 0
        """Of any optimizer's step so far."""

    def scaled(self, scaler: Any, outputs: Any) -> None:
        """GradScaler.scale: the number before scaling is the loss, the root of backward is not."""
        training = self._training
        if not scaler.is_enabled():
            return
        if training.scaler is None or training.scaler() is not scaler:
            training.scaler = weakref.ref(scaler)
        training.lane.leave()
        training.script.amp = True
        if training.skipped is None:
            training.skipped = 0
        if isinstance(outputs, torch.Tensor):
            training.unscaled = scalar(outputs)

    def skipped(self) -> None:
        """The scaler found infinities: no step was taken, and the batch taught nothing."""
        training = self._training
        training.skipped = (training.skipped or 0) + 1
        training.micro = training.lane.rows = 0

    def before_clip(self) -> None:
        """Clipping spreads a NaN over every gradient, so one is looked at before."""
        if self._training.awake:
            self._nonfinite.look()

    def clipped(self, norm: Any, limit: float) -> None:
        """``norm`` is that of the whole gradient; of one in shards it may be that of a part, which nobody needs."""
        sample = self._training.sample
        if sample is None or not self._training.awake:
            return
        sample.put("grad.clip.max", limit)
        if hasattr(norm, "to_local"):
            sample.in_parts()
            if not all(place.is_replicate() for place in norm.placements):
                return
            norm = norm.to_local()
        self._training.fetch([norm.reshape(1)], lambda arrays: sample.put("grad.clip.norm", arrays[0]))

    def before(self, optimizer: torch.optim.Optimizer, closure: bool) -> None:
        """``closure``: backward passes, and with them the gradients, are still to come, inside the step."""
        training = self._training
        self.calls += 1
        if training.deaf or training.busy:
            return
        training.lane.leave()
        if not training.awake:
            self._segments.wake()
        self._segments.stepping(optimizer)
        if not training.clock.stepping:
            training.clock.stepping = id(optimizer)
        sample = training.sample
        if sample is not None:
            if training.micro and not closure:
                training.probes.run("gradients", lambda: self._gradients(sample, optimizer))
            training.probes.run("weights", lambda: sample.weights_before(optimizer))
            training.probes.run("elements", lambda: sample.elements_before(optimizer))
            if training.layers.keep:
                training.probes.run("repeats", self._repeats.before)
        elif training.layers.state == "call":
            self._nonfinite.look()

    def _gradients(self, sample: Sample, optimizer: torch.optim.Optimizer) -> None:
        sample.gradients(optimizer)
        if sample.gradient - sample.gradient != 0.0:
            self._nonfinite.gradients()

    def after(self, optimizer: torch.optim.Optimizer, closure: bool) -> None:
        training = self._training
        if training.joining:
            training.joining = training.deaf = False
            return
        if training.deaf or training.busy:
            return
        training.lane.leave()
        sample = training.sample
        if sample is not None:
            if not sample.has_gradients:  # a closure: the gradients came inside the step
                training.probes.run("gradients", lambda: self._gradients(sample, optimizer))
            training.probes.run("weights", lambda: sample.weights_after(optimizer))
            training.probes.run("elements", lambda: sample.elements_after(optimizer))
            if training.layers.keep:
                training.probes.run("repeats", self._repeats.after)
            if sample.spoiled:
                self._nonfinite.weights()
        if training.clock.step_ends(id(optimizer)):
            self._closing.close()
