"""All experiments that are made in the process of the script, in the order in which they are made."""

from __future__ import annotations

from .anatomy import anatomy
from .baselines import baselines
from .custom import custom
from .data import data
from .gradient import gradient
from .inputs import inputs
from .overfit import overfit
from .schedule import schedule
from .subject import Experiment

EXPERIMENTS: tuple[tuple[str, Experiment], ...] = (
    ("custom", custom),
    ("gradient", gradient),
    ("overfit", overfit),
    ("input", inputs),
    ("scheduler", schedule),
    ("model", anatomy),
    ("data", data),
    ("baselines", baselines),
)
