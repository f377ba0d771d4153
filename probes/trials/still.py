"""Dropout off while everything else trains: modules, functions, attention, recurrent layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

from ..functions import DROPOUTS

_FUNCTIONS = {*DROPOUTS, torch.feature_dropout, torch.alpha_dropout, torch.feature_alpha_dropout}
_IN_PLACE = {torch.dropout_, torch.feature_dropout_, torch.alpha_dropout_, torch.feature_alpha_dropout_}


class Still(TorchFunctionMode):
    """While it is entered no element is dropped. ``root`` is left without dropout in its attention and recurrent
    layers, whose functions torch calls past every mode."""

    def __init__(self, root: nn.Module) -> None:
        super().__init__()
        for part in root.modules():
            if isinstance(part, nn.RNNBase | nn.MultiheadAttention):
                part.dropout = 0.0
            elif isinstance(part, nn.modules.dropout._DropoutNd):
                part.p = 0.0

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in _FUNCTIONS or func in _IN_PLACE:
            return args[0] if args else kwargs["input"]
        if func is F.scaled_dot_product_attention:
            if len(args) > 4:
                args = (*args[:4], 0.0, *args[5:])
            else:
                kwargs["dropout_p"] = 0.0
        return func(*args, **kwargs)
