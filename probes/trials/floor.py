"""The lowest loss there can be on a batch: labels that are soft or smoothed, equal inputs with unequal targets."""

from __future__ import annotations

from collections.abc import Hashable

import torch
import torch.nn.functional as F

from nnwatch.trial import LossKind

from ..loss import Term
from .captured import Batch

KINDS: dict[str, LossKind] = {
    "cross_entropy": "cross-entropy",
    "nll_loss": "cross-entropy",
    "binary_cross_entropy": "binary-cross-entropy",
    "binary_cross_entropy_with_logits": "binary-cross-entropy",
    "mse_loss": "mse",
    "l1_loss": "l1",
    "smooth_l1_loss": "l1",
    "huber_loss": "l1",
}


def kind(term: Term) -> LossKind:
    return KINDS.get(term.name, "other")


def floor(batch: Batch, prediction: torch.Tensor | None) -> float | None:
    """Mean over the targets; ``prediction`` of the same batch. None where it is not known: another loss, weights of
    classes or samples, targets in no order that the samples have.

    A sequence counts as known up to each position: what follows may not be used to predict it.
    """
    term, target = batch.term, batch.term.target
    loss = kind(term)
    if loss == "other" or target is None or prediction is None or term.kwargs.get("weight") is not None:
        return None
    if loss in ("cross-entropy", "binary-cross-entropy") and len(term.args) > 2 and term.args[2] is not None:
        return None
    keys = _keys(batch, target, prediction, loss)
    if keys is None:
        return None
    groups: dict[Hashable, list[int]] = {}
    for place, key in enumerate(keys):
        groups.setdefault(key, []).append(place)
    if loss == "cross-entropy":
        return _of_classes(term, target, prediction, groups)
    rows = target.detach().reshape(len(keys), -1).double().cpu()
    total = 0.0
    for places in groups.values():
        mine = rows[places]
        if loss == "binary-cross-entropy":
            share = mine.mean(0).clamp(1e-12, 1 - 1e-12)
            total += float(-(share * share.log() + (1 - share) * (1 - share).log()).sum()) * len(places)
        elif loss == "mse":
            total += float((mine - mine.mean(0)).square().sum())
        elif term.name == "l1_loss":
            total += float((mine - mine.median(0).values).abs().sum())
    return total / rows.numel()


def _of_classes(term: Term, target: torch.Tensor, prediction: torch.Tensor, groups: dict[Hashable, list[int]]) -> float:
    """Cross-entropy of each group's mixture of targets."""
    classes = prediction.shape[1] if prediction.dim() > 1 else prediction.shape[0]
    if target.is_floating_point():
        wanted = target.detach().double().cpu().movedim(1, -1).reshape(-1, classes)
        kept = torch.ones(len(wanted), dtype=torch.bool)
    else:
        labels = target.detach().reshape(-1).cpu()
        kept = labels != int(term.kwargs.get("ignore_index", -100))
        wanted = F.one_hot(labels.where(kept, 0), classes).double()
    smoothing = float(term.kwargs.get("label_smoothing", 0.0))
    wanted = wanted * (1 - smoothing) + smoothing / classes
    total = 0.0
    for places in groups.values():
        mine = wanted[places][kept[places]]
        if len(mine):
            total += float(torch.special.entr(mine.mean(0)).sum()) * len(mine)
    return total / max(1, int(kept.sum()))


def _keys(batch: Batch, target: torch.Tensor, prediction: torch.Tensor, loss: LossKind) -> list[Hashable] | None:
    """What is known where each target has to be predicted."""
    inputs = [tensor.detach().cpu() for _, tensor in batch.named()]
    if not inputs:
        return None
    rows = batch.rows
    if loss == "cross-entropy":
        soft = target.is_floating_point()
        targets = target.numel() // (prediction.shape[1] if soft and prediction.dim() > 1 else 1)
    else:
        targets = target.shape[0] if target.dim() else 1
    if targets % rows:
        return None
    each = targets // rows
    if each == 1:
        return [
            b"".join(tensor[row].contiguous().view(-1).numpy().tobytes() for tensor in inputs) for row in range(rows)
        ]
    tokens = next((t for t in inputs if t.dim() == 2 and not t.is_floating_point()), None)
    if tokens is None or tokens.shape[1] < each:
        return [*range(targets)]  # positions of something that is no text: each is its own
    return [tokens[row, : place + 1].numpy().tobytes() for row in range(rows) for place in range(each)]
