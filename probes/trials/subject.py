"""What an experiment has at hand."""

from __future__ import annotations

import gc
from collections.abc import Callable
from time import time
from typing import Any

from torch.utils.data import DataLoader

from ..training import Training

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
    takes a line of progress."""

    def __init__(self, training: Training, until: float, say: Callable[[str], None]) -> None:
        self.training = training
        self.until = until
        self.say = say

    @property
    def seconds(self) -> float:
        """That are left."""
        return max(0.0, self.until - time())

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
