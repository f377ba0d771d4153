"""eval-mode-wrong."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found
from ..place import of
from ..rule import Rule
from ..script import layers

TRAIN = "Switch back to train mode"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """Training steps run with every dropout and BatchNorm layer in evaluation mode.

    Why it matters
        Dropout does nothing, and BatchNorm normalises with statistics that no longer follow the net: what was put into
        the model against overfitting, or to train at a high rate, is off without a word.

    How it is decided
        Exact: the share of these layers that are in training mode at the sampled training steps. It is *warn* when it
        was above 0 and has been 0 since an evaluation: ``model.eval()`` without ``model.train()`` after it; since the
        whole model was sent to evaluation mode, dropout that is in use with it; and where it was 0 from the first step
        of a net that was not trained before. Otherwise it is *watch*.

    When it is a false alarm
        Fine-tuning with frozen BatchNorm is a known practice and silent: no dropout, and weights that were trained
        before or parameters that are frozen. BatchNorm that is frozen late in training on purpose is *watch*.

    What to do
        Call model.train() at the start of every epoch, after the validation loop.
    """
    view = at.view("mode.train")
    newest = view.last(int(limit["samples"])).scalar
    if len(newest) < limit["samples"] or np.nanmax(newest) > 0:
        return None
    on = np.flatnonzero(view.scalar > 0)
    dropout = bool(layers(at).get("dropout") or at.facts.get("dropout"))
    if not dropout and (at.finetune or at.facts.get("pretrained")):
        raise Abstain("frozen BatchNorm is a practice of fine-tuning")
    since = int(view.steps[on[-1] + 1]) if len(on) else int(view.steps[0])
    before = int(view.steps[on[-1]]) if len(on) else at.track.segment.first_step
    evaluated = at.evaluations.steps
    after = len(on) > 0 and bool(np.any((evaluated >= before) & (evaluated < since)))
    sent = len(on) > 0 and bool(at.facts.get("evaluating")) and _drops(at)
    severity: Severity = "warn" if after or sent or (not len(on) and _in_use(at) and not at.finetune) else "watch"
    why = "so it was at every sample"
    if after or sent:
        what = "an evaluation lies between" if after else "then the whole model went to evaluation mode"
        why = f"it was above 0 until step {before}, and {what}"
    return Found(
        severity,
        f"no dropout or BatchNorm layer has been in training mode since step {since} (reference: all of them)",
        (why,),
        since,
        (Evidence("mode.train", 0.0, 1.0, "share of layers in training mode in a training step", since, at.step),),
        (
            Remedy(
                TRAIN,
                f"model.eval(){of(at, 'evaluating')} for the rest of the run → model.train() where each epoch begins",
                "mode.train is 1 in the next epoch",
            ),
        ),
        "If train() is called, look whether a callback or a library call puts the model back into eval mode.",
        exact=True,
    )


def _in_use(at: Context) -> bool:
    """The layers with two modes have something to do: BatchNorm, or dropout that drops."""
    return bool(layers(at).get("batchnorm")) or _drops(at)


def _drops(at: Context) -> bool:
    dropped = [float(p) for _, p in at.facts.get("dropout") or ()]
    return any(dropped) if dropped else bool(layers(at).get("dropout"))


RULE = Rule(
    "eval-mode-wrong",
    "training in evaluation mode",
    "invariant",
    ("mode.train", "loss.val"),
    (TRAIN,),
    "Exact.",
    check,
    {"samples": 5},
    votes=(1, 1),
)
