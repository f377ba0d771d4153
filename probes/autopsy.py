"""Where the first number that is not finite came from.

Asked while the weights are still those that made it: before the step, with the batch, the loss call and the graph at
hand. What cannot be told is ``unknown``, never guessed: a wrong cause sends people to the wrong line.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any

import torch
from torch import nn

from . import labels, replay
from .graph import Pole, entered, pole, suspect
from .inputs import tensors
from .layers import Call
from .loss import Term
from .poisoned import poisoned
from .recall import named, recalled
from .replay import HALF, Operation, Pass, finite

Report = dict[str, Any]
"""The data of a ``nonfinite`` event, see nnwatch/README.md."""


class Case:
    """What is at hand when it happens.

    ``parameters`` by name; ``steps`` were made; ``root`` is the model, where it is one; ``noted`` its call, on steps
    that note it; ``batch`` what a loader gave, ``places`` of its samples in the data set; ``node`` made the number that
    backward() gets.
    """

    def __init__(
        self,
        parameters: Sequence[tuple[str, torch.Tensor]],
        optimizers: Sequence[torch.optim.Optimizer],
        steps: int,
        root: nn.Module | None,
        noted: Call | None,
        batch: Any,
        places: Sequence[int] | None,
        term: Term | None,
        node: Any,
    ) -> None:
        self.parameters = parameters
        self.optimizers = optimizers
        self.batch = batch
        self._places = places
        self.term = term
        self._steps = steps
        self._root = root
        self._noted = noted
        self._node = node
        self._passes: dict[Any, Pass | None] = {}

    def of_loss(self) -> Report:
        """The loss is not finite: because of the weights, the input, the target, a layer or the loss itself."""
        return self._finished(
            self._input()
            or self._target()
            or self._weights()
            or self._forward()
            or self._loss()
            or {"origin": "unknown", "detail": "the pass could not be made again"}
        )

    def of_loss_seen_late(self) -> Report:
        """The same, a step or two later, as a device is not waited for: the weights have changed since."""
        found = self._input() or self._target()
        if found is None:
            bad = sum(not finite(_local(parameter)) for _, parameter in self.parameters)
            detail = f"seen after the step: {bad} of {len(self.parameters)} parameters are not finite by now"
            found = {"origin": "unknown", "detail": detail}
        return self._finished(found)

    def of_weights(self) -> Report | None:
        """The step has just been made; its gradients were finite, the weights are not."""
        found = poisoned(self.parameters, self.optimizers, self._steps + 1)
        if found is None:
            return None
        report = found.report or {"origin": "unknown", "detail": f"the step left {len(found.names)} parameters so"}
        report.pop("earlier", None)
        return self._finished(report)

    def of_refusal(self) -> Report:
        """The loss function raised an exception for its target."""
        outside = labels.of_term(self.term) if self.term is not None else None
        if outside is None or self.term is None:
            return {"origin": "unknown", "detail": "the loss function raised an exception"}
        return self._finished(outside | {"op": self.term.name, "raised": True})

    def of_gradients(self) -> Report | None:
        """The loss is finite, a gradient is not. None when they all are: a sum of large ones can overflow."""
        bad = [name for name, p in self.parameters if p.grad is not None and not finite(_dense(p.grad))]
        if not bad:
            return None
        report = self._backward(set(bad))
        spread = f"gradients not finite in {len(bad)} of {len(self.parameters)} parameters"
        report["detail"] = "; ".join(part for part in (report["detail"], spread) if part)
        return self._finished(report)

    @property
    def call(self) -> Call | None:
        """How the model was called: as it was noted, else as it can be made out."""
        return self._noted if self._noted is not None or self._recalled is None else self._recalled[0]

    @cached_property
    def _recalled(self) -> tuple[Call, Any] | None:
        return recalled(self._root, self.batch, self._node, self.term.input if self.term is not None else None)

    # the causes, each None when it is not the one

    def _input(self) -> Report | None:
        for place, tensor in enumerate(self._entered()):
            nan = bool(tensor.isnan().any())
            if nan or (place == 0 and not finite(tensor)):  # an infinity further on may be an attention mask
                if self.term is not None and tensor is self.term.target:
                    continue
                return {"origin": "input", "detail": _described(tensor, "input"), "bad_samples": _rows(tensor)}
        return None

    def _entered(self) -> list[torch.Tensor]:
        """What came in: the arguments of the model; else what the graph holds of them, if the user's code has a name
        for it, and the batch."""
        if self._noted is not None:
            found = tensors([self._noted.args, self._noted.kwargs])
        else:
            first = entered(self._node)
            found = [*([first] if first is not None and named(first) else []), *tensors(self.batch)]
        return [tensor.detach() for tensor in found if tensor.is_floating_point() and tensor.numel()]

    def _target(self) -> Report | None:
        term = self.term
        if term is None or term.target is None:
            return self._label()
        target = term.target.detach()
        if target.is_floating_point() and not finite(target):
            detail = _described(target, "target")
            return {"origin": "target", "op": term.name, "detail": detail, "bad_samples": _rows(target)}
        outside = labels.of_term(term)
        if outside is not None:
            return outside | {"op": term.name}
        ignored = term.option("ignore_index", 4, -100)
        if not target.is_floating_point() and bool((target == ignored).all()):
            detail = f"every target is {ignored}, the index to be ignored: a mean of nothing"
            return {"origin": "target", "op": term.name, "detail": detail}
        return None

    def _label(self) -> Report | None:
        """A hand-written loss at a pole in just those samples whose label is no class of the model's."""
        where = pole(self._node)
        if where is None or not where.rows or self._recalled is None:
            return None
        output = self._recalled[1]
        for candidate in tensors(self.batch):
            if not candidate.is_floating_point() and candidate.shape == output.shape[:1] and output.dim() == 2:
                found = labels.beyond(candidate, output.shape[1])
                if found is not None and found["bad_samples"] == where.rows[:10]:
                    return found | {"op": where.op}
        return None

    def _weights(self) -> Report | None:
        found = poisoned(self.parameters, self.optimizers, self._steps)
        if found is None or found.report is not None:
            return found.report if found is not None else None
        if found.names:  # by a gradient
            return self._backward(found.names) | {"earlier": 1}
        return None

    def _forward(self) -> Report | None:
        output = self.term.input if self.term is not None else None
        if output is not None and finite(output):
            return None
        again = self._again(replay.forward)
        if again is not None and again.found is not None:
            return _at("overflow" if again.found.overflow else "forward", again.found)
        if output is None:
            return None
        where = pole(self._node)
        if where is not None:
            return {"origin": "forward", "op": where.op, "detail": where.detail}
        return {"origin": "forward", "detail": "the model's output is not finite"}

    def _loss(self) -> Report | None:
        """The model's output is finite, the loss is not: the loss function, or what the script does around it."""
        term = self.term
        if term is None or term.input is None or not finite(term.input) or self._sound(term):
            where = pole(self._node)
            if where is None:
                return None
            return {"origin": "loss", "op": where.op, "detail": where.detail + self._absent(where)}
        highest = float(term.input.detach().abs().max())
        detail = f"{term.name} of finite outputs (up to {highest:.3g}) is not finite"
        report: Report = {"origin": "loss", "op": term.name, "detail": detail}
        if term.input.dtype in HALF and replay.finite_in_float32(term.function, term.args, term.kwargs):
            kind = str(term.input.dtype).removeprefix("torch.")
            return report | {"origin": "overflow", "detail": f"{detail} in {kind}, and is in float32"}
        weight = term.option("weight", 2, None)
        if term.name in labels.CLASSES and isinstance(weight, torch.Tensor) and term.target is not None:
            counted = term.target[term.target != term.option("ignore_index", 4, -100)]
            if not counted.is_floating_point() and not bool(weight[counted].any()):
                report["detail"] = "0 / 0: the class weights of all targets of this batch are 0"
        return report

    def _sound(self, term: Term) -> bool:
        """Is the loss call's own value finite? Then the script did it with what it computes from that."""
        with torch.no_grad():
            return finite(term.function(*term.args, **term.kwargs))

    def _absent(self, where: Pole) -> str:
        """The classes that the batch lacks, where the division by 0 stands in just their places."""
        labels = self.term.target if self.term is not None else None
        output = self.term.input if self.term is not None else None
        if labels is None or labels.is_floating_point() or labels.dim() != 1 or output is None or output.dim() != 2:
            return ""
        absent = [*range(output.shape[1])]
        for label in labels.unique().tolist():
            if label in absent:
                absent.remove(label)
        if not absent or where.op not in ("div", "mean") or where.rows not in ([], absent):
            return ""
        return f"; no sample of class {', '.join(map(str, absent))} in this batch"

    def _backward(self, bad: set[str]) -> Report:
        again = self._again(replay.backward)
        if again is not None and again.found is not None:
            return _at("backward", again.found)
        term = self.term
        if term is not None and replay.singular(term.function, term.args, term.kwargs):
            return {"origin": "backward", "layer": None, "op": term.name, "detail": "its derivative is not finite here"}
        names = {id(parameter): name for name, parameter in self.parameters}
        deepest, op, detail = suspect(self._node, names, bad)
        layer = _layer(deepest) if deepest else None
        half = self._half()
        if half is not None and op is None and again is not None:
            detail = f"every operation has a finite derivative, and {half} was used: a gradient beyond its range"
            return {"origin": "overflow", "layer": layer, "op": None, "detail": detail}
        return {"origin": "backward", "layer": layer, "op": op, "detail": detail}

    def _half(self) -> str | None:
        """The half precision that the pass used."""
        begun = self.call.begun if self.call is not None else None
        used = [dtype for _, dtype in begun.autocast] if begun is not None else []
        used += [parameter.dtype for _, parameter in self.parameters]
        return next((str(dtype).removeprefix("torch.") for dtype in used if dtype in HALF), None)

    def _again(self, search: Any) -> Pass | None:
        """The pass once more; None when it cannot be made, which says nothing."""
        if search not in self._passes:
            self._passes[search] = None
            if self.call is not None:
                with suppress(Exception):  # the user's own, raised in a pass of ours
                    self._passes[search] = search(self.call)
        return self._passes[search]

    # what goes with every cause

    def _finished(self, report: Report) -> Report:
        """The report with what came in, in numbers, and what the operations before gave; of the step before, whose
        weights are not finite now, nothing is left that came in."""
        whole: Report = {"layer": None, "op": None, **report}
        if "earlier" in report:
            return whole
        output = self.term.input if self.term is not None else None
        if not whole.get("bad_samples"):
            whole.pop("bad_samples", None)
            rows = _rows(output) if output is not None and output.dim() else []
            if rows and len(rows) < min(len(output), 10):  # type: ignore[arg-type]
                whole["bad_samples"] = rows
        rows = whole.get("bad_samples", [])
        if self._places is not None and rows and max(rows) < len(self._places):
            whole["samples"] = [self._places[row] for row in rows]
        for tensor in self._entered()[:1]:
            good = tensor[torch.isfinite(tensor)]
            if good.numel():
                whole |= {"input_min": float(good.min()), "input_max": float(good.max())}
        trail = next((found.trail for found in self._passes.values() if found is not None and found.trail), [])
        if trail:
            whole["ranges"] = [list(row) for row in trail]
        return whole


def _at(origin: str, found: Operation) -> Report:
    return {"origin": origin, "layer": found.layer, "op": found.op, "detail": found.detail}


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


def _rows(tensor: torch.Tensor) -> list[int]:
    """The first samples of a batch that hold a number that is not finite."""
    wrong = ~torch.isfinite(tensor.detach())
    if not wrong.dim():
        return []
    rows = wrong.flatten(1).any(1) if wrong.dim() > 1 else wrong
    found: list[int] = rows.nonzero().flatten()[:10].tolist()
    return found


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
