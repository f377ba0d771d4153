"""Modules that torch computes in one kernel while they are evaluated, to other bits than the functions one by one.

They do so only as long as none of their parts has a hook and no mode of torch functions is entered
(torch.nn.TransformerEncoderLayer, `torch.backends.mha`): a frozen encoder in a model that trains is not looked into.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable

from torch import nn

KINDS = (nn.TransformerEncoder, nn.TransformerEncoderLayer, nn.MultiheadAttention)


def fused(module: nn.Module) -> bool:
    """Would it be computed in one now?"""
    return isinstance(module, KINDS) and not module.training


class Fused:
    """Those of a model."""

    def __init__(self, roots: Iterable[nn.Module] = ()) -> None:
        found = {module for root in roots for module in root.modules() if isinstance(module, KINDS)}
        self.modules = [weakref.ref(module) for module in found]

    @property
    def parts(self) -> set[int]:
        """The id() of every module in those that would be computed in one now; most models have none."""
        now = [module for ref in self.modules if (module := ref()) is not None and fused(module)]
        return {id(part) for module in now for part in module.modules()}
