"""nan-optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnwatch.frame import Remedy

from ..context import Context
from ..finding import Found
from ..nonfinite import last_finite, onset, restart
from ..rule import Rule

EPS = "Give the optimizer an eps that its type can hold"
WIDER = "Keep weights and optimizer state in float32"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The gradients were finite, and the optimizer's own arithmetic made the weights NaN.

    Why it matters
        The loss of the next step is NaN and stays so; data, model and loss function are sound, and looking there finds
        nothing.

    How it is decided
        Exact: a gradient that is not finite stays in every average the optimizer keeps of it. The weights are not
        finite and these averages are.

    When it is a false alarm
        None is known.

    What to do
        Adam and its kin divide by sqrt(v) + eps. With eps = 0, or an eps of 1e-8 in float16 where it is 0, a weight
        whose gradient is 0 (a black pixel, a dead unit) or too small to be squared gives 0 / 0. Keep the master weights
        in float32 (autocast does), or take eps = 1e-4 in float16.
    """
    first = onset(at)
    if first is None or first.origin != "optimizer":
        return None
    name = str(first.data.get("op") or "the optimizer")
    layer = first.data.get("layer")
    detail = f" ({first.data['detail']})" if first.data.get("detail") else ""
    used: dict[str, Any] = next(iter(at.facts.get("optimizers") or ()), {})
    eps = f"eps={used['eps']:g}" if isinstance(used.get("eps"), int | float) else "its eps"
    return Found(
        "fatal",
        f"{name} made weights{f' of {layer}' if layer else ''} NaN or infinite at {first.when}{detail}",
        ("the averages it keeps of the gradients are finite, so the gradients were",),
        first.step,
        (last_finite(at, first.step),),
        (
            Remedy(EPS, f"{name}({eps}) → {name}(eps=1e-8) in float32, eps=1e-4 in float16",
                   restart(at, first.step)),
            Remedy(WIDER, "model.half() → float32 weights under torch.autocast", restart(at, first.step)),
        ),
        "If eps is not the reason, look at a learning rate or weight decay that is itself no number.",
        layer=layer,
        exact=True,
    )  # fmt: skip


RULE = Rule(
    "nan-optimizer",
    "NaN from the optimizer",
    "invariant",
    ("loss.train",),
    (EPS, WIDER),
    "Adam's update divides by sqrt(v) + eps (Kingma and Ba 2015); 1e-8 is below float16's smallest number, 6e-8.",
    check,
    votes=(1, 1),
)
