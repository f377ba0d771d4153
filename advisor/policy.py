"""What was measured of a policy, which chooses actions and learns from their log-probabilities."""

from __future__ import annotations

import numpy as np

from .context import Context
from .window import Numbers, finite

MOST = 400


def numbers(at: Context, metric: str) -> Numbers:
    """About ``MOST`` values of a metric, evenly spread over the run so far; none where it was not measured."""
    return finite(at.view(metric).thin(MOST).scalar) if at.has(metric) else np.empty(0)
