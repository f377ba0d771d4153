"""What the first remedy is compared with: changes that need no diagnosis."""

from __future__ import annotations

import random

from .catalogue import Configuration
from .remedies import RATES, WHOLE, Overrides


def _rates(knobs: dict[str, str], value: float) -> Overrides:
    """Both rates of a script that has two optimizers."""
    return tuple((name, value) for name in RATES if name in knobs)


def tenth(one: Configuration) -> Overrides:
    knobs = one.knobs()
    return tuple((name, float(knobs[name]) / 10) for name in RATES if name in knobs)


def adam(one: Configuration) -> Overrides:
    knobs = one.knobs()
    named = () if "lr_d" in knobs else (("optimizer", "adam"),)
    return (*named, *_rates(knobs, 3e-4))


def random_fix(one: Configuration) -> Overrides:
    """One number of the script, times or over up to a hundred."""
    draw, knobs = random.Random(one.id), one.knobs()
    names = sorted({"lr", "batch", "epochs", "steps", "clip", "weight_decay", "dropout"} & set(knobs))
    name = draw.choice(names)
    factor = 10 ** draw.uniform(-2, 2)
    if name == "dropout":
        return ((name, round(draw.uniform(0, 0.9), 2)),)
    if name in WHOLE:
        return ((name, max(1, int(int(knobs[name]) * min(factor, 4)))),)
    value = float(knobs[name]) or {"clip": 1.0, "weight_decay": 1e-3}.get(name, 1e-3)
    return ((name, float(f"{value * factor:.2g}")),)


def random_search(one: Configuration, number: int) -> Overrides:
    """One draw of learning rate (log-uniform, 1e-5 to 1) and optimizer."""
    draw, knobs = random.Random(f"{one.id} {number}"), one.knobs()
    rate = float(f"{10 ** draw.uniform(-5, 0):.2g}")
    named = () if "lr_d" in knobs else (("optimizer", draw.choice(["sgd", "momentum", "adam"])),)
    return (*named, *_rates(knobs, rate))
