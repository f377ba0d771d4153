"""receptive-field."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import percent
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """How much of the input one output of the last convolution sees.

    Why it matters
        Large things cannot be told by a net that sees a corner of them.

    How it is decided
        Computed along the convolutions and poolings in module order; a quarter of the input's longer side is told
        where the net ends in no global pooling or linear layer that joins the rest.

    When it is a false alarm
        Branches in parallel are counted one after the other, which is too much; textures are local.

    What to do
        Dilation, stride or depth.
    """
    field = at.trial("model").get("field")
    size = [int(side) for side in ((at.facts.get("shapes") or {}).get("input") or ())[2:]]
    if not field or not size:
        return None
    share = float(field["size"]) / max(size)
    said = f"an output of the last convolution sees {field['size']} of {max(size)} pixels ({percent(min(share, 1.0))})"
    if share >= limit["share"] or field.get("joined"):
        return Verdict("pass", said, float(field["size"]), float(max(size)))
    return Verdict(
        "info",
        said,
        float(field["size"]),
        float(max(size)),
        "kernels as they are → dilated, or a deeper net",
        "it sees a quarter or more",
    )


CHECK = Check("receptive-field", "a net that sees enough", "Notes C91, K14.", judge, {"share": 0.25})
