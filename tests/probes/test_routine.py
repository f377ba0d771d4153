"""A sample made the short way records what the long way records, and gives up what it cannot do."""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nnwatch.probes import arithmetic, closing, fastest, kernel, lane, sampler
from nnwatch.probes.hooks import Patches
from nnwatch.probes.routine import Routine
from nnwatch.probes.standby import Standby

from .lanes import KINDS, LongWay, trained
from .loops import Training, over_a_loader
from .several import LOOPS

HANDS = ["numpy"] if kernel.native is None else ["numpy", "c"]


@pytest.fixture(autouse=True, params=HANDS)
def often(request, monkeypatch):
    """Three steps, then every ninth: steps 9 and 18, where loops do something odd, may go the short way."""
    if request.param == "numpy":
        monkeypatch.setattr(kernel, "native", None)
        monkeypatch.setattr(fastest, "Fastest", lane.Lane)
    monkeypatch.setattr(sampler, "DENSE", 3)
    monkeypatch.setattr(sampler.Sampler, "_choose", lambda self: setattr(self, "every", 9))


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.second(F.relu(self.first(x)))
        return out


class Carrying(Functional):
    """As torch's transformer layers do."""

    def __init__(self) -> None:
        super().__init__()
        self.activation = F.relu

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.second(self.activation(self.first(x)))
        return out


def carried(t: Training, odd: bool) -> None:
    """A function that the module holds."""
    if not isinstance(t.model, Carrying):
        torch.manual_seed(0)
        t.model = Carrying()
        t.optimizer = torch.optim.SGD(t.model.parameters(), lr=0.1)
    t.step()
    assert t.model.activation is F.relu


def deep(t: Training, odd: bool) -> None:
    """Its sample takes more than the ring's CRC covers: such a record is written in another order."""
    if len(t.model) < 60:
        torch.manual_seed(0)
        layers = [layer for _ in range(40) for layer in (nn.Linear(8, 8), nn.ReLU())]
        t.model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), *layers, nn.Linear(8, 3))
        t.optimizer = torch.optim.SGD(t.model.parameters(), lr=0.1)
    t.step()


def positional(t: Training, odd: bool) -> None:
    """As most scripts are written; once with labels that do not count, once with gradients from before."""
    if odd:
        t.loss().backward()
    else:
        t.optimizer.zero_grad()
    y = torch.where(t.y == 1, -100, t.y) if odd else t.y
    F.cross_entropy(t.model(t.x), y).backward()
    t.optimizer.step()


def kinds() -> dict[str, type[lane.Lane]]:
    """The lanes that there may be: in C there is one with the kernel only."""
    return KINDS if kernel.native is not None else {"python": lane.Lane}


@pytest.mark.parametrize("loop", [*LOOPS, over_a_loader, carried, positional, deep])
def test_it_records_the_same(loop, tmp_path, monkeypatch):
    monkeypatch.setattr(closing, "LONG", 1e9)
    monkeypatch.setattr(fastest, "Fastest", LongWay)
    long = trained(tmp_path / "long", loop)
    for name, kind in kinds().items():
        monkeypatch.setattr(fastest, "Fastest", kind)
        short = trained(tmp_path / name, loop)
        for found, wanted in zip(short[0], long[0], strict=True):
            assert found[:2] == wanted[:2]
            np.testing.assert_allclose(found[2], wanted[2], rtol=1e-6, err_msg=found[0])
        assert short[1] == long[1]


def written(tmp_path, monkeypatch, make) -> list[int]:
    """Steps whose samples were made the short way."""
    found = []
    finish = Routine.finish

    def noting(self):
        found.append(self._training.lane.step)
        finish(self)

    monkeypatch.setattr(Routine, "finish", noting)
    tmp_path.mkdir(exist_ok=True)
    watching = Standby({"rings": [str(tmp_path)], "ring_bytes": 1 << 20, "budget": 0.01})
    patches = Patches(watching)
    try:
        training = make()
        for _ in range(30):
            training.step()
        assert not watching.probes._failures
    finally:
        patches.remove()
    return found


def test_ordinary_samples_are_made_so(tmp_path, monkeypatch):
    for name, kind in kinds().items():
        with monkeypatch.context() as patch:
            patch.setattr(fastest, "Fastest", kind)
            assert {9, 18} <= set(written(tmp_path / name, patch, Training))


def test_functions_that_modules_hold_are_seen_without_a_mode(tmp_path, monkeypatch):
    training = Training()

    def make() -> Training:
        training.model = Carrying()
        training.optimizer = torch.optim.SGD(training.model.parameters(), lr=0.1, momentum=0.9)
        return training

    assert {9, 18} <= set(written(tmp_path, monkeypatch, make))
    training.model.activation = torch.tanh  # it is the user's to change
    training.step()
    assert training.model.activation is torch.tanh


class Doubles(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.layers(x.double())
        return out


@pytest.mark.parametrize("model", [Functional, Doubles])
def test_a_model_that_it_cannot_measure_goes_the_long_way(model, tmp_path, monkeypatch):
    def make() -> Training:
        training = Training()
        training.model = model()
        training.optimizer = torch.optim.SGD(training.model.parameters(), lr=0.1, momentum=0.9)
        return training

    assert not written(tmp_path, monkeypatch, make)


class Interrupted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        self.hooks: list[int] = []
        self.between: Callable[[nn.Module], object] | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.layers[1](self.layers[0](x))
        self.hooks.append(len(self.layers[1]._forward_hooks))
        if self.between is not None:
            self.between(self)
        out: torch.Tensor = self.layers[2](hidden)
        return out


def fails(model: nn.Module) -> None:
    raise ArithmeticError


@pytest.mark.parametrize("between", [fails, copy.deepcopy])
def test_a_pass_that_is_interrupted_leaves_nothing(between, tmp_path):
    watching = Standby({"rings": [str(tmp_path)], "ring_bytes": 1 << 20, "budget": 0.01})
    patches, warn = Patches(watching), warnings.warn
    try:
        training = Training()
        model = training.model = Interrupted()
        training.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(1, 21):
            model.between = between if step == 9 else None
            assert step != 9 or watching.watch.training.routine is not None
            with contextlib.suppress(ArithmeticError):
                training.step()
            assert not model.layers[1]._forward_hooks
            assert warnings.warn is warn
        assert model.hooks[8] == 1
    finally:
        patches.remove()
    assert not watching.probes._failures


@pytest.mark.parametrize("broken", ["moments_into", "gradients_into", "compare_into"])
def test_an_error_goes_no_further(broken, tmp_path, monkeypatch):
    def planted(*_):
        raise ValueError("planted")

    monkeypatch.setattr(fastest, "Fastest", lane.Lane)  # the one in C has its own way to these functions
    monkeypatch.setattr(kernel.native or arithmetic.Hand, broken, planted)
    bare = Training()
    for _ in range(30):
        bare.step()
    watching = Standby({"rings": [str(tmp_path)], "ring_bytes": 1 << 20, "budget": 0.01})
    patches = Patches(watching)
    try:
        training = Training()
        for _ in range(30):
            training.step()
    finally:
        patches.remove()
    assert watching.probes._failures.keys() == {"routine"}
    for mine, theirs in zip(training.model.parameters(), bare.model.parameters(), strict=True):
        assert torch.equal(mine, theirs)
