"""augmentation-on-validation."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from ..context import Context
from ..finding import Abstain, Found
from ..passes import edges, newest
from ..place import of
from ..rows import come_again
from ..rule import Rule

PLAIN = "Give validation a transform without chance"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The validation inputs change from one evaluation to the next while their targets stay the same.

    Why it matters
        Random crops, flips or noise on the validation data make every number of it worse and noisier than the net is,
        and no two evaluations can be compared sample by sample.

    How it is decided
        Checksums of each validation batch: the targets are the same at the same place in the newest evaluations, and
        the inputs are not, in all batches of three evaluations. Without a classification it is *watch*,
        unless the training inputs stay as they are: then no noise is meant.

    When it is a false alarm
        Targets that are places in the batch, the same in every one (contrastive learning, whose validation draws views
        on purpose), are not judged. Inputs that are noisy by design (a denoising autoencoder, a diffusion model),
        features that another net computes on a GPU with other bits each time, and augmentation at test time that is
        meant.

    What to do
        Two data sets over the same files: the training one with the random transform, the validation one with resize,
        centre crop and normalisation only. A split of one data set shares its transform.
    """
    targets, inputs = (newest(at, name, int(limit["evaluations"])) for name in ("val.order", "input.val.order"))
    trained = at.view("target.order").last(5).scalar if at.has("target.order") else (0.0, 1.0)
    if len(set(trained)) == 1:
        raise Abstain("the targets are the same in every batch: they do not tell which samples these are")
    first = edges(targets)
    if len(first) - 1 < limit["evaluations"] or not np.array_equal(targets.steps, inputs.steps):
        raise Abstain("too few evaluations with a checksum of their inputs")
    batches = int(np.min(np.diff(first)))
    order, entered = (np.array([view.scalar[a : a + batches] for a in first[:-1]]) for view in (targets, inputs))
    seen = np.isfinite(entered).all(axis=0)  # of several loss calls for a batch the first has its inputs
    if not seen.any():
        raise Abstain("the inputs were not seen in each of the newest evaluations")
    if np.any(order != order[0]):
        raise Abstain("the validation samples come in another order each time")
    if np.any(entered[1:, seen] == entered[:-1, seen]):
        return None
    severity: Severity = "warn" if at.facts.get("classes") or come_again(at) else "watch"
    begin = int(targets.steps[0])
    return Found(
        severity,
        f"the inputs of all {batches} validation batches were new in each of {len(first) - 1} evaluations, "
        "their targets the same",
        ("checksums of the targets agree from evaluation to evaluation, those of the inputs never do",),
        begin,
        (Evidence("input.val.order", float(batches), 0.0, "batches whose inputs changed", begin, at.step),),
        (
            Remedy(
                PLAIN,
                f"the random transform on the validation data{of(at, 'val_loader')} → resize, centre crop and "
                "normalisation only",
                "input.val.order is the same in every evaluation",
            ),
        ),
        "If the noise is meant, seed it before each evaluation: then evaluations can be compared.",
        exact=True,
    )


RULE = Rule(
    "augmentation-on-validation",
    "validation data are augmented at random",
    "invariant",
    ("val.order", "input.val.order"),
    (PLAIN,),
    "Exact checksums.",
    check,
    {"evaluations": 3},
    votes=(1, 1),
)
