"""Which random number generators the script has seeded itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch


class Seeds:
    def __init__(self) -> None:
        self.torch: int | None = None
        """What torch.manual_seed was last given."""
        self.python = False
        """random.seed was called; before torch was imported nobody saw it."""

    def torch_seeded(self, seed: Any) -> None:
        self.torch = int(seed)

    def python_seeded(self) -> None:
        self.python = True

    def facts(self) -> dict[str, Any]:
        return {
            "seeds": {
                "torch": self.torch,
                "numpy": _numpy_seeded(),
                "python": self.python,
                "deterministic": torch.are_deterministic_algorithms_enabled() or torch.backends.cudnn.deterministic,
            }
        }


def _numpy_seeded() -> bool:
    """The global generator begins with entropy of its own, which np.random.seed takes away."""
    generator = getattr(np.random.mtrand, "_rand", None)
    bits = getattr(generator, "_bit_generator", None)
    return bits is not None and getattr(bits, "_seed_seq", bits) is None
