"""Optimizers of frameworks that are none of torch's, each described in torch's words."""

from __future__ import annotations

import math
import weakref
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

FASTAI = {
    "sgd_step": "SGD",
    "momentum_step": "SGD",
    "rms_prop_step": "RMSprop",
    "adam_step": "Adam",
    "radam_step": "RAdam",
    "qhadam_step": "QHAdam",
    "larc_step": "Larc",
    "lamb_step": "Lamb",
}
"""An optimizer of fastai's is a list of functions, the last of which takes the step: its class in torch's words."""


class StandIn(ABC):
    """Has the ``param_groups`` and ``state`` of one of torch's optimizers; keeps nothing of the user's alive."""

    def __init__(self, optimizer: Any) -> None:
        self._optimizer = weakref.ref(optimizer)

    @classmethod
    def of(cls, optimizer: Any) -> StandIn:
        """Its class is named as the optimizer's, for the facts."""
        made: StandIn = type(cls._named(optimizer), (cls,), {})(optimizer)
        return made

    @classmethod
    def _named(cls, optimizer: Any) -> str:
        return type(optimizer).__name__

    @property
    def state(self) -> Mapping[Any, Any]:
        return {}

    @property
    @abstractmethod
    def param_groups(self) -> list[dict[str, Any]]:
        """As of one of torch's."""


class Keras(StandIn):
    def __init__(self, optimizer: Any) -> None:
        super().__init__(optimizer)
        self._parameters = [variable.value for variable in optimizer._trainable_variables]

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        optimizer = self._optimizer()
        rate = optimizer.learning_rate if optimizer is not None else math.nan
        return [{"params": self._parameters, "lr": getattr(rate, "value", rate)}]


class Fastai(StandIn):
    @classmethod
    def _named(cls, optimizer: Any) -> str:
        steps = [getattr(step, "__name__", "") for step in optimizer.cbs]
        name = FASTAI.get(steps[-1] if steps else "", type(optimizer).__name__)
        return "AdamW" if name == "Adam" and "weight_decay" in steps else name

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        optimizer = self._optimizer()
        if optimizer is None:
            return []
        return [
            {"params": list(held), **_in_torch(settings)}
            for held, settings in zip(optimizer.param_lists, optimizer.hypers, strict=True)
        ]

    @property
    def state(self) -> Mapping[Any, Any]:
        optimizer = self._optimizer()
        held = optimizer.state if optimizer is not None else {}
        return {
            parameter: {"exp_avg_sq": own["sqr_avg"], "step": own["step"]}
            for parameter, own in held.items()
            if "sqr_avg" in own and "step" in own
        }


def _in_torch(settings: Mapping[str, Any]) -> dict[str, Any]:
    """fastai's names of an optimizer's settings in torch's."""
    told = {name: settings[name] for name in ("lr", "eps") if name in settings}
    if "wd" in settings:
        told["weight_decay"] = settings["wd"]
    if "mom" in settings:
        both = "sqr_mom" in settings
        told |= {"betas": (settings["mom"], settings["sqr_mom"])} if both else {"momentum": settings["mom"]}
    return told
