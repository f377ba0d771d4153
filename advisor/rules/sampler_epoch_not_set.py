"""sampler-epoch-not-set."""

from __future__ import annotations

from collections.abc import Mapping

from nnwatch.frame import Evidence, Remedy

from ..context import Context
from ..finding import Found
from ..rule import Rule

SET = "Tell the sampler the epoch"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """A distributed sampler is never told which epoch it is, so every epoch has the same order.

    Why it matters
        DistributedSampler shuffles with seed + epoch. Without set_epoch() the same samples meet in the same batches
        for the whole run, which costs accuracy and looks like nothing.

    How it is decided
        Exact: the calls of set_epoch() are counted beside the passes over the loader; none in two passes or more.

    When it is a false alarm
        A sampler that is not to shuffle (shuffle=False) has one order anyway and is not reported.

    What to do
        sampler.set_epoch(epoch) before each pass over the loader. Frameworks that own the loop do it themselves.
    """
    known = at.facts.get("sampler_epochs") or {}
    passes, calls = int(known.get("passes") or 0), int(known.get("set_epoch_calls") or 0)
    if passes < 2 or calls or known.get("shuffle") is False:
        return None
    name = str(known.get("class") or "DistributedSampler")
    return Found(
        "warn",
        f"{name}.set_epoch() was not called in {passes} epochs (reference: once an epoch)",
        ("without it every epoch has the order of the first",),
        at.track.segment.first_step + 1,
        (Evidence("epoch", float(passes), 0.0, "epochs, with as many calls of set_epoch", 0, at.step),),
        (
            Remedy(
                SET,
                f"for epoch in ... → {name.lower()}.set_epoch(epoch) as its first line",
                "target.order differs between epochs",
            ),
        ),
        "If it is called, look whether on the sampler that the loader really has.",
        exact=True,
    )


RULE = Rule(
    "sampler-epoch-not-set",
    "the sampler is not told the epoch",
    "invariant",
    ("epoch",),
    (SET,),
    "Exact; torch.utils.data.distributed.DistributedSampler documents it.",
    check,
    votes=(1, 1),
)
