"""padding-in-loss."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import Abstain, percent
from ..place import of_loss
from ..trials import Trials
from ..window import median


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Whether padding has to be predicted.

    Why it matters
        Padding is easy: the loss falls by its share, the accuracy rises, and nothing was learned.

    How it is decided
        The share of the targets that equal the padding index of the model's embedding and are counted: over 10 % is a
        warning.

    When it is a false alarm
        An end of sequence that is the padding index as well is under 10 % unless sequences are short.

    What to do
        cross_entropy(..., ignore_index=pad).
    """
    graph = at.facts.get("loss.graph") or {}
    if graph.get("padding_idx") is None:
        return None
    left_out = median(at.view("target.ignored").scalar) if at.has("target.ignored") else 0.0
    if not at.has("target.padding") and left_out > 0:
        return Verdict("pass", f"{percent(left_out)} of the targets are left out of the loss", left_out)
    if not at.has("target.padding"):
        raise Abstain("the targets were not compared with the padding index")
    share = median(at.view("target.padding").scalar)
    said = f"{percent(share)} of the targets that count are padding"
    if not share > limit["share"]:
        return Verdict("pass", said, share, limit["share"])
    return Verdict(
        "warn",
        said,
        share,
        limit["share"],
        f"the loss{of_loss(at)} → ignore_index={graph['padding_idx']}",
        "no target that counts is padding",
    )


CHECK = Check("padding-in-loss", "padding left out of the loss", "Met in practice; exact.", judge, {"share": 0.1})
