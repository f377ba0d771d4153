"""Entropy of the distributions that a step used, and KL divergences.

A class of torch.distributions is patched when its first object is made; what is called later costs a look whether the
step is sampled. A KL term written by hand, -0.5 * sum(1 + logvar - mu^2 - exp(logvar)), is read from the graph.
"""

from __future__ import annotations

import functools
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.distributions import Distribution

from .fetch import Fetch
from .graph import operation, saved
from .sample import Sample

USED = ("log_prob", "sample", "rsample")
MOST = 8
"""Calls looked at in a step, at most."""
LOGS = 1024
"""Log-probabilities of a step that are known, at most: an episode has one an action."""
DRAWN = 64
"""Samples remembered, the last ones."""
LINEAR = ("Add", "Sub", "Rsub", "Mul", "Div", "Neg", "Sum", "Mean")
"""Operations between a loss and the parts of its KL term."""
NODES = 64


class Distributions:
    """``sample()`` is the step's, None where it is not looked at closely; ``run`` keeps an error of ours from the
    script."""

    def __init__(
        self,
        fetch: Callable[[], Fetch],
        sample: Callable[[], Sample | None],
        run: Callable[[str, Callable[[], None]], None],
    ) -> None:
        self._fetch = fetch
        self._sample = sample
        self._run = run
        self._owner: Sample | None = None
        self._seen: set[int] = set()
        self._values: dict[str, list[float]] = {}
        self._patched: set[tuple[type, str]] = set()
        self._inside = False
        """A call is under way; what it calls in turn, or we do, is part of it."""
        self._drawn: deque[weakref.ref[torch.Tensor]] = deque(maxlen=DRAWN)
        self._rated = False
        """The log-probability of a sample was asked for."""
        self._logs: dict[int, torch.Tensor] = {}
        """What log_prob gave in the step, with a gradient, by the numbers of their nodes."""
        self.reinforces = False
        """And one with a gradient after it: a policy is told by it which of its actions to repeat."""

    def made(self, distribution: Distribution) -> Iterator[tuple[type, str, Callable[..., Any]]]:
        """Owner, name and patch of each method that a step may call of it, wherever its class has it from; once."""
        for name in USED:
            owner = next(cls for cls in type(distribution).__mro__ if name in vars(cls))
            if owner is not Distribution and (owner, name) not in self._patched:
                self._patched.add((owner, name))
                yield owner, name, self._method(vars(owner)[name])

    def _method(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def method(distribution: Distribution, *args: Any, **kwargs: Any) -> Any:
            def see(found: Any) -> None:
                self._used(distribution)
                if original.__name__ == "sample":
                    self._drawn.append(weakref.ref(found))
                elif original.__name__ == "log_prob":
                    self._rates(args[0] if args else kwargs.get("value"), found)

            return self._watched(original, (distribution, *args), kwargs, see)

        return method

    def _rates(self, value: Any, found: torch.Tensor) -> None:
        """log_prob(``value``) gave ``found``. A sample is rated before it is put into a buffer, or for the loss."""
        if found.grad_fn is not None and len(self._logs) < LOGS and self._looking():
            self._logs[found.grad_fn._sequence_nr()] = found.detach()
        self._rated = self._rated or any(drawn() is value for drawn in self._drawn)
        self.reinforces = self.reinforces or (self._rated and found.requires_grad)

    @property
    def logs(self) -> dict[int, torch.Tensor]:
        """Log-probabilities of the step so far that have a gradient, by the numbers of their nodes."""
        return self._logs if self._looking() else {}

    def divergence(self, original: Callable[..., torch.Tensor], p: Distribution, q: Distribution) -> torch.Tensor:
        """kl_divergence is called."""
        found: torch.Tensor = self._watched(original, (p, q), {}, lambda found: self._diverged(p, found))
        return found

    def _watched(
        self, original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], see: Callable[[Any], None]
    ) -> Any:
        if self._inside or torch.compiler.is_compiling() or self._sample() is None:
            return original(*args, **kwargs)
        self._inside = True
        try:
            value = original(*args, **kwargs)
        finally:
            self._inside = False
        self._run("distributions", lambda: see(value))
        return value

    def _used(self, distribution: Distribution) -> None:
        """A distribution's log_prob or sample was called."""
        if self._looking() and id(distribution) not in self._seen and len(self._seen) < MOST:
            self._seen.add(id(distribution))
            self._measure("distribution.entropy", lambda: distribution.entropy())

    def _diverged(self, first: Distribution, found: torch.Tensor) -> None:
        """kl_divergence of ``first`` from another gave ``found``."""
        if self._looking() and len(self._values.get("distribution.kl", [])) < MOST:
            self._measure("distribution.kl", lambda: found.detach() / max(1, first.event_shape.numel()))

    def written(self, node: Any) -> None:
        """A backward pass begins at ``node``."""
        parts = _gaussian(node) if node is not None and self._looking() else None
        if parts is not None:
            mean, variance = parts
            self._measure("distribution.kl", lambda: (mean.square() + variance - 1 - variance.log()) / 2)

    def _looking(self) -> bool:
        sample = self._sample()
        if sample is None:
            return False
        if sample is not self._owner:
            self._owner, self._seen, self._values, self._logs = sample, set(), {}, {}
            sample.at_end(self._put)
        return True

    def _measure(self, metric: str, work: Callable[[], torch.Tensor]) -> None:
        """Mean of what ``work`` gives."""
        outer, self._inside = self._inside, True
        try:
            with torch.no_grad():
                number = work().float().mean()
        except NotImplementedError:  # a distribution without an entropy of closed form
            return
        finally:
            self._inside = outer
        values = self._values
        self._fetch()([number], lambda arrays: values.setdefault(metric, []).append(float(arrays[0])))

    def _put(self, sample: Sample) -> None:
        for metric, values in self._values.items():
            sample.put(metric, np.mean(values))
        self._owner, self._logs = None, {}


def _gaussian(root: Any) -> tuple[torch.Tensor, torch.Tensor] | None:
    """mu and exp(logvar) of the one KL term to the standard normal that the loss at ``root`` has, if it has one."""
    means: list[torch.Tensor | None] = []
    variances: list[torch.Tensor | None] = []
    queue, seen = [root], {root}
    for node in queue:
        if node is None:
            continue
        kind = operation(node)
        if kind == "Exp":
            variances.append(saved(node, "result"))
        elif kind == "Pow" and node._saved_exponent == 2:
            means.append(saved(node, "self"))
        elif kind in LINEAR:
            for below, _ in node.next_functions:
                if below is not None and below not in seen and len(seen) < NODES:
                    seen.add(below)
                    queue.append(below)
    if len(means) == len(variances) == 1:
        mean, variance = means[0], variances[0]
        if mean is not None and variance is not None and mean.shape == variance.shape:
            return mean.detach(), variance.detach()
    return None
