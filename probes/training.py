"""What is known of this process's training, shared by the parts of the watch."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from .attribution import quiet
from .averaged import Averaged
from .clock import Clock
from .distributions import Distributions
from .emit import Emitter
from .fetch import Fetch
from .groups import NAN
from .heap import Heap
from .lane import Lane
from .layers import Layers
from .loaders import Loaders
from .loss import Term, Value
from .match import Match
from .model import Model
from .noise import Noise
from .probe import Probes
from .sample import ELEMENTWISE, Sample
from .sampler import Sampler
from .script import Script
from .stance import Stance
from .steps import Steps
from .terms import Terms

if TYPE_CHECKING:
    from .routine import Routine

CORE = ("loss", "backward", "step")
"""Hooks without which nothing else that is measured can be trusted: when one is switched off, all is."""


class Training:
    """State and no behaviour of its own. ``settings`` as in the boot folder's settings.json; ``lane`` holds what the
    short way needs of the step that is being made, the last block of ``begin`` the rest of it."""

    def __init__(self, settings: dict[str, Any], lane: Lane, probes: Probes) -> None:
        self._settings = settings
        self.lane = lane
        self.probes = probes
        probes.report = self._switched_off
        self.modules: weakref.WeakValueDictionary[int, torch.nn.Module] = weakref.WeakValueDictionary()
        """All that were made and are alive."""
        self.script = Script()
        self.distributions = Distributions(
            lambda: self.fetch, lambda: None if self.deaf or self.busy else self.sample, self.probes.run
        )
        self.session: str | None = settings.get("session")
        """Path of the session, where there will be one."""
        self.sources: dict[str, Callable[[], dict[str, Any]]] = {
            "budget": lambda: {"budget": self.sampler.budget},
            "terms": lambda: {"loss_terms": list(self.terms.sites) if self.terms.several else None},
            "distributions": lambda: {"reinforcement": self.distributions.reinforces or None},
            "attention": lambda: {"attention": sorted(self.layers.attention.seen) or None},
        }
        """Where more facts come from, by the name of the probe."""
        self.loaders = Loaders()
        self.stance = Stance(settings.get("compiled_layers", False))

    def reset(self) -> None:
        """Asleep, with nothing of an earlier process or ring."""
        self.emit = Emitter(self._settings["rings"], self._settings["ring_bytes"])
        self.fetch = Fetch()
        self.layers = Layers(self.lane, self.fetch, lambda error: self.probes.failed("activations", error))
        self.awake = False
        self.deaf = False
        """No ring is to be had, or the core has failed: nothing is measured in vain."""
        self.joining = False
        """Deaf until the step that is under way has been taken: its beginning was not seen."""
        self.busy = False
        """A pass of our own is running: what the hooks see meanwhile is none of the user's."""
        self.lane.reset()
        self.begin()

    def begin(self, first: int = 0) -> None:
        """Nothing of an earlier segment; ``first`` steps were made before it by the same weights."""
        self.lane.begin()
        self.begin_after(first)
        self.loaders.begin()
        self.clock = Clock()
        self.steps = Steps(self.emit, self.fetch)
        self.model: Model | None = None
        self.optimizers: list[weakref.ref[torch.optim.Optimizer]] = []
        self.last: weakref.ref[torch.optim.Optimizer] | None = None
        """The optimizer that stepped last."""

        self.samples = 0
        """Steps looked at closely so far."""
        self.sample: Sample | None = self.new_sample()
        """Of a step that is looked at closely."""
        self.routine: Routine | None = None
        """Of a step that is sampled the short way."""
        self.layers.plans = None
        self.term: Term | None = None
        """The loss call that the last backward pass was for, as long as it may be needed."""
        self.node: Any = None
        """Of the graph, where that pass began."""
        self.micro = 0
        """Backward passes."""
        self.loss: Value = NAN
        self.root: Value = NAN
        """Sums over these passes."""
        self.summed = False
        """The losses are sums that the script divides itself: what it makes of them adds up to the step's loss."""
        self.voids = False
        """Has a step cleared what its first backward passes gave?"""
        self.unscaled: Value | None = None
        """The number that a gradient scaler scaled, before it did."""
        self.skipped: int | None = None
        """Steps skipped by a gradient scaler since the last record, None where there is no scaler."""
        self.scaler: weakref.ref[Any] | None = None
        self.terms = Terms()
        self.match = Match(self.emit, self.fetch)
        self.noise = Noise()
        self.averaged = Averaged()
        self.heap = Heap()
        self.opening = 0
        """Steps of the beginning of a pass over the training loader that are still to come."""
        self.disturbed = False
        """A validation batch ran meanwhile."""
        self.news = False
        """There is something to tell when the step is over."""

    @contextmanager
    def ours(self) -> Iterator[None]:
        """For the time of a pass of our own."""
        self.busy = True
        try:
            with quiet():
                yield
        finally:
            self.busy = False

    def elementwise(self, step: int) -> bool:
        """Is ``step``, if it is the next one that is sampled, also looked at by single elements?"""
        return not self.samples or step // self.sampler.every % ELEMENTWISE == 0

    def new_sample(self) -> Sample:
        """The coming step is looked at closely."""
        sample = Sample(self.fetch, self.emit, self.samples, self.elementwise(self.lane.step + 1))
        sample.model = self.model
        self.samples += 1
        return sample

    def scale(self) -> Value:
        """Factor of the gradient scaler; NaN where it is not known."""
        scaler = self.scaler() if self.scaler is not None else None
        factor = getattr(scaler, "_scale", None)
        if not isinstance(factor, torch.Tensor):
            return NAN
        return factor.item() if factor.is_cpu else factor.detach()

    def begin_after(self, first: int) -> None:
        """The step that is being made is the one after ``first``."""
        self.first = self.lane.step = first
        self.sampler = Sampler(float(self._settings["budget"]), first)

    def went_in_lane(self, done: int) -> None:
        """Steps have gone by the lane, and one of which ``done`` optimizers have stepped."""
        lane = self.lane
        if lane.turn >= 0:
            self.last = self.optimizers[lane.turn]
        if lane.first >= 0:
            self.clock.went(id(self.optimizers[lane.first]()), done)

    def tell(self) -> None:
        """Say what is news about the script."""
        self.probes.run("facts", self._news)

    def trained_by(self) -> list[torch.optim.Optimizer]:
        """The optimizers of this segment that are alive."""
        return [optimizer for ref in self.optimizers if (optimizer := ref()) is not None]

    def _news(self) -> None:
        lane = self.lane
        more: dict[str, Any] = {}
        for name, source in self.sources.items():
            self.probes.run(name, lambda source=source: more.update(source()))  # type: ignore[misc]
        made = self.first, lane.step - self.first, lane.backwards, lane.batches
        news = self.script.news(self.model, self.trained_by(), lane.trained_on, *made, more)
        if news:
            self.emit.event("facts", lane.step, news)

    def _switched_off(self, probe: str, error: str) -> None:
        self.emit.event("probe.failed", self.lane.step, {"probe": probe, "error": error})
        if probe in CORE:
            self.deaf = True
            self.lane.leave()
