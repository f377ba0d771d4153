"""Loss and learning rate of each step, as the script makes it, and the step that is captured.

Around the patches of the probes there is one more on ``torch.autograd.backward``, and a hook behind theirs on every
optimizer, also of frameworks that have their own: here it is no matter what a step costs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from ..loss import consumed
from ..stand_ins import StandIn
from ..standby import Standby
from .captured import Step
from .seen import Seen
from .subject import NotPossibleError

TRIES = 20
"""Steps among which one has to be captured."""


class Recorder:
    """``before(optimizer)`` and ``after(optimizer)`` are called around each step of an optimizer (None: the script has
    none, and a backward pass is a step)."""

    def __init__(
        self, standby: Standby, before: Callable[[Any], None] | None, after: Callable[[Any], None], capture: bool
    ) -> None:
        self._standby = standby
        self._before = before
        self._after = after
        self.losses: list[float] = []
        self.rates: list[float] = []
        self.steps = 0
        self.step: Step | None = None
        self.why = "no step of the script could be captured"
        self.weights: list[tuple[torch.Tensor, torch.Tensor]] = []
        """Parameters, buffers and what they were before the first step."""
        self._wanted = self._seeing = capture
        self.seen = Seen()
        """Samples of the steps that the probes look at, where no loader gives them."""
        self._values: list[float] = []
        self._passes = 0
        self._held: Any = None

    def begin(self) -> None:
        self._backward = torch.autograd.backward
        torch.autograd.backward = self._passes_back
        if self._before is not None:
            register_optimizer_step_pre_hook(lambda optimizer, args, kwargs: self._stepping(optimizer))
        register_optimizer_step_post_hook(lambda optimizer, args, kwargs: self._stepped(optimizer))
        stepping = self._standby.watch.stepping
        before, after = stepping.before, stepping.after

        def stands_before(optimizer: Any, closure: bool) -> None:
            before(optimizer, closure)
            if isinstance(optimizer, StandIn):
                self._stepping(optimizer)

        def stands_after(optimizer: Any, closure: bool) -> None:
            after(optimizer, closure)
            if isinstance(optimizer, StandIn):
                self._stepped(optimizer)

        stepping.before, stepping.after = stands_before, stands_after  # type: ignore[method-assign]
        self._hold_loader()
        if self._wanted:
            self._standby.watch.layers.keep = True

    def _hold_loader(self) -> None:
        """A loader that is made where the loop begins would be gone with its first batch: the last one is kept."""
        loaders = self._standby.watch.loaders
        began = loaders.began

        def hold(loader: Any, iterator: Any) -> None:
            self._held = loader
            began(loader, iterator)

        loaders.began = hold  # type: ignore[method-assign]

    @property
    def _ours(self) -> bool:
        """Is it an experiment that passes back?"""
        watch = self._standby.made
        return torch.compiler.is_compiling() or (watch is not None and watch.training.busy)

    def _passes_back(self, tensors: Any, *args: Any, **kwargs: Any) -> Any:
        if self._ours or self._standby.lane.inside_backward:
            return self._backward(tensors, *args, **kwargs)
        root = tensors if isinstance(tensors, torch.Tensor) else next(iter(tensors))
        if not self.weights:
            self._keep()
        if self._wanted:
            self._try(root.grad_fn)
        if self._seeing and self._standby.lane.trained_on is None:
            self._see(root.grad_fn)
        self._passes += 1
        if root.numel() == 1:
            self._values.append(float(root.detach()) / self._scale())
        if self._standby.watch.training.clock.by_backward:
            self._stepping(None)
        given = self._backward(tensors, *args, **kwargs)
        watch = self._standby.made
        if watch is not None and watch.training.clock.by_backward:
            self._stepped(None)
        return given

    def _scale(self) -> float:
        """That a gradient scaler has put on the loss."""
        scale = float(self._standby.watch.training.scale())
        return scale if scale == scale and scale else 1.0

    def _stepping(self, optimizer: Any) -> None:
        if not self._ours and self._before is not None:
            self._before(optimizer)

    def _stepped(self, optimizer: Any) -> None:
        if self._ours:
            return
        if self._passes:
            self.steps += 1
            self._passes = 0
            self.losses.append(sum(self._values) / len(self._values) if self._values else math.nan)
            self.rates.append(_rate(optimizer))
            self._values.clear()
        watch = self._standby.made
        if (self._wanted or self._seeing) and watch is not None and watch.training.sample is not None:
            watch.layers.keep = True
        self._after(optimizer)

    def _keep(self) -> None:
        """The weights as the script made or loaded them."""
        training = self._standby.watch.training
        modules = list(training.modules.values())
        known: dict[int, torch.Tensor] = {
            id(p): p for module in modules for p in module.parameters(recurse=False) if p.requires_grad
        }
        known |= {id(b): b for module in modules for b in module.buffers(recurse=False)}
        known |= {id(p): p for o in training.script.optimizers() for g in o.param_groups for p in g["params"]}
        self.weights = [(tensor, tensor.detach().clone()) for tensor in known.values()]

    def restore(self) -> None:
        """Put the weights of the start back."""
        with torch.no_grad():
            for tensor, value in self.weights:
                tensor.copy_(value)

    def _see(self, node: Any) -> None:
        """The batch of this step."""
        call = self._standby.watch.layers.call
        terms = consumed(node, self._standby.watch.pending.terms)
        if call is not None and len(terms) == 1:
            try:
                self.seen.take(call, terms[0])
            except Exception:  # a batch that is no rows of samples
                self._seeing = False

    def _try(self, node: Any) -> None:
        """Capture this step, if it can be made again."""
        watch = self._standby.watch
        layers, steps = watch.layers, watch.step
        call, output = layers.call, layers.output
        self._wanted = steps < TRIES
        if call is not None and output is not None:
            terms = consumed(node, watch.pending.terms)
            if len(terms) != 1:
                what = "none of torch's loss functions" if not terms else f"{len(terms)} loss functions"
                self.why = f"the loss is made by {what}"
                return
            try:
                with watch.training.ours():
                    step = Step(call, output, terms[0])
                    if terms[0].value is not None and step.repeats(float(terms[0].value)):
                        self.step, self._wanted = step, False
                    else:
                        self.why = "the same pass made again gives another loss"
            except NotPossibleError as error:
                self.why = error.why
            except Exception as error:
                self.why = f"the pass cannot be made again ({type(error).__name__}: {error})"


def _rate(optimizer: Any) -> float:
    """Of the first group; NaN where it has none (Adafactor finds its own)."""
    rate = optimizer.param_groups[0].get("lr") if optimizer is not None else None
    return float(rate) if rate is not None else math.nan
