"""shape-broadcast."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from nnwatch.frame import Evidence, Remedy

from ..context import Context
from ..finding import Found
from ..place import of_loss
from ..rule import Rule
from ..script import calls, graph, loss

MATCH = "Give prediction and target one shape"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The loss compares every prediction with every target: shapes such as (N, 1) and (N) were broadcast to (N, N).

    Why it matters
        The best the net can do against all targets at once is their mean, so it learns to predict the mean. The loss
        falls a little and looks like a hard task.

    How it is decided
        Exact: the shapes of prediction and target at the loss call differ, and broadcasting makes more numbers of them
        than either has. Of a loss written by hand: a difference of as many predictions as the batch has samples, and
        of something without a gradient, is a square of that size in autograd's graph.

    When it is a false alarm
        A loss over all pairs that is meant to be one (a distance matrix through mse_loss). Targets of a single number
        (mse_loss(d(x), 1.0) of a GAN) pair nothing and are not reported.

    What to do
        prediction.squeeze(1) or target.unsqueeze(1) in front of the loss. Torch warns of it once, on standard error.
    """
    if found := at.facts.get("loss.pairs"):
        return _by_hand(at, found)
    return next(filter(None, map(_stretched, calls(at))), None)


def _stretched(at: Context) -> Found | None:
    """By one loss call."""
    found = graph(at)
    prediction, target = _sizes(found.get("input")), _sizes(found.get("target"))
    if not found.get("broadcast") or not prediction or not target:
        return None
    pairs = _together(prediction, target)
    most = max(math.prod(prediction), math.prod(target))
    if pairs is None or math.prod(pairs) <= most:
        return None
    begin = at.track.segment.first_step + 1
    first = float(at.loss.scalar[0]) if at.has("loss.train") else float("nan")
    squeeze = "prediction.squeeze(-1)" if prediction[-1] == 1 else "target.squeeze(-1)"
    return Found(
        "error",
        f"{loss(at).get('name', 'the loss')}{of_loss(at)} makes {_text(pairs)} of prediction {_text(prediction)} and "
        f"target {_text(target)}",
        (f"{math.prod(pairs):,} differences are averaged where there are {most:,} values",),
        begin,
        (Evidence("loss.train", first, None, "first loss, over all pairs", begin, begin),),
        (
            Remedy(
                MATCH,
                f"{_text(prediction)} against {_text(target)}{of_loss(at)} → {squeeze}, so that both have one shape",
                "the loss falls under the variance of the targets",
            ),
        ),
        "If the shapes are meant so, expand both by hand: then it is no accident to anybody who reads it.",
        exact=True,
    )


def _by_hand(at: Context, found: Mapping[str, Any]) -> Found | None:
    prediction, pairs = _sizes(found.get("input")), _sizes(found.get("pairs"))
    if not pairs or at.batch_size not in (None, pairs[0]):
        return None
    begin = at.track.segment.first_step + 1
    first = float(at.loss.scalar[0])
    squeeze = "prediction.squeeze(-1) - target" if prediction[-1:] == (1,) else "prediction - target.squeeze(-1)"
    return Found(
        "error",
        f"a difference makes {_text(pairs)} of prediction {_text(prediction)} and what it is compared with",
        (f"{math.prod(pairs):,} differences are averaged where there are {pairs[0]:,} samples in the batch",),
        begin,
        (Evidence("loss.train", first, None, "first loss, over all pairs", begin, begin),),
        (
            Remedy(
                MATCH,
                f"prediction - target → {squeeze}, so that both have one shape",
                "the loss falls under the variance of the targets",
            ),
        ),
        "If all pairs are meant, expand both by hand: then it is no accident to anybody who reads it.",
    )


def _sizes(shape: object) -> tuple[int, ...]:
    return tuple(int(size) for size in shape) if isinstance(shape, Sequence) else ()


def _together(a: Sequence[int], b: Sequence[int]) -> tuple[int, ...] | None:
    """The broadcast shape, None where the two do not fit."""
    sizes = [*zip_longest(reversed(a), reversed(b), fillvalue=1)]
    if any(x != y and 1 not in (x, y) for x, y in sizes):
        return None
    return tuple(max(x, y) for x, y in reversed(sizes))


def _text(shape: Sequence[int]) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


RULE = Rule(
    "shape-broadcast",
    "prediction and target were broadcast",
    "invariant",
    ("loss.train",),
    (MATCH,),
    "Exact.",
    check,
    votes=(1, 1),
)
