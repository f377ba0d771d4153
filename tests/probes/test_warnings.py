"""A warning is told as it would be without us: by the same line, as often, and none that is ours."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nnwatch.probes import kernel, sampler
from nnwatch.probes.attribution import quiet

from .harness import watched

STEPS = 30


class Warns(nn.Module):
    """Warns in Python and in C++, called as a function and by a module."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(4, 3), nn.Softmax())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = F.softmax(torch.tanh(self.first(x)))
        return found * found.reshape(1, *found.shape).T.shape[0]


def told(how: str) -> list[list[tuple[str, str, int]]]:
    """Of each step: text, file and line. ``warnings`` remember in the modules what was told once."""
    torch.manual_seed(0)
    model = Warns()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    x, y = torch.randn(8, 4), torch.zeros(8, 1)
    found = []
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter(how)  # type: ignore[arg-type]
        for _ in range(STEPS):
            seen.clear()
            optimizer.zero_grad()
            F.mse_loss(model(x).sum(1), y).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            found.append([(str(each.message), each.filename, each.lineno) for each in seen])
    return found


@pytest.fixture(autouse=True)
def few_samples(monkeypatch):
    monkeypatch.setattr(sampler, "DENSE", 3)
    monkeypatch.setattr(sampler.Sampler, "_choose", lambda self: setattr(self, "every", 12))
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(before)


@pytest.mark.parametrize("how", ["always", "default"])
def test_the_line_is_the_users_and_so_is_how_often(how, tmp_path: Path):
    bare = told(how)
    seen: list[list[tuple[str, str, int]]] = []
    watched(tmp_path, lambda: seen.extend(told(how)))
    assert any("softmax" in text for text, _, _ in bare[0])
    assert any("target size" in text for text, _, _ in bare[0])
    if kernel.native is None:  # torch's own in C++ name the line of the mode
        bare, seen = ([[each for each in step if ".T" not in each[0]] for step in all_] for all_ in (bare, seen))
    for number, (mine, theirs) in enumerate(zip(seen, bare, strict=True)):
        assert mine == theirs, number
    assert bool(bare[-1]) is (how == "always")


def test_in_quiet_nothing_is_told_and_nothing_forgotten():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("default")
        for _ in range(2):
            warnings.warn("once", stacklevel=1)
            with quiet():
                warnings.warn("never", stacklevel=1)
    assert [str(each.message) for each in seen] == ["once"]


def test_errors_made_of_warnings_do_not_stop_a_probe(tmp_path: Path):
    def run() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = nn.Linear(3, 1)
            optimizer = torch.optim.SGD(model.parameters(), 0.1)
            for _ in range(3):
                optimizer.zero_grad()
                nn.MSELoss()(model(torch.randn(8, 3)), torch.randn(8, 1)).backward()
                optimizer.step()

    assert watched(tmp_path, run).steps("loss.train") == [1, 2, 3]


def test_what_the_user_puts_in_the_place_of_warn_stays_and_may_call_what_it_found(tmp_path: Path):
    plain, heard = warnings.warn, []
    put: list[object] = []

    class Wraps(Warns):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if not put:  # within the first pass that is watched
                found = warnings.warn

                def warn(message: str, *args: object, **kwargs: object) -> None:
                    heard.append(message)
                    found("again", stacklevel=1)

                put.append(warn)
                warnings.warn = warn  # type: ignore[assignment]
            return super().forward(x)

    def run() -> None:
        model = Wraps()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        for _ in range(4):
            optimizer.zero_grad()
            F.mse_loss(model(torch.randn(8, 4)).sum(1), torch.zeros(8)).backward()
            optimizer.step()

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            recorded = watched(tmp_path, run)
        assert [warnings.warn] == put
    finally:
        warnings.warn = plain
    assert recorded.steps("loss.train") == [1, 2, 3, 4]
    assert len(heard) == 2 * 4
