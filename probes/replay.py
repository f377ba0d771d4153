"""A second pass through the model on the batch just seen.

Nothing stays behind (`undo.py`). Not possible where a pass talks to other ranks, and not asked for where the model is
compiled.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from .layers import Call
from .undo import undone


class NotRepeatableError(Exception):
    """The pass cannot be made again."""


def inner(module: nn.Module) -> nn.Module:
    """The model that a pass can be made through; under DDP the wrapped one, which talks to nobody.

    Raises NotRepeatableError where every pass talks to other ranks, or goes where no copy of a buffer can be put.
    """
    root = module.module if isinstance(module, nn.parallel.DistributedDataParallel) else module
    for part in root.modules():
        if isinstance(part, nn.SyncBatchNorm | torch.jit.ScriptModule) or "FSDP" in type(part).__name__:
            raise NotRepeatableError
    return root


def repeat(call: Call) -> Any:
    """What the model gives for the same arguments."""
    with undone(inner(call.module), call.begun), torch.no_grad():
        return inner(call.module)(*cloned(call.args), **cloned(call.kwargs))


def cloned(values: Any) -> Any:
    """The same arguments for a model that may overwrite them."""
    if isinstance(values, torch.Tensor):
        return values.detach().clone()
    if type(values) in (list, tuple):
        return type(values)(cloned(value) for value in values)
    return {key: cloned(value) for key, value in values.items()} if type(values) is dict else values
