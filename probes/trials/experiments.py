"""All experiments that are made in the process of the script, in the order in which they are made."""

from __future__ import annotations

from .custom import custom
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
)
