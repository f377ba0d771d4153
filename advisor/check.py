"""What a check before training is, and the registry: every file of ``advisor/checks/`` is one."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from .trials import Trials

State = Literal["pass", "info", "warn", "error", "not possible"]
RECIPE: Mapping[str, tuple[str, ...]] = {
    "data": (
        "data-report", "corrupt", "label-range", "index-off-by-one", "leak", "group-leak", "validation-split",
        "validation-fixed", "shuffle", "seed", "input-normalisation", "target-normalisation",
        "pretrained-normalisation", "imbalance", "duplicates", "augmentation-on-validation", "augmented-label",
        "outliers", "label-noise", "object-size",
    ),
    "skeleton and baselines": (
        "finite", "broadcast", "loss-type", "loss-reduction", "loss-clip", "padding-in-loss", "optimizer-coverage",
        "gradient-to-input", "causal-leak", "gradient", "modes", "initial-scale", "final-bias", "initial-loss",
        "baselines", "show-predictions", "first-steps",
    ),
    "overfit": ("overfit-batch", "input-independence"),
    "regularise": ("dropout", "dropout-norm", "batch-too-small", "parameter-share", "rnn-clip"),
    "tune": (
        "lr-range", "schedule", "lr-sanity", "reproducible", "lstm-bias", "pool-stride", "padding",
        "receptive-field", "width", "efficient-shapes",
    ),
}  # fmt: skip
"""The checks in the order of the notes: the data, a skeleton from end to end with baselines, overfit a few samples,
then regularise, then tune. Within a stage, what may cause the rest comes first."""


@dataclass(frozen=True)
class Verdict:
    """What a check says, with the number it decided by and what that is compared with. ``change`` is "present → new",
    with the line of the script where known; ``expect`` the number that will show that it worked."""

    state: State
    what: str
    value: float | None = None
    reference: float | None = None
    change: str = ""
    expect: str = ""


@dataclass(frozen=True)
class Check:
    """One question that is asked before the training.

    ``judge(at, thresholds)`` is arithmetic on what the session holds. It returns None where the script has nothing
    that the question is about, and raises Abstain, with the reason, where it cannot be answered. Its docstring is the
    page.
    """

    id: str
    title: str
    source: str
    """Where method and thresholds come from."""
    judge: Callable[[Trials, Mapping[str, float]], Verdict | None]
    thresholds: Mapping[str, float] = field(default_factory=dict)
    follows: tuple[str, ...] = ()
    """Checks whose failure explains one of this."""

    @property
    def stage(self) -> str:
        return next(stage for stage, ids in RECIPE.items() if self.id in ids)

    @property
    def page(self) -> str:
        """The docstring of the judge, without the indentation of the code."""
        return inspect.cleandoc(self.judge.__doc__ or "")


@cache
def all_checks() -> tuple[Check, ...]:
    """Every check, in the order of the recipe."""
    from . import checks

    names = [name for ids in RECIPE.values() for name in ids]
    return tuple(importlib.import_module(f"{checks.__name__}.{name.replace('-', '_')}").CHECK for name in names)
