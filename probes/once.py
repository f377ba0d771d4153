"""What is found out about a script rather than measured: schedules, seeds, loaders, checkpoints, the model's parts."""

from __future__ import annotations

import sys
from typing import Any

from torch import nn

from . import structure
from .checkpoints import Checkpoints
from .feeding import Feeding
from .schedules import Schedules
from .seeds import Seeds
from .source import Line, frames
from .training import Training

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
            if code.co_name == "__init__" and frame.f_locals.get(code.co_varnames[0]) is module:
                continue
            self._places[id(module)] = Line(code.co_filename, frame.f_lineno)
            break
        if len(self._places) > 2 * len(self._training.modules) + structure.MODULES:  # models come and go in a sweep
            self._places = {key: line for key, line in self._places.items() if key in self._training.modules}

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
        last = self._training.lane.trained_on
        return self.feeding.facts(last) if last is not None else {}

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
        return structure.facts(training.model, self._places) | averaged
