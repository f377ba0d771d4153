"""softmax-twice."""

from __future__ import annotations

from collections.abc import Mapping

from nnwatch.frame import Evidence, Remedy

from ..context import Context
from ..finding import Found, number
from ..place import of, of_loss
from ..rule import Rule
from ..script import calls, loss, maker

REMOVE = "Give the loss the raw outputs"
TWICE = {
    ("cross_entropy", "Softmax"): ("softmax", "F.cross_entropy"),
    ("binary_cross_entropy_with_logits", "Sigmoid"): ("sigmoid", "F.binary_cross_entropy_with_logits"),
}


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The model ends in a softmax (or sigmoid) and the loss applies it again.

    Why it matters
        Probabilities lie between 0 and 1, so a second softmax can never be sure: with 10 classes its loss cannot fall
        under 1.46, and the gradients are a fraction of what they should be. The net still learns, slowly and less.

    How it is decided
        Exact: the operation in autograd's graph that made what the loss takes as prediction is a softmax in front of
        cross_entropy, or a sigmoid in front of binary_cross_entropy_with_logits.

    When it is a false alarm
        Never known to be. A log_softmax in front of cross_entropy changes nothing and is not reported; nor is a softmax
        whose result is scaled or computed with before it reaches the loss.

    What to do
        Drop the softmax at the end of forward(); apply it only where probabilities are printed or used.
    """
    return next(filter(None, map(_twice, calls(at))), None)


def _twice(at: Context) -> Found | None:
    """In front of one loss call."""
    found = TWICE.get((str(loss(at).get("name")), maker(at)))
    if found is None:
        return None
    what, function = found
    first = float(at.loss.scalar[0]) if at.has("loss.train") else float("nan")
    begin = at.track.segment.first_step + 1
    return Found(
        "error",
        f"{what} is applied twice: by the model and by {function}{of_loss(at)}",
        (f"the operation that made the prediction is a {what}, and {function} has one in itself",),
        begin,
        (Evidence("loss.train", first, None, f"first loss, of outputs that passed a {what} already", begin, begin),),
        (
            Remedy(
                REMOVE,
                f"{what}(x) at the end of forward(){of(at, 'output')} → x: {function}{of_loss(at)} gets raw outputs",
                f"the loss falls faster from its first value, {number(first)}, and can come near 0",
            ),
        ),
        f"If forward() has no {what}, look for one between the model and the loss.",
        title=f"{what} applied twice",
        exact=True,
    )


RULE = Rule(
    "softmax-twice",
    "softmax applied twice",
    "invariant",
    ("loss.train",),
    (REMOVE,),
    "Exact; UMLAUT (CHI 2021) and NeuraLint (TOSEM 2022) look for it in the source.",
    check,
    votes=(1, 1),
)
