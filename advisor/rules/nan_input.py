"""nan-input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnwatch.frame import Remedy

from ..context import Context
from ..finding import Found
from ..nonfinite import GIVEN, last_finite, onset, restart
from ..place import of
from ..rule import Rule

CLEAN = "Repair or drop the samples"
GUARD = "Check the data once, where they are loaded"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The batch that entered the model, or its targets, held NaN or infinity.

    Why it matters
        One such number makes the loss, then every gradient, then every weight NaN: the run is dead from that step on,
        and nothing that is done to the learning rate helps.

    How it is decided
        The first non-finite number of the run is looked for in the batch itself, before any layer has touched it. That
        is exact: no threshold, no second key. Where a distribution or a solver raised before there was a loss, a batch
        of which single samples have become NaN from end to end, and no other number has, held NaN in these. Where the
        batch was not kept, but the very first operation of the net gave NaN with finite weights, it entered as such. It
        is resolved when ten finite losses in a row follow.

    When it is a false alarm
        Never about the number itself. If infinities in the input are meant (a mask), the model turns them into finite
        numbers, the loss stays finite, and nothing is said.

    What to do
        Find the samples (a missing value read as NaN, a division by a standard deviation of 0, the logarithm of 0 in
        the preprocessing), repair or drop them, and start again from the last checkpoint before that step.
    """
    first = onset(at)
    if first is None or first.origin not in GIVEN or "outside" in first.data:
        return None
    part = "targets" if first.origin == "target" else "input"
    where = _where(first.data)
    tensor = "y" if first.origin == "target" else "x"
    why = f"the {part} was not finite before any layer had touched it"
    if first.origin == "entered":
        why = "the first operation of the net gave NaN while its weights were finite: what entered it was NaN"
    if first.origin == "sample":
        why = "all that the net made of these samples is NaN, and nothing of any other: it came in with them"
    return Found(
        "fatal",
        f"the {part} of {first.when} held NaN or infinity{': ' * bool(where)}{where}",
        (why,),
        first.step,
        (last_finite(at, first.step),),
        (
            Remedy(CLEAN, f"{where or f'the bad samples of step {first.step}'} → dropped or repaired",
                   restart(at, first.step)),
            Remedy(GUARD, f"no check → assert torch.isfinite({tensor}).all() over the whole data set{of(at, 'loader')}",
                   "it names the bad rows before the first step"),
        ),
        "If the data are clean on disk, look at the preprocessing: a division by a standard deviation of 0 does it.",
        title=f"NaN in the {part}",
        exact=True,
    )  # fmt: skip


def _where(data: Mapping[str, Any]) -> str:
    """``row 700 of the data set`` where that place is known, else that in the batch; "" if neither is."""
    for key, name, whole in (("samples", "row", "data set"), ("bad_samples", "sample", "batch")):
        if rows := data.get(key):
            listed = ", ".join(map(str, rows[:5])) + ", ..." * (len(rows) > 5)
            return f"{name}{'s' * (len(rows) > 1)} {listed} of the {whole}"
    return ""


RULE = Rule(
    "nan-input",
    "NaN in the data",
    "invariant",
    ("loss.train",),
    (CLEAN, GUARD),
    "Notes D69-81 and C350-358; the order of looking (data, forward, backward, growth) is that of the autopsy.",
    check,
    votes=(1, 1),
)
