"""The end of a step: its record goes out, and how closely the next one is looked at is decided."""

from __future__ import annotations

from time import perf_counter, time

import torch

from .groups import NAN, momenta
from .nonfinite import NonFinite
from .pending import Pending
from .plan import Plan
from .repeats import Repeats
from .routine import Routine
from .sample import Sample
from .sampler import LONG
from .stages import LOSS
from .training import Training

NEWS = (1, 2, 10, 100)
"""Steps after which the facts are looked over; they are also after the first validation batch."""


class Closing:
    def __init__(self, training: Training, pending: Pending, nonfinite: NonFinite, repeats: Repeats) -> None:
        self._training = training
        self._repeats = repeats
        self._pending = pending
        self._nonfinite = nonfinite
        self._routine = Routine(training, nonfinite, repeats)

    def close_waiting(self) -> None:
        """A backward pass begins: a step that was left open for another optimizer is over."""
        clock = self._training.clock
        if clock.waiting and clock.backward_begins():
            self.close()

    def close(self) -> None:
        """Publish the step."""
        training = self._training
        lane = training.lane
        lane.step = step = lane.step + 1
        ended, when = perf_counter(), time()
        seconds, lane.ended = ended - lane.ended, ended
        loss, root, micro = training.loss, training.root, training.micro
        if micro != 1:
            loss, root = (loss if training.summed else loss / micro, root / micro) if micro else (NAN, NAN)
        waited = (lane.epoch, lane.wait) if lane.loader is not None else None
        scaler = (training.skipped, training.scale()) if training.skipped is not None else None
        optimizers, late = training.optimizers, self._nonfinite.late_loss
        training.steps.publish(step, when, (loss, root), optimizers, lane.rows, seconds, waited, scaler, late)
        if scaler is not None:
            training.skipped = 0
        if training.terms.taken:
            emit, fetch = training.emit, training.fetch
            training.probes.run("terms", lambda: training.terms.publish(emit, fetch, step, when))
        alarm = self._nonfinite.alarm
        if not alarm.armed and type(loss) is float:
            alarm.passed(loss)
        if training.fetch.waiting:
            training.probes.run("fetch", training.fetch.poll)
        sample = training.sample
        if sample is not None:
            training.probes.run("sample", lambda: self._finish(sample, step, when))
        lane.accumulates = micro > 1
        training.micro = lane.rows = 0
        training.summed = False
        lane.wait = 0.0
        lane.leave()
        self._decide(step, ordinary=False)

    def _finish(self, sample: Sample, step: int, when: float) -> None:
        training = self._training
        training.layers.put(sample, training.emit.labels)
        sample.put("watch.every", training.sampler.every)
        if training.sampler.cost is not None:
            sample.put("watch.cost", training.sampler.cost + self._repeats.share)
        optimizers = [optimizer for ref in training.optimizers if (optimizer := ref()) is not None]
        if optimizers:
            sample.put("momentum", [value for optimizer in optimizers for value in momenta(optimizer)])
        if sample.thorough:
            training.probes.run("averaged", lambda: self._average(sample))
            training.probes.run("heap", lambda: training.heap.look(step, sample.detail))
            training.probes.run("idle", lambda: sample.slept())
            if torch.cuda.is_initialized():
                sample.detail("memory.allocated", float(torch.cuda.memory_allocated()))
        noise = training.noise if training.skipped is None else None
        sample.write(step, when, training.micro, noise)

    def _average(self, sample: Sample) -> None:
        training = self._training
        roots = training.model.roots if training.model is not None else []
        if len(roots) == 1:
            modules, put = list(training.modules.values()), sample.detail
            training.averaged.distance(roots[0], modules, training.fetch, lambda value: put("ema.distance", value))

    def due(self, step: int) -> None:
        """Step ``step`` has gone by the lane."""
        self._training.went_in_lane(0)
        self._decide(step, ordinary=self._training.lane.stage == LOSS)

    def _decide(self, step: int, ordinary: bool) -> None:
        """How closely the step after ``step`` is looked at, and whether it may take the lane; ``ordinary`` ones, which
        have taken it, leave it open."""
        training, routine = self._training, self._routine
        lane, layers, sampler, sample = training.lane, training.layers, training.sampler, training.sample
        kind = sample.kind if sample is not None else None
        if training.routine is not None:
            routine.finish()
            kind = 0
        training.sample = training.routine = None
        measured = step >= sampler.due
        due = measured and sampler.ended(step, kind, lane.spent, training.disturbed, self._turn())
        takes, coming = ordinary or self._ordinary(), sampler.next
        known = due or sampler.ahead
        keep = known and self._repeats.wanted(coming)
        planned = known and takes and not keep and routine.ready(coming)
        if due and not planned:
            training.sample = training.new_sample()
            layers.thorough = training.sample.thorough
        training.disturbed = False
        layers.call = layers.other = layers.output = training.term = training.node = None
        layers.calls, layers.spent = 0, False
        layers.keep = due and keep
        state = "all" if due else "call" if sampler.seconds >= LONG else "none"
        if not training.script.compiled:
            layers.place(state)
        elif training.stance.wanted:
            training.stance.take(eager=state == "all")
            layers.place("all" if state == "all" else "none")
        first = training.first
        if step - first in NEWS or training.news:
            training.news = False
            training.tell()
        if training.sample is None and takes:
            until = coming if planned else sampler.due
            if step - first < NEWS[-1]:
                until = min(until, next(first + n for n in NEWS if first + n > step))
            coming_steps = until, layers if state != "none" else None, routine if planned else None, coming
            if ordinary:
                lane.again(*coming_steps)
            else:
                lane.open(training.emit, self._plan(), *coming_steps)
            if due:
                lane.arm()
        else:
            lane.leave()
        if due and training.sample is None and training.routine is None:
            training.sample = training.new_sample()
        lane.spent = 0.0
        lane.timed = sampler.measures
        if measured:
            sampler.resume()

    def _turn(self) -> int:
        """The number of the optimizer that stepped last."""
        optimizers, last = self._training.optimizers, self._training.last
        if len(optimizers) < 2 or last is None:
            return 0
        return next((number for number, one in enumerate(optimizers) if one() is last()), 0)

    def _ordinary(self) -> bool:
        """Is training such that the lane's way to see it is right?"""
        training = self._training
        last, optimizers = training.last, training.trained_by()
        together = training.clock.together
        return (
            last is not None
            and any(one is last() for one in optimizers)
            and len(optimizers) == len(training.optimizers) >= together
            and training.clock.between
            and type(training.loss) is float
            and training.skipped is None
            and self._nonfinite.alarm.armed
            and not (training.opening or self._pending.terms or training.fetch.waiting)
            and not (training.loaders.ahead and self._many)
        )

    @property
    def _many(self) -> bool:
        """May several backward passes come before a step, or several loss calls before a pass?"""
        training = self._training
        several = len(training.optimizers) > 1 or training.lane.accumulates or training.terms.joint
        return several and not training.voids

    def _plan(self) -> Plan:
        """Of the coming steps."""
        training = self._training
        terms, optimizers = training.terms, tuple(training.optimizers)
        schema = terms.schema(training.emit) if terms.several else None
        small = self._nonfinite.canary
        together = training.clock.together
        return Plan(training.steps.schema, optimizers, together, self._many, schema, terms.known, small)
