"""What a loss asks of a policy: which actions it encourages, and what else pulls at it.

The derivative of a loss by the log-probability of an action is minus what the action weighs, whatever the formula:
the return in REINFORCE, the advantage in an actor-critic, the ratio times it in PPO and 0 where that is clipped. The
derivative by a critic's value is minus its error. So both are read where they pass, without knowing the loss.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch

from .choices import Choice, Found, find
from .fetch import Arrays
from .linkage import leaves
from .sample import Sample
from .source import frames
from .training import Training
from .variables import variables

BETTER = re.compile(r"adv|return|reward|rews?$|rtg|gae|td_?err|delta", re.IGNORECASE)
WORSE = re.compile(r"neg|cost|loss|regret|penalt", re.IGNORECASE)
"""Names in scripts of what is to become large, and of what is to become small."""
FRAMES = 6
"""The user's frames in which such a name is looked for."""
ALIKE = 0.9
"""Cosine of a gradient and the entropy's, from which on the one is taken to be a multiple of the other."""
FAINT = 1e-4
"""Share of the gradient by the actions under which what else pulls is rounding."""
FEW = 8
"""Actions under which their weights are compared as they are, without their mean."""


class Policy:
    def __init__(self, training: Training) -> None:
        self._training = training
        self._shared: tuple[int, bool | None] = -1, None
        """A segment, and whether actor and critic have parameters in common in it; None while there is no critic."""
        training.sources["policy"] = lambda: {"shared_body": self._shares()}
        self._owner: Sample | None = None
        self._values: dict[str, list[float]] = {}
        self._let_go()

    def _let_go(self) -> None:
        """No backward pass is looked at."""
        self._found: Found | None = None
        self._better: torch.Tensor | None = None
        self._caught: dict[tuple[str, int], torch.Tensor] = {}
        """Gradients by what they are of."""
        self._hooks: list[Any] = []

    def _shares(self) -> bool | None:
        segment, shared = self._shared
        return shared if segment == self._training.emit.segment else None

    def begins(self, root: Any, sample: Sample) -> None:
        """A backward pass of a step that is sampled begins at ``root``."""
        self.ends()
        rated = self._training.distributions.logs
        if sample is not self._owner:
            self._owner, self._values = sample, {}
            sample.at_end(self._put)
        found = find(root, rated)
        if rated:
            self._values.setdefault("policy.reached", []).append(float(bool(found.choices)))
        if not found.choices:
            return
        self._found, self._better = found, _named(found.factors)
        for number, choice in enumerate(found.choices):
            self._hooks.append(choice.node.register_prehook(self._catch("choice", number)))
            if choice.logits is not None and choice.logits.node is not None:
                catch = self._catch("logits", number, choice.logits.place)
                self._hooks.append(choice.logits.node.register_prehook(catch))
        for number, node in enumerate(found.errors):
            self._hooks.append(node.register_hook(self._error(number)))
        logits = found.choices[0].logits
        if self._shares() is None and logits is not None and found.errors:
            actor, critic = leaves(logits.node), leaves(found.errors[0])
            self._shared = self._training.emit.segment, bool(actor and critic and actor.keys() & critic.keys())
            self._training.news = True

    def _catch(self, kind: str, number: int, place: int = 0) -> Callable[[Any], None]:
        def hook(gradients: Any) -> None:
            if gradients[place] is not None:
                self._caught[kind, number] = gradients[place].detach()

        return hook

    def _error(self, number: int) -> Callable[[Any, Any], None]:
        """What a difference passes on to the one side that is predicted."""

        def hook(gradients: Any, _: Any) -> None:
            predicted = [gradient for gradient in gradients if gradient is not None]
            if len(predicted) == 1:
                self._caught["error", number] = predicted[0].detach()

        return hook

    def ends(self) -> None:
        """The backward pass is over, or failed."""
        found, better, caught, hooks = self._found, self._better, self._caught, self._hooks
        self._let_go()
        for hook in hooks:
            hook.remove()
        if found is None or ("choice", 0) not in caught:
            return
        with torch.no_grad():
            numbers = _measured(found, better, caught)
        values = self._values
        names = list(numbers)

        def done(arrays: Arrays) -> None:
            for name, array in zip(names, arrays, strict=True):
                if math.isfinite(float(array)):
                    values.setdefault(name, []).append(float(array))

        self._training.fetch([number.float() for number in numbers.values()], done)

    def _put(self, sample: Sample) -> None:
        """Means over the passes of the step, in the end whether any of them reached a log-probability."""
        for metric, values in self._values.items():
            sample.put(metric, max(values) if metric == "policy.reached" else np.mean(values))


Caught = Mapping[tuple[str, int], torch.Tensor]
"""Gradients by what they are of: ("choice", i), ("logits", i), ("error", i)."""


def _measured(found: Found, better: torch.Tensor | None, caught: Caught) -> dict[str, torch.Tensor]:
    """The metrics by their names, a number each."""
    weights = torch.cat([_weights(choice, i, caught) for i, choice in enumerate(found.choices)])
    numbers: dict[str, torch.Tensor] = {}
    errors = [error.reshape(-1) for (kind, _), error in caught.items() if kind == "error"]
    errors = [error for error in errors if len(weights) % len(error) == 0]
    if errors:
        critic = -torch.stack([error for error in errors if len(error) == len(errors[0])]).sum(0)
        numbers["policy.critic"] = critic.norm() / weights.norm()
        numbers["policy.agreement"] = _agreement(weights, critic)
    elif better is not None and len(weights) % better.numel() == 0:
        numbers["policy.agreement"] = _agreement(weights, better.reshape(-1))
    ratio = next((each.reshape(-1) for each in found.ratios if each.numel() == len(weights)), None)
    if ratio is not None:
        numbers["policy.kl"] = (ratio - 1 - ratio.log()).mean()
        numbers["policy.clipped"] = (weights == 0).float().mean()
        if len(found.choices) == 1 and (values := _values(found.choices[0])) is not None:
            numbers["policy.drift"] = ratio.log().std() / values.std()
    pulls = [pull for i, choice in enumerate(found.choices) if (pull := _pulls(choice, i, caught)) is not None]
    if pulls:
        numbers |= _bonus([torch.cat(parts) for parts in zip(*pulls, strict=True)])
    return numbers


def _weights(choice: Choice, number: int, caught: Caught) -> torch.Tensor:
    """What each action weighs, times a factor that all have in common."""
    return -choice.sign * caught["choice", number].reshape(-1)


def _agreement(weights: torch.Tensor, better: torch.Tensor) -> torch.Tensor:
    """Correlation of the ``weights`` that are not zero with how much ``better`` than expected the actions were."""
    weights = weights.reshape(len(better), -1).mean(1)
    counted = (weights != 0).to(weights.dtype)
    parts = []
    for part in (weights, better):
        mean = (part * counted).sum() / counted.sum() if len(better) >= FEW else 0.0
        parts.append((part - mean) * counted)
    found: torch.Tensor = (parts[0] * parts[1]).sum() / (parts[0].norm() * parts[1].norm())
    return found


def _values(choice: Choice) -> torch.Tensor | None:
    """The log-probabilities of the actions taken."""
    if choice.values is not None:
        return choice.values
    if choice.logits is None or choice.taken is None:
        return None
    shares = choice.logits.shares
    return shares.reshape(-1, shares.shape[-1]).gather(1, choice.taken.reshape(-1, 1)).log()


def _pulls(choice: Choice, number: int, caught: Caught) -> tuple[torch.Tensor, ...] | None:
    """Of a choice among n: how the gradient by the logits (rows, n) would be by the actions alone, how it is, and how
    that of the entropy is; and the entropy (rows,), as a share of the largest there can be."""
    gradient = caught.get(("logits", number))
    if choice.logits is None or choice.taken is None or gradient is None:
        return None
    weights, shares = _weights(choice, number, caught), choice.logits.shares
    count = shares.shape[-1]
    if not len(weights) == choice.taken.numel() == shares.numel() // count or gradient.numel() != shares.numel():
        return None
    shares = shares.reshape(-1, count)
    logs = shares.clamp_min(torch.finfo(shares.dtype).tiny).log()
    entropy = -(shares * logs).sum(1)
    taken = shares.new_full((len(shares), 1), -1.0)
    actions = shares.scatter_add(1, choice.taken.reshape(-1, 1), taken) * weights[:, None]
    spread = -shares * (logs + entropy[:, None])
    return actions, gradient.reshape(-1, count), spread, entropy / math.log(max(count, 2)), weights


def _bonus(pulls: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
    """How certain the policy is, and what its entropy is worth beside its actions: the multiple of the gradient of the
    entropy that is left when the actions' is taken away."""
    actions, gradient, spread, entropy, weights = pulls
    counted = (weights != 0).to(weights.dtype)[:, None]  # what is masked has no entropy in the loss either
    rest, spread, actions = (gradient - actions) * counted, spread * counted, actions * counted
    along = (rest * spread).sum()
    weight = weights.abs().sum() / counted.sum()
    bonus = torch.where(rest.norm() < FAINT * actions.norm(), 0.0, -along / spread.square().sum() / weight)
    alike = (along.abs() >= ALIKE * rest.norm() * spread.norm()) | (bonus == 0)
    return {"policy.entropy": entropy.mean(), "policy.bonus": torch.where(alike, bonus, math.nan)}


def _named(factors: Sequence[torch.Tensor]) -> torch.Tensor | None:
    """The one that the script calls an advantage, a return or the like: what is to become large."""
    wanted = {(factor.data_ptr(), factor.numel()): factor for factor in factors if factor.numel() > 1}
    for frame in islice(frames() if wanted else (), FRAMES):
        for name, value in variables(frame).items():
            if BETTER.search(name) and not WORSE.search(name) and type(value) is torch.Tensor:
                found = wanted.get((value.data_ptr(), value.numel()))
                if found is not None:
                    return found
    return None
