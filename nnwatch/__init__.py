"""nnwatch: a terminal monitor and advisor for PyTorch training.

Importing this package is free on purpose: it happens inside the user's training process.
"""

import sys
from typing import Any

__version__ = "0.1.0"
__all__ = ["log"]


def log(**values: Any) -> None:
    """Record values of one's own at the current step: ``nnwatch.log(accuracy=0.93, reward=total)``.

    They are drawn and kept as ``user.accuracy`` and ``user.reward``. Numbers, numpy scalars and tensors of one
    element; a tensor on a GPU is read later, without waiting. Does nothing in a process that is not watched, and never
    raises: what is no number is left out, and the session says so.
    """
    probes = sys.modules.get("nnwatch.probes")
    if probes is not None:
        probes.log(values)
