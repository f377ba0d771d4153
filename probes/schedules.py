"""Learning-rate schedules: which there are, when they step, and after how many steps they end."""

from __future__ import annotations

import contextlib
import functools
import weakref
from collections import Counter
from collections.abc import Iterable
from typing import Any

import torch
from torch.optim import lr_scheduler

from .source import Line, lines

SETTLED = 10
"""Steps after which it can be told whether a schedule steps with them."""
LENGTH = 32
"""Numbers kept of a list in a schedule's settings."""
STATE = ("last_epoch", "best", "cooldown_counter", "num_bad_epochs", "mode_worse", "default_min_lr", "verbose")
"""What changes while it runs, and what says nothing."""
END = {
    "OneCycleLR": "total_steps",
    "CosineAnnealingLR": "T_max",
    "PolynomialLR": "total_iters",
    "LinearLR": "total_iters",
    "ConstantLR": "total_iters",
}
"""The setting of a class that says after how many of its own steps it ends."""
WHOLE = ("OneCycleLR", "CosineAnnealingLR", "PolynomialLR", "LambdaLR")
"""Classes that are made for the whole training: their end is its planned end."""
TOTALS = ("num_training_steps", "total_steps", "t_total", "max_steps", "num_steps")
"""Names that functions of a LambdaLR give to the length of the training (Hugging Face: the first)."""


class Schedules:
    """All schedulers that are alive; nothing of the user's is kept alive."""

    def __init__(self) -> None:
        self._made: weakref.WeakKeyDictionary[Any, list[Line]] = weakref.WeakKeyDictionary()
        self._early: weakref.WeakSet[Any] = weakref.WeakSet()
        self._begun: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    def made(self, scheduler: Any) -> None:
        self._made[scheduler] = lines()

    def found(self, scheduler: Any) -> None:
        """One that was made before the probes were there: nobody knows where."""
        self._made.setdefault(scheduler, [])

    @property
    def alive(self) -> list[Any]:
        return list(self._made)

    def facts(
        self, optimizers: Iterable[torch.optim.Optimizer], first: int, step: int, per_epoch: int | None
    ) -> dict[str, Any]:
        """``first`` steps came before the segment, ``step`` were made in it; ``per_epoch`` steps make an epoch."""
        trained = {id(optimizer) for optimizer in optimizers}
        every = [one for one in self._made if id(_optimizer(one)) in trained]
        inner = {id(part) for one in every for part in _parts(one)}
        mine = [one for one in every if id(one) not in inner]
        known: dict[str, Any] = {}
        rows = []
        for scheduler in mine:
            if step == 1 and not first and _taken(scheduler) == 1 and scheduler not in self._begun:
                self._early.add(scheduler)  # at the first look: its own step may come before the next one
            base = self._begun.setdefault(scheduler, 0 if not first else _taken(scheduler))
            pace = _pace(_taken(scheduler) - base, step, per_epoch)
            where = self._made[scheduler]
            rows.append(
                {
                    "class": type(scheduler).__name__,
                    "settings": settings(scheduler),
                    "every": pace,
                    "stepped": _taken(scheduler) > base,
                    "before_optimizer": scheduler in self._early,
                    "where": str(where[0]) if where else None,
                }
            )
            end = _end(scheduler)
            scale = {"step": 1, "epoch": per_epoch}.get(pace or "")
            if end is not None and scale:
                known["schedule_end"] = max(end * scale, known.get("schedule_end", 0))
                if type(scheduler).__name__ in WHOLE and len(mine) == 1:
                    unit = "" if pace == "step" else f" x {per_epoch} steps an epoch"
                    known["planned_steps"] = end * scale
                    known["planned_from"] = f"{type(scheduler).__name__}, {end}{unit}"
        if rows:
            known["scheduler"] = rows
        return known


def _taken(scheduler: Any) -> int:
    return int(getattr(scheduler, "last_epoch", 0))


def _optimizer(scheduler: Any) -> Any:
    return getattr((_parts(scheduler) or [scheduler])[0], "optimizer", None)


def _parts(scheduler: Any) -> list[Any]:
    return list(getattr(scheduler, "_schedulers", []))


def _pace(taken: int, step: int, per_epoch: int | None) -> str | None:
    """Does it step with every step or with every epoch? None until that can be told. Its first step comes after the
    first training step, and the step that is just over may not be followed by its own yet."""
    if step >= SETTLED and step - 1 <= taken <= step + 1 and per_epoch != 1:
        return "step"
    if per_epoch is not None and taken and abs(taken - step // per_epoch) <= 1 and step >= per_epoch:
        return "epoch"
    return None


def settings(scheduler: Any) -> dict[str, Any]:
    """The plain numbers, texts and lists of its state."""
    kept: dict[str, Any] = {}
    for name, value in vars(scheduler).items():
        if name == "_milestones":
            name = "milestones"
        if name.startswith("_") or name in STATE:
            continue
        if isinstance(value, Counter):  # MultiStepLR
            value = sorted(value.elements())
        if isinstance(value, list | tuple):
            value = list(value[:LENGTH])
        if isinstance(value, bool | int | float | str) or (
            isinstance(value, list) and value and all(isinstance(one, int | float) for one in value)
        ):
            kept[name] = value
    for total in _totals(scheduler):
        kept["total"] = total
    return kept


def _end(scheduler: Any) -> int | None:
    """Steps of its own after which it changes no more."""
    if isinstance(scheduler, lr_scheduler.SequentialLR):
        last = _end(_parts(scheduler)[-1])
        return None if last is None else int(scheduler._milestones[-1]) + last
    if isinstance(scheduler, lr_scheduler.MultiStepLR):
        return max(scheduler.milestones, default=None)
    end = getattr(scheduler, END.get(type(scheduler).__name__, ""), None)
    if end is None:
        end = next(_totals(scheduler), None)
    return int(end) if isinstance(end, int | float) and end > 0 else None


def _totals(scheduler: Any) -> Any:
    """What the functions of a LambdaLR know about the length of the training."""
    for function in getattr(scheduler, "lr_lambdas", []):
        known = dict(function.keywords) if isinstance(function, functools.partial) else _closed_over(function)
        yield from (known[name] for name in TOTALS if isinstance(known.get(name), int))


def _closed_over(function: Any) -> dict[str, Any]:
    code, cells = getattr(function, "__code__", None), getattr(function, "__closure__", None)
    if code is None or not cells:
        return {}
    known = {}
    for name, cell in zip(code.co_freevars, cells, strict=False):
        with contextlib.suppress(ValueError):  # nothing was put in it yet
            known[name] = cell.cell_contents
    return known
