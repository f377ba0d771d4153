"""One tool on one model in a process of its own: `python -m tests.bench.measure MODEL TOOL SECONDS` prints JSON.

CPU time of the training thread. Blocks of ``INTERVAL`` steps are made in turn with the tool and without it; with it
one step of a block is sampled. Blocks, because in a real run a watched step follows a watched step and meets the
caches that this one left. What is printed are medians in microseconds of a bare ``step``, and of what the tool adds to
it in an ``unsampled`` and a ``sampled`` step. Of nnwatch also what a ``thorough`` sample adds, one in five, and what
all that belongs to one sample adds to the steps around it (``around``).
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from statistics import median
from time import monotonic, thread_time_ns
from typing import Any

import torch
import torch.nn.functional as F
from torch.optim.optimizer import (
    _global_optimizer_post_hooks,
    _global_optimizer_pre_hooks,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.utils.data import DataLoader

from nnwatch.probes import fastest, kernel, lane, stages
from nnwatch.probes.hooks import Patches
from nnwatch.probes.sample import THOROUGH
from nnwatch.probes.sampler import DENSE, Sampler
from nnwatch.probes.standby import Standby
from nnwatch.probes.watch import Watch

from .peers import PEERS
from .workloads import BACKWARD, CROSS_ENTROPY, Loop

SHARED = "/dev/shm"
"""Where rings lie."""
INTERVAL = 10
SETTLE = 3
"""Steps at the beginning of a block that warm the caches."""
SHORT = 5000
"""Microseconds of a step below which its caches have to be warmed by a block that is not measured."""
SETTLED = 120
"""Steps after which the interval that the budget allows is the measured one."""
BUDGETS = (0.01, 0.002, 0.05)
"""Shares of the step; the first is the default."""
OURS = {"nnwatch": True, "nnwatch-numpy": False}
"""With the C kernel?"""


def timed(step: Callable[[], Any], times: int) -> list[float]:
    """Microseconds."""
    found = []
    for _ in range(times):
        began = thread_time_ns()
        step()
        found.append((thread_time_ns() - began) / 1000)
    return found


def compared(
    bare: Callable[[], Any],
    watched: Callable[[], Any],
    seconds: float,
    aside: Callable[[], AbstractContextManager[None]] = nullcontext,
    place: int | None = None,
    thorough: Callable[[], bool] = bool,
) -> dict[str, float]:
    """``watched`` makes a sampled step once in INTERVAL calls, as the ``place``-th of a block; where that is not known,
    it is the dearest. ``aside`` takes off what the tool has put on the model, while bare steps are made; ``thorough``
    says whether the sample of the coming block is."""
    with aside():
        short = median(timed(bare, 20)) < SHORT
    timed(watched, 3 * INTERVAL)
    steps: list[float] = []
    blocks: dict[bool, list[list[float]]] = {False: [], True: []}
    until = monotonic() + seconds
    while monotonic() < until or len(steps) < 5:
        with aside():
            steps.append(median(timed(bare, SETTLE + (INTERVAL if short else 3))[SETTLE:]))
        if short:
            timed(watched, INTERVAL)
        kind = thorough()
        blocks[kind].append([time - steps[-1] for time in timed(watched, INTERVAL)])
    places = [median(place) for place in zip(*blocks[False], strict=True)]
    at = place if place is not None else places.index(max(places))
    others = places[:at] + places[at + 1 :]
    found = {"step": median(steps), "unsampled": median(others), "sampled": places[at], "blocks": len(steps)}
    if blocks[True]:
        found |= {"thorough": median(block[at] for block in blocks[True])}
        found |= {"around": sum(others) - len(others) * median(others)}
    return found


@contextmanager
def watching(native: bool, budget: float, every: int | None) -> Iterator[Watch]:
    """nnwatch on torch, with its C kernel or without, sampling every so many steps or as the budget allows."""
    kept = kernel.native, fastest.Fastest, Sampler._choose
    if not native:
        kernel.native, fastest.Fastest = None, lane.Lane
    if every is not None:
        Sampler._choose = lambda self: setattr(self, "every", every)  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory(dir=SHARED if os.path.isdir(SHARED) else None) as folder:
        standby = Standby({"rings": [folder], "ring_bytes": 256 << 20, "budget": budget})
        patches = Patches(standby)
        yield standby.watch
        patches.remove()
    kernel.native, fastest.Fastest, Sampler._choose = kept  # type: ignore[method-assign]


@contextmanager
def unhooked() -> Iterator[None]:
    """A step as torch makes it: the functions themselves, and optimizers without the global hooks. Only values of dicts
    change: taking the patches off would flush the interpreter's caches and slow every step that follows."""
    both: tuple[Any, ...] = (_global_optimizer_pre_hooks, _global_optimizer_post_hooks)
    kept = [dict(hooks) for hooks in both]
    patched = F.cross_entropy, torch.autograd.backward
    for hooks in both:
        hooks.clear()
    F.cross_entropy, torch.autograd.backward = CROSS_ENTROPY, BACKWARD
    yield
    F.cross_entropy, torch.autograd.backward = patched
    for hooks, before in zip(both, kept, strict=True):
        hooks.update(before)


@contextmanager
def unwatched(watch: Watch) -> Iterator[None]:
    """And the model without hooks."""
    state = watch.layers.state
    watch.layers.remove()
    with unhooked():
        yield
    watch.layers.place(state)


def nnwatch(workload: str, native: bool, seconds: float) -> dict[str, float]:
    """At INTERVAL, and how often each budget lets this model be sampled, at what cost by the sampler's own account."""
    with watching(native, 0.01, INTERVAL) as watch:
        loop = Loop(workload)
        for _ in range(DENSE):
            loop.step()
        training = watch._training
        found = compared(
            loop.bare,
            loop.step,
            seconds,
            lambda: unwatched(watch),
            INTERVAL - 1,
            lambda: training.samples % THOROUGH == 0,
        )
    for budget in BUDGETS:
        with watching(native, budget, None) as watch:
            loop = Loop(workload)
            until = monotonic() + seconds / 2
            while monotonic() < until or watch.step < SETTLED:
                loop.step()
            found[f"every {budget}"] = watch.sampler.every
            found[f"reported {budget}"] = watch.sampler.cost or float("nan")
    return found


def far(workload: str, native: bool, seconds: float) -> dict[str, float]:
    """Steps far from any sampled one: the hooks alone, between the operations of the model; and by the ``clock`` in
    them, which is what the sampler goes by."""
    with watching(native, 0.01, 1 << 20) as watch:
        loop, spent, clock = Loop(workload), [0.0], []
        for _ in range(SETTLED):  # after which nothing is looked at for long
            loop.step()
        watch.lane.timed = True

        @contextmanager
        def aside() -> Iterator[None]:
            clock.append(watch.lane.spent - spent[0])
            with unwatched(watch):
                yield
            spent[0] = watch.lane.spent

        found = compared(loop.step, loop.step, seconds, aside, INTERVAL - 1)
        made = INTERVAL * (2 if found["step"] < SHORT else 1)
        return found | {"clock": median(clock[2:]) * 1e6 / made}


def floor(workload: str, seconds: float) -> dict[str, float]:
    """Nothing but a call in C at each place where a hook of an unsampled step is: what no hook can go below."""
    nothing: Any = memoryview(b"").__exit__
    loop, kept = Loop(workload), (F.cross_entropy, torch.autograd.backward)
    F.cross_entropy, torch.autograd.backward = partial(kept[0]), partial(kept[1])
    hooks = register_optimizer_step_pre_hook(nothing), register_optimizer_step_post_hook(nothing)
    found = compared(loop.step, loop.step, seconds, unhooked, INTERVAL - 1)
    for hook in hooks:
        hook.remove()
    F.cross_entropy, torch.autograd.backward = kept
    return found


def warm(native: bool) -> float:
    """Microseconds of one unsampled step's hooks, in the lane, called over and over."""
    with watching(native, 0.01, 1 << 20) as watch:
        loop = Loop("mlp")
        while watch.step < 120:
            loop.step()
        made, optimizer = watch.lane, loop.optimizer
        output, target = torch.zeros(4, 2, requires_grad=True), torch.tensor([0, 1, 0, 1])
        value = CROSS_ENTROPY(output, target)

        def given(*_: Any) -> torch.Tensor:
            return value

        def in_c(stage: int) -> Any:
            return made.patch(stage, "cross_entropy", given, None, None, None)

        def loss_in_python(*args: Any) -> None:
            made.loss("cross_entropy", given, args, {}, given())

        def backward_in_python(tensors: torch.Tensor) -> None:
            made.backward(tensors)
            given()
            made.stage = stages.STEP

        def in_python(stage: int) -> Any:
            after = made.steps if stage == stages.STEP else made.stepped
            hooks = {stages.LOSS: loss_in_python, stages.BACKWARD: backward_in_python}
            return hooks.get(stage, lambda optimizer, *_: after(optimizer))

        places = stages.LOSS, stages.BACKWARD, stages.STEP, stages.STEPPING
        loss, backward, before, after = map(in_c if native else in_python, places)

        def hooks() -> None:
            for _ in range(100):
                loss(output, target)
                backward(value)
                before(optimizer, (), {})
                after(optimizer, (), {})

        return median(timed(hooks, 50)) / 100


def lightning(workload: str, seconds: float) -> dict[str, float]:
    """DeviceStatsMonitor and the gradient norm of every parameter, over the Trainer without them."""
    from lightning.pytorch import Callback, LightningModule, Trainer
    from lightning.pytorch.callbacks import DeviceStatsMonitor
    from lightning.pytorch.loggers import CSVLogger
    from lightning.pytorch.utilities import grad_norm

    class Module(LightningModule):
        def __init__(self, loop: Loop, watched: bool) -> None:
            super().__init__()
            self.model, self.loop, self.watched = loop.model, loop, watched

        def training_step(self, batch: Any, _: int) -> torch.Tensor:
            loss = torch.nn.functional.cross_entropy(self.model(batch[0]), batch[1])
            if self.watched:
                self.log("loss", loss)
            return loss

        def on_before_optimizer_step(self, _: Any) -> None:
            if self.watched and self.trainer.global_step % INTERVAL == INTERVAL - 1:
                self.log_dict(grad_norm(self.model, 2))

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return self.loop.optimizer

    class Clock(Callback):
        def __init__(self) -> None:
            self.times: list[float] = []

        def on_train_batch_start(self, *_: Any) -> None:
            self.times.append(thread_time_ns() / 1000)

    def fitted(watched: bool, steps: int) -> list[list[float]]:
        loop, clock = Loop(workload), Clock()
        with tempfile.TemporaryDirectory() as folder:
            trainer = Trainer(
                accelerator="cpu", max_epochs=1, log_every_n_steps=INTERVAL, enable_checkpointing=False,
                enable_progress_bar=False, enable_model_summary=False, logger=CSVLogger(folder) if watched else False,
                callbacks=[clock, DeviceStatsMonitor(cpu_stats=True)] if watched else [clock],
            )  # fmt: skip
            batches: Any = [(loop.x, loop.y)] * steps
            trainer.fit(Module(loop, watched), DataLoader(batches, batch_size=None))
        took = [after - before for before, after in zip(clock.times, clock.times[1:], strict=False)]
        return [took[place::INTERVAL][2:] for place in range(INTERVAL)]

    rounds = max(10, int(seconds * 1e6 / INTERVAL / 4 / median(timed(Loop(workload).bare, 30)) / 2))
    plain = [median(place) for place in fitted(False, INTERVAL * rounds)]
    *unsampled, sampled = sorted(median(place) for place in fitted(True, INTERVAL * rounds))
    step = median(plain)
    return {"step": step, "unsampled": median(unsampled) - step, "sampled": sampled - step, "blocks": rounds}


def main() -> None:
    workload, tool, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    torch.set_num_threads(1)
    if tool == "control":  # two equal copies differ too: their tensors lie differently in the caches
        found = compared(Loop(workload).bare, Loop(workload).bare, seconds, place=INTERVAL - 1)
    elif tool in ("far", "far-numpy"):
        found = far(workload, tool == "far", seconds)
    elif tool == "floor":
        found = floor(workload, seconds)
    elif tool == "warm":
        found = {"c": warm(True), "python": warm(False)}
    elif tool == "lightning":
        found = lightning(workload, seconds)
    elif tool in OURS:
        found = nnwatch(workload, OURS[tool], seconds)
    else:
        with tempfile.TemporaryDirectory() as folder:
            watched = PEERS[tool][1](Loop(workload), folder, INTERVAL)
            found = compared(Loop(workload).bare, watched, seconds)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
