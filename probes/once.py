"""What is found out about a script rather than measured: schedules, seeds, loaders, checkpoints, the model's parts."""

from __future__ import annotations

import sys
import weakref
from typing import Any

from torch import nn

from . import structure
from .checkpoints import Checkpoints
from .feeding import Feeding
from .schedules import Schedules
from .seeds import Seeds
from .source import Line, frames, line_of
from .training import Training
from .variables import variables

LIBRARIES = (
    "torch",
    "numpy",
    "lightning",
    "pytorch_lightning",
    "transformers",
    "accelerate",
    "ignite",
    "keras",
    "fastai",
    "timm",
)
"""Whose versions are told where they are imported."""


class Once:
    """Listens to what is made, and adds its facts to those of the training."""

    def __init__(self, training: Training, checkpoints: Checkpoints, seeds: Seeds) -> None:
        self._training = training
        self._checkpoints = checkpoints
        self.schedules = Schedules()
        self.feeding = Feeding()
        self._places: dict[int, Line] = {}
        """Where each module was made, by its id()."""
        self._calls: dict[int, Line] = {}
        """Where it was first called, of those in the first forward pass, in that order."""
        self._evaluated: tuple[weakref.ref[nn.Module], Line] | None = None
        """The module whose eval() was called last, and where."""
        training.sources |= {
            "versions": self._versions,
            "seeds": seeds.facts,
            "checkpoints": self._origin,
            "loader": self._loader,
            "schedules": self._schedules,
            "modules": self._structure,
        }

    def module_made(self, module: nn.Module) -> None:
        """Remember the innermost line of the user's that made it, which is none of its own constructor."""
        for frame in frames():
            code = frame.f_code
            if code.co_name == "__init__" and variables(frame).get(code.co_varnames[0]) is module:
                continue
            self._places[id(module)] = Line(code.co_filename, frame.f_lineno)
            break
        self._calls.pop(id(module), None)  # of one that is gone
        if len(self._places) > 2 * len(self._training.modules) + structure.MODULES:  # models come and go in a sweep
            self._places = {key: line for key, line in self._places.items() if key in self._training.modules}

    def module_called(self, module: nn.Module) -> None:
        if id(module) not in self._calls and (frame := next(frames(), None)) is not None:
            self._calls[id(module)] = line_of(frame)

    def evaluated(self, module: nn.Module) -> None:
        """module.eval() is called."""
        if (frame := next(frames(), None)) is not None:
            self._evaluated = weakref.ref(module), line_of(frame)

    def _versions(self) -> dict[str, Any]:
        found = ((name, getattr(sys.modules.get(name), "__version__", None)) for name in LIBRARIES)
        return {"versions": {name: str(version) for name, version in found if version is not None}}

    def _origin(self) -> dict[str, Any]:
        """Where the weights that training began with come from."""
        training = self._training
        roots = training.model.roots if training.model is not None else []
        resumed = self._checkpoints.resumed(training.trained_by(), training.first)
        return {"resumed": resumed, "pretrained": self._checkpoints.pretrained(roots) or None}

    def _loader(self) -> dict[str, Any]:
        last, validated = self._training.lane.trained_on, self._training.script.validated_on
        place = self.feeding.place(validated.loader) if validated is not None else None
        known = {"val_loader": {"where": place}} if place is not None else {}
        return known | (self.feeding.facts(last) if last is not None else {})

    def _schedules(self) -> dict[str, Any]:
        training = self._training
        made = training.lane.step - training.first
        per_epoch = training.script.told("steps_per_epoch")
        return self.schedules.facts(training.trained_by(), training.first, made, per_epoch)

    def _structure(self) -> dict[str, Any]:
        training = self._training
        if training.model is None:
            return {}
        averaged = structure.averaged(list(training.modules.values()), self._places)
        known = structure.facts(training.model, self._places, self._calls)
        return known | averaged | self._output(training.model.roots) | self._mode(training.model.roots)

    def _output(self, roots: list[nn.Module]) -> dict[str, Any]:
        """Where the last layer of the first forward pass was called."""
        parts = {id(part) for root in roots for part in root.modules()}
        line = next((line for key, line in reversed(self._calls.items()) if key in parts), None)
        return {"output": {"where": str(line)}} if line is not None else {}

    def _mode(self, roots: list[nn.Module]) -> dict[str, Any]:
        """Where a model was sent to eval mode that is in it when a training step is over."""
        module, line = (self._evaluated[0](), self._evaluated[1]) if self._evaluated is not None else (None, None)
        if module is None or any(root.training for root in roots):
            return {}
        parts = {id(part) for part in module.modules()}
        return {"evaluating": {"where": str(line)}} if any(id(root) in parts for root in roots) else {}
