"""The loss of a guess that never looks at the input: what a net that learns must beat."""

from __future__ import annotations

import math

import numpy as np

from .context import Context
from .finding import Abstain
from .window import finite, median


def trivial_loss(at: Context) -> tuple[float, str]:
    """The loss of the best constant output, and what it is. Raises Abstain where it is not known.

    Cross entropy: entropy of the labels seen, ln C where they were not counted. Binary cross entropy: entropy of
    the share of ones. Squared error: variance of the targets seen.
    """
    metrics = ("loss.term", "target.count", "target.mean", "target.std")
    return at.once("trivial loss", metrics, lambda: _trivial(at))


def _trivial(at: Context) -> tuple[float, str]:
    loss = at.facts.get("loss") or {}
    name = str(loss.get("name", ""))
    if at.several_terms or at.summed:
        raise Abstain("the loss has several terms: what a guess costs is not known")
    if loss.get("weighted") or loss.get("reduction", "mean") != "mean":
        raise Abstain("the loss is weighted or not a mean: what a guess costs is not known")
    if name in ("cross_entropy", "nll_loss"):
        return _labels(at, float(loss.get("label_smoothing") or 0))
    if name.startswith("binary_cross_entropy"):
        p = median(at.view("target.mean").thin(400).scalar)
        if not 0 < p < 1:
            raise Abstain("the targets are all alike")
        return -p * math.log(p) - (1 - p) * math.log(1 - p), f"entropy of targets with {p:.2g} ones"
    if name == "mse_loss":
        mean, std = at.view("target.mean").thin(400).scalar, at.view("target.std").thin(400).scalar
        guess = float(np.mean(std**2) + np.var(mean))
        if not math.isfinite(guess):
            raise Abstain("the targets of a single sample have no variance")
        if not guess > 1e-6 * float(np.mean(mean**2)):
            raise Abstain("the targets are all alike")
        return guess, "variance of the targets"
    raise Abstain("what a guess costs is known for cross entropy and squared error only")


def trivial_validation_loss(at: Context) -> float:
    """The same for validation, whose targets may vary more than those of training (a series that grows): the larger of
    the two. Raises Abstain where it is not known."""
    guess = trivial_loss(at)[0]
    if (at.facts.get("loss") or {}).get("name") != "mse_loss" or not at.has("target.val.std"):
        return guess
    mean, std = (finite(at.view(f"target.val.{kind}").last(50).scalar) for kind in ("mean", "std"))
    return max(guess, float(np.mean(std**2) + np.var(mean))) if len(mean) and len(std) else guess


def untrained_loss(at: Context) -> tuple[float, str]:
    """The loss that a net has before it is trained, and what it is: a guess that does not know yet which classes are
    rare. Raises Abstain where it is not known."""
    guess, meaning = trivial_loss(at)
    name = str((at.facts.get("loss") or {}).get("name", ""))
    classes = 2 if name.startswith("binary_cross_entropy") else int(at.facts.get("classes") or 0)
    if name != "mse_loss" and classes > 1 and math.log(classes) > guess:
        return math.log(classes), f"ln {classes}, a guess among {classes} classes"
    return guess, meaning


def _labels(at: Context, smoothing: float) -> tuple[float, str]:
    classes = int(at.facts.get("classes") or 0)
    if at.has("target.count"):
        counts = np.asarray(np.nansum(at.view("target.count").thin(400).values, axis=0, dtype=np.float64))
        if counts.sum() >= 10 * len(counts):
            share = (1 - smoothing) * counts / counts.sum() + smoothing / len(counts)
            share = share[share > 0]
            return float(-(share * np.log(share)).sum()), "entropy of the labels"
    if classes < 2:
        raise Abstain("the number of classes is not known")
    return math.log(classes), f"ln {classes}, a guess among {classes} classes"
