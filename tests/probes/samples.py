"""Data sets for the data report: real digits, and ones made of what a function gives."""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.data import (
    DataLoader,
    Dataset,
    TensorDataset,
)

from nnwatch.probes.trials.reading import Reading
from nnwatch.probes.trials.sets import Set, of_loader


def digits(n: int = 200, seed: int = 0) -> TensorDataset:
    generator = torch.Generator().manual_seed(seed)
    return TensorDataset(torch.randn(n, 1, 8, 8, generator=generator), torch.arange(n) % 10)


def of(dataset: Dataset[Any], role: str = "train") -> Set:
    return of_loader(role, DataLoader(dataset, batch_size=16))


def read(dataset: Dataset[Any], seconds: float = 20.0) -> Reading:
    return Reading(of(dataset), seconds)


class Made(Dataset[Any]):
    """A data set of what ``make(i)`` gives."""

    patients: list[int]
    rng: Any

    def __init__(self, make: Callable[[int], Any], rows: int = 64) -> None:
        self.make, self.rows = make, rows

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, place: int) -> Any:
        return self.make(place)
