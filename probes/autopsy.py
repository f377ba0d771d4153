"""Where the first number that is not finite came from.

Asked while the weights are still those that made it: before the step, with the batch, the loss call and the graph at
hand. What cannot be told is ``unknown``, never guessed: a wrong cause sends people to the wrong line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from . import replay
from .graph import pole, suspect
from .inputs import tensors
from .layers import Call
from .loss import Term
from .replay import NotRepeatableError, Operation, finite

Report = dict[str, Any]
"""The data of a ``nonfinite`` event, see nnwatch/README.md."""


class Case:
    """What is at hand when it happens. ``parameters`` by name; ``root`` is the number that backward() gets."""

    def __init__(
        self,
        parameters: Sequence[tuple[str, torch.Tensor]],
        call: Call | None,
        batch: Any,
        term: Term | None,
        node: Any,
    ) -> None:
        self.parameters = parameters
        self.call = call
        self.batch = batch
        self.term = term
        self.node = node

    def of_loss(self) -> Report:
        """The loss is not finite: because of the weights, the input, the target, a layer or the loss itself."""
        return (
            self._input()
            or self._target()
            or self._weights()
            or self._forward()
            or self._loss()
            or {"origin": "unknown", "detail": "the pass could not be made again"}
        ) | self._entered()

    def of_loss_seen_late(self) -> Report:
        """The same, a step or two later, as a device is not waited for: the weights have changed since."""
        found = self._input() or self._target()
        if found is None:
            bad = sum(not finite(_local(parameter)) for _, parameter in self.parameters)
            detail = f"seen after the step: {bad} of {len(self.parameters)} parameters are not finite by now"
            found = {"origin": "unknown", "detail": detail}
        return found | self._entered()

    def of_gradients(self) -> Report | None:
        """The loss is finite, a gradient is not. None when they all are: a sum of large ones can overflow."""
        bad = [name for name, p in self.parameters if p.grad is not None and not finite(_dense(p.grad))]
        if not bad:
            return None
        report = self._backward(set(bad))
        spread = f"gradients not finite in {len(bad)} of {len(self.parameters)} parameters"
        report["detail"] = "; ".join(part for part in (report["detail"], spread) if part)
        return report | self._entered()

    # the causes, each None when it is not the one

    def _weights(self) -> Report | None:
        bad = [name for name, parameter in self.parameters if not finite(_local(parameter))]
        if not bad:
            return None
        if len(bad) < len(self.parameters) or any(
            p.grad is not None and not finite(_dense(p.grad)) for _, p in self.parameters
        ):
            return self._backward(set(bad)) | {"earlier": 1}
        return {
            "origin": "weights",
            "layer": _layer(bad[-1]),
            "op": None,
            "detail": f"{len(bad)} of {len(self.parameters)} parameters were not finite before this batch",
        }

    def _input(self) -> Report | None:
        values = [self.call.args, self.call.kwargs] if self.call is not None else self.batch
        for place, tensor in enumerate(t for t in tensors(values) if t.is_floating_point()):
            nan = bool(tensor.isnan().any())
            if nan or (place == 0 and not finite(tensor)):  # an infinity further on may be an attention mask
                if self.term is not None and tensor is self.term.target:
                    continue
                return {"origin": "input", "layer": None, "op": None, "detail": _described(tensor, "input")}
        return None

    def _target(self) -> Report | None:
        target = self.term.target if self.term is not None else None
        if target is None or self.term is None:
            return None
        if target.is_floating_point():
            if finite(target):
                return None
            return {
                "origin": "target",
                "layer": None,
                "op": self.term.name,
                "detail": _described(target, "target"),
            } | _bad(target)
        ignored = self.term.option("ignore_index", 4, -100)
        if bool((target == ignored).all()):
            detail = f"every target is {ignored}, the index to be ignored: a mean of nothing"
            return {"origin": "target", "layer": None, "op": self.term.name, "detail": detail}
        return None

    def _forward(self) -> Report | None:
        output = self.term.input if self.term is not None else None
        if output is not None and finite(output):
            return None
        found = self._again(replay.forward)
        if found is not None:
            return {"origin": "forward", **found._asdict()}
        if output is not None and self.call is None:
            return {"origin": "forward", "layer": None, "op": None, "detail": "the model's output is not finite"}
        return None

    def _loss(self) -> Report | None:
        """The model's output is finite, the loss is not: the loss function, or what the script does around it."""
        if self.term is not None and self.term.input is not None and finite(self.term.input):
            highest = float(self.term.input.detach().abs().max())
            detail = f"{self.term.name} of finite outputs (up to {highest:.3g}) is not finite"
            return {"origin": "loss", "layer": None, "op": self.term.name, "detail": detail}
        found = pole(self.node)
        if found is None:
            return None
        return {"origin": "loss", "layer": None, "op": found[0], "detail": found[1]}

    def _backward(self, bad: set[str]) -> Report:
        found = self._again(replay.backward)
        if found is not None:
            return {"origin": "backward", **found._asdict()}
        if self.term is not None and replay.singular(self.term.function, self.term.args, self.term.kwargs):
            detail = "its derivative is not finite here"
            return {"origin": "backward", "layer": None, "op": self.term.name, "detail": detail}
        names = {id(parameter): name for name, parameter in self.parameters}
        deepest, op, detail = suspect(self.node, names, bad)
        return {"origin": "backward", "layer": _layer(deepest) if deepest else None, "op": op, "detail": detail}

    def _again(self, search: Any) -> Operation | None:
        if self.call is None:
            return None
        try:
            found: Operation | None = search(self.call)
        except (NotRepeatableError, RuntimeError, ValueError, TypeError):  # a pass that cannot be repeated says nothing
            return None
        return found

    def _entered(self) -> Report:
        """What came in, in numbers."""
        values = [self.call.args, self.call.kwargs] if self.call is not None else self.batch
        first = next((t for t in tensors(values) if t.is_floating_point() and t.numel()), None)
        if first is None:
            return {}
        good = first.detach()[torch.isfinite(first.detach())]
        report: Report = {}
        if good.numel():
            report = {"input_min": float(good.min()), "input_max": float(good.max())}
        return report | (_bad(first) if not finite(first) else {})


def _layer(parameter: str) -> str:
    """The layer that a parameter belongs to."""
    return parameter.rpartition(".")[0] or parameter


def _local(tensor: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = (
        tensor.to_local() if hasattr(tensor, "to_local") else tensor
    )  # a shard: asking others would wait
    return found


def _dense(gradient: torch.Tensor) -> torch.Tensor:
    return gradient.coalesce().values() if gradient.is_sparse else _local(gradient)


def _bad(tensor: torch.Tensor) -> Report:
    """The first samples of a batch that hold a number that is not finite."""
    wrong = ~torch.isfinite(tensor.detach())
    if not wrong.dim():
        return {}
    rows = wrong.flatten(1).any(1) if wrong.dim() > 1 else wrong
    return {"bad_samples": rows.nonzero().flatten()[:10].tolist()}


def _described(tensor: torch.Tensor, what: str) -> str:
    values = tensor.detach()
    nan, infinite = int(values.isnan().sum()), int(values.isinf().sum())
    wrong = ~torch.isfinite(values)
    counts = " and ".join(f"{n} {kind}" for n, kind in ((nan, "NaN"), (infinite, "infinite")) if n)
    text = f"{counts} of {values.numel()} {what} values"
    if wrong.dim() == 2:
        columns = wrong.any(0).nonzero().flatten()
        text += (
            f", column {', '.join(map(str, columns[:5].tolist()))}"
            if len(columns) <= 5
            else f", {len(columns)} columns"
        )
    return text
