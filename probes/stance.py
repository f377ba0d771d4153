"""torch.compile set aside for a step whose layers are looked at, where the user has asked for that.

A hook on a module is traced into a compiled graph, breaks it, or is passed over. So such a step runs as eager code:
slower, with more memory for activations, and rounded otherwise; which is why it is only on request.
"""

from __future__ import annotations

from typing import Any

import torch


class Stance:
    """``wanted``: it was asked for."""

    def __init__(self, wanted: bool) -> None:
        self.wanted = wanted and hasattr(torch.compiler, "set_stance")  # from torch 2.6 on
        self._eager: Any = None

    def take(self, eager: bool) -> None:
        """For the coming step."""
        if eager and self._eager is None:
            self._eager = torch.compiler.set_stance("force_eager")
        elif not eager and self._eager is not None:
            before, self._eager = self._eager, None
            before.__exit__(None, None, None)  # as it was, which need not have been the default
