"""pool-stride."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..check import Check, Verdict
from ..finding import some
from ..place import of_layer
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Pooling, or a convolution, whose stride is larger than its kernel.

    Why it matters
        What lies between two windows is never seen. (In Caffe it gave NaN; in PyTorch it skips pixels silently.)

    How it is decided
        Exact, from the modules: stride over kernel is a warning. A pooling kernel over 3 is told.

    When it is a false alarm
        Subsampling on purpose (a 1x1 convolution with stride 2 in a shortcut) is common and left out.

    What to do
        A stride of at most the kernel.
    """
    told = at.trial("model")
    pools, convs = told.get("pools") or (), told.get("convs") or ()
    skipping = [entry for entry in (*pools, *convs) if max(entry[2]) > 1 and _skips(entry)]
    if skipping:
        names = some([str(entry[0]) for entry in skipping])
        name, kernel, stride = str(skipping[0][0]), max(skipping[0][2]), max(skipping[0][3])
        return Verdict(
            "warn",
            f"{names}: a stride of {stride} over a kernel of {kernel} skips what lies between",
            float(stride),
            float(kernel),
            f"{name}: stride {stride} → {kernel}{of_layer(at, name)}",
            "the stride is at most the kernel",
        )
    if not pools:
        return None
    widest = max(pools, key=lambda entry: max(entry[2]))
    wide = float(max(widest[2]))
    said = f"pooling kernels up to {wide:.0f}"
    if wide > limit["kernel"] and not widest[4]:
        return Verdict(
            "info",
            said,
            wide,
            limit["kernel"],
            f"{widest[0]}: kernel {wide:.0f} → 2 or 3{of_layer(at, str(widest[0]))}",
            "no pooling over 3",
        )
    return Verdict("pass", said, wide, limit["kernel"])


def _skips(entry: Sequence[Any]) -> bool:
    """Its stride is over its kernel along some axis."""
    return any(stride > kernel for kernel, stride in zip(entry[2], entry[3], strict=True))


CHECK = Check("pool-stride", "pooling that skips nothing", "Notes D82-84, D22.", judge, {"kernel": 3})
