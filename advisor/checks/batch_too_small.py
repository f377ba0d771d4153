"""batch-too-small."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import Abstain
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """How many samples BatchNorm averages over.

    Why it matters
        The mean and variance of a handful of samples are mostly noise.

    How it is decided
        Fewer than eight samples in a forward pass of a net with BatchNorm are told; a warning where the rule
        batch-too-small finds evaluation mode worse by half. The batch size alone is never judged.

    When it is a false alarm
        BatchNorm that is frozen.

    What to do
        A larger batch, or GroupNorm.
    """
    if not at.batchnorm:
        return None
    if at.batch_size is None:
        raise Abstain("the batch size is not measured")
    each = at.batch_size / max(1, at.accumulation)
    found = at.findings.get("batch-too-small")
    if found is not None and found.severity != "info":
        return at.by_rules(("batch-too-small",), "")
    said = f"BatchNorm averages over {each:.0f} samples"
    if each >= limit["batch"]:
        return Verdict("pass", said, each, limit["batch"])
    return Verdict(
        "info",
        said,
        each,
        limit["batch"],
        f"batch {each:.0f} → {limit['batch']:.0f} or more, or GroupNorm",
        "evaluation mode is as good as training mode",
    )


CHECK = Check("batch-too-small", "batches large enough for BatchNorm", "Notes T31, C202, C320.", judge, {"batch": 8})
