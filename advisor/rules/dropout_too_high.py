"""dropout-too-high."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nnwatch.frame import Evidence, Remedy

from ..baseline import trivial_loss
from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..layers import shape_of
from ..modes import Modes, modes
from ..place import of_layer
from ..rule import Rule
from ..window import median

LESS = "Less dropout"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """So much is dropped that the net cannot learn what it is shown.

    Why it matters
        Dropout is a cure for overfitting. Without overfitting it only takes away capacity, and a p that was meant as
        the share to keep takes most of it.

    How it is decided
        At once where a p of 0.9 or more leaves three units or fewer of the layer in front of it on average. Else:
        Mechanism: a dropout layer with p over 0.5. Outcome, after half of the run: the training loss in evaluation
        mode is still over half that of a guess (a quarter at a p of 0.9 and more), in training mode it is higher by a
        fifth (not asked of such a p, which leaves too little of the net to differ), no longer falls (under that p,
        before the end), and validation is no worse than training in evaluation mode: nothing is overfitted.

    When it is a false alarm
        p = 0.5, and a training loss over the validation loss, are what dropout looks like when it works: both alone
        are silent.

    What to do
        Drop 0.1 to 0.3, or nothing until the net overfits. In PyTorch p is the share that is dropped.
    """
    rates = [(str(row[0]), float(row[1])) for row in at.facts.get("dropout") or ()]
    if not rates:
        raise Abstain("no dropout layer is known")
    name, p = max(rates, key=lambda rate: rate[1])
    if not p > limit["p"]:
        return None
    if scarce := _scarce(at, limit, rates):
        return scarce
    begin = at.track.segment.first_step
    if at.step < begin + max(at.warmup, limit["part"] * at.horizon):
        raise Abstain("too early: half of the run is allowed for it")
    both, guess = _modes(at, begin + int(0.2 * at.horizon), p >= limit["nearly"]), trivial_loss(at)[0]
    nearly = p >= limit["nearly"]
    far = limit["near" if nearly else "far"] * guess
    if both.eval < far or (both.train < 1.2 * both.eval and not nearly):
        return None
    if not nearly and at.falling and not at.over:
        return None  # a net with dropout learns slowly: it may still come down
    val = median(at.evaluations.loss[-3:]) if len(at.evaluations.loss) else both.eval
    if val > 1.1 * both.eval:
        return None
    return Found(
        "warn",
        f"{name} drops {percent(p)}, and the training loss is {number(both.train)} (a guess has {number(guess)})",
        (
            f"p = {number(p)}, over {number(limit['p'])}",
            f"without dropout the same batches cost {number(both.eval)}, validation {number(val)}: it does not overfit",
        ),
        at.track.segment.first_step + 1,
        (Evidence("loss.train.eval", both.eval, far, "training loss without dropout", 0, at.step),),
        (Remedy(LESS, f"{name}: p {number(p)} → 0.2{of_layer(at, name)}",
                f"the training loss falls under {number(0.5 * both.train)}"),),
        "If it stays high without dropout, the net is too small or its rate too low.",
        layer=name,
    )  # fmt: skip


def _scarce(at: Context, limit: Mapping[str, float], rates: Sequence[tuple[str, float]]) -> Found | None:
    """So few units are left of a layer that some samples get nothing through it: exact, from p and the units."""
    modules = [(str(row[0]), str(row[1])) for row in at.facts.get("modules") or ()]
    if not at.has("update.ratio") or at.step < at.track.segment.first_step + limit["samples"]:
        return None
    view = at.view("update.ratio")
    units = {view.names[i].rpartition(".")[0]: shape_of(view.notes[i])[0] for i in at.linear}
    for name, p in rates:
        place = next((i for i, (module, _) in enumerate(modules) if module == name), None)
        before = [module for module, _ in modules[:place] if module in units] if place is not None else []
        if p < limit["nearly"] or not before or not modules[place or 0][1].endswith("Dropout"):
            continue
        width = units[before[-1]]
        left, none = width * (1 - p), p**width
        if left > limit["left"]:
            continue
        return Found(
            "warn",
            f"{name} drops {percent(p)} of {width} units: {number(left)} are left on average",
            (
                f"p = {number(p)}: those that are left are made {number(1 / (1 - p))} times as large",
                f"{percent(none)} of the samples get nothing at all through {name}",
            ),
            at.track.segment.first_step + 1,
            (Evidence("update.ratio", left, limit["left"], f"units of {before[-1]} that are left", 1, at.step, name),),
            (Remedy(LESS, f"{name}: p {number(p)} → {number(round(1 - p, 3))}{of_layer(at, name)}",
                    "the training loss falls faster: in PyTorch p is the share that is dropped"),),
            "If p is meant as the share to drop, 0.1 to 0.5 is usual.",
            layer=name,
            exact=True,
        )  # fmt: skip
    return None


def _modes(at: Context, since: int, nearly: bool) -> Modes:
    """The training loss in both modes; where nearly all is dropped and too few batches were tried without dropout, the
    evaluations stand in for these."""
    try:
        return modes(at, since)
    except Abstain:
        if not nearly or len(at.evaluations.loss) < 3:
            raise
        return Modes(at.recent_loss(), median(at.evaluations.loss[-3:]), 0)


RULE = Rule(
    "dropout-too-high",
    "too much dropout",
    "statistical",
    ("update.ratio", "loss.train.eval", "loss.train", "loss.val", "target.count", "target.mean", "target.std"),
    (LESS,),
    "Notes C100, C263, C290; p over 0.5 alone is UMLAUT's rule (CHI 2021).",
    check,
    {"p": 0.5, "nearly": 0.9, "part": 0.5, "far": 0.5, "near": 0.25, "samples": 10, "left": 3},
    slow=True,
)
