"""The tools that watch a training by calls in its code, each used as its documentation says: a function makes a step
of a ``Loop`` that is watched, with statistics of every parameter once in ``interval`` steps and the loss in each."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from typing import Any

from torch import nn

from .workloads import Loop

Step = Callable[[], Any]


def wandb(loop: Loop, folder: str, interval: int) -> Step:
    """wandb.watch(log="all") and wandb.log, offline."""
    os.environ["WANDB_SILENT"] = "true"
    import wandb as tool

    run = tool.init(mode="offline", dir=folder, project="bench", settings=tool.Settings(console="off"))
    run.watch(loop.model, log="all", log_freq=interval)

    def step() -> None:
        run.log({"loss": loop.bare().item()})

    return step


def tensorboard(loop: Loop, folder: str, interval: int) -> Step:
    """add_scalar of the loss, add_histogram of every parameter and gradient."""
    from torch.utils.tensorboard import SummaryWriter

    writer: Any = SummaryWriter(folder)
    numbers = count(1)

    def step() -> None:
        number = next(numbers)
        writer.add_scalar("loss", loop.bare().item(), number)
        if number % interval == 0:
            for name, parameter in loop.model.named_parameters():
                writer.add_histogram(name, parameter, number)
                writer.add_histogram(name + ".grad", parameter.grad, number)

    return step


def traceml(loop: Loop, folder: str, interval: int) -> Step:
    """trace_step, which takes timings and no statistics, in every step."""
    os.chdir(folder)
    import traceml_ai as tool

    tool.init(logs_dir=folder, on_missing_aggregator="warn", connect_timeout_sec=0.2)

    def step() -> None:
        with tool.trace_step(loop.model):
            loop.step()

    return step


def cockpit(loop: Loop, folder: str, interval: int) -> Step:
    """Its economy configuration, which needs an extended model and loss, and the losses of single samples."""
    from backpack import extend
    from cockpit import Cockpit
    from cockpit.utils.configuration import configuration
    from cockpit.utils.schedules import linear

    model, mean = extend(loop.model), extend(nn.CrossEntropyLoss())
    each = extend(nn.CrossEntropyLoss(reduction="none"))
    tool = Cockpit(model.parameters(), quantities=configuration("economy", track_schedule=linear(interval)))
    numbers = count()

    def step() -> None:
        number = next(numbers)
        loop.optimizer.zero_grad()
        output = model(loop.x)
        loss = mean(output, loop.y)
        more = {
            "batch_size": len(loop.x),
            "individual_losses": each(output, loop.y),
            "loss": loss,
            "optimizer": loop.optimizer,
        }
        with tool(number, info=more):
            loss.backward(create_graph=tool.create_graph(number))
        loop.optimizer.step()

    return step


PEERS: dict[str, tuple[str, Callable[[Loop, str, int], Step]]] = {
    "wandb": ("wandb.watch + log", wandb),
    "tensorboard": ("TensorBoard", tensorboard),
    "traceml_ai": ("TraceML (timings)", traceml),
    "cockpit": ("Cockpit economy", cockpit),
}
"""By the module they are installed as."""
