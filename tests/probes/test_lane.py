"""The short way records what the long way records: each loop is trained on both, and the rings are compared."""

from __future__ import annotations

import json
import struct
import weakref
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nnwatch.probes import closing, fastest, sampler, stages
from nnwatch.probes.hooks import Patches
from nnwatch.probes.standby import Standby
from nnwatch.probes.watch import Watch
from nnwatch.ring import EVENT, Reader

from .lanes import KINDS, STEPS, LongWay, trained
from .loops import FORMS, Training, not_a_number, ordinary, over_a_loader, scaled, second_optimizer
from .several import LOOPS, OF_SEVERAL


@pytest.fixture(autouse=True)
def few_samples(monkeypatch):
    """Three steps, then every twelfth, whatever the clocks say."""
    monkeypatch.setattr(sampler, "DENSE", 3)
    monkeypatch.setattr(sampler.Sampler, "_choose", lambda self: setattr(self, "every", 12))


@pytest.mark.parametrize("looks", [False, True])
@pytest.mark.parametrize("loop", [*LOOPS, over_a_loader])
def test_all_ways_record_the_same(loop, looks, tmp_path, monkeypatch):
    monkeypatch.setattr(closing, "LONG", 0.0 if looks else 1e9)
    monkeypatch.setattr(fastest, "Fastest", LongWay)
    long = trained(tmp_path / "long", loop)
    assert long[2] == 0
    for name, kind in KINDS.items():
        monkeypatch.setattr(fastest, "Fastest", kind)
        short = trained(tmp_path / name, loop)
        np.testing.assert_equal(short[:2], long[:2])
        assert short[2] > 3 or loop in (over_a_loader, not_a_number, second_optimizer, scaled)


@pytest.mark.parametrize("loop", [ordinary, *FORMS, *OF_SEVERAL])
@pytest.mark.parametrize("kind", KINDS)
def test_what_the_usual_loop_makes_of_its_loss_stays_in_the_lane(kind, loop, tmp_path, monkeypatch):
    """But where it is sampled."""
    left = []
    monkeypatch.setattr(fastest, "Fastest", KINDS[kind])
    monkeypatch.setattr(closing, "LONG", 1e9)
    took = Watch._left

    def leaves(self, seen):
        left.append(seen.stage)
        took(self, seen)

    monkeypatch.setattr(Watch, "_left", leaves)
    trained(tmp_path / "here", lambda t, odd: loop(t, False))
    assert left.count(stages.LOSS) + 1 >= len(left)


def planted(*_):
    raise ValueError("planted")


class Rows(dict):
    """A batch that cannot be counted."""

    values = planted


def broken_lane(kind: Any, broken: str) -> Any:
    """One that raises an error in the hook of that name, or in something that its hooks call."""

    class Due(kind):
        def serve(self, left, due, canary):
            super().serve(left, planted, canary)

    class Batch(kind):
        def open(self, *args):
            super().open(*args)
            self.batch, self.fresh = Rows(), True

    return {"due": Due, "batch": Batch}.get(broken) or type("Broken", (kind,), {broken: planted})


@pytest.mark.parametrize(
    ("kind", "broken"),
    [*(("python", hook) for hook in ("loss", "backward", "steps", "stepped"))]
    + [(kind, called) for kind in KINDS for called in ("due", "batch")],
)
def test_an_error_in_the_lane_goes_no_further(broken, kind, tmp_path, monkeypatch):
    bare = Training()
    for _ in range(STEPS):
        bare.step()
    monkeypatch.setattr(fastest, "Fastest", broken_lane(KINDS[kind], broken))
    watching = Standby({"rings": [str(tmp_path)], "ring_bytes": 1 << 20, "budget": 0.01})
    patches = Patches(watching)
    try:
        t = Training()
        for _ in range(STEPS):
            t.step()
    finally:
        patches.remove()
    for mine, theirs in zip(t.model.parameters(), bare.model.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    (path,) = tmp_path.iterdir()
    reader = Reader(str(path))
    told = [json.loads(record.payload)["name"] for record in reader.records() if record.schema == EVENT]
    assert "probe.failed" in told


@pytest.mark.parametrize("kind", KINDS)
def test_the_lane_keeps_no_graph(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(fastest, "Fastest", KINDS[kind])
    monkeypatch.setattr(closing, "LONG", 1e9)
    watching = Standby({"rings": [str(tmp_path)], "ring_bytes": 1 << 20, "budget": 0.01})
    patches = Patches(watching)
    try:
        t = Training()
        for _ in range(9):
            t.step()
        assert watching.lane.stage == stages.LOSS
        output = t.model(t.x)
        loss = F.cross_entropy(output, t.y)
        assert watching.lane.stage == stages.BACKWARD
        loss.backward()
        kept = weakref.ref(output), weakref.ref(loss)
        del output, loss
        assert [ref() for ref in kept] == [None, None]
    finally:
        patches.remove()


@pytest.mark.parametrize("kind", KINDS)
def test_the_ring_wraps_and_overflows_in_the_lane(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(fastest, "Fastest", KINDS[kind])
    monkeypatch.setattr(closing, "LONG", 1e9)
    watching = Standby({"rings": [str(tmp_path)], "ring_bytes": 64 << 10, "budget": 0.01})
    patches = Patches(watching)
    try:
        t = Training()
        t.step()
        (path,) = tmp_path.iterdir()
        reader = Reader(str(path))
        seen = []

        def train(steps: int) -> None:
            for _ in range(steps):
                t.step()

        def read_steps() -> None:
            schemas = {e["id"]: e["name"] for e in Reader(str(path)).catalogue() if e["kind"] == "schema"}
            for record in reader.records():
                if schemas.get(record.schema) == "step":
                    seen.append(struct.unpack_from("<q", record.payload, 8)[0])
            reader.release()

        for _ in range(14):  # three times round
            train(100)
            read_steps()
        assert seen == list(range(1, 1402))
        assert reader.dropped == 0
        train(800)
        assert 0 < reader.dropped < 800
        read_steps()
        train(10)
        read_steps()
        assert seen[-10:] == list(range(2202, 2212))
        assert len(set(seen)) == len(seen) < 2211
    finally:
        patches.remove()


@pytest.mark.parametrize("kind", KINDS)
def test_the_clock_sees_the_last_hook_of_a_step(kind, tmp_path, monkeypatch):
    """Before it is decided how closely the next one is looked at."""
    monkeypatch.setattr(fastest, "Fastest", KINDS[kind])
    monkeypatch.setattr(sampler.Sampler, "measures", True)
    before: list[float] = []
    grown: list[float] = []
    ended = sampler.Sampler.ended

    def noting(self, step, sampled, hooks, *more):
        if sampled is None:
            grown.append(hooks - before[-1])
        return ended(self, step, sampled, hooks, *more)

    monkeypatch.setattr(sampler.Sampler, "ended", noting)
    watching = Standby({"rings": [str(tmp_path)], "ring_bytes": 1 << 20, "budget": 0.01})
    patches = Patches(watching)
    try:
        t = Training()
        t.optimizer.register_step_post_hook(lambda *_: before.append(watching.lane.spent))  # runs before ours
        for _ in range(STEPS):
            t.step()
    finally:
        patches.remove()
    assert len(grown) > 3
    assert min(grown) > 0
