"""What is said of gradients, weights and the optimizer's state, against what torch says of them."""

from __future__ import annotations

import copy
import math
from zlib import crc32

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nnwatch.probes.noise import Noise

from .harness import watched

THOROUGH = [1, 6, 11, 16]
ELEMENTWISE = [1, 16]
STEPS = 17


def batch(rows=32):
    torch.manual_seed(0)
    return torch.randn(rows, 6), torch.randint(0, 3, (rows,))


def small():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def loop(make_optimizer, before=None, after=None, steps=STEPS, make=small):
    """A training; ``before(model, optimizer)`` the step, ``after(model, optimizer)`` follows it."""
    (x, y), model = batch(), make()
    optimizer = make_optimizer(model.parameters())
    for _ in range(steps):
        F.cross_entropy(model(x), y).backward()
        if before is not None:
            before(model, optimizer)
        optimizer.step()
        if after is not None:
            after(model, optimizer)
        optimizer.zero_grad()


def close(found, wanted, rtol=1e-5):
    np.testing.assert_allclose(found, np.array(wanted, float), rtol=rtol, atol=1e-9)


def test_elements_of_gradient_weight_and_second_moment(tmp_path):
    rows: list[dict] = []

    def before(model, optimizer):
        with torch.no_grad():
            model[0].weight.grad[:2] = 0
            model[2].bias.grad[0] = 1e-30  # too small to move it, but for Adam
        rows.append({"before": [p.detach().clone() for p in model.parameters()]})

    def after(model, optimizer):
        row, states = rows[-1], [optimizer.state[p] for p in model.parameters()]
        row["zeros"] = [(p.grad == 0).float().mean().item() for p in model.parameters()]
        row["unchanged"] = [
            ((p == q) & (p.grad != 0)).sum().item() / (p.grad != 0).sum().item()
            for p, q in zip(model.parameters(), row["before"], strict=True)
        ]
        row["eps"] = [np.median((s["exp_avg_sq"] / (1 - 0.99 ** s["step"])).sqrt().numpy()) / 1e-6 for s in states]
        row["checksum"] = (
            crc32(torch.cat([p.detach().reshape(-1) for p in model.parameters()]).numpy().tobytes()) & 0xFFFFFF
        )

    done = watched(tmp_path, lambda: loop(lambda p: torch.optim.Adam(p, 1e-3, (0.8, 0.99), 1e-6), before, after))
    assert done.steps("grad.zeros") == ELEMENTWISE
    wanted = [rows[step - 1] for step in ELEMENTWISE]
    close(done.values("grad.zeros"), [row["zeros"] for row in wanted])
    assert done.values("grad.zeros")[0, 0] >= 0.25
    close(done.values("weight.unchanged"), [row["unchanged"] for row in wanted])
    close(done.values("adam.eps.ratio")[:, 1:], [row["eps"][1:] for row in wanted], rtol=1e-4)
    np.testing.assert_array_equal(done.scalars("weight.checksum"), [row["checksum"] for row in wanted])
    assert done.names["adam.eps.ratio"] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    close(done.scalars("momentum"), [0.8] * STEPS)


def test_steps_too_small_for_bfloat16(tmp_path):
    """A step of a thousandth of a rounding leaves the weights as they were."""

    def run(rate):
        (x, y), model = batch(), small().bfloat16()
        optimizer = torch.optim.SGD(model.parameters(), rate)
        for _ in range(3):
            F.cross_entropy(model(x.bfloat16()).float(), y).backward()
            optimizer.step()
            optimizer.zero_grad()

    done = watched(tmp_path, lambda: run(1e-9))
    assert done.values("weight.unchanged").min() == 1
    assert "adam.eps.ratio" not in done.series


def test_two_groups_and_no_momentum(tmp_path):
    def optimizer(parameters):
        first, *others = parameters
        return torch.optim.SGD([{"params": [first], "momentum": 0.5}, {"params": others}], 0.1, momentum=0.9)

    done = watched(tmp_path, lambda: loop(optimizer))
    close(done.values("momentum")[-1], [0.5, 0.9])


@pytest.mark.parametrize("zeroed", ["none", "zeros", "never"])
def test_gradients_left_over(tmp_path, zeroed):
    norms = []

    def run():
        (x, y), model = batch(), small()
        optimizer = torch.optim.SGD(model.parameters(), 0.01)
        for _ in range(5):
            left = [p.grad.norm().item() for p in model.parameters() if p.grad is not None]
            norms.append(math.hypot(*left))
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            if zeroed != "never":
                optimizer.zero_grad(set_to_none=zeroed == "none")

    done = watched(tmp_path, run)
    assert done.steps("grad.stale") == [1, 2, 3, 4, 5]
    close(done.scalars("grad.stale"), norms)
    assert norms[-1] > 0 if zeroed == "never" else norms[-1] == 0


def test_passes_whose_gradients_are_cleared_are_no_part_of_the_step(tmp_path):
    """A sample is moved along its own gradient, then what that left in the weights is cleared."""
    losses = []

    def run():
        (x, y), model = batch(), small()
        optimizer = torch.optim.SGD(model.parameters(), 0.01)
        for _ in range(40):
            moved = x.clone().requires_grad_()
            for _ in range(3):
                F.cross_entropy(model(moved), y).backward()
                moved.data += 0.1 * moved.grad.sign()
            optimizer.zero_grad()
            loss = F.cross_entropy(model(moved.detach()), y)
            losses.append(loss.item())
            loss.backward()
            optimizer.step()

    done = watched(tmp_path, run)
    close(done.scalars("loss.train"), losses)
    close(done.scalars("loss.root"), losses)
    assert len(done.scalars("grad.stale")) >= 17
    assert not done.scalars("grad.stale").any()
    assert done.facts()["accumulation"] == 1


def test_an_episode_that_passes_back_at_each_of_its_moves_is_one_step(tmp_path):
    losses = []

    def run():
        (x, y), model = batch(), small()
        optimizer = torch.optim.SGD(model.parameters(), 0.001)
        for moves in (20, 100, 150, 90):
            optimizer.zero_grad()
            found = [F.cross_entropy(model(x[:1]), y[:1]) for _ in range(moves)]
            for loss in found:
                loss.backward()
            losses.append(sum(loss.item() for loss in found) / moves)
            optimizer.step()

    done = watched(tmp_path, run)
    assert done.steps("loss.train") == [1, 2, 3, 4]
    close(done.scalars("loss.train"), losses)


def test_a_gan_whose_judge_is_zeroed_late_has_no_gradient_left_over(tmp_path):
    def run():
        torch.manual_seed(0)
        maker, judge = nn.Linear(2, 6), nn.Linear(6, 1)
        one, two = torch.optim.SGD(judge.parameters(), 0.1), torch.optim.SGD(maker.parameters(), 0.1)
        for _ in range(6):
            for optimizer in (one, two):
                optimizer.zero_grad()
                fake = judge(maker(torch.randn(8, 2)))
                F.binary_cross_entropy_with_logits(fake, torch.ones(8, 1)).backward()
                optimizer.step()

    done = watched(tmp_path, run)
    assert len(done.scalars("grad.stale")) == 12
    assert not done.scalars("grad.stale").any()


def test_the_scale_when_the_step_was_taken(tmp_path):
    scales = []

    def run():
        (x, y), model = batch(), small()
        optimizer = torch.optim.SGD(model.parameters(), 0.01)
        scaler = torch.amp.GradScaler("cpu", init_scale=64.0, growth_interval=2)
        for step in range(8):
            scaler.scale(F.cross_entropy(model(x), y)).backward()
            if step == 3:
                model[0].weight.grad[0, 0] = math.inf
            else:
                scales.append(scaler.get_scale())
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()

    done = watched(tmp_path, run)
    assert done.scalars("amp.scale").tolist() == scales
    assert done.scalars("step.skipped").sum() == 1
    assert set(scales) == {64.0, 128.0}


def test_a_scaler_that_is_switched_off_says_nothing(tmp_path):
    def run():
        (x, y), model = batch(), small()
        optimizer, scaler = torch.optim.SGD(model.parameters(), 0.01), torch.amp.GradScaler("cpu", enabled=False)
        for _ in range(3):
            scaler.scale(F.cross_entropy(model(x), y)).backward()
            scaler.step(optimizer)
            scaler.update()

    done = watched(tmp_path, run)
    assert done.steps("loss.train") == [1, 2, 3]
    assert "amp.scale" not in done.series


def test_noise_scale_of_gradients_drawn_as_the_paper_has_them():
    """True gradient of norm 2, covariance 0.25 I of 400 dimensions for one sample: tr(S)/|G|^2 = 100 / 4."""
    rng = np.random.default_rng(0)
    mean = np.zeros(400)
    mean[0] = 2.0
    noise, found = Noise(), []
    for _ in range(400):
        micro = mean + rng.normal(0, 0.5 / math.sqrt(16), (4, 400))  # 16 samples each
        sums = micro.sum(0) / 3  # divided by whatever the script divides by
        found.append(noise.scale(float(np.linalg.norm(micro[0] / 3)), float(np.linalg.norm(sums)), 4, 16))
    assert found[:3] == [None] * 3
    assert np.median([value for value in found if value is not None]) == pytest.approx(25, rel=0.1)


def test_noise_comes_with_accumulation(tmp_path):
    first: list[float] = []
    whole: list[float] = []

    def run():
        torch.manual_seed(0)
        model = small()
        optimizer = torch.optim.SGD(model.parameters(), 1e-4)
        x = torch.randn(4, 16, 6)
        y = (x[..., 0] > 0).long()
        for _ in range(9):
            for place in range(4):
                (F.cross_entropy(model(x[place]), y[place]) / 4).backward()
                norm = math.hypot(*(p.grad.norm().item() for p in model.parameters()))
                (first if place == 0 else whole if place == 3 else []).append(norm)
            nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
            optimizer.step()
            optimizer.zero_grad()

    done = watched(tmp_path, run)
    noise = Noise()
    wanted = [noise.scale(a, b, 4, 16) for a, b in zip(first[1:], whole[1:], strict=True)]
    assert done.steps("grad.noise") == [n for n, value in enumerate(wanted, 2) if value is not None]
    close(done.scalars("grad.noise"), [value for value in wanted if value is not None], rtol=1e-4)
    assert len(done.scalars("grad.noise")) > 2


@pytest.mark.parametrize("kind", ["AveragedModel", "deepcopy"])
def test_distance_to_an_average(tmp_path, kind):
    distances = []

    def run():
        (x, y), model = batch(), small()
        if kind == "deepcopy":
            average = copy.deepcopy(model).requires_grad_(False)
            copy.deepcopy(model[0])  # a part of it is no average
        else:
            average = torch.optim.swa_utils.AveragedModel(model)
        optimizer = torch.optim.SGD(model.parameters(), 0.5)
        for _ in range(STEPS):
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            optimizer.zero_grad()
            ours, theirs = (torch.cat([p.reshape(-1) for p in m.parameters()]) for m in (model, average))
            distances.append(((theirs - ours).norm() / ours.norm()).item())
            if kind == "deepcopy":
                with torch.no_grad():
                    for p, q in zip(average.parameters(), model.parameters(), strict=True):
                        p.lerp_(q, 0.1)
            else:
                average.update_parameters(model)

    done = watched(tmp_path, run)
    steps = done.steps("ema.distance")
    assert steps == (THOROUGH if kind == "AveragedModel" else THOROUGH[1:])
    close(done.scalars("ema.distance"), [distances[step - 1] for step in steps], rtol=1e-4)


def test_closures_and_parameters_without_gradients(tmp_path):
    def run():
        (x, y), model = batch(), small()
        model[2].bias.requires_grad_(False)
        optimizer = torch.optim.LBFGS([p for p in model.parameters() if p.requires_grad], max_iter=3)

        def again():
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            return loss

        for _ in range(5):
            optimizer.step(again)

    done = watched(tmp_path, run)
    assert (done.values("weight.unchanged") == 0).all()
    assert done.steps("grad.zeros") == [1]
