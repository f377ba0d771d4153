"""corrupt."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import some
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Samples that cannot be read, are not finite, are of another shape, or hold the same number everywhere.

    Why it matters
        One NaN in one sample ends a training when its turn comes, hours in. A truncated file raises, a constant image
        teaches noise.

    How it is decided
        Every sample that was read, of every set that was found: an exception, a NaN or infinity in input or target and
        a shape unlike the others where they are stacked are an error, constant samples of 16 numbers or more a warning.

    When it is a false alarm
        Samples that are empty on purpose (no event in this window) are constant and meant. Where every sample may have
        another shape, shapes are not compared.

    What to do
        Look at the samples named, repair or drop them.
    """
    bad: list[str] = []
    constant: list[str] = []
    for role, data in at.sets().items():
        errors = [f"sample {i} ({text})" for i, text in data.get("errors") or ()]
        shapes = [f"sample {i} ({'x'.join(map(str, shape))})" for i, shape in data.get("other_shapes") or ()]
        values = [f"sample {i}" for i in data.get("nonfinite") or ()]
        for what, found in (("cannot be read", errors), ("not finite", values), ("of another shape", shapes)):
            if found:
                bad.append(f"{role}: {some(found)} {what}")
        if data.get("constant"):
            constant.append(f"{role}: {some([f'sample {i}' for i in data['constant']])} constant")
    read = sum(int(data.get("read") or 0) for data in at.sets().values())
    wrong = sum(sum((data.get("bad") or {}).values()) for data in at.sets().values())
    if not bad and not constant:
        return Verdict("pass", f"{read:,} samples read, all finite and alike in shape", 0.0, 0.0)
    return Verdict(
        "error" if bad else "warn",
        "; ".join(bad + constant),
        float(wrong),
        0.0,
        f"{wrong} damaged samples → repaired or dropped",
        "every sample can be read and is finite",
    )


CHECK = Check("corrupt", "samples that are damaged", "Notes K12, D2, D78-81. Exact.", judge)
