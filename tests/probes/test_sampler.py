"""Dense at first, then as often as the budget allows."""

from __future__ import annotations

import pytest

from nnwatch.probes import sampler
from nnwatch.probes.sampler import DENSE, IDLE, LONGEST, LOOK, Sampler


def sampled_steps(budget: float, plain: float, close: float, steps: int, monkeypatch) -> tuple[list[int], Sampler]:
    """Which steps are sampled, by a clock of our own: ``plain`` seconds a step, ``close`` for a sampled one."""
    now = [0.0]
    monkeypatch.setattr(sampler, "thread_time", lambda: now[0])
    made = Sampler(budget)
    found, closely = [], True
    for step in range(1, steps + 1):
        now[0] += close if closely else plain
        if closely:
            found.append(step)
        if step >= made.due:
            closely = made.ended(step, closely, plain, disturbed=False)
    return found, made


def test_the_first_steps_are_all_sampled(monkeypatch):
    found, _ = sampled_steps(0.01, 0.01, 0.011, 60, monkeypatch)
    assert found[:DENSE] == list(range(1, DENSE + 1))
    assert found[DENSE] > DENSE + 1


def test_the_interval_keeps_the_budget(monkeypatch):
    found, made = sampled_steps(0.01, 0.02, 0.021, 2000, monkeypatch)
    wanted = -(-0.001 // (0.01 * 0.02 - IDLE - LOOK))
    assert made.every == pytest.approx(wanted, abs=1)
    assert found[-1] - found[-2] == made.every
    assert made.cost is not None
    assert made.cost == pytest.approx((IDLE + LOOK + 0.001 / made.every) / 0.02)
    assert made.cost <= 0.0101


def test_a_short_step_is_still_sampled_and_the_cost_says_so(monkeypatch):
    _, made = sampled_steps(0.01, 0.0005, 0.002, 5000, monkeypatch)
    assert made.every == LONGEST
    assert made.cost is not None
    assert made.cost > 0.01


def test_cheap_samples_leave_steps_to_compare_with(monkeypatch):
    found, made = sampled_steps(0.01, 0.1, 0.1, 400, monkeypatch)
    assert made.every == 2
    assert found[-1] - found[-2] == 2
