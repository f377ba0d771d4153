"""lr-sanity."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import Abstain, number
from ..place import of_optimizer
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Settings of the optimizer outside of what is usual.

    Why it matters
        A power of ten too much in a line is easily written.

    How it is decided
        Adam's rate over 0.03 or under 1e-6, SGD's over 10, a weight decay over 0.1 with Adam's L2, a momentum of 0.999
        or more. Told, never judged: SGD with 0.1 is common.

    When it is a false alarm
        Rates that were found by a range test.

    What to do
        Adam 3e-4 to 1e-3, SGD 0.01 to 0.1 with momentum 0.9, weight decay 1e-4 to 1e-2.
    """
    known = at.optimizer
    if not known:
        raise Abstain("no optimizer was seen")
    name, rate = str(known.get("class")), max(known.get("lr") or [0.0])
    adam = "Adam" in name
    momentum = float(known.get("momentum") or (known.get("betas") or [0.0])[0])
    decay = float(known.get("weight_decay") or 0.0)
    odd = []
    if rate > (limit["adam"] if adam else limit["sgd"]) or (adam and 0 < rate < limit["least"]):
        odd.append(("lr", rate, 1e-3 if adam else 0.1))
    if momentum >= limit["momentum"]:
        odd.append(("beta1" if adam else "momentum", momentum, 0.9))
    if adam and name != "AdamW" and decay > limit["decay"]:
        odd.append(("weight_decay", decay, 0.01))
    said = f"{name} lr {number(rate)}, momentum {number(momentum)}, weight decay {number(decay)}"
    if not odd:
        return Verdict("pass", said, rate)
    setting, value, usual = odd[0]
    return Verdict(
        "info",
        f"{said}: {setting} is unusual",
        value,
        usual,
        f"{setting} {number(value)} → {number(usual)}{of_optimizer(at)}",
        "the loss falls steadily",
    )


CHECK = Check(
    "lr-sanity",
    "usual settings of the optimizer",
    "Notes C180, C212, C316, T16.",
    judge,
    {"adam": 3e-2, "least": 1e-6, "sgd": 10, "momentum": 0.999, "decay": 0.1},
)
