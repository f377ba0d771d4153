"""``Trainer(callbacks=[NnwatchCallback()])``"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import nnwatch

if "pytorch_lightning" in sys.modules or TYPE_CHECKING:
    from pytorch_lightning import Callback  # a package of its own, whose Trainer wants its own callbacks
else:
    from lightning.pytorch import Callback


class NnwatchCallback(Callback):
    """What the module logs by ``self.log`` is drawn under its own name."""

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        nnwatch.watch(pl_module)
