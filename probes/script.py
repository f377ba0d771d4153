"""What becomes known about the script while it runs, told as ``facts`` events when it is news."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Sequence
from typing import Any

import torch

from . import facts
from .loaders import Pass
from .loss import Term
from .model import Model
from .rounds import Rounds, rounds
from .source import Line, lines

SETTLED = 10
"""Steps after which the number of backward passes per step is believed."""


class Script:
    """Gathers; ``news`` gives what has not been told yet, in the words of the facts table."""

    def __init__(self) -> None:
        self.compiled = False
        self.amp = False
        self.framework: str | None = None
        """Which one drives the loop."""
        self.loss: dict[str, Any] | None = None
        self._driven: tuple[int | None, int | None, str] = None, None, ""
        self._made: weakref.WeakValueDictionary[int, torch.optim.Optimizer] = weakref.WeakValueDictionary()
        self._lines: dict[int, list[Line]] = {}
        self._rounds: Rounds | None = None
        self._site: list[Line] = []
        self._elsewhere = 0
        self._visited_at = -1
        self._planned: dict[str, Any] | None = None
        self._validated: list[Line] = []
        """Where the first loss of validation data was called."""
        self.validated_on: Pass | None = None
        """The first pass over a loader of validation data that says how long it is, or the last one."""
        self._frozen_block: str | None = None
        """Line of a checkpointed block whose inputs require no gradient, "" where the blocks seen are sound."""
        self._told: dict[str, Any] = {}
        self.path = sys.argv[0] if sys.argv else ""

    def begin(self) -> None:
        """A new segment: everything is news again, and the loops are looked at anew."""
        self.loss = self._rounds = self.validated_on = self._planned = None
        self._frozen_block = None
        self._validated = []
        self._told.clear()

    def driven(self, framework: str, steps: int | None, said: str, epochs: int | None = None) -> None:
        """A framework drives the loop, for so many optimizer steps, or epochs, as ``said``."""
        self.framework = framework
        self._driven = steps, epochs, said

    def optimizer_made(self, optimizer: torch.optim.Optimizer) -> None:
        self._made[id(optimizer)] = optimizer
        self._lines[id(optimizer)] = lines()

    def optimizer_found(self, optimizer: torch.optim.Optimizer) -> None:
        """One that was made before the probes were there: nobody knows where."""
        self._made[id(optimizer)] = optimizer

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """All that are alive, whether they have stepped or not."""
        return list(self._made.values())

    def told(self, key: str) -> Any:
        """A fact as it was last told; None if it was not."""
        return self._told.get(key)

    def look_at_loops(self, loader: Pass | None, loading: list[Line]) -> None:
        """At the first backward pass of a segment: the loops around it say how long the training will be, less those
        around the making of its optimizer, or around the ``loading`` of its first weights."""
        made = [line for number in self._made for line in self._lines.get(number, [])] + loading
        self._rounds = rounds(made, loader.batches if loader is not None else None)
        self._site, self._elsewhere, self._visited_at = lines(), 0, -1

    def passes_back(self, step: int, closure: bool) -> None:
        """A backward pass begins after ``step`` steps: is it the one that the loops were looked at for, or another
        one of the same round? A closure's are one a step."""
        if self._rounds is not None and self._planned is None:
            self._elsewhere += lines() != self._site or (closure and step == self._visited_at)
            self._visited_at = step

    def loss_called(self, term: Term) -> None:
        self.loss = facts.loss(term, lines())

    @property
    def reduction(self) -> str | None:
        """Of the training loss, once one was called."""
        return self.loss["loss"]["reduction"] if self.loss is not None else None

    def checkpointed(self, function: Any, args: Any) -> None:
        """A block runs under a reentrant checkpoint: if no input of it requires a gradient, nothing in it gets one."""
        if self._frozen_block:
            return
        trained = not isinstance(function, torch.nn.Module) or any(p.requires_grad for p in function.parameters())
        frozen = trained and not any(isinstance(a, torch.Tensor) and a.requires_grad for a in args)
        self._frozen_block = next((str(line) for line in lines()), "") if frozen else ""

    def validated(self, loader: Pass | None) -> None:
        if not self._validated:
            self._validated = lines()
        if loader is not None and (self.validated_on is None or self.validated_on.rows is None):
            self.validated_on = loader

    def news(
        self,
        model: Model | None,
        optimizers: Sequence[torch.optim.Optimizer],
        loader: Pass | None,
        first: int,
        step: int,
        backwards: int,
        batches: int,
        more: dict[str, Any],
    ) -> dict[str, Any]:
        """Facts that are new or have changed, ``more`` among them; ``first`` steps before the segment, and in it so
        far ``step`` steps, ``backwards`` passes, ``batches`` of the training loader."""
        known = facts.process(self.path, self.framework) | (self.loss or {})
        if model is not None and model.parameters():
            known |= facts.model(model)
        if optimizers:
            known["optimizers"] = facts.optimizers((o, self._lines.get(id(o), [])) for o in optimizers)
        known["train_rows"] = loader.rows if loader is not None else None
        known["val_rows"] = self.validated_on.rows if self.validated_on is not None else None
        for key, site in (("backward", self._site), ("validation", self._validated)):
            if site and self.framework is None:
                known[key] = {"where": str(site[0])}
        known["amp"], known["compiled"] = self.amp, self.compiled
        known["distributed"] = torch.distributed.is_available() and torch.distributed.is_initialized()
        known["reentrant_frozen"] = self._frozen_block
        known |= more
        if step >= SETTLED:
            known |= self._plan(loader, first, step, backwards, batches, len(optimizers))
        news = {key: value for key, value in known.items() if value is not None and self._told.get(key) != value}
        self._told |= news
        return news

    def _plan(
        self, loader: Pass | None, first: int, step: int, backwards: int, batches: int, optimizers: int
    ) -> dict[str, Any]:
        """Planned steps from the rounds of the loops and the steps that a round has been making so far."""
        plan: dict[str, Any] = {}
        if optimizers < 2:
            plan["accumulation"] = max(1, round(backwards / step))
        if loader is not None and loader.batches and batches:
            plan["steps_per_epoch"] = max(1, round(loader.batches * _ratio(step, batches)))
        steps, epochs, said = self._driven
        if steps is None and epochs and "steps_per_epoch" in plan:
            steps = epochs * plan["steps_per_epoch"]
        if steps is not None:
            return plan | {"planned_steps": steps, "planned_from": said}
        visits = backwards - self._elsewhere
        if self._rounds is not None and self._planned is None and visits > 0:
            planned = first + max(1, round(self._rounds.times * _ratio(step, visits)))
            self._planned = {"planned_steps": planned, "planned_from": self._rounds.said}
        return plan | (self._planned or {})


def _ratio(steps: int, rounds: float) -> float:
    """Steps a round: a whole number, or one over one; counted in the middle of an accumulation it is a little off."""
    ratio = steps / rounds
    return float(round(ratio)) if ratio > 0.75 else 1 / round(1 / ratio)
