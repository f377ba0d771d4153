"""Adam (Kingma and Ba, 2015) without weight decay: of the experiments, known to no hook on torch's optimizers."""

from __future__ import annotations

from collections.abc import Sequence

import torch


class Adam:
    """Steps on ``parameters`` at ``rate``; one without a gradient stays as it is."""

    def __init__(self, parameters: Sequence[torch.Tensor], rate: float) -> None:
        self._parameters = parameters
        self._rate = rate
        self._first = [torch.zeros_like(p) for p in parameters]
        self._second = [torch.zeros_like(p) for p in parameters]
        self._steps = 0

    @torch.no_grad()
    def step(self, gradients: Sequence[torch.Tensor | None]) -> None:
        self._steps += 1
        large, small = 1 - 0.9**self._steps, 1 - 0.999**self._steps
        for parameter, gradient, first, second in zip(
            self._parameters, gradients, self._first, self._second, strict=True
        ):
            if gradient is not None:
                dense = gradient.to_dense() if gradient.is_sparse else gradient
                first.lerp_(dense, 0.1)
                second.mul_(0.999).addcmul_(dense, dense, value=0.001)
                parameter.addcdiv_(first / large, (second / small).sqrt_().add_(1e-8), value=-self._rate)
