"""What is known of the user's script: the operations around the loss, and the layers that have two modes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from copy import copy
from typing import Any

from .context import Context
from .finding import Abstain

VIEWS = {
    "Alias", "AsStrided", "Clone", "Contiguous", "Expand", "Permute", "ReshapeAlias", "Select", "Slice", "Split",
    "Squeeze", "T", "ToCopy", "Transpose", "Unbind", "Unsqueeze", "UnsafeView", "View",
}  # fmt: skip
"""Operations that change how numbers lie, not what they are."""
LAYERS = {"Addmm", "Mm", "Convolution"}
"""Operations of linear layers."""


def loss(at: Context) -> Mapping[str, Any]:
    """The fact ``loss``; empty where no loss function of torch was seen."""
    return at.facts.get("loss") or {}


def calls(at: Context) -> Iterator[Context]:
    """The boundary as each loss call of a step sees it, with the facts ``loss`` and ``loss.graph`` of its own. What is
    measured of predictions and targets is that of the first, which is ``at`` itself."""
    yield at
    for other in at.facts.get("loss.others") or ():
        seen = copy(at)
        seen.facts = {**at.facts, "classes": None, **other}
        yield seen


def graph(at: Context) -> Mapping[str, Any]:
    """The fact ``loss.graph``. Raises Abstain where it is not known."""
    found = at.facts.get("loss.graph")
    if not found:
        raise Abstain("the operations around the loss are not known")
    return dict(found)


def operation(node: str) -> str:
    """``"Softmax"`` for "SoftmaxBackward0"."""
    return node.rstrip("0123456789").removesuffix("Backward").lstrip("_")


def operations(at: Context, side: str) -> list[str]:
    """Operations ``before`` the loss (nearest first) or ``after`` it, without those that only move numbers."""
    return [name for node in graph(at).get(side) or () if (name := operation(str(node))) not in VIEWS]


def no_activation(at: Context) -> bool:
    """Two or more linear layers make the prediction, and nothing bends what goes from one to the next: together they
    are one. False where the operations are not known."""
    if at.has("act.mean"):
        return False
    with suppress(Abstain):
        found = operations(at, "before")
        return len(found) > 1 and LAYERS.issuperset(found)
    return False


def maker(at: Context) -> str:
    """The operation whose result the loss gets as prediction; "" where there is none."""
    found = operations(at, "before")
    return found[0] if found else ""


def layers(at: Context) -> Mapping[str, int]:
    """Number of layers of each kind; empty where not known."""
    return at.facts.get("layers") or {}


def has_modes(at: Context) -> bool:
    """The model has layers that work differently in training and in evaluation."""
    return bool(layers(at).get("batchnorm") or layers(at).get("dropout") or at.facts.get("dropout"))
