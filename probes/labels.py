"""Targets that no loss function can mean: labels beyond the classes, probabilities outside 0 to 1."""

from __future__ import annotations

from typing import Any

import torch

from .loss import Term

Report = dict[str, Any]

PROBABILITIES = ("binary_cross_entropy", "binary_cross_entropy_with_logits")
"""Losses whose targets lie from 0 to 1."""
CLASSES = ("cross_entropy", "nll_loss", "multi_margin_loss")
"""Losses whose integer targets are places in dimension 1 of the prediction."""


def out_of_range(name: str, prediction: torch.Tensor | None, target: torch.Tensor, ignored: int) -> Report | None:
    """What is wrong with the range of ``target`` under the loss function ``name``; None where nothing is."""
    if target.is_floating_point():
        if name not in PROBABILITIES:
            return None
        wrong = (target < 0) | (target > 1)
        return _report(target, wrong, "0 to 1", None)
    if name not in CLASSES or prediction is None or prediction.dim() == 0:
        return None
    classes = prediction.shape[1 if prediction.dim() > 1 else 0]
    wrong = ((target < 0) | (target >= classes)) & (target != ignored)
    return _report(target, wrong, f"0 to {classes - 1}", classes)


def of_term(term: Term) -> Report | None:
    """The same, of a loss call."""
    if term.target is None:
        return None
    return out_of_range(term.name, term.input, term.target.detach(), int(term.option("ignore_index", 4, -100)))


def beyond(labels: torch.Tensor, classes: int) -> Report | None:
    """Labels (n,) of a hand-written loss for a model of ``classes`` outputs."""
    return out_of_range("nll_loss", labels.new_empty(1, classes), labels, -100)


def _report(target: torch.Tensor, wrong: torch.Tensor, range: str, classes: int | None) -> Report | None:
    if not bool(wrong.any()):
        return None
    value = target[wrong].flatten()[0].item()
    rows = wrong.flatten(1).any(1) if wrong.dim() > 1 else wrong.reshape(-1)
    places = rows.nonzero().flatten().tolist()
    detail = f"target {value:g} of sample {places[0]} lies outside {range}, {int(wrong.sum())} of {wrong.numel()} do"
    report: Report = {
        "origin": "target",
        "layer": None,
        "detail": detail,
        "bad_samples": places[:10],
        "outside": {"value": value, "range": range},
    }
    return report | ({"classes": classes} if classes is not None else {})
