"""padding."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import some
from ..place import of_layer
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Convolutions with an even kernel, or with other padding than half of it.

    Why it matters
        An even kernel shifts the picture by half a pixel a layer; without padding each layer loses its border.

    How it is decided
        Exact, from the modules with stride 1: padding other than dilation · (kernel - 1) / 2. Told.

    When it is a false alarm
        Causal convolutions pad on one side; nets without padding are a choice.

    What to do
        Kernel 3 with padding 1, 5 with 2.
    """
    convs = [entry for entry in at.trial("model").get("convs") or () if max(entry[2]) > 1 and max(entry[3]) == 1]
    if not convs:
        return None
    odd = [
        entry
        for entry in convs
        if any(2 * p != d * (k - 1) for k, p, d in zip(entry[2], entry[4], entry[5], strict=True))
    ]
    if not odd:
        return Verdict("pass", "convolutions keep the size of what they see", 0.0, 0.0)
    name, kernel = str(odd[0][0]), max(odd[0][2])
    return Verdict(
        "info",
        f"{some([str(entry[0]) for entry in odd])} shrink or shift what they see",
        float(len(odd)),
        0.0,
        f"{name}: kernel {kernel} → padding {(kernel - 1) // 2}{of_layer(at, name)}",
        "the size is kept",
    )


CHECK = Check("padding", "padding of half the kernel", "Note D20.", judge)
