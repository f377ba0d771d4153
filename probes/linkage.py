"""What the loss hangs together with, read from autograd's graph on a few steps: the facts ``loss.graph``,
``loss.others``, ``loss.pairs``, ``shapes``, ``unreached`` and ``stale_parameters``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from . import facts
from .batch import padding_indices
from .graph import NODES
from .loss import DEPTH, Term
from .model import Model
from .nested import tensors
from .pairing import pairs
from .training import Training

FIRST = 3
"""Steps of a segment whose graphs are walked; before these nothing is said of what they do not reach."""
LATE = 90
"""From this step on one more is, as parts of a model may be trained in turn."""
PASSES = 8
"""Backward passes of a step that are walked, at most."""
BEFORE = 12
"""Operations named on each side of the loss."""
OTHERS = 8
"""Loss calls of a backward pass that are looked at, at most."""
NAMES = 200
"""Names of parameters listed, at most."""
ELEMENTWISE = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy_with_logits",
               "poisson_nll_loss", "gaussian_nll_loss")  # fmt: skip
"""Losses that stretch a target to the shape of the prediction."""
HIDDEN = "CheckpointFunctionBackward"
"""What a reentrant checkpoint computes is not in the graph."""


class Linkage:
    def __init__(self, training: Training) -> None:
        self._training = training
        self._begin(-1)
        training.sources["linkage"] = self.facts

    def _begin(self, segment: int) -> None:
        """Nothing of an earlier segment."""
        self._segment = segment
        self._reached: set[int] | None = set()
        """Tensors by id() that a gradient came to; None when a graph could not be walked to its end."""
        self._walked = 0
        self._step = 0
        self._late = False
        self._graph: dict[str, Any] | None = None
        self._others: list[dict[str, Any]] = []
        """What is known of the further loss calls of that pass."""
        self._pairs: dict[str, list[int]] | None = None
        self._shapes: dict[str, list[int]] = {}

    def see(self, node: Any, terms: Sequence[Term]) -> None:
        """A backward pass begins at ``node`` of the graph, for the loss calls ``terms``."""
        training = self._training
        term = terms[0] if terms else None
        if training.emit.segment != self._segment:
            self._begin(training.emit.segment)
        step = training.lane.step - training.first + 1
        late = step >= LATE and training.sample is not None and (not self._late or self._step == step)
        if node is None or not (step <= FIRST or late):
            return
        if step != self._step:
            self._step, self._walked = step, 0
        if late and not self._late:
            self._late = training.news = True
        self._walked += 1
        if self._walked <= PASSES and self._reached is not None:
            found = leaves(node)
            self._reached = self._reached | found.keys() if found is not None else None
        if self._graph is None and term is not None:
            self._graph = _graph(node, term, training.model) | {"calls": len(terms)}
            self._others = [
                facts.loss(other, []) | {"loss.graph": _graph(node, other, training.model)} for other in terms[1:OTHERS]
            ]
        if self._pairs is None:
            self._pairs = pairs(node)
        if step <= FIRST:
            call = training.layers.call
            entered = next(iter(tensors(call[1:3])), None) if call is not None else None
            met = {"input": entered, "output": term and term.input, "target": term and term.target}
            self._shapes = {
                name: list(tensor.shape) for name, tensor in met.items() if tensor is not None
            } | self._shapes

    def facts(self) -> dict[str, Any]:
        """What is known after a step, while its gradients are still there."""
        known: dict[str, Any] = {}
        if self._segment != self._training.emit.segment:  # it has just begun, and nothing of it was walked yet
            return known
        if self._graph is not None:
            known["loss.graph"] = self._graph
        if self._others:
            known["loss.others"] = self._others
        if self._pairs is not None:
            known["loss.pairs"] = self._pairs
        if self._shapes:
            known["shapes"] = self._shapes
        model, optimizers = self._training.model, self._training.trained_by()
        reached = self._reached
        if not reached or model is None or not optimizers or self._training.lane.step - self._training.first < FIRST:
            return known
        lost = {
            id(p): p
            for optimizer in optimizers
            for group in optimizer.param_groups
            for p in group["params"]
            if p.requires_grad and id(p) not in reached and not _has_gradient(p)
        }
        names = [name for name, p in zip(model.names, model.parameters(), strict=False) if id(p) in lost]
        held = {
            id(p) for root in model.roots if any(id(p) in reached for p in root.parameters()) for p in root.parameters()
        }
        known["unreached"] = names[:NAMES]
        known["stale_parameters"] = len(lost.keys() - held)
        if not held:
            known |= self._trained_elsewhere(reached)
        return known

    def _trained_elsewhere(self, reached: set[int]) -> dict[str, Any]:
        """The optimizer holds another model than the one the loss reaches: that one's parameters."""
        modules = list(self._training.modules.values())
        inner = {id(child) for module in modules for child in module._modules.values() if child is not None}
        for module in modules:
            if id(module) not in inner and any(id(p) in reached for p in module.parameters()):
                return {"unoptimized": [name for name, p in module.named_parameters() if p.requires_grad][:NAMES]}
        return {}


def leaves(root: Any) -> dict[int, torch.Tensor] | None:
    """Tensors, by their id(), to which the backward pass from ``root`` brings a gradient; None where that cannot be
    told."""
    seen, queue = {root}, [root]
    found: dict[int, torch.Tensor] = {}
    for node in queue:
        variable = getattr(node, "variable", None)
        if variable is not None:
            found[id(variable)] = variable
        elif type(node).__name__ == HIDDEN:
            return None
        for below, _ in node.next_functions:
            if below is not None and below not in seen:
                if len(seen) >= NODES:
                    return None
                seen.add(below)
                queue.append(below)
    return found


def _graph(node: Any, term: Term, model: Model | None) -> dict[str, Any]:
    prediction, target = term.input, term.target
    made = getattr(prediction, "grad_fn", None)
    graph: dict[str, Any] = {"before": _names(made)[:BEFORE], "after": _names_between(node, term.sequence)[-BEFORE:]}
    if prediction is not None:
        graph["input"] = list(prediction.shape)
    if target is not None:
        graph["target"], graph["target_dtype"] = list(target.shape), str(target.dtype).removeprefix("torch.")
    if prediction is not None and target is not None:
        graph["broadcast"] = term.name in ELEMENTWISE and prediction.shape != target.shape
        if term.name == "cross_entropy" and target.is_floating_point() and target.is_cpu and target.dim() > 1:
            sums = target.detach().sum(1)
            graph["target_sums"] = [float(sums.min()), float(sums.max())]
    paddings = padding_indices(model) if model is not None else {}
    if paddings:
        graph["padding_idx"] = next(iter(paddings.values()))
    return graph


def _names(root: Any) -> list[str]:
    """Names of the nodes from ``root`` on, the nearest first; the leaves are none."""
    queue = [root] if root is not None else []
    seen = set(queue)
    for node in queue:
        for below, _ in node.next_functions:
            if below is not None and below not in seen and not hasattr(below, "variable") and len(seen) < BEFORE:
                seen.add(below)
                queue.append(below)
    return [type(node).__name__ for node in queue]


def _names_between(root: Any, sequence: int) -> list[str]:
    """Names of the nodes on the ways from the node numbered ``sequence`` up to ``root``, the nearest to it first."""
    queue, seen = [root], {root}
    for node in queue:
        for below, _ in node.next_functions:
            later = below is not None and not hasattr(below, "variable") and below._sequence_nr() > sequence
            if later and below not in seen and len(seen) < DEPTH:
                seen.add(below)
                queue.append(below)
    above: set[Any] = set()
    names = []
    for node in sorted(
        (node for node in queue if node._sequence_nr() > sequence), key=lambda node: node._sequence_nr()
    ):
        children = [below for below, _ in node.next_functions if below is not None]
        if any(child in above or _number(child) == sequence for child in children):
            above.add(node)
            names.append(type(node).__name__)
    return names


def _number(node: Any) -> int:
    return -1 if hasattr(node, "variable") else int(node._sequence_nr())


def _has_gradient(parameter: torch.Tensor) -> bool:
    """A gradient has come to it after all; on a device one that is there counts, as its value is not waited for."""
    gradient = parameter.grad
    if gradient is None:
        return False
    return not gradient.is_cpu or gradient.is_sparse or hasattr(gradient, "to_local") or bool(gradient.any())
