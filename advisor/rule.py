"""What a rule is, and the registry: every file of ``advisor/rules/`` is one."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Literal

from .finding import Found

if TYPE_CHECKING:
    from .context import Context

Kind = Literal["invariant", "statistical", "fact"]
Check = Callable[["Context", Mapping[str, float]], "Found | None"]


@dataclass(frozen=True)
class Rule:
    """One way for a training to go wrong: what it reads, how it decides, what to do about it.

    ``check(context, thresholds)`` is arithmetic on the history up to a boundary. It returns what it found,
    None when nothing is wrong, and raises Abstain when it cannot judge. Its docstring is the page.
    """

    id: str
    title: str
    kind: Kind
    reads: tuple[str, ...]
    """Metrics it looks at; a missing one makes it abstain or decide without."""
    remedies: tuple[str, ...]
    """Titles of the changes it may propose, in the order to try."""
    source: str
    """Where method and thresholds come from."""
    check: Check
    thresholds: Mapping[str, float] = field(default_factory=dict)
    slow: bool = False
    """Says "too slow" or "flat": at most *watch* while the planned number of steps is unknown, and nothing once the
    loss is NaN."""
    goal: bool = False
    """Takes the loss for the goal: at most *watch* where two optimizers play against each other."""
    votes: tuple[int, int] = (2, 3)
    """Raised, and cleared, when k of the last n boundaries that could be judged say so; k and n double each time it is
    cleared."""

    @property
    def page(self) -> str:
        """The docstring of the check, without the indentation of the code."""
        return inspect.cleandoc(self.check.__doc__ or "")


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every rule of the folder, by id."""
    from . import rules

    found = [
        importlib.import_module(f"{rules.__name__}.{info.name}").RULE for info in pkgutil.iter_modules(rules.__path__)
    ]
    return tuple(sorted(found, key=lambda rule: rule.id))
