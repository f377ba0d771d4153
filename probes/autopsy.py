"""Where the first number that is not finite came from.

What cannot be told is ``unknown``, never guessed: a wrong cause sends people to the wrong line.
"""

from __future__ import annotations

import torch

from . import labels, search
from .case import Case, Report
from .graph import Pole, pole, suspect
from .loss import Term
from .nested import tensors
from .poisoned import poisoned
from .search import Operation
from .wrong import HALF, dense, described, finite, local, rows


def of_loss(case: Case) -> Report:
    """The loss is not finite: because of the weights, the input, the target, a layer or the loss itself."""
    return _finished(
        case,
        _input(case)
        or _target(case)
        or _weights(case)
        or _forward(case)
        or _loss(case)
        or {"origin": "unknown", "detail": "the pass could not be made again"},
    )


def of_loss_seen_late(case: Case) -> Report:
    """The same, a step or two later, as a device is not waited for: the weights have changed since."""
    found = _input(case) or _target(case)
    if found is None:
        bad = sum(not finite(local(parameter)) for _, parameter in case.parameters)
        detail = f"seen after the step: {bad} of {len(case.parameters)} parameters are not finite by now"
        found = {"origin": "unknown", "detail": detail}
    return _finished(case, found)


def of_weights(case: Case) -> Report | None:
    """The step has just been made; its gradients were finite, the weights are not."""
    found = poisoned(case.parameters, case.optimizers, case.steps + 1)
    if found is None:
        return None
    report = found.report or {"origin": "unknown", "detail": f"the step left {len(found.names)} parameters so"}
    report.pop("earlier", None)
    return _finished(case, report)


def of_refusal(case: Case) -> Report:
    """The loss function raised an exception for its target."""
    outside = labels.of_term(case.term) if case.term is not None else None
    if outside is None or case.term is None:
        return {"origin": "unknown", "detail": "the loss function raised an exception"}
    return _finished(case, outside | {"op": case.term.name, "raised": True})


def of_gradients(case: Case) -> Report | None:
    """The loss is finite, a gradient is not. None when they all are: a sum of large ones can overflow."""
    bad = [name for name, p in case.parameters if p.grad is not None and not finite(dense(p.grad))]
    if not bad:
        return None
    report = _backward(case, set(bad))
    spread = f"gradients not finite in {len(bad)} of {len(case.parameters)} parameters"
    report["detail"] = "; ".join(part for part in (report["detail"], spread) if part)
    return _finished(case, report)


# the causes, each None when it is not the one


def _input(case: Case) -> Report | None:
    for place, tensor in enumerate(case.entered()):
        nan = bool(tensor.isnan().any())
        if nan or (place == 0 and not finite(tensor)):  # an infinity further on may be an attention mask
            if case.term is not None and tensor is case.term.target:
                continue
            return {"origin": "input", "detail": described(tensor, "input"), "bad_samples": rows(tensor)}
    return None


def _target(case: Case) -> Report | None:
    term = case.term
    if term is None or term.target is None:
        return _label(case)
    target = term.target.detach()
    if target.is_floating_point() and not finite(target):
        detail = described(target, "target")
        return {"origin": "target", "op": term.name, "detail": detail, "bad_samples": rows(target)}
    outside = labels.of_term(term)
    if outside is not None:
        return outside | {"op": term.name}
    ignored = term.option("ignore_index", 4, -100)
    if not target.is_floating_point() and bool((target == ignored).all()):
        detail = f"every target is {ignored}, the index to be ignored: a mean of nothing"
        return {"origin": "target", "op": term.name, "detail": detail}
    return None


def _label(case: Case) -> Report | None:
    """A hand-written loss at a pole in just those samples whose label is no class of the model's."""
    where = pole(case.node)
    if where is None or not where.rows or case.recalled is None:
        return None
    output = case.recalled[1]
    for candidate in tensors(case.batch):
        if not candidate.is_floating_point() and candidate.shape == output.shape[:1] and output.dim() == 2:
            found = labels.beyond(candidate, output.shape[1])
            if found is not None and found["bad_samples"] == where.rows[:10]:
                return found | {"op": where.op}
    return None


def _weights(case: Case) -> Report | None:
    found = poisoned(case.parameters, case.optimizers, case.steps)
    if found is None or found.report is not None:
        return found.report if found is not None else None
    if found.names:  # by a gradient
        return _backward(case, found.names) | {"earlier": 1}
    return None


def _forward(case: Case) -> Report | None:
    output = case.output
    if output is not None and finite(output):
        return None
    again = case.again(search.forward)
    if again is not None and again.found is not None:
        return _at("overflow" if again.found.overflow else "forward", again.found)
    if output is None:
        return None
    where = pole(case.node)
    if where is not None:
        return {"origin": "forward", "op": where.op, "detail": where.detail}
    return {"origin": "forward", "detail": "the model's output is not finite"}


def _loss(case: Case) -> Report | None:
    """The model's output is finite, the loss is not: the loss function, or what the script does around it."""
    term = case.term
    if term is None or term.input is None or not finite(term.input) or _sound(term):
        where = pole(case.node)
        if where is None:
            return None
        return {"origin": "loss", "op": where.op, "detail": where.detail + _absent(case, where)}
    highest = float(term.input.detach().abs().max())
    detail = f"{term.name} of finite outputs (up to {highest:.3g}) is not finite"
    report: Report = {"origin": "loss", "op": term.name, "detail": detail}
    if term.input.dtype in HALF and search.finite_in_float32(term.function, term.args, term.kwargs):
        kind = str(term.input.dtype).removeprefix("torch.")
        return report | {"origin": "overflow", "detail": f"{detail} in {kind}, and is in float32"}
    weight = term.option("weight", 2, None)
    if term.name in labels.CLASSES and isinstance(weight, torch.Tensor) and term.target is not None:
        counted = term.target[term.target != term.option("ignore_index", 4, -100)]
        if not counted.is_floating_point() and not bool(weight[counted].any()):
            report["detail"] = "0 / 0: the class weights of all targets of this batch are 0"
    return report


def _sound(term: Term) -> bool:
    """Is the loss call's own value finite? Then the script did it with what it computes from that."""
    with torch.no_grad():
        return finite(term.function(*term.args, **term.kwargs))


def _absent(case: Case, where: Pole) -> str:
    """The classes that the batch lacks, where the division by 0 stands in just their places."""
    target, output = case.term.target if case.term is not None else None, case.output
    if target is None or target.is_floating_point() or target.dim() != 1 or output is None or output.dim() != 2:
        return ""
    present = set(target.tolist())
    absent = [label for label in range(output.shape[1]) if label not in present]
    if not absent or where.op not in ("div", "mean") or where.rows not in ([], absent):
        return ""
    return f"; no sample of class {', '.join(map(str, absent))} in this batch"


def _backward(case: Case, bad: set[str]) -> Report:
    again = case.again(search.backward)
    if again is not None and again.found is not None:
        return _at("backward", again.found)
    term = case.term
    if term is not None and search.singular(term.function, term.args, term.kwargs):
        return {"origin": "backward", "layer": None, "op": term.name, "detail": "its derivative is not finite here"}
    names = {id(parameter): name for name, parameter in case.parameters}
    deepest, op, detail = suspect(case.node, names, bad)
    layer = _layer(deepest) if deepest else None
    half = case.half()
    if half is not None and op is None and again is not None:
        detail = f"every operation has a finite derivative, and {half} was used: a gradient beyond its range"
        return {"origin": "overflow", "layer": layer, "op": None, "detail": detail}
    return {"origin": "backward", "layer": layer, "op": op, "detail": detail}


# what goes with every cause


def _finished(case: Case, report: Report) -> Report:
    """The report with what came in, in numbers, and what the operations before gave; of the step before, whose
    weights are not finite now, nothing is left that came in."""
    whole: Report = {"layer": None, "op": None, **report}
    if "earlier" in report:
        return whole
    output = case.output
    if not whole.get("bad_samples"):
        whole.pop("bad_samples", None)
        wrong = rows(output) if output is not None and output.dim() else []
        if wrong and len(wrong) < min(len(output), 10):  # type: ignore[arg-type]
            whole["bad_samples"] = wrong
    bad = whole.get("bad_samples", [])
    if case.places is not None and bad and max(bad) < len(case.places):
        whole["samples"] = [case.places[row] for row in bad]
    for tensor in case.entered()[:1]:
        good = tensor[torch.isfinite(tensor)]
        if good.numel():
            whole |= {"input_min": float(good.min()), "input_max": float(good.max())}
    trail = next((found.trail for found in case.passes if found.trail), [])
    if trail:
        whole["ranges"] = [list(row) for row in trail]
    return whole


def _at(origin: str, found: Operation) -> Report:
    report = {"origin": origin, "layer": found.layer, "op": found.op, "detail": found.detail}
    return report | ({"where": found.where} if found.where is not None else {})


def _layer(parameter: str) -> str:
    """The layer that a parameter belongs to."""
    return parameter.rpartition(".")[0] or parameter
