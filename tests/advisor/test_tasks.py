"""Healthy histories of tasks that no recording has: losses of any size and sign, moving targets, epochs of a step."""

import numpy as np
import pytest

from nnwatch.advisor.case import run
from nnwatch.frame import SEVERITIES

STEPS = 240
PLAN = {"planned_steps": STEPS}
MSE = {"loss": {"name": "mse_loss", "reduction": "mean"}}


def row(values):
    return " ".join(f"{value:.6g}" for value in values)


def falling(rng, first, last, noise, steps=STEPS):
    """A loss on its way from one level to another, with noise in shares of the way."""
    k = np.arange(steps)
    return last + (first - last) * np.exp(-4 * k / steps) + noise * abs(first - last) * rng.standard_normal(steps)


def usual(rng, loss, **more):
    """A run whose weights move as they should."""
    ratios = {"a.weight 64x64": row(3e-3 * np.exp(0.3 * rng.standard_normal(len(loss)))),
              "b.weight 10x64": row(2e-3 * np.exp(0.3 * rng.standard_normal(len(loss))))}  # fmt: skip
    norms = {"a.weight 64x64": f"8x{len(loss)}", "b.weight 10x64": f"3x{len(loss)}"}
    return {"facts": PLAN, "lr": f"1e-3x{len(loss)}", "loss.train": row(loss), "update.ratio": ratios,
            "weight.norm": norms, "grad.norm": row(np.exp(0.5 * rng.standard_normal(len(loss))))} | more  # fmt: skip


def slow(rng):
    """It falls by a tenth at most, with half of a layer dead and inputs of some size."""
    return usual(rng, falling(rng, 4.9, 4.55, 0.1), **{
        "act.dead": {"relu ReLU": row(np.full(STEPS, 0.5))},
        "input.mean": row(np.full(STEPS, 30.0)), "input.std": row(np.full(STEPS, 12.0)),
        "input.min": row(np.zeros(STEPS)), "input.max": row(np.full(STEPS, 60.0)),
    })  # fmt: skip


def bootstrapped(rng):
    """Values learned from the net's own guesses: the targets grow, and the loss with them."""
    k = np.arange(STEPS)
    loss = 0.02 * (1 + k / 6) * np.exp(0.4 * rng.standard_normal(STEPS))
    return usual(rng, loss, **{
        "facts": PLAN | MSE, "target.mean": row(1 + 0.05 * k), "target.std": row(0.05 + 0.01 * k),
        "act.dead": {"relu ReLU": row(np.full(STEPS, 0.5))},
    })  # fmt: skip


def residuals(rng):
    """Squared residuals of an equation: every target is 0, so there is no guess to be better than."""
    zero = row(np.zeros(STEPS))
    return usual(rng, np.abs(falling(rng, 1, 0.05, 0.02)), **{
        "facts": PLAN | MSE, "target.mean": zero, "target.std": zero, "end": {"status": "finished"},
    })  # fmt: skip


def one_step_epochs(rng):
    """The whole data set is one batch, and it is validated after every step: the best of 240 is the luckiest."""
    val = falling(rng, 2.2, 0.2, 0.0) + 0.015 * rng.standard_normal(STEPS)
    return usual(rng, np.abs(falling(rng, 2.3, 0.01, 0.005)), **{
        "facts": PLAN | {"steps_per_epoch": 1}, "val_every": 1, "paired": True, "loss.val": row(np.abs(val)),
    })  # fmt: skip


TASKS = {
    "tiny losses": lambda rng: usual(rng, 1e-9 * np.abs(falling(rng, 1, 0.1, 0.05))),
    "huge losses": lambda rng: usual(rng, 1e9 * np.abs(falling(rng, 1, 0.1, 0.05))),
    "a likelihood of both signs": lambda rng: usual(rng, falling(rng, 1.7, -3, 0.1)),
    "a return of both signs": lambda rng: usual(
        rng, 1e-2 * rng.standard_normal(STEPS), facts=PLAN | {"reinforcement": True}
    ),
    "two optimizers": lambda rng: usual(
        rng, np.abs(0.7 + 0.3 * rng.standard_normal(STEPS)), facts=PLAN | {"optimizers": [{"class": "Adam"}] * 2}
    ),
    "slow": slow,
    "targets of its own": bootstrapped,
    "targets of zero": residuals,
    "epochs of one step": one_step_epochs,
    "five evaluations": lambda rng: usual(
        rng, np.abs(falling(rng, 2.3, 0.4, 0.1)), val_every=48, **{"loss.val": row([1.4, 0.9, 0.72, 0.66, 0.7])}
    ),
    "a long run": lambda rng: usual(
        rng, np.abs(falling(rng, 2.3, 0.3, 0.1, 8000)), facts={"planned_steps": 20_000}
    ),
}  # fmt: skip


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("task", TASKS)
def test_no_warning_on_a_healthy_run_of_any_task(task, seed):
    finds = run(TASKS[task](np.random.default_rng(seed))).finds
    assert not {rule: said for rule, said in finds.items() if SEVERITIES.index(said.split()[0]) > 1}
