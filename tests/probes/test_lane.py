"""The short way records what the long way records: each loop is trained on both, and the rings are compared."""

from __future__ import annotations

import json
import pickle
import struct
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nnwatch.probes import closing, fastest, sampler, stages
from nnwatch.probes.hooks import Patches
from nnwatch.probes.lane import Lane
from nnwatch.probes.standby import Standby
from nnwatch.probes.watch import Watch
from nnwatch.ring import EVENT, Reader

from .harness import Recorded, read

STEPS = 30
ODD = (9, 17, 18, 25)
"""Steps at which a loop does something out of the ordinary, in the lane but for it."""
CLOCKS = {"step.seconds", "data.wait", "watch.cost", "step.idle", "memory.heap", "tensors.alive", "tensors.graph"}


class Training:
    """A small classifier; ``step()`` is the ordinary step."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model: Any = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        self.optimizer: Any = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        self.x, self.y = torch.randn(24, 4), torch.randint(0, 3, (24,))
        self.judge: Any = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
        """Of what the model gives."""

    def two(self) -> Any:
        """The optimizer, and one of the judge."""
        if not hasattr(self, "other"):
            self.other = torch.optim.Adam(self.judge.parameters(), lr=0.01)
        return self.optimizer, self.other

    def judged(self, x: torch.Tensor, wanted: float) -> torch.Tensor:
        found = self.judge(x)
        return F.binary_cross_entropy_with_logits(found, torch.full_like(found, wanted))

    def loss(self) -> torch.Tensor:
        return F.cross_entropy(self.model(self.x), target=self.y)

    def step(self) -> None:
        self.optimizer.zero_grad()
        self.loss().backward()
        self.optimizer.step()


def ordinary(t: Training, odd: bool) -> None:
    t.step()


def changed_in_place(t: Training, odd: bool) -> None:
    t.optimizer.zero_grad()
    loss = t.loss()
    if odd:
        loss /= 2
    loss.backward()
    t.optimizer.step()


def regularised(t: Training, odd: bool) -> None:
    t.optimizer.zero_grad()
    loss = t.loss()
    (loss + 0.01 * t.model[0].weight.square().sum() if odd else loss).backward()
    t.optimizer.step()


def accumulated(t: Training, odd: bool) -> None:
    if odd:
        t.loss().backward()
    t.step()


def validated(t: Training, odd: bool) -> None:
    t.step()
    if odd:
        t.model.eval()
        with torch.no_grad():
            F.cross_entropy(t.model(t.x[:7] + 1), t.y[:7].clone())
        t.model.train()


def metric_in_the_step(t: Training, odd: bool) -> None:
    loss = t.loss()
    if odd:
        F.cross_entropy(t.model(t.x).detach(), t.y)
    t.optimizer.zero_grad()
    loss.backward()
    t.optimizer.step()


def looked_at_only(t: Training, odd: bool) -> None:
    if odd:
        F.cross_entropy(t.model(t.x + 1), t.y)
    t.step()


def closure(t: Training, odd: bool) -> None:
    def again() -> torch.Tensor:
        t.optimizer.zero_grad()
        loss = t.loss()
        loss.backward()
        return loss

    if odd:
        t.optimizer.step(again)
    else:
        t.step()


def closure_after_backward(t: Training, odd: bool) -> None:
    t.loss().backward()
    t.optimizer.step((lambda: t.loss()) if odd else None)
    t.optimizer.zero_grad()


def not_a_number(t: Training, odd: bool) -> None:
    if odd:
        t.x = t.x.clone()
        t.x[5, 2] = float("nan")
    t.step()


def bad_gradient(t: Training, odd: bool) -> None:
    t.optimizer.zero_grad()
    loss = t.loss()
    loss.backward()
    if odd:
        t.model[0].bias.grad[1] = float("nan")
    nn.utils.clip_grad_norm_(t.model.parameters(), 1.0)
    t.optimizer.step()


def another_rate(t: Training, odd: bool) -> None:
    t.optimizer.param_groups[0]["lr"] *= 0.9
    if odd:
        t.optimizer.param_groups[0]["lr"] = 1
        t.optimizer.add_param_group({"params": [nn.Parameter(torch.ones(2))], "lr": 0.5})
    t.step()


def huge(t: Training, odd: bool) -> None:
    t.optimizer.param_groups[0]["lr"] = 1e300 if odd else 0.0
    t.optimizer.zero_grad()
    t.loss().backward()
    t.model.zero_grad()
    t.optimizer.step()


def second_optimizer(t: Training, odd: bool) -> None:
    if odd:
        other = torch.optim.SGD(t.model[2].parameters(), lr=0.01)
        t.loss().backward()
        other.step()
    t.step()


def skipped_backward(t: Training, odd: bool) -> None:
    if odd:
        t.optimizer.step()
    t.step()


def stepped_twice(t: Training, odd: bool) -> None:
    t.step()
    if odd:
        t.optimizer.step()


def failing_backward(t: Training, odd: bool) -> None:
    if odd:
        loss = t.loss()
        handle = t.model[0].weight.register_hook(lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            loss.backward()
        handle.remove()
    t.step()


def scaled(t: Training, odd: bool) -> None:
    if not odd:
        t.step()
        return
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    t.optimizer.zero_grad()
    scaler.scale(t.loss()).backward()
    scaler.step(t.optimizer)


def saved(t: Training, odd: bool) -> None:
    t.optimizer.zero_grad()
    loss = t.loss()
    if odd:
        pickle.dumps(t.model)
    loss.backward()
    t.optimizer.step()


def unreduced(t: Training, odd: bool) -> None:
    t.optimizer.zero_grad()
    if odd:
        F.cross_entropy(t.model(t.x), t.y, reduction="none").mean().backward()
    else:
        t.loss().backward()
    t.optimizer.step()


def several_roots(t: Training, odd: bool) -> None:
    t.optimizer.zero_grad()
    if odd:
        loss = t.loss()
        torch.autograd.backward([loss, t.model[0].bias.sum()])
    else:
        t.loss().backward()
    t.optimizer.step()


def penalised(t: Training, odd: bool) -> None:
    t.optimizer.zero_grad()
    loss = t.loss()
    (loss if odd else loss + 0.01 * sum(p.square().sum() for p in t.model.parameters())).backward()
    t.optimizer.step()


def averaged_by_hand(t: Training, odd: bool) -> None:
    """Once it is what two calls add up to."""
    t.optimizer.zero_grad()
    loss = F.cross_entropy(t.model(t.x), t.y, reduction="sum")
    if odd:
        loss = loss + F.cross_entropy(t.model(t.x + 1), t.y, reduction="sum")
    (loss / len(t.y)).backward()
    t.optimizer.step()


def by_hand(t: Training, odd: bool) -> None:
    t.optimizer.zero_grad()
    loss = -t.model(t.x).log_softmax(1)[range(len(t.y)), t.y].mean()
    (t.loss() if odd else loss).backward()
    t.optimizer.step()


def by_hand_without_an_end(t: Training, odd: bool) -> None:
    t.optimizer.zero_grad()
    (t.model(t.x).square().mean() * (torch.inf if odd else 1.0)).backward()
    t.optimizer.step()


def of_something_else(t: Training, odd: bool) -> None:
    """Once a loss is only looked at, and another one trained on."""
    t.optimizer.zero_grad()
    loss = t.loss()
    (t.model(t.x).square().mean() if odd else 0.5 * loss).backward()
    t.optimizer.step()


def penalised_without_an_end(t: Training, odd: bool) -> None:
    t.optimizer.zero_grad()
    loss = t.loss()
    (loss + (torch.nan if odd else 0.01) * t.model[0].weight.square().sum()).backward()
    t.optimizer.step()


def left_after_the_pass(t: Training, odd: bool) -> None:
    t.optimizer.zero_grad()
    (0.5 * t.loss()).backward()
    if odd:
        F.cross_entropy(t.model(t.x + 1), t.y)
    t.optimizer.step()


FORMS = [penalised, averaged_by_hand, by_hand, by_hand_without_an_end, of_something_else, penalised_without_an_end,
         left_after_the_pass]  # fmt: skip
"""Loops that train on something else than the value of a loss call."""


def _makes(t: Training, odd: bool) -> None:
    """The turn of a GAN's maker; odd: with a penalty."""
    t.optimizer.zero_grad()
    loss = t.judged(t.model(t.x), 1.0)
    (loss + 0.01 * t.model[0].weight.square().sum() if odd else loss).backward()
    t.optimizer.step()


def judged_by_a_sum(t: Training, odd: bool) -> None:
    _, other = t.two()
    loss = t.judged(torch.randn(24, 3), 1.0)
    loss = loss + t.judged(t.model(t.x).detach(), 0.0)
    other.zero_grad()
    (loss + F.mse_loss(t.judge[0].bias, torch.zeros(4)) if odd else loss).backward()
    other.step()
    _makes(t, odd)


def judged_by_the_same_lines(t: Training, odd: bool) -> None:
    """In two passes; oddly in three, and twice in turn."""
    _, other = t.two()
    for _ in range(2 if odd else 1):
        other.zero_grad()
        t.judged(torch.randn(24, 3), 1.0).backward()
        t.judged(t.model(t.x).detach(), 0.0).backward()
        if odd:
            t.judge[0].weight.square().sum().backward()
        other.step()
    _makes(t, odd=False)


def judged_without_a_loss_call(t: Training, odd: bool) -> None:
    """The judge of Wasserstein; oddly it steps once more after the same pass."""
    _, other = t.two()
    other.zero_grad()
    (t.judge(t.model(t.x).detach()).mean() - t.judge(torch.randn(24, 3)).mean()).backward()
    other.step()
    if odd:
        other.step()
    t.optimizer.zero_grad()
    (-t.judge(t.model(t.x)).mean()).backward()
    t.optimizer.step()


def judged_at_two_lines(t: Training, odd: bool) -> None:
    _, other = t.two()
    real, fake = t.judge(torch.randn(24, 3)), t.judge(t.model(t.x).detach())
    other.zero_grad()
    loss = F.binary_cross_entropy_with_logits(real, torch.ones(24, 1))
    if not odd:
        loss = loss + nn.BCEWithLogitsLoss()(fake, torch.zeros(24, 1))
    loss.backward()
    other.step()
    _makes(t, odd)


def actor_and_critic(t: Training, odd: bool) -> None:
    """Both step after both passes; oddly one after the other."""
    optimizer, other = t.two()
    for each in (optimizer, other):
        each.zero_grad()
    output = t.model(t.x)
    value = t.judge(output.detach())[:, 0]
    reward = (output.argmax(1) == t.y).float()
    (-(output.log_softmax(1)[:, 0] * (reward - value).detach()).mean()).backward()
    if odd:
        optimizer.step()
    (0.5 * F.mse_loss(value, reward, reduction="sum")).backward()
    if not odd:
        optimizer.step()
    other.step()


def trained_together(t: Training, odd: bool) -> None:
    """One pass for two optimizers, of which oddly only one steps."""
    optimizer, other = t.two()
    for each in (optimizer, other):
        each.zero_grad()
    output = t.model(t.x)
    (F.cross_entropy(output, t.y) + t.judged(output, 1.0)).backward()
    other.step()
    if not odd:
        optimizer.step()


def two_terms(t: Training, odd: bool) -> None:
    """One more is oddly called, which has nothing to do with it."""
    t.optimizer.zero_grad()
    output = t.model(t.x)
    loss = nn.CrossEntropyLoss()(output, t.y) + 0.1 * F.mse_loss(output, torch.zeros(24, 3))
    if odd:
        F.l1_loss(t.model(t.x + 1), torch.zeros(24, 3))
    loss.backward()
    t.optimizer.step()


def micro_batches(t: Training, odd: bool) -> None:
    """Oddly one that is no number but for the optimizer, which steps on what came before."""
    t.optimizer.zero_grad()
    for part in range(3):
        (F.cross_entropy(t.model(t.x[part::3]), t.y[part::3]) / 3).backward()
    if odd:
        F.cross_entropy(t.model(t.x), t.y)
    t.optimizer.step()


def many_micro_batches(t: Training, odd: bool) -> None:
    """Oddly so many that the passes, and no optimizer, end the steps."""
    t.optimizer.zero_grad()
    for _ in range(stages.PASSES + 1 if odd else 2):
        (t.loss() / 2).backward()
    t.optimizer.step()


def with_a_default_device(t: Training, odd: bool) -> None:
    with torch.device("cpu"):
        t.step()


OF_SEVERAL = [
    judged_by_a_sum, judged_by_the_same_lines, judged_at_two_lines, judged_without_a_loss_call, actor_and_critic,
    trained_together, two_terms, micro_batches, many_micro_batches, with_a_default_device,
]  # fmt: skip
"""Loops with several optimizers, loss calls or backward passes."""
LOOPS = [
    *FORMS, *OF_SEVERAL, ordinary, changed_in_place, regularised, accumulated, validated, metric_in_the_step,
    looked_at_only, closure, closure_after_backward, not_a_number, bad_gradient, another_rate, huge, second_optimizer,
    skipped_backward, stepped_twice, failing_backward, scaled, saved, unreduced, several_roots,
]  # fmt: skip


def over_a_loader(t: Training) -> None:
    """Two epochs of training and, with gradients on, of something else in between."""
    for _ in range(3):
        t.model.train()
        for t.x, t.y in DataLoader(TensorDataset(torch.randn(39, 4), torch.randint(0, 3, (39,))), batch_size=4):
            t.step()
        t.model.eval()
        for x, y in DataLoader(TensorDataset(torch.randn(8, 4), torch.randint(0, 3, (8,))), batch_size=4):
            F.cross_entropy(t.model(x), y)


KINDS: dict[str, Any] = {"python": Lane, "c": fastest.Fastest} if fastest.Fastest is not Lane else {"python": Lane}


class LongWay(Lane):
    def open(self, *_):
        pass


def trained(folder: Path, loop) -> tuple[list, list, int]:
    """Records without clocks, events but facts, and steps begun in the lane, of one training."""
    opened = []
    folder.mkdir()
    watching = Standby({"rings": [str(folder)], "ring_bytes": 1 << 20, "budget": 0.01})
    patches = Patches(watching)
    try:
        t = Training()
        if loop is over_a_loader:
            loop(t)
        else:
            for number in range(STEPS):
                loop(t, number in ODD)
                opened.append(watching.lane.stage == stages.LOSS)
                assert not watching.probes.off
                assert not watching.probes._failures
    finally:
        patches.remove()
    (path,) = folder.iterdir()
    recorded = Recorded(0, "", "", folder)
    read(recorded, path)
    values = [
        (metric, step, [float(v) for v in value])
        for metric, series in recorded.series.items()
        if metric not in CLOCKS
        for step, _, value in series
    ]
    events = [(e["name"], e["step"], e["data"]) for e in recorded.events]
    return values, events, sum(opened)


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
