"""Cost of the probes per training step, in CPU time of the training thread.

`OMP_NUM_THREADS=1 python -m tests.bench.bench_probes` makes blocks of steps of one model in turn: bare, bare again (the
noise) and watched, in an order that changes from round to round. What is printed are medians over the rounds of the
difference between a block's median step and the bare block's, apart for unsampled and sampled steps. Blocks, because
in a real run a watched step follows a watched step; one model, because two equal copies differ by more than the probes
cost: their tensors lie differently in the caches.
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

ROUNDS = 150
BLOCK = 20
WARM = 3


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


def steps(make: Callable[[], tuple[nn.Module, torch.Tensor]]) -> tuple[Callable[[], None], Callable[[], None]]:
    """A training step of one model, bare and watched; the bare one calls what the patches call."""
    torch.manual_seed(0)
    model, x = make()
    y = torch.randint(0, 10, (len(x),))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    originals = F.cross_entropy.__wrapped__, torch.autograd.backward.__wrapped__  # type: ignore[attr-defined]

    def bare() -> None:
        cross_entropy, backward = originals
        optimizer.zero_grad()
        backward(cross_entropy(model(x), y))
        optimizer.step()

    def watched() -> None:
        optimizer.zero_grad()
        torch.autograd.backward(F.cross_entropy(model(x), y))
        optimizer.step()

    return bare, watched


@contextmanager
def modules_bare(watch: Watch) -> Iterator[None]:
    """The model without the hooks that a sampled step has put on it."""
    state = watch.layers.state
    watch.layers.remove()
    yield
    watch.layers.place(state)


@contextmanager
def hooks_off() -> Iterator[None]:
    """Optimizers step without the global hooks. Only dicts change: taking the patches off would flush the
    interpreter's caches and slow every step that follows."""
    both: tuple[Any, ...] = (_global_optimizer_pre_hooks, _global_optimizer_post_hooks)
    kept = [(hooks, dict(hooks)) for hooks in both]
    for hooks, _ in kept:
        hooks.clear()
    yield
    for hooks, before in kept:
        hooks.update(before)


def timed(step: Callable[[], None]) -> float:
    """Microseconds."""
    began = thread_time_ns()
    step()
    return (thread_time_ns() - began) / 1000


def measure(name: str, make: Callable[[], tuple[nn.Module, torch.Tensor]], rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        watch = Watch({"rings": [folder], "ring_bytes": 64 << 20, "budget": 0.01})
        patches = Patches(watch)
        bare, watched = steps(make)
        base: list[float] = []
        noise: list[float] = []
        extra: dict[bool, list[float]] = {True: [], False: []}
        for turn in range(rounds):
            times: dict[int, dict[bool, list[float]]] = {}
            for place in range(3):
                which = (turn + place) % 3
                times[which] = block(watch, watched) if which == 2 else block_bare(watch, bare)
            plain = median(times[0][False])
            base.append(plain)
            noise.append(median(times[1][False]) - plain)
            if times[2][False]:
                extra[False].append(median(times[2][False]) - plain)
            extra[True] += [time - plain for time in times[2][True]]
        patches.remove()
    step, unsampled, sampled = median(base), median(extra[False]), median(extra[True][-len(extra[True]) // 2 :])
    cost = watch.sampler.cost or float("nan")
    print(
        f"{name:5} {step:9.0f} {median(noise):+9.1f} {unsampled:+10.1f} ({100 * unsampled / step:.2f} %)"
        f" {sampled:+9.1f} {watch.sampler.every:7} {100 * cost:8.2f} %"
    )


def block(watch: Watch, step: Callable[[], None]) -> dict[bool, list[float]]:
    """Microseconds of some steps in a row, by whether they were sampled; the first ones only warm the caches."""
    times: dict[bool, list[float]] = {True: [], False: []}
    for number in range(WARM + BLOCK):
        close = watch.sampled
        took = timed(step)
        if number >= WARM or close:
            times[close].append(took)
    return times


def block_bare(watch: Watch, step: Callable[[], None]) -> dict[bool, list[float]]:
    with hooks_off(), modules_bare(watch):
        return {False: [timed(step) for _ in range(WARM + BLOCK)][WARM:]}


def warm() -> float:
    """Microseconds of one unsampled step's hooks, in the lane, called over and over."""
    with tempfile.TemporaryDirectory() as folder:
        watch = Watch({"rings": [folder], "ring_bytes": 64 << 20, "budget": 1e-9})
        patches = Patches(watch)
        _, watched = steps(mlp)
        while watch.step < 120:
            watched()
        optimizer = next(iter(watch.script.optimizers()))
        lane, function = watch.lane, F.cross_entropy.__wrapped__  # type: ignore[attr-defined]
        output, target = torch.zeros(4, 2, requires_grad=True), torch.tensor([0, 1, 0, 1])
        loss = function(output, target)

        def hooks() -> None:
            for _ in range(100):
                lane.loss("cross_entropy", function, (output, target), {}, loss)
                lane.backward(loss)
                lane.steps(optimizer)
                lane.stepped(optimizer)

        found = median(timed(hooks) for _ in range(50)) / 100
        patches.remove()
    return found


def main() -> None:
    torch.set_num_threads(1)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    print(f"torch {torch.__version__}, one thread, {rounds} rounds of {BLOCK} steps")
    print("microseconds of the training thread, medians")
    print("model bare step   control   unsampled             sampled   every watch.cost")
    measure("MLP", mlp, rounds)
    measure("CNN", cnn, rounds // 3)
    print(f"hooks of an unsampled step, warm: {warm():.1f}")


if __name__ == "__main__":
    main()
