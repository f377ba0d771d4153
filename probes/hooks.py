"""Every patch that is put on torch, and its removal. Nothing else here touches torch's surface.

A patch calls the original, tells the watch, and gives back what the original gave; an error of ours ends in
``Probes.failed``. Under torch.compile and in functorch transforms the patches are transparent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch._functorch import eager_transforms
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from . import around, passes
from .frameworks import Frameworks
from .standby import Standby

LOSSES = (
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cosine_embedding_loss",
    "cross_entropy",
    "ctc_loss",
    "gaussian_nll_loss",
    "hinge_embedding_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "margin_ranking_loss",
    "mse_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "nll_loss",
    "poisson_nll_loss",
    "smooth_l1_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
)
"""Names in torch.nn.functional; the modules of torch.nn call them there."""


class Patches:
    """The patches of one watch; they stay until ``remove``."""

    def __init__(self, standby: Standby) -> None:
        self._undo: list[Callable[[], object]] = []
        self._standby = standby
        for name in LOSSES:
            if hasattr(F, name):
                self._wrap(F, name, passes.loss)
        self._wrap(torch.autograd, "backward", passes.backward)
        self._wrap(torch.autograd, "grad", passes.grad)
        self._wrap(eager_transforms, "grad_and_value_impl", passes.transform)
        self._wrap(torch.nn.utils, "clip_grad_norm_", passes.clip, torch.nn.utils.clip_grad)
        scaler = getattr(torch.amp, "GradScaler", None)
        if scaler is not None:
            self._wrap(scaler, "scale", passes.scale)
            self._wrap(scaler, "step", passes.scaler_step)
        self._undo.append(register_optimizer_step_pre_hook(passes.before_step(standby)).remove)
        self._undo.append(register_optimizer_step_post_hook(passes.after_step(standby)).remove)
        self._wrap(torch.distributions, "kl_divergence", around.divergence, torch.distributions.kl)
        base = torch.distributions.Distribution
        self._put(base, "__init__", around.after(standby, base.__init__, self._distribution_made))
        around.put(self._wrap, self._put, standby)
        self._undo.append(Frameworks(standby).remove)

    def _wrap(self, owner: Any, name: str, patch: Callable[[Standby, Any], Any], *also: Any) -> None:
        """``patch(standby, original)`` makes it; ``also`` are others that have the function by that name."""
        made = patch(self._standby, getattr(owner, name))
        for each in (owner, *also):
            self._put(each, name, made)

    def _put(self, owner: Any, name: str, patch: Any) -> None:
        own = vars(owner).get(name)
        setattr(owner, name, patch)
        self._undo.append(lambda: setattr(owner, name, own) if own is not None else delattr(owner, name))

    def _distribution_made(self, _: Any, distribution: Any, *args: Any, **kwargs: Any) -> None:
        for owner, name, patch in self._standby.watch.distributions.made(distribution):
            self._put(owner, name, patch)

    def remove(self) -> None:
        """Leave torch as it was found."""
        if self._standby.made is not None:
            self._standby.made.discovery.end()
            self._standby.made.layers_off()
        while self._undo:
            self._undo.pop()()
