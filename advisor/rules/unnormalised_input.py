"""unnormalised-input."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from nnwatch.frame import Remedy

from ..baseline import untrained_loss
from ..context import Context
from ..finding import Abstain, Found, number
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
        Mechanism: a standard deviation over 10 or under 0.1 at a mean that is not small either, a mean of over three
        standard deviations, or values beyond 50. Outcome: a first loss of over 1.5 times that of a guess (ten times for
        squares), trouble that it explains (dead or saturated layers, divergence), or a loss that has not fallen after
        60 steps. Alone it is *watch*, until the loss has halved.

    When it is a false alarm
        A net that begins with a normalisation (BatchNorm, LayerNorm) takes any scale and is silent. Sparse and one-hot
        inputs have a small deviation and are meant.

    What to do
        Subtract the mean and divide by the standard deviation of the training data, per feature or channel: for
        validation with the same numbers.
    """
    if _normalises_first(at):
        raise Abstain("the model begins with a normalisation: the scale of its input does not matter")
    mean, std = (median(at.view(f"input.{kind}").thin(200).scalar) for kind in ("mean", "std"))
    high, low = (median(at.view(f"input.{kind}").thin(200).scalar) for kind in ("max", "min"))
    beyond = max(abs(high), abs(low))
    if not std > 0:
        return None
    far = abs(mean) > limit["offset"] * std and abs(mean) > 1
    if not (std > limit["std"] or far or (beyond > limit["largest"] and std > 1) or (std < 0.1 < abs(mean))):
        return None
    outcome = _outcome(at, limit)
    if not outcome and 0 <= at.recent_loss() < 0.5 * at.first_loss:
        return None
    mechanism = f"the input has mean {number(mean)}, standard deviation {number(std)}, values up to {number(beyond)}"
    remedy = Remedy(
        NORMALISE,
        f"x → (x - {number(mean)}) / {number(std)}, for training and validation alike",
        "input.mean is about 0, input.std about 1, and the first loss is that of a guess",
    )
    otherwise = "If features differ by orders of magnitude, normalise each by its own mean and deviation."
    return off_scale(at, "input", mean, std, (mechanism, outcome), (remedy,), otherwise)


def _outcome(at: Context, limit: Mapping[str, float]) -> str | None:
    with suppress(Abstain):
        guess, meaning = untrained_loss(at)
        times = limit["squared"] if loss(at).get("name") == "mse_loss" else limit["first"]
        if at.first_loss > times * guess:
            return f"the first loss is {number(at.first_loss)}, a guess has {number(guess)} ({meaning})"
    if known := trouble(at):
        return known
    return at.loss_key() if at.step >= at.track.segment.first_step + 60 else None


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
    ("input.mean", "input.std", "input.min", "input.max", "loss.train"),
    (NORMALISE,),
    "Notes D6, C97, C180. The first loss was 1.00-1.10 times ln C for 7 sound nets, 9-104 times for raw pixels.",
    check,
    {"std": 10, "offset": 3, "largest": 50, "first": 1.5, "squared": 10},
)
