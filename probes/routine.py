"""The short way of a sampled step: a record with the same fields as the last one's.

Most of what a sampled step costs is not arithmetic: some fifty statistics, each with its own call, objects and names,
come to a thousand microseconds in a step of 600, as all of it meets cold caches. But one sample is like the last.
So where each number lies in the record is worked out once, the step goes by the lane, and a call of the kernel for
each phase writes straight into the record.

Every fifth sample, a thorough one, goes the long way, and where its record has a field that is not known here, all
do. Whatever else is unusual makes the lane be left, and what was found so far becomes an ordinary ``Sample``.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nnwatch.metric import CONFIDENCE_BINS

from . import arithmetic, confidence, inputs, kernel
from .activations import METRICS
from .emit import HEAD, Schema
from .groups import momenta
from .kernel import Activation
from .layout import Layout
from .nested import tensors
from .plans import Plans
from .sample import THOROUGH, Sample
from .stages import CALL, INSIDE, STEPPING
from .weights import SAMPLED as WEIGHTS

if TYPE_CHECKING:
    from .layers import Call, Layers
    from .model import Model
    from .nonfinite import NonFinite
    from .repeats import Repeats
    from .training import Training

INPUT = ("input.mean", "input.std", "input.min", "input.max")
PREDICTION = tuple(confidence.TRAIN.values())
LOOK = ("mode.train", *INPUT, *PREDICTION)
NEEDED = {"momentum", "grad.norm", "watch.every"}
WIDE = ("grad.norm.layer", "weight.norm", "update.ratio")
KNOWN = frozenset((*LOOK, *METRICS, *WIDE, "watch.every", "watch.cost", "momentum", "grad.norm", "grad.stale"))


class Routine:
    """One per process. While ``Training.routine`` is this, the step that is being made is sampled by it. The lane calls
    ``arm``, ``begins``, ``before``, ``after`` and ``write``."""

    def __init__(self, training: Training, nonfinite: NonFinite, repeats: Repeats) -> None:
        self._training = training
        self._nonfinite = nonfinite
        self._repeats = repeats
        self._numpy = arithmetic.Hand() if kernel.native is None else None
        self._hand: Any = kernel.native or self._numpy
        self._schema: Schema | None = None
        self._model: weakref.ref[Model] | None = None
        self._fits = False
        self._held = arithmetic.Held()
        """Elements of the weights before the step, and where these lie; see `parameters.c`."""

    def ready(self, step: int) -> bool:
        """May ``step``, the next one that is sampled, go this way?"""
        training = self._training
        model = training.model
        schema = training.emit.latest("sample")
        if (
            training.samples % THOROUGH == 0
            or training.elementwise(step)
            or model is None
            or schema is None
            or training.lane.form != CALL
            or training.lane.accumulates
            or training.terms.several
            or training.terms.joint
            or len(training.optimizers) > 1
            or "routine" in training.probes.off
            or not training.layers.modular
        ):
            return False
        if schema is not self._schema or self._model is None or self._model() is not model:
            self._schema, self._model = schema, weakref.ref(model)
            self._fits = self._plan(schema, len(model.names))
        return self._fits

    def _plan(self, schema: Schema, parameters: int) -> bool:
        """Where each number lies in the record; False if there are others than are known here."""
        self._layout = layout = Layout(schema)
        self._input = tuple(layout.at(metric) for metric in INPUT)
        self._prediction = tuple(layout.at(metric) for metric in PREDICTION)
        self._classes = layout.width("predicted.count")
        self._plans = Plans(self._training.layers, layout, self._hand.layer)
        self._parameters: list[torch.Tensor] = []
        self._work = self._in_c() if kernel.native is not None else ()
        wide = [layout.width(metric) for metric in WIDE]
        return self._plans.alike and NEEDED <= layout.metrics <= KNOWN and wide == [parameters] * len(WIDE)

    # what the lane calls

    def arm(self) -> tuple[Layers, int, tuple[Any, ...], tuple[Any, ...] | None] | None:
        """The coming step is sampled: all is made ready for it. What the lane needs: the hooks, the schema's id and
        what `routine.c` and `pass.c` work with. None where it cannot go this way."""
        training = self._training
        layers, sampler = training.layers, training.sampler
        training.routine = self
        self._number = training.samples
        training.samples += 1
        self._layout.numbers[:] = np.nan
        self._stale = 0.0
        sampler.arm()
        try:
            layers.plans = self._plans
            self._plans.begin()
            layers.thorough = False
            layers.place("all")
            model, optimizer = training.model, training.optimizers[0]()
            assert model is not None
            parameters = self._parameters
            parameters[:] = model.parameters()
            groups = optimizer.param_groups if optimizer is not None else []
            self._layout.put("grad.stale", 0.0)
            self._layout.put("watch.every", sampler.every)
            if sampler.cost is not None:
                self._layout.put("watch.cost", sampler.cost + self._repeats.share)
            self._fits = len(groups) == self._layout.width("momentum") and (
                len(parameters) == len(model.names) == sum(len(group["params"]) for group in groups)
            )
        except Exception as error:
            self._failed(error)
        sampler.resume()
        assert self._schema is not None
        if not self._fits:
            return None
        return layers, self._schema.id, self._work, layers.pass_in_c()

    def _in_c(self) -> tuple[Any, ...]:
        """As `routine.c` has it. C looks at the batch where there is one label of a class for each row."""
        record, parameters, at = self._layout.record, self._parameters, self._layout.at
        moments = (self._input, inputs.SAMPLED) if self._input[0] >= 0 else None
        classes = (self._prediction, CONFIDENCE_BINS) if self._prediction[0] >= 0 else None
        looks = at("mode.train") < 0 and (classes is None or self._classes > 0)
        return (
            record,
            (record, at("grad.norm.layer"), parameters),
            (parameters, WEIGHTS, self._held),
            (record, at("weight.norm"), at("update.ratio"), parameters, self._held),
            parameters, at("grad.norm"), at("momentum"), moments, classes,
            confidence.SOFTMAX[0], max(self._classes, 1), confidence.ELEMENTS, confidence.ROWS, looks,
        )  # fmt: skip

    def begins(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """The backward pass is about to begin, for the loss call ``name(*args, **kwargs)``."""
        try:
            if not self._look(name, args, kwargs):
                self._unfit()
        except Exception as error:
            self._failed(error)

    def _look(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        hand, layers, right = self._hand, self._training.layers, True
        if self._numpy is not None:
            self._numpy.passed()
        if any(parameter.grad is not None for parameter in self._parameters):
            place = self._layout.at("grad.norm.layer")
            right = hand.gradients_into(self._layout.record, place, self._parameters) is not None
            norms = self._layout.numbers[place : place + len(self._parameters)]
            self._stale = float(np.linalg.norm(np.nan_to_num(norms, nan=0.0))) if right else np.nan
            self._layout.put("grad.stale", self._stale)
        self._layout.put("mode.train", layers.modes.share(evaluating=False))
        if self._input[0] >= 0:
            first = _first(layers.call)
            right &= first is not None and hand.moments_into(self._layout.record, self._input, first, inputs.SAMPLED)
        if self._prediction[0] >= 0:
            output = args[0] if args else kwargs.get("input")
            target = args[1] if len(args) > 1 else kwargs.get("target")
            if name not in confidence.SOFTMAX or output is None or output.dim() != 2:
                return False
            classes = output.shape[1]
            if classes != self._classes and (self._classes or classes <= confidence.CLASSES):
                return False
            ignored = kwargs["ignore_index"] if "ignore_index" in kwargs else args[4] if len(args) > 4 else -100
            right &= hand.classes_into(
                self._layout.record, self._prediction, output, target, ignored,
                confidence.distance(output), CONFIDENCE_BINS, bool(self._classes),
            )  # fmt: skip
        return right

    def before(self) -> None:
        """The optimizer is about to step."""
        try:
            hand, parameters = self._hand, self._parameters
            whole = hand.gradients_into(self._layout.record, self._layout.at("grad.norm.layer"), parameters)
            if whole is None or hand.snapshot(parameters, WEIGHTS, self._held) is None:
                self._unfit()
            elif whole - whole != 0.0:
                self._training.lane.leave()
            else:
                self._layout.put("grad.norm", whole)
        except Exception as error:
            self._failed(error)

    def after(self) -> None:
        """It has stepped."""
        try:
            norm, ratio = self._layout.at("weight.norm"), self._layout.at("update.ratio")
            finite = self._hand.compare_into(self._layout.record, norm, ratio, self._parameters, self._held)
            if finite is None:
                self._unfit()
            elif not finite:
                self._nonfinite.weights()
        except Exception as error:
            self._failed(error)

    def write(self, step: int, when: float) -> None:
        """The step's own record is out: publish the sample's."""
        training = self._training
        try:
            optimizer = training.optimizers[0]()
            if optimizer is not None:
                self._layout.put("momentum", *momenta(optimizer))
            HEAD.pack_into(self._layout.record, 0, training.emit.segment, step, when)
            assert self._schema is not None
            training.lane.publish(self._schema.id, self._layout.record)
        except Exception as error:
            self._failed(error)

    def finish(self) -> None:
        """The step that it has sampled is over."""
        self._fits &= self._plans.kept
        self._forget()

    def _forget(self) -> None:
        """Nothing of the user's is kept alive."""
        self._parameters.clear()
        self._held.parts = ()
        if self._numpy is not None:
            self._numpy.forget()
        self._training.layers.plans = None

    def _unfit(self) -> None:
        """It is not as planned."""
        self._fits = False
        self._training.lane.leave()

    def _failed(self, error: Exception) -> None:
        self._training.probes.failed("routine", error)
        self._unfit()

    def leave(self, stage: int) -> Sample:
        """The step goes on the long way, with what was found until ``stage``."""
        training = self._training
        sample = Sample(training.fetch, training.emit, self._number, elementwise=False)
        sample.model = training.model
        if self._numpy is not None:
            self._numpy.passed()
        record = self._layout.numbers.copy()
        found = {metric: record[at : at + width] for metric, (at, width) in self._layout.places.items()}
        names = training.layers.activations.names
        missing = np.full(len(names), np.nan)
        table = np.array([found.get(metric, missing) for metric in METRICS])
        training.layers.activations.take({name: Activation(*table[:, place]) for place, name in enumerate(names)})
        if stage >= INSIDE:
            sample.take({metric: found[metric] for metric in LOOK if metric in found}, self._stale)
        if stage == STEPPING:
            optimizer = training.optimizers[0]()
            if optimizer is not None:
                wide = {metric: found[metric] for metric in WIDE}
                taken = np.isnan(wide["weight.norm"]).all()  # and not yet compared
                before = (list(self._parameters), bytearray(self._held)) if taken else None
                sample.take_parameters(optimizer, wide, float(found["grad.norm"][0]), before)
        self._forget()
        return sample


def _first(call: Call | None) -> torch.Tensor | None:
    """The first float tensor that the model was called with."""
    if call is None:
        return None
    if call.args and type(call.args[0]) is torch.Tensor and call.args[0].is_floating_point():
        return call.args[0]
    return next((t for t in tensors([call.args, call.kwargs]) if t.is_floating_point() and t.numel()), None)
