"""unnormalised-input."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from nnwatch.frame import Evidence, Remedy

from ..baseline import untrained_loss
from ..context import Context
from ..entering import FIRST, entering
from ..finding import Abstain, Found, number
from ..place import of_call, of_layer
from ..rule import Rule
from ..scale import off_scale, trouble
from ..script import loss
from ..window import median

NORMALISE = "Normalise the input"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The numbers that enter the model are far from zero mean and unit variance.

    Why it matters
        Initialisations and learning rates are made for inputs of about unit size. Pixels from 0 to 255 make the first
        outputs a hundred times too large, drive sigmoids flat and ReLUs dead, and a rate that suits them suits nothing
        else.

    How it is decided
        Mechanism, over the first 20 sampled steps: a standard deviation over 10 or under 0.1 at a mean that is not
        small either, a mean of over three standard deviations, or values beyond 50; or, by the gradients of the weight
        and of the bias of the first layer that has both, what enters it has a size of over 30 or under 0.005 (healthy:
        0.03 to 9). Outcome: a first loss of over 1.5 times that of a guess (ten times for squares), trouble that it
        explains (dead or saturated layers, divergence), activations of a deviation over 5 at the first step, a loss
        that has not fallen in half of the plan (60 to 200 steps), or one that stands over a third of its first value in
        the second half of the run. Both mechanisms together are enough. One alone is *watch*; that at the entrance
        until the loss has halved.

    When it is a false alarm
        A net that begins with a normalisation (BatchNorm, LayerNorm) takes any scale and is silent. Sparse and one-hot
        inputs have a small deviation and are meant.

    What to do
        Subtract the mean and divide by the standard deviation of the training data, per feature or channel: for
        validation with the same numbers.
    """
    if _normalises_first(at):
        raise Abstain("the model begins with a normalisation: the scale of its input does not matter")
    outcome, inside = _outcome(at, limit), _inside(at, limit)
    try:
        mean, std, high, low = (_at_first(at, metric) for metric in ("mean", "std", "max", "min"))
    except Abstain:
        if inside is None:
            raise
        mean, std, high, low = 0.0, 1.0, 0.0, 0.0
    beyond = max(abs(high), abs(low))
    far = abs(mean) > limit["offset"] * std and abs(mean) > 1
    large = std > limit["std"] or (beyond > limit["largest"] and std > 1)
    if not (std > 0 and (large or far or (std < 0.1 < abs(mean)))):
        return _of_layer(at, limit, inside, outcome) if inside and "bad-init" not in at.opened else None
    if not (outcome or inside) and 0 <= at.recent_loss() < 0.5 * at.first_loss:
        return None
    mechanism = f"the input has mean {number(mean)}, standard deviation {number(std)}, values up to {number(beyond)}"
    remedy = Remedy(
        NORMALISE,
        f"x{of_call(at, '')} → (x - {number(mean)}) / {number(std)}, for training and validation alike",
        "input.mean is about 0, input.std about 1, and the first loss is that of a guess",
    )
    otherwise = "If features differ by orders of magnitude, normalise each by its own mean and deviation."
    keys = (mechanism, inside.said if inside else None, outcome)
    return off_scale(at, "input", mean, std, keys, (remedy,), otherwise)


def _at_first(at: Context, kind: str) -> float:
    """Of the first sampled step, or the median of the first twenty, what is nearer to 0: where the net makes the input
    itself, what a rate too high has blown up is no fault of the scale."""
    values = at.view(f"input.{kind}").values[:FIRST, 0]
    return min(float(values[0]), median(values), key=abs)


class Inside(NamedTuple):
    """Numbers of an unusual size that enter a layer: what is said of them, the layer and their size."""

    said: str
    layer: str
    size: float


def _inside(at: Context, limit: Mapping[str, float]) -> Inside | None:
    """What enters the first layer is far off, whatever the model was given: by the gradients of that layer."""
    found = entering(at)
    if found is None or found.size == 0 or limit["faint"] <= found.size <= limit["loud"]:
        return None
    said = f"what enters {found.layer} has a size of {number(found.size)}, by its gradients; 0.1 to 3 is usual"
    return Inside(said, found.layer, found.size)


def _of_layer(at: Context, limit: Mapping[str, float], inside: Inside, outcome: str | None) -> Found:
    """The finding where the model makes numbers of an unusual size of what it was given."""
    begin = at.track.segment.first_step + 1
    outcome = outcome or _swollen(at, limit) or at.stands_key()
    return Found(
        "warn" if outcome else "watch",
        f"what enters {inside.layer} has a size of {number(inside.size)} (reference 1)",
        (inside.said, *([outcome] if outcome else [])),
        begin,
        (Evidence("grad.norm.layer", inside.size, 1.0, "gradient of the weight over that of the bias, per element of "
                  "the input", begin, at.step, inside.layer),),
        (Remedy(NORMALISE, f"what enters {inside.layer} → divided by {number(inside.size)}{of_layer(at, inside.layer)}",
                "its weight and its bias have gradients of one size"),),
        "If features differ by orders of magnitude, normalise each by its own mean and deviation.",
        layer=inside.layer,
    )  # fmt: skip


def _swollen(at: Context, limit: Mapping[str, float]) -> str | None:
    """The first activations are as far off."""
    if not at.has("act.std"):
        return None
    view = at.view("act.std")
    first = view.values[0]
    worst = int(np.argmax(np.nan_to_num(first)))
    if not first[worst] > limit["swollen"]:
        return None
    return f"at the first step the outputs of {view.names[worst]} have a deviation of {number(float(first[worst]))}"


def _outcome(at: Context, limit: Mapping[str, float]) -> str | None:
    with suppress(Abstain):
        guess, meaning = untrained_loss(at)
        times = limit["squared"] if loss(at).get("name") == "mse_loss" else limit["first"]
        if at.first_loss > times * guess:
            return f"the first loss is {number(at.first_loss)}, a guess has {number(guess)} ({meaning})"
    if known := trouble(at):
        return known
    return at.loss_key()


def _normalises_first(at: Context) -> bool:
    """The first layer with weights, in module order, is a normalisation."""
    rows = [(str(row[0]), str(row[1]), row[2]) for row in at.facts.get("modules") or ()]
    for i, (name, kind, parameters) in enumerate(rows):
        container = i + 1 < len(rows) and rows[i + 1][0].startswith(f"{name}." if name else "")
        if not container and ("Norm" in kind or parameters):
            return "Norm" in kind
    return False


RULE = Rule(
    "unnormalised-input",
    "the input is not normalised",
    "statistical",
    ("input.mean", "input.std", "input.min", "input.max", "grad.norm.layer", "act.std", "loss.train"),
    (NORMALISE,),
    "Notes D6, C97, C180. The first loss was 1.00-1.10 times ln C for 7 sound nets, 9-104 times for raw pixels.",
    check,
    {
        "std": 10,
        "offset": 3,
        "largest": 50,
        "first": 1.5,
        "squared": 10,
        "loud": 30,
        "faint": 5e-3,
        "left": 1 / 3,
        "swollen": 5,
    },
)
