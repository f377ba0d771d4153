"""loss-reduction."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import Abstain
from ..place import of_loss
from ..script import loss
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Whether the loss is a mean over the batch.

    Why it matters
        A sum makes the size of the batch a factor of the learning rate, and the last, smaller batch counts less.

    How it is decided
        reduction="sum" without a division before backward() is told; it is a warning where the rule wrong-reduction
        sees trouble that comes of it, or a loss that jumps with a ragged last batch.

    When it is a false alarm
        Variational autoencoders sum over features on purpose; Adam hardly minds.

    What to do
        reduction="mean", or divide by the number of samples.
    """
    try:
        seen = at.by_rules(("wrong-reduction",), "the loss is a mean over the batch")
    except Abstain:
        seen = Verdict("pass", "the loss is a mean over the batch")
    if seen.state != "pass" or loss(at).get("reduction") != "sum":
        return seen if loss(at) else None
    root, whole = at.view("loss.root").scalar[:20], at.loss.scalar[:20]
    if len(root) and len(whole) and root[0] < 0.5 * whole[0]:
        return Verdict("pass", "the sum is divided before backward()")
    size = at.batch_size or 1
    change = f'reduction="sum"{of_loss(at)} → "mean"'
    return Verdict(
        "info",
        f"the loss is a sum over a batch of {size:.0f}",
        size,
        1.0,
        change,
        "the loss is independent of the batch size",
    )


CHECK = Check("loss-reduction", "a loss averaged over the batch", "Note C206.", judge)
