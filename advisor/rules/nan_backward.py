"""nan-backward."""

from __future__ import annotations

from collections.abc import Mapping

from nnwatch.frame import Remedy

from ..context import Context
from ..finding import Found
from ..nonfinite import growth, last_finite, onset, restart
from ..rule import Rule

DOMAIN = "Keep the operation away from where its slope is infinite"
ANOMALY = "Let autograd name the operation"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The loss was finite, its gradient was not.

    Why it matters
        The step that follows makes the weights NaN; the loss shows it one step later, away from the cause.

    How it is decided
        The gradients are looked at before the optimizer uses them. If loss, gradient or updates had grown before, the
        cause is divergence, and that is said instead.

    When it is a false alarm
        A gradient scaler that looks for its scale makes infinite gradients on purpose; they are not counted.

    What to do
        The usual operations have a finite value and an infinite slope: sqrt(0), norm of a zero vector, x ** p at 0 with
        p < 1, and torch.where, which multiplies the slope of the branch not taken by 0 and gets NaN. Add a small number
        inside: sqrt(x + 1e-12).
    """
    first = onset(at)
    if first is None or first.origin != "backward" or growth(at, first.step) is not None:
        return None
    layer = first.data.get("layer")
    detail = f" ({first.data['detail']})" if first.data.get("detail") else ""
    return Found(
        "fatal",
        f"the gradient of {first.when} is not finite{f', deepest in {layer}' if layer else ''}{detail}",
        ("the loss of the same step is finite, and nothing had grown before",),
        first.step,
        (last_finite(at, first.step),),
        (
            Remedy(DOMAIN, f"sqrt(x), norm(x) or x ** p{first.where} → sqrt(x + 1e-12) and the like",
                   restart(at, first.step)),
            Remedy(ANOMALY, f"no check → torch.autograd.set_detect_anomaly(True) around step {first.step}",
                   "the traceback names the line of the forward pass (about four times slower)"),
        ),
        "If the operation is sound there, divide the learning rate by ten and clip the gradient at 1.0.",
        layer=layer,
        exact=True,
    )  # fmt: skip


RULE = Rule(
    "nan-backward",
    "NaN in the gradient",
    "invariant",
    ("loss.train", "grad.norm", "update.ratio"),
    (DOMAIN, ANOMALY),
    "Notes D69-81 and C350-358; the order of looking (data, forward, backward, growth) is that of the autopsy.",
    check,
    votes=(1, 1),
)
