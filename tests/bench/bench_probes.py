"""Cost of the probes per training step, in CPU time of the training thread.

`python -m tests.bench.bench_probes` trains three copies of each model step by step in turn: bare, bare again (how far
two equal copies differ is the noise) and watched. The medians of the paired differences are printed, apart for sampled
and unsampled steps.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from time import thread_time_ns
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

from nnwatch.probes.hooks import Patches
from nnwatch.probes.watch import Watch

ROUNDS = 3000


def mlp() -> tuple[nn.Module, torch.Tensor]:
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))
    return model, torch.randn(64, 64)


def cnn() -> tuple[nn.Module, torch.Tensor]:
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )
    return model, torch.randn(8, 3, 32, 32)


def steps(make: Callable[[], tuple[nn.Module, torch.Tensor]], watched: bool) -> Callable[[], None]:
    """One training step of a fresh copy, as a function; a bare one calls what the patches call."""
    torch.manual_seed(0)
    model, x = make()
    y = torch.randint(0, 10, (len(x),))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    cross_entropy, backward = F.cross_entropy, torch.autograd.backward
    if not watched:
        cross_entropy, backward = cross_entropy.__wrapped__, backward.__wrapped__  # type: ignore[attr-defined]

    def step() -> None:
        optimizer.zero_grad()
        backward(cross_entropy(model(x), y))
        optimizer.step()

    return step


@contextmanager
def no_hooks() -> Iterator[None]:
    """Optimizers step without the global hooks. Only dicts change: taking the patches off would flush the
    interpreter's caches and slow every step that follows."""
    both: tuple[Any, ...] = (_global_optimizer_pre_hooks, _global_optimizer_post_hooks)
    kept = [(hooks, dict(hooks)) for hooks in both]
    for hooks, _ in kept:
        hooks.clear()
    yield
    for hooks, before in kept:
        hooks.update(before)


def timed(step: Callable[[], None]) -> int:
    began = thread_time_ns()
    step()
    return thread_time_ns() - began


def measure(name: str, make: Callable[[], tuple[nn.Module, torch.Tensor]], rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        watch = Watch({"rings": [folder], "ring_bytes": 256 << 20, "budget": 0.01})
        patches = Patches(watch)
        watched = steps(make, True)
        bare, again = steps(make, False), steps(make, False)
        base: list[int] = []
        noise: list[int] = []
        idle: list[int] = []
        sampled: list[int] = []
        for _ in range(rounds):
            with no_hooks():
                plain, control = timed(bare), timed(again)
            close = watch.sampled
            seen = timed(watched)
            base.append(plain)
            noise.append(control - plain)
            (sampled if close else idle).append(seen - plain)
        patches.remove()
    step = median(base) / 1000
    cost = watch.sampler.cost or float("nan")
    unsampled = median(idle) / 1000
    print(
        f"{name:5} {step:9.0f} {median(noise) / 1000:+9.1f} {unsampled:+10.1f} ({100 * unsampled / step:.2f} %)"
        f" {median(sampled) / 1000:+9.1f} {watch.sampler.every:7} {100 * cost:8.2f} %"
    )


def main() -> None:
    torch.set_num_threads(1)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    print(f"torch {torch.__version__}, one thread, {rounds} rounds; microseconds of the training thread, medians")
    print("model bare step   control   unsampled             sampled   every watch.cost")
    measure("MLP", mlp, rounds)
    measure("CNN", cnn, rounds // 5)


if __name__ == "__main__":
    main()
