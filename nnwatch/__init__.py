"""nnwatch: a terminal monitor and advisor for PyTorch training.

Importing this package is free on purpose: it happens inside the user's training process.
"""

import os
import sys
from typing import Any

__version__ = "0.1.0"
__all__ = ["end", "log", "step", "watch"]


def watch(model: Any = None) -> None:
    """Watch this process from now on: a notebook, or a script that has a launcher of its own.

    Starts a monitor, puts the probes on torch, whether it is imported already or not, and prints the command that
    shows the run. What exists already is found: modules, optimizers, schedulers; ``model`` need only be given where it
    could not be. Called again, it does nothing, or starts a monitor that died again; under `nnwatch run` and with
    ``NNWATCH_DISABLE=1`` it does nothing at all. Never raises: where it cannot watch it says so in one line.

    Of several ranks of one launch on a machine it watches the first; `nnwatch run -- torchrun ...` watches all.
    """
    if os.environ.get("NNWATCH_DISABLE") != "1":
        from . import inside

        inside.watch(model)


def end() -> None:
    """Say that the training is over, in a process that watches itself and is killed when it is done, as the workers of
    Ray Train are: without it the run would be told as killed. The recording ends here. Anywhere else it does nothing.
    """
    inside = sys.modules.get("nnwatch.inside")
    if inside is not None:
        inside.end()


def log(**values: Any) -> None:
    """Record values of one's own at the current step: ``nnwatch.log(accuracy=0.93, reward=total)``.

    They are drawn and kept as ``user.accuracy`` and ``user.reward``. Numbers, numpy scalars and tensors of one
    element; a tensor on a GPU is read later, without waiting. Does nothing in a process that is not watched, and never
    raises: what is no number is left out, and the session says so.
    """
    probes = sys.modules.get("nnwatch.probes")
    if probes is not None:
        probes.log(values)


def step(model: Any, loss_fn: Any, x: Any, y: Any) -> None:
    """Say what one training step is, for `nnwatch check`: ``loss_fn(model(x), y)``.

    Only needed where a check says so: where the loss is the script's own arithmetic, it cannot be seen from outside.
    To be called once, before or within the loop, with a batch; ``x`` may be a tuple of arguments. Changes nothing, and
    does nothing in any other run.
    """
    probes = sys.modules.get("nnwatch.probes")
    if probes is not None:
        probes.step(model, loss_fn, x, y)
