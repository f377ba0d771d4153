"""Dense at first, then as often as the budget allows."""

from __future__ import annotations

import numpy as np
import pytest

from nnwatch.probes import bill
from nnwatch.probes.sampler import DENSE, LONGEST, REPEATS, USUAL, Sampler

from .harness import run

HOOKS = 2.5e-5
"""Seconds that the hooks take on every step."""


def sampled_steps(
    budget: float, plain: float, close: float, steps: int, monkeypatch, first: int = 0, turns: tuple[float, ...] = (1,)
) -> tuple[list[int], Sampler]:
    """Which steps are sampled, by a clock of our own: ``plain`` seconds a step, ``close`` for a sampled one; those of
    the optimizers that take ``turns`` take so many times as long."""
    now = [0.0]
    for clock in ("thread_time", "perf_counter"):
        monkeypatch.setattr(bill, clock, lambda: now[0])
    monkeypatch.setattr(bill, "SEEN", 1.0)
    made = Sampler(budget, first)
    found, closely = [], True
    for step in range(first + 1, first + steps + 1):
        turn = step % len(turns)
        now[0] += plain * turns[turn] + (close - plain if closely else 0)
        if closely:
            found.append(step)
        if step >= made.due:
            closely = made.ended(step, 0 if closely else None, HOOKS, disturbed=False, turn=turn)
            made.resume()
    return found, made


def test_the_first_steps_are_all_sampled(monkeypatch):
    found, _ = sampled_steps(0.01, 0.01, 0.011, 60, monkeypatch)
    assert found[:DENSE] == list(range(1, DENSE + 1))
    assert found[DENSE] > DENSE + 1


@pytest.mark.parametrize("budget", [0.002, 0.01, 0.05])
@pytest.mark.parametrize("plain", [0.02, 0.3])
@pytest.mark.parametrize("extra", [2e-4, 1e-3, 2e-2])
def test_the_interval_keeps_the_budget(budget, plain, extra, monkeypatch):
    found, made = sampled_steps(budget, plain, plain + extra, 12_000, monkeypatch)
    spent = HOOKS + extra / made.every
    assert found[-1] - found[-2] == made.every
    assert made.cost == pytest.approx(spent / plain)
    if made.every < (8 * LONGEST if budget < USUAL else LONGEST):
        assert spent <= budget * plain
        assert made.every == 2 or HOOKS + extra / (made.every / 2) > (1 - REPEATS) * budget * plain


@pytest.mark.parametrize("first", [0, 1003])
def test_ranks_of_different_speed_share_the_steps_of_the_slower_pace(first, monkeypatch):
    def late(extra: float) -> tuple[set[int], int]:
        found, made = sampled_steps(0.01, 0.1, 0.1 + extra, 3000, monkeypatch, first)
        return {step for step in found if step > first + 1000}, made.every

    (often, short), (seldom, long) = late(5e-3), late(2e-2)
    assert (short, long) == (8, 32)
    assert seldom < often


def test_a_short_step_is_still_sampled_and_the_cost_says_so(monkeypatch):
    _, made = sampled_steps(0.01, 0.0005, 0.002, 5000, monkeypatch)
    assert made.every == LONGEST
    assert made.cost is not None
    assert made.cost > 0.01


@pytest.mark.parametrize("plain", [0.0006, 0.02])
def test_a_small_budget_means_fewer_samples_of_short_steps(plain, monkeypatch):
    """The hooks are no part of what it decides: samples are kept below what is left of it, or a share of it."""
    often, usual = sampled_steps(0.01, plain, plain + 7e-4, 60_000, monkeypatch)
    seldom, small = sampled_steps(0.002, plain, plain + 7e-4, 60_000, monkeypatch)
    assert len(often) > 4 * len(seldom)
    assert small.cost is not None
    assert usual.cost is not None
    assert small.cost < usual.cost
    share = (small.cost * plain - HOOKS) / plain
    assert share <= max(0.002 - HOOKS / plain, 0.6 * 0.002)


def test_cheap_samples_leave_steps_to_compare_with(monkeypatch):
    found, made = sampled_steps(0.01, 0.1, 0.1, 400, monkeypatch)
    assert made.every == 2
    assert found[-1] - found[-2] == 2


@pytest.mark.parametrize("turns", [(1, 0.5), (0.5, 1), (1, 1, 1, 1, 1, 3)])
@pytest.mark.parametrize("extra", [1e-3, 2e-2])
def test_of_optimizers_that_step_in_turn_each_is_sampled_and_compared_with_itself(turns, extra, monkeypatch):
    found, made = sampled_steps(0.01, 0.1, 0.1 + extra, 6000, monkeypatch, turns=turns)
    late = [step for step in found if step > 1000]
    seen = np.bincount([step % len(turns) for step in late], minlength=len(turns)) / len(late)
    assert seen.min() > 0.3 / len(turns)
    mean = 0.1 * sum(turns) / len(turns)
    assert made.seconds == pytest.approx(mean, rel=0.3)
    assert made.bill.extra == pytest.approx(extra)
    assert made.cost is not None
    assert made.cost <= 0.01


def test_ranks_share_the_steps_of_optimizers_in_turn_too(monkeypatch):
    seldom, slow = sampled_steps(0.01, 0.1, 0.12, 3000, monkeypatch, turns=(1, 0.5))
    often, quick = sampled_steps(0.01, 0.1, 0.105, 3000, monkeypatch, turns=(1, 0.5))
    assert quick.every < slow.every
    assert {step for step in seldom if step > 1000} < set(often)


LONG_STEPS = """
import time, torch
from torch import nn

model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(160):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(torch.randn(16, 8)), torch.randint(0, 3, (16,))).backward()
    optimizer.step()
    time.sleep(0.01)
"""


@pytest.mark.parametrize("budget", [0.01, 0.05])
def test_a_real_training_is_told_a_cost_within_its_budget(budget):
    recorded = run(LONG_STEPS, budget=budget)
    assert recorded.returncode == 0, recorded.stderr
    costs = recorded.scalars("watch.cost")
    told = costs[~np.isnan(costs)]
    assert len(told)
    assert (told > 0).all()
    assert (told <= budget).all()
    assert recorded.facts()["budget"] == budget
