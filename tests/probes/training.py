"""A little training under the probes, and what they recorded of it."""

from __future__ import annotations

import numpy as np
import torch

STEPS = 10
THOROUGH = [1, 6]


def train(make, data, loss, steps=STEPS, after=None):
    """``after(step, model)`` follows each step."""
    model = make()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    seen = []  # what went into the loss, and its value
    for step in range(steps):
        x, y = data[step % len(data)]
        optimizer.zero_grad()
        output = model(x)
        value = loss(output, y)
        value.backward()
        optimizer.step()
        seen.append((output.detach().clone(), y, value.item()))
        if after is not None:
            after(step, model)
    return seen


def approx(found, wanted, tolerance=2e-5):
    np.testing.assert_allclose(found, np.array(wanted, float), rtol=tolerance, atol=1e-6)
