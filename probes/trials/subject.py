"""What an experiment has at hand."""

from __future__ import annotations

import gc
from collections.abc import Callable
from time import time
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader

from nnwatch.trial import STEP

if TYPE_CHECKING:
    from ..watch import Watch
    from .captured import Batch, Step
    from .recorder import Recorder
    from .sets import Sample

Experiment = Callable[["Subject"], dict[str, Any]]
"""Gives the data of its trial, without the four keys that all have. Raises NotPossibleError."""


class NotPossibleError(Exception):
    """An experiment cannot be made: why, and the line in the script that would make it possible."""

    def __init__(self, why: str, line: str | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.line = line


class Subject:
    """The script where it was stopped. ``until`` is when all experiments have to be over (seconds since 1970), ``say``
    takes a line of progress, ``applied`` are the autograd functions of its own and what they were called with."""

    def __init__(
        self,
        watch: Watch,
        recorder: Recorder,
        own: Step | None,
        applied: dict[Any, tuple[Any, ...]],
        until: float,
        say: Callable[[str], None],
    ) -> None:
        self.watch = watch
        self.training = watch.training
        self.applied = applied
        self.until = until
        self.say = say
        self.learned: tuple[Batch, list[torch.Tensor]] | None = None
        """Samples that are known by heart, and the weights that know them."""
        self._recorder = recorder
        self._step = own or recorder.step

    def step(self) -> Step:
        """The training step that was captured. Raises NotPossibleError."""
        if self._step is None:
            raise NotPossibleError(self._recorder.why, STEP)
        return self._step

    def restore(self) -> None:
        """Put the weights of the start back."""
        self._recorder.restore()

    @property
    def seen(self) -> list[Sample]:
        """What entered the model, each sample once; empty where no step could be captured."""
        return self._recorder.seen.samples if self._step is not None else []

    @property
    def rates(self) -> list[float]:
        """Of each step that was made."""
        return list(self._recorder.rates)

    @property
    def seconds(self) -> float:
        """That are left."""
        return max(0.0, self.until - time())

    def fact(self, name: str) -> Any:
        """What is known about the script (nnwatch/README.md); None if it is not."""
        return self.training.script.told(name)

    def scheduler(self, kind: str) -> Any:
        """The scheduler of that class. Raises NotPossibleError."""
        for scheduler in self.watch.once.schedules.alive:
            if type(scheduler).__name__ == kind:
                return scheduler
        raise NotPossibleError("the scheduler is gone")

    @property
    def loader(self) -> DataLoader[Any] | None:
        """The one that training last drew from."""
        known = self.training.lane.trained_on
        found = known.loader() if known is not None else None
        return found if isinstance(found, DataLoader) else None

    @property
    def others(self) -> list[DataLoader[Any]]:
        """All other loaders that the script has made and keeps: validation, test."""
        found = [each for each in gc.get_objects() if issubclass(type(each), DataLoader)]
        return [each for each in found if each is not self.loader]
